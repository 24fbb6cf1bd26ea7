/**
 * How Claude Code (2.1.197), Codex (0.169) and OpenClaw (2026.9.6) write down the MCP servers that they use.
 * Reading is tolerant: what is unknown is passed over, and one entry that makes no sense costs only itself.
 */
import { basename, isAbsolute } from 'node:path'
import { type Client, digest, type Registration, type Server } from './identity.ts'
import { isHarmless } from './redaction.ts'

/** A member of a document, of unknown type. */
export type Members = Readonly<Record<string, unknown>>

/** The value if it is an object, else an empty one. */
export function membersOf(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {}
}

/** Where entries stand and how they are read. */
export type Place = {
  readonly client: Client
  readonly scope: Registration['scope']
  readonly file: string
  readonly project: string | null
  readonly isStrange: boolean
  /** Why a server of this name is not used there, null if it is. */
  readonly off: (name: string, entry: Members) => string | null
  /** What `${NAME}` stands for. */
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly problems: string[]
}

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null)
const words = (value: unknown) => (Array.isArray(value) ? value.map(String) : [])

/** `${NAME}` and `${NAME:-otherwise}`; a name that is not set stays as it is written. Codex knows neither. */
function expand(value: string, { client, variables }: Place): string {
  if (client === 'codex') return value
  return value.replace(/\$\{(\w+)(?::-([^}]*))?\}/g, (all, name: string, otherwise?: string) => {
    return variables[name] ?? otherwise ?? all
  })
}

/** A word that means another file in another folder. */
const isRelative = (word: string) =>
  /^\.{1,2}\//.test(word) || (!isAbsolute(word) && /^[\w.-]+(\/[\w.-]+)*\.(m?js|cjs|ts|py|rb|sh)$/.test(word))

function serverOf(entry: Members, place: Place): Server | null {
  const [url, command] = [text(entry['url']), text(entry['command'])]
  if (url !== null) {
    const headers = { ...membersOf(entry['headers']), ...membersOf(entry['http_headers']) }
    const fromEnv = Object.keys(membersOf(entry['env_http_headers']))
    const bearer = entry['bearer_token_env_var'] === undefined ? [] : ['Authorization']
    const names = [...new Set([...Object.keys(headers), ...fromEnv, ...bearer])].sort()
    return { kind: 'http', url: expand(url, place), written: url, headers: names }
  }
  if (command === null) return null
  const args = words(entry['args'])
  const env = Object.entries(membersOf(entry['env'])).map(
    ([name, value]) => [name, expand(String(value), place)] as const,
  )
  const cwd = text(entry['cwd'])
  const needsFolder = [command, ...args].some(isRelative)
  return {
    kind: 'stdio',
    argv: [expand(command, place), ...args.map((word) => expand(word, place))],
    written: [command, ...args],
    env: Object.fromEntries(env.map(([name, value]) => [name, digest(value)])),
    harmless: Object.fromEntries(env.filter(([name, value]) => isHarmless(name, value))),
    path: env.find(([name]) => name === 'PATH')?.[1] ?? null,
    cwd: cwd === null ? (needsFolder ? place.project : null) : expand(cwd, place),
  }
}

/** The registrations of one table of servers. */
export function readServers(servers: unknown, place: Place): Registration[] {
  return Object.entries(membersOf(servers)).flatMap(([name, value]) => {
    const entry = membersOf(value)
    const server = serverOf(entry, place)
    if (server === null) {
      place.problems.push(`${place.file}: ${name} has neither a command nor a url`)
      return []
    }
    const { client, scope, file, project, isStrange } = place
    const disabled = entry['enabled'] === false || entry['disabled'] === true ? 'disabled' : null
    return [
      { client, scope, name, file, project, isStrange, server, off: disabled ?? place.off(name, entry) },
    ]
  })
}

/** Whether a server of a project's `.mcp.json` may be used, by what the user has said in his own files. */
export function approval(name: string, answers: readonly Members[]): string | null {
  const says = (key: string) => answers.some((answer) => words(answer[key]).includes(name))
  if (says('disabledMcpjsonServers')) return 'disabled'
  if (says('enabledMcpjsonServers')) return null
  return answers.some((answer) => answer['enableAllProjectMcpServers'] === true) ? null : 'waits for approval'
}

/** The client that a program or a process is, by its own name or by that of the script that it runs. */
export function clientOf(argv: readonly string[], program = ''): Client | null {
  const [first = ''] = argv
  // A program that sets its own title writes it as one word, blanks included.
  const title = basename(first.trim().split(' ')[0] ?? '')
  const own = clientByName(title) ?? (title === '' ? clientByName(program) : null)
  if (own !== null || !/^(node|nodejs|bun|deno|python[\d.]*|sh|bash|zsh|dash)$/.test(title)) return own
  const script = argv.slice(1).find((word) => !word.startsWith('-')) ?? ''
  if (script.includes('/@anthropic-ai/claude-code')) return 'claude'
  if (script.includes('/@openai/codex')) return 'codex'
  return clientByName(basename(script).replace(/\.(m?js|cjs|sh|py)$/, ''))
}

function clientByName(name: string): Client | null {
  if (name === 'claude' || name === 'codex') return name
  return /^openclaw(-gatewa.?)?$/.test(name) ? 'openclaw' : null
}
