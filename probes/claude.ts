/**
 * Claude Code's canary. Measured with 2.1.197 on Linux: 0.9 CPU-seconds in either mode. Not tried on macOS, where the
 * login is in the Keychain: a session that can see any login says so and fails.
 */
import { join } from 'node:path'
import { openCanary, type Talk } from './canary.ts'
import { controlRequests, DialogueFault, jsonRpc } from './dialogue.ts'
import { valueAt } from './dotted-path.ts'
import { isObject } from './json.ts'
import { defineProbe, type Schemas } from './probe.ts'
import { talkMcp } from './stdio-mcp.ts'

const shape = ({ z }: Schemas) => ({
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('claude'),
  /** `session` starts what a person starts, without a turn; `mcp` starts `claude mcp serve`. */
  mode: z.enum(['session', 'mcp']).default('session'),
})

/** No server, no tool and no setting of anybody: what is left is the program itself. */
const SESSION = [
  ...['-p', '--input-format', 'stream-json', '--output-format', 'stream-json', '--verbose'],
  ...['--strict-mcp-config', '--mcp-config', '{"mcpServers":{}}'],
]

async function talkSession({ ask, step }: Talk): Promise<void> {
  const lengthAt = (answer: unknown, key: string) => {
    const list = valueAt(answer, key)
    return Array.isArray(list) ? list.length : null
  }
  const commands = (answer: unknown) => `${lengthAt(answer, 'commands') ?? 0} commands`
  const greeting = await step('initialize', () => ask('initialize'), commands)
  const account = valueAt(greeting, 'account')
  if (!isObject(account) || !lengthAt(greeting, 'commands'))
    throw new DialogueFault('initialize: the answer names no commands or no account')
  const { tokenSource = 'none', apiKeySource = 'none' } = account
  if (tokenSource !== 'none' || apiKeySource !== 'none')
    throw new DialogueFault('its canary could see a login, and was ended before it could use it')
  const status = await step('mcp_status', () => ask('mcp_status'))
  if (lengthAt(status, 'mcpServers') === null)
    throw new DialogueFault('mcp_status: the answer has no servers')
}

const environment = (home: string) => ({
  CLAUDE_CONFIG_DIR: join(home, '.claude'),
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  CLAUDE_CODE_MAX_RETRIES: '0',
  DISABLE_AUTOUPDATER: '1',
})

/** Passes when Claude Code starts in a scratch home and speaks its protocol; spends nothing, uses no login. */
export const claude = defineProbe('claude', shape, ({ program, mode }, target) => {
  const common = { program, env: environment }
  return openCanary(
    target,
    'claude',
    mode === 'mcp'
      ? { ...common, args: ['mcp', 'serve'], protocol: jsonRpc({ jsonrpc: '2.0' }), talk: talkMcp }
      : { ...common, args: SESSION, protocol: controlRequests, talk: talkSession },
  )
})
