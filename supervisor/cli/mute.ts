/** `paios mute`. */
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { whoAmI } from './operator.ts'
import { plain } from './render.ts'

/** Holds the messages of some alerts for a while. */
export const command: Command = {
  usage: 'mute NAME DURATION --because TEXT [--rule RULE] [--severity critical|warning|info]',
  about:
    'Holds the messages of a service, an alert rule or an open incident; `all` is everything. Nothing else changes:\n' +
    'incidents, events and metrics go on, and `paios alerts` shows what was held and why. What is critical is held\n' +
    'for a day at most; what gets worse than it was, or still fires at the end, is told. --severity holds nothing\n' +
    'worse than that, and is not broken by what gets as bad as that.',
  flags: {
    because: { value: 'TEXT', help: 'why, for whoever wonders later' },
    rule: { value: 'RULE', help: 'only this rule' },
    severity: { value: 'SEVERITY', help: 'nothing worse than this' },
  },
  operands: { min: 2, max: 2 },
  examples: [
    ['paios mute kb 2h --because "moving its database"', 'nothing about kb for two hours'],
    [
      'paios mute ServiceFlapping 1d --because "known, see ticket 12"',
      'one rule, whatever service it is about',
    ],
    ['paios mute all 30m --severity warning --because "upgrades"', 'only what is critical is told'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, operands, json, out, text } = invocation
  const [name = '', length = ''] = operands
  const { parseDurationMs } = await import('../../probes/units.ts')
  const forMs = parseDurationMs(length)
  if (forMs === null || forMs <= 0)
    throw new PaiosError('usage', `'${length}' is no duration such as 90s, 10m, 2h or 1d`)
  const because = text('because')
  if (because === null || because.trim() === '')
    throw new PaiosError('usage', 'say why with --because TEXT: somebody will wonder why it was silent')
  const severity = text('severity')
  if (severity !== null && !['critical', 'warning', 'info'].includes(severity))
    throw new PaiosError('usage', `--severity '${severity}' is none of critical, warning and info`)
  const answer = await call<{ message: string }>(home, 'POST', '/mute', {
    ...{ name: name === 'all' ? null : name, rule: text('rule'), severity, forMs, because, by: whoAmI() },
  })
  out(json ? `${JSON.stringify(answer)}\n` : `${plain(answer.message)}\n`)
  return 0
}
