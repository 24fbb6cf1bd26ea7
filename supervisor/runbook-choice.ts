/** Choosing a runbook in a process of its own, beside this file, compiled or not; `runbook-look.ts` says why. */
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Runbook } from '../schemas/runbook.ts'
import type { Wanted } from './document/runbook.ts'
import type { RunbookQuestion } from './document/runbook-look.ts'
import type { ProbePrograms } from './shell/probe-programs.ts'

const LOOK = fileURLToPath(new URL(`./document/runbook-look${extname(import.meta.url)}`, import.meta.url))
const LIMIT_MS = 20_000

/** The runbook that has steps for a fault, null if none has. Rejects if that cannot be found out. */
export async function chooseElsewhere(
  programs: ProbePrograms,
  home: string,
  wanted: Wanted,
): Promise<Runbook | null> {
  const question: RunbookQuestion = { home, wanted }
  const { code, stdout, stderr } = await programs.run([process.execPath, LOOK], {
    env: {},
    cwd: home,
    stdin: JSON.stringify(question),
    signal: AbortSignal.timeout(LIMIT_MS),
  })
  if (code !== 0)
    throw new Error(stderr.trim().split('\n').at(-1) || 'the program that looks for a runbook was ended')
  return JSON.parse(stdout) as Runbook | null
}
