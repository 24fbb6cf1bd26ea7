/** `paios start`. */
import type { Command } from './command.ts'
import { operate } from './operate.ts'

/** Starts a service or a group, and ends an operator's stop of it. */
export const command: Command = {
  usage: 'start NAME',
  about:
    'Starts a service, or every service of a group, in the order of their needs; ends an earlier `paios stop` and\n' +
    'gives a failed service a new restart budget. Waits until it is settled. Exits 1 if it does not run then.',
  flags: {},
  operands: { min: 1, max: 1 },
  examples: [['paios start kb', 'start kb and wait until it is ready']],
  run: (invocation) => operate('start', { name: invocation.operands[0] }, invocation),
}
