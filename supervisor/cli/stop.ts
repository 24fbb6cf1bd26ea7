/** `paios stop`. */
import { PaiosError } from '../errors.ts'
import type { Command, Invocation } from './command.ts'
import { operate } from './operate.ts'

/** Stops a service or a group until an operator starts it again, or for a while. */
export const command: Command = {
  usage: 'stop NAME [--for DURATION] [--with-dependents] [--now]',
  about:
    'Stops a service, or every service of a group, by its own stop steps, and keeps it stopped over reboots until\n' +
    '`paios start`. Refused (exit 5) while running services need it.',
  flags: {
    for: { value: 'DURATION', help: 'start it again after this long, such as 90s, 2h or 1d' },
    'with-dependents': { value: null, help: 'stop those that need it first' },
    now: { value: null, help: 'cut the drain: SIGKILL at once' },
  },
  operands: { min: 1, max: 1 },
  examples: [
    ['paios stop kb', 'stop kb until paios start kb'],
    ['paios stop gateway --for 2h', 'stop it for two hours'],
    ['paios stop db --with-dependents', 'stop what needs db, then db'],
  ],
  run: async (invocation) => {
    const { has, operands } = invocation
    const forMs = await durationOf(invocation, 'for')
    const body = {
      name: operands[0],
      ...(forMs === null ? {} : { forMs }),
      ...(has('with-dependents') ? { withDependents: true } : {}),
      ...(has('now') ? { now: true } : {}),
    }
    return operate('stop', body, invocation)
  },
}

/**
 * A flag's duration in milliseconds, null if it was not given; throws PaiosError `usage` where it is none.
 */
export async function durationOf({ text }: Invocation, flag: string): Promise<number | null> {
  const written = text(flag)
  if (written === null) return null
  const { parseDurationMs } = await import('../../probes/units.ts')
  const ms = parseDurationMs(written)
  if (ms === null || ms <= 0) {
    throw new PaiosError('usage', `--${flag} '${written}' is no duration such as 90s, 10m, 2h or 1d`)
  }
  return ms
}
