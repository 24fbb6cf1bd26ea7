/** `paios mcp`. */
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { plain } from './render.ts'

type Verb = (operands: readonly string[], invocation: Invocation) => Promise<number>

/** What follows `paios mcp`; any other word is the name of a server. */
const verbs: Readonly<Record<string, Verb>> = { accept, orphans }

/** What concerns MCP servers only. */
export const command: Command = {
  usage: 'mcp [NAME] | mcp orphans [--stop [--yes]] | mcp accept NAME',
  about:
    'Shows every MCP server that Claude Code, Codex or OpenClaw has registered: with whom, which service is\n' +
    'the same server, how many copies run and what they cost, and which registrations lead nowhere (exit 1).\n' +
    'Nothing is started for it, and it needs no supervisor. `orphans` shows the copies that nobody talks to any\n' +
    'more and ends them with --stop. `accept` takes the tools that a server has now for those that it should\n' +
    'have: the first are accepted by themselves, later changes degrade it until somebody has looked at them.',
  flags: {
    stop: { value: null, help: 'with orphans: end them (SIGTERM, 2 s, SIGKILL)' },
    yes: { value: null, help: 'with --stop: do not ask' },
  },
  operands: { min: 0, max: 2 },
  examples: [
    ['paios mcp', 'who uses which server, and what is wrong'],
    ['paios mcp kb', 'one server in full: files, copies, clients'],
    ['paios mcp orphans --stop', 'look at the orphans, then end them'],
    ['paios mcp accept kb', 'accept the tools that it has now'],
  ],
  run: async (invocation) => {
    const [word, ...operands] = invocation.operands
    if (word !== 'orphans' && (invocation.has('stop') || invocation.has('yes'))) {
      throw new PaiosError('usage', '--stop and --yes belong to paios mcp orphans')
    }
    if (word !== undefined && Object.hasOwn(verbs, word)) return verbs[word]!(operands, invocation)
    if (operands.length > 0) {
      throw new PaiosError('usage', `'${operands[0]}' is one word too many: paios ${command.usage}`)
    }
    const { list, show } = await import('./mcp-links.ts')
    return word === undefined ? list(invocation) : show(word, Object.keys(verbs), invocation)
  },
}

async function orphans([extra]: readonly string[], invocation: Invocation): Promise<number> {
  if (extra !== undefined) throw new PaiosError('usage', `'${extra}' is one word too many: paios mcp orphans`)
  const { orphans: run } = await import('./mcp-links.ts')
  return run(invocation)
}

type Baseline = { readonly ok: true; readonly message: string; readonly entries: readonly string[] }

async function accept([name]: readonly string[], { home, json, out }: Invocation): Promise<number> {
  if (name === undefined) throw new PaiosError('usage', 'something is missing: paios mcp accept NAME')
  const accepted = await call<Baseline>(home, 'POST', '/mcp/accept', { name })
  if (json) out(`${JSON.stringify(accepted)}\n`)
  else out(`${plain(accepted.message)}: ${plain(accepted.entries.join(', '))}\n`)
  return 0
}
