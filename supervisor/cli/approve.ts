/** `paios approve`. */
import { PaiosError } from '../errors.ts'
import type { RepairView } from '../shell/repair-api.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { plain } from './render.ts'
import { exitOf, printRun, type RunReport } from './run-report.ts'
import { whoAmI } from './runbook.ts'

/** Says yes to one step, or lists what waits. */
export const command: Command = {
  usage: 'approve [ID]',
  about:
    'Without an ID lists the steps that wait for a person, with what each would change. With one, has it done now:\n' +
    'its preconditions are looked at once more, and if what was shown is no longer so, it is asked for anew. Waits\n' +
    'until the run is over. Exits 5 for an approval that is decided or expired, 1 if the fault is not repaired.',
  flags: {},
  operands: { min: 0, max: 1 },
  examples: [
    ['paios approve', 'what waits for me?'],
    ['paios approve 3', 'do it'],
  ],
  run: (invocation) => (invocation.operands.length === 0 ? list(invocation) : decide('approve', invocation)),
}

async function list({ home, json, out }: Invocation): Promise<number> {
  const { approvals } = await call<RepairView>(home, 'GET', '/repairs')
  const waiting = approvals.filter(({ status }) => status === 'pending')
  if (json) out(`${JSON.stringify(waiting)}\n`)
  else if (waiting.length === 0) out('nothing waits for an approval\n')
  for (const { id, service, step, action, runbook, shown } of json ? [] : waiting) {
    out(`${id}  ${service}: ${action} (step ${step} of ${runbook})\n`)
    for (const line of shown) out(`    ${plain(line)}\n`)
    out(`    paios approve ${id}   or   paios deny ${id}\n`)
  }
  return 0
}

/** Sends a decision and prints how the run stands then. */
export async function decide(verb: 'approve' | 'deny', invocation: Invocation): Promise<number> {
  const [word = ''] = invocation.operands
  if (!/^[1-9]\d{0,14}$/.test(word))
    throw new PaiosError('usage', `'${word}' is no approval: paios approve lists those that wait`)
  const body = { id: Number(word), by: whoAmI() }
  const report = await call<RunReport>(invocation.home, 'POST', `/${verb}`, body)
  printRun(report, invocation)
  return verb === 'deny' && report.result === 'denied' ? 0 : exitOf(report)
}
