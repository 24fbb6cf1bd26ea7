/** `paios restart`. */
import type { Command } from './command.ts'
import { operate } from './operate.ts'

/** Restarts a service or a group. */
export const command: Command = {
  usage: 'restart NAME [--now]',
  about:
    'Stops a service, or every service of a group, by its own stop steps and starts it again; this takes nothing\n' +
    'from its restart budget. Refused where its preflights say that it could not start. Exits 1 if it does not\n' +
    'run then.',
  flags: { now: { value: null, help: 'cut the drain: SIGKILL at once' } },
  operands: { min: 1, max: 1 },
  examples: [
    ['paios restart gateway', 'let it drain, then start it again'],
    ['paios restart gateway --now', 'do not wait for the drain'],
  ],
  run: (invocation) => {
    const body = { name: invocation.operands[0], ...(invocation.has('now') ? { now: true } : {}) }
    return operate('restart', body, invocation)
  },
}
