/** What is to be seen of a service before anything is changed, as one file below `snapshots/<service>`. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProbeReport } from '../../schemas/status.ts'
import type { Run } from '../core/recovery-state.ts'
import { logPathOf, readTail } from './log-file.ts'
import type { Stage } from './repair-stage.ts'

/** The newest so many are kept for each service. */
const KEEP = 10

/** Writes status, a report of every probe and the end of the log (0600, redacted); answers with the path. */
export async function collectEvidence(
  stage: Stage,
  service: string,
  run: Run,
  lines: number,
): Promise<string> {
  const folder = join(stage.home.snapshots, service)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const now = new Date().toISOString()
  const reports = await stage.report(service, null)
  const log = readTail(logPathOf(stage.home.logs, service), 0).split('\n').slice(-lines)
  const parts = [
    `${service}: run ${run.id} of ${run.runbook.id}, ${run.rule ?? 'by hand'}, ${now}`,
    `status:\n${JSON.stringify(stage.show(service), null, 1)}`,
    `probes:\n${reports.map(lineOf).join('\n')}`,
    `last output:\n${log.join('\n')}`,
  ]
  const path = join(folder, `${now.replaceAll(':', '-')}-run-${run.id}.txt`)
  writeFileSync(path, stage.redact(`${parts.join('\n\n')}\n`), { mode: 0o600 })
  for (const old of readdirSync(folder).sort().slice(0, -KEEP)) rmSync(join(folder, old))
  return path
}

const lineOf = ({ name, role, result, ms, text }: ProbeReport) =>
  `${result} ${Math.round(ms)} ms ${role} ${name} ${text ?? ''}`
