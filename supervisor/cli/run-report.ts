/** How a run of a runbook stands, as `paios runbook run`, `approve` and `deny` print it. */
import type { RunReport } from '../shell/repair-api.ts'
import type { Invocation } from './command.ts'
import { paint, plain } from './render.ts'

export type { RunReport } from '../shell/repair-api.ts'

const GOOD: ReadonlySet<RunReport['result']> = new Set(['succeeded', 'skipped'])

/** 0 where the fault is repaired, or there was nothing to do. */
export const exitOf = ({ result }: RunReport): number => (GOOD.has(result) ? 0 : 1)

/** Prints the steps, what came of them, and what is waited for. */
export function printRun(report: RunReport, invocation: Invocation): void {
  const { json, out } = invocation
  if (json) return out(`${JSON.stringify(report)}\n`)
  const { run, runbook, service, steps, result, text, approval } = report
  out(`run ${run} of ${runbook} for ${service}\n`)
  for (const step of steps)
    out(`  ${step.id}  ${step.result}${step.text === '' ? '' : `: ${plain(step.text)}`}\n`)
  const tone = GOOD.has(result) ? 'green' : result === 'waiting' ? 'yellow' : 'red'
  out(`${paint(result, tone, invocation)}: ${plain(text)}\n`)
  if (approval === null) return
  for (const line of approval.shown) out(`  ${plain(line)}\n`)
  out(`  paios approve ${approval.id}   or   paios deny ${approval.id}\n`)
}
