/** `paios ack`. */
import { call } from './client.ts'
import type { Command } from './command.ts'
import { whoAmI } from './operator.ts'
import { plain } from './render.ts'

/** Says that somebody has taken an incident on. */
export const command: Command = {
  usage: 'ack ID|SERVICE',
  about:
    'Says that you have taken an incident on: it is not repeated for a day, unless it gets worse. The name of a\n' +
    'storm (storm-i12) stands for everything in it.',
  flags: {},
  operands: { min: 1, max: 1 },
  examples: [
    ['paios ack i7', 'the incident i7'],
    ['paios ack kb', 'what is open about kb'],
  ],
  run: async ({ home, operands, json, out }) => {
    const answer = await call<{ message: string }>(home, 'POST', '/ack', { of: operands[0], by: whoAmI() })
    out(json ? `${JSON.stringify(answer)}\n` : `${plain(answer.message)}\n`)
    return 0
  },
}
