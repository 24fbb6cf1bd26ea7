/** `paios unmute`. */
import { call } from './client.ts'
import type { Command } from './command.ts'
import { whoAmI } from './operator.ts'
import { plain } from './render.ts'

/** Ends a mute. */
export const command: Command = {
  usage: 'unmute ID|NAME',
  about: 'Ends a mute, or every mute of a service, at once. What still fires is told.',
  flags: {},
  operands: { min: 1, max: 1 },
  examples: [
    ['paios unmute m3', 'the mute m3'],
    ['paios unmute kb', 'every mute of kb'],
  ],
  run: async ({ home, operands, json, out }) => {
    const answer = await call<{ message: string }>(home, 'POST', '/unmute', { of: operands[0], by: whoAmI() })
    out(json ? `${JSON.stringify(answer)}\n` : `${plain(answer.message)}\n`)
    return 0
  },
}
