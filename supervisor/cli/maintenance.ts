/** `paios maintenance`. */
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { whoAmI } from './operator.ts'
import { plain } from './render.ts'

const DEFAULT_MS = 3_600_000

/** Holds what follows from work on the machine. */
export const command: Command = {
  usage: 'maintenance on [DURATION] | off',
  about:
    'Holds the messages that follow from work on the machine (services down, hung, degraded, probes that fail) for\n' +
    'an hour, or as long as you say, at most 4 h; `paios status` shows it. What still fires at its end is told. A\n' +
    'service that gave up, a full disk and the like are told in any case.',
  flags: {},
  operands: { min: 1, max: 2 },
  examples: [
    ['paios maintenance on 2h', 'work for two hours'],
    ['paios maintenance off', 'done'],
  ],
  run,
}

async function run({ home, operands, json, out }: Invocation): Promise<number> {
  const [word, length] = operands
  if ((word !== 'on' && word !== 'off') || (word === 'off' && length !== undefined))
    throw new PaiosError('usage', `say on or off: paios ${command.usage}`)
  let forMs: number | null = null
  if (word === 'on') {
    const { parseDurationMs } = await import('../../probes/units.ts')
    forMs = length === undefined ? DEFAULT_MS : parseDurationMs(length)
    if (forMs === null || forMs <= 0)
      throw new PaiosError('usage', `'${length}' is no duration such as 30m or 2h`)
  }
  const answer = await call<{ message: string }>(home, 'POST', '/maintenance', { forMs, by: whoAmI() })
  out(json ? `${JSON.stringify(answer)}\n` : `${plain(answer.message)}\n`)
  return 0
}
