/**
 * Choosing runbooks in a process of its own, compiled or not; `runbook-look.ts` says why. One process at a time,
 * however many services fail at once, and none for a question whose answer is known.
 */
import { readdirSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Runbook } from '../schemas/runbook.ts'
import type { Wanted } from './document/runbook.ts'
import type { RunbookAnswer, RunbookQuestion } from './document/runbook-look.ts'
import { errnoOf, PaiosError } from './errors.ts'
import type { ProbePrograms } from './shell/probe-programs.ts'
import { RUNBOOKS } from './version.ts'

const LOOK = fileURLToPath(new URL(`./document/runbook-look${extname(import.meta.url)}`, import.meta.url))
const LIMIT_MS = 20_000
/** So many questions at once; the answer must fit into what is kept of a program's output. */
const BATCH = 200

/** The choice over the runbooks of a home and ours. */
export type RunbookChoice = {
  /** The runbook that has steps for a fault, null if none has. Rejects if that cannot be found out. */
  readonly forFault: (wanted: Wanted) => Promise<Runbook | null>
  /** The runbook of this name. Rejects with PaiosError if there is none or it has problems. */
  readonly named: (name: string) => Promise<Runbook>
}

type Waiting = {
  readonly wanted: Wanted
  readonly resolve: (runbook: Runbook | null) => void
  readonly reject: (error: unknown) => void
}

/** Opens the choice. Nothing is read before the first question. */
export function openRunbookChoice(programs: Pick<ProbePrograms, 'run'>, home: string): RunbookChoice {
  const own = join(home, 'runbooks')
  const known = new Map<string, Runbook | null>()
  const waiting: Waiting[] = []
  let isAsking = false
  let stamp = ''

  /** Forgets the answers if a runbook has changed; says what a question comes down to. */
  function keyed(): (wanted: Wanted) => string {
    const ownFiles = filesOf(own)
    const found = JSON.stringify([ownFiles, filesOf(RUNBOOKS)])
    if (found !== stamp) known.clear()
    stamp = found
    // Ours are for presets and rules, so that without any of the operator's the service does not matter.
    return ({ service, preset, rule }) =>
      JSON.stringify(ownFiles.length > 0 ? [service, preset, rule] : [preset, rule])
  }

  async function answer(batch: readonly Waiting[]): Promise<void> {
    const keyOf = keyed()
    const open = new Map(
      batch.map(({ wanted }) => [keyOf(wanted), wanted] as const).filter(([key]) => !known.has(key)),
    )
    if (open.size > 0) {
      const found = await ask(programs, { home, wanted: [...open.values()] })
      for (const [index, key] of [...open.keys()].entries()) known.set(key, found[index] ?? null)
    }
    for (const { wanted, resolve } of batch) resolve(known.get(keyOf(wanted)) ?? null)
  }

  async function askAll(): Promise<void> {
    isAsking = true
    // What fails in one turn is asked for in one question.
    await new Promise(setImmediate)
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH)
      await answer(batch).catch((error) => {
        for (const { reject } of batch) reject(error)
      })
    }
    isAsking = false
  }

  return {
    forFault: (wanted) =>
      new Promise((resolve, reject) => {
        waiting.push({ wanted, resolve, reject })
        if (!isAsking) void askAll()
      }),
    async named(name) {
      const [runbook = null] = await ask(programs, { home, name })
      if (runbook === null) throw new Error(`the runbook ${name} was not read`)
      return runbook
    },
  }
}

async function ask(
  programs: Pick<ProbePrograms, 'run'>,
  question: RunbookQuestion,
): Promise<readonly (Runbook | null)[]> {
  const { code, stdout, stderr } = await programs.run([process.execPath, LOOK], {
    env: {},
    cwd: question.home,
    stdin: JSON.stringify(question),
    signal: AbortSignal.timeout(LIMIT_MS),
  })
  if (code !== 0)
    throw new Error(stderr.trim().split('\n').at(-1) || 'the program that looks for a runbook was ended')
  const answer = JSON.parse(stdout) as RunbookAnswer
  if ('error' in answer) throw new PaiosError(answer.error.code, answer.error.message)
  return answer.places.map((place) => (place === null ? null : (answer.runbooks[place] ?? null)))
}

/** Each runbook of a folder with what changes when it does; none where there is no such folder. */
function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => {
        const found = statSync(join(folder, name), { throwIfNoEntry: false })
        return `${name} ${found?.ino} ${found?.size} ${found?.ctimeMs}`
      })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
