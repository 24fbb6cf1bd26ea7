/** `paios alerts`. */
import { PaiosError } from '../errors.ts'
import type { Command, Invocation } from './command.ts'

/** Shows incidents; sets up and tries the channels. */
export const command: Command = {
  usage: 'alerts [--all] | alerts show ID | alerts setup|test [--api URL]',
  about:
    'Shows what is wrong and told, or held and why: open incidents, the worst first, each with its runbook and what\n' +
    'to type next, and the mutes; with --all those that are over, too. show ID tells everything about one: what\n' +
    'fired, what was told and delivered, its probes, its last output. Exits 1 while something critical is open that\n' +
    'nobody has acknowledged.\n\n' +
    'setup asks for the token of a Telegram bot (on a terminal it is not shown; else it is read from stdin), waits\n' +
    'until you have sent it the code that it prints, sends a message, keeps the token in secrets/telegram (0600),\n' +
    'names it in paios.yaml and applies that. It refuses a bot whose updates another program asks for. test sends\n' +
    'a message through each channel, says what came back, and exits 1 if any did not take it.',
  flags: {
    all: { value: null, help: 'incidents that are over, too' },
    api: { value: 'URL', help: "setup: another Bot API server than Telegram's" },
  },
  operands: { min: 0, max: 2 },
  examples: [
    ['paios alerts', 'what is wrong, and who knows'],
    ['paios alerts show i7', 'the whole story of i7'],
    ['paios alerts --all --json', 'the history for a script'],
    ['paios alerts setup', 'have what fails told on your phone'],
    ['paios alerts setup < token.txt', 'the same without typing the token'],
    ['paios alerts test', 'does each channel take a message?'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const [what, id] = invocation.operands
  if (what === undefined) return (await import('./alerts-list.ts')).listAlerts(invocation)
  if (what === 'show' && id !== undefined) return (await import('./alerts-list.ts')).showAlert(invocation)
  if (what === 'setup' && id === undefined) return (await import('./alerts-setup.ts')).setUp(invocation)
  if (what === 'test' && id === undefined) return (await import('./alerts-test.ts')).testChannels(invocation)
  const words = invocation.operands.join(' ')
  throw new PaiosError('usage', `paios alerts has no '${words}': paios ${command.usage}`)
}
