/** `paios alerts`. */
import { PaiosError } from '../errors.ts'
import type { Command, Invocation } from './command.ts'

/** Sets up and tries the channels. */
export const command: Command = {
  usage: 'alerts setup|test [--api URL]',
  about:
    'setup asks for the token of a Telegram bot (on a terminal it is not shown; else it is read from stdin), waits\n' +
    'until you have sent it the code that it prints, sends a message, keeps the token in secrets/telegram (0600),\n' +
    'names it in paios.yaml and applies that. It refuses a bot whose updates another program asks for. test sends\n' +
    'a message through each channel, says what came back, and exits 1 if any did not take it.',
  flags: { api: { value: 'URL', help: "setup: another Bot API server than Telegram's" } },
  operands: { min: 1, max: 1 },
  examples: [
    ['paios alerts setup', 'have what fails told on your phone'],
    ['paios alerts setup < token.txt', 'the same without typing the token'],
    ['paios alerts test', 'does each channel take a message?'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const [what] = invocation.operands
  if (what === 'setup') return (await import('./alerts-setup.ts')).setUp(invocation)
  if (what === 'test') return (await import('./alerts-test.ts')).testChannels(invocation)
  throw new PaiosError('usage', `paios alerts has no '${what}': paios ${command.usage}`)
}
