/** `paios deny`. */
import { decide } from './approve.ts'
import type { Command } from './command.ts'

/** Says no to one step. */
export const command: Command = {
  usage: 'deny ID',
  about:
    'Says no to a step that waits for a person. It is not done, and not asked for again in the same incident; a run\n' +
    'by hand (`paios runbook run`) may ask again. Exits 5 for an approval that is decided or expired.',
  flags: {},
  operands: { min: 1, max: 1 },
  examples: [['paios deny 3', 'leave it as it is']],
  run: (invocation) => decide('deny', invocation),
}
