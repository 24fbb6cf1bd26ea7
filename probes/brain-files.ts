/**
 * What Claude Code (2.1.197) and Codex (0.105 to 0.169) want of their configuration files, as far as a mistake loses
 * something in silence. Keys that are not named here are theirs to judge. Nothing here ever quotes a value.
 */
import { ConfigFault, parseConfig } from './config-file.ts'
import { isObject, type Members } from './json.ts'
import { schemaProblems } from './json-schema.ts'

/** A file's content: its problems in words, and the MCP servers that it registers. */
export type Findings = { readonly problems: readonly string[]; readonly servers: readonly string[] }

/** How a format is read. Throws ConfigFault if the text has not its syntax. */
export type Format = {
  readonly parse: (text: string) => Promise<unknown>
  readonly look: (document: unknown) => Promise<Findings>
  /** What a file that does not parse, or is of wrong types, means for the program. */
  readonly meaning: string
  /** Losing a server here, or most of the bytes, is how a reset shows. */
  readonly isRegistry: boolean
}

const text = { type: 'string' }
const flag = { type: 'boolean' }
const texts = { type: 'array', items: text }
const membersAre = (schema: object) => ({ type: 'object', additionalProperties: schema })
const object = (properties: Record<string, object>, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required,
})

const localServer = object({ command: { ...text, minLength: 1 }, args: texts, env: { type: 'object' } }, [
  'command',
])
const remoteServer = object({ url: { ...text, minLength: 1 }, headers: membersAre(text) }, ['url'])
const isOfType = (...types: string[]) => ({ properties: { type: { enum: types } } })

/** Without `type` a server is local; of a type that is not known nothing is. */
const claudeServer = {
  type: 'object',
  if: isOfType('stdio'),
  then: localServer,
  else: { if: isOfType('sse', 'http', 'ws'), then: remoteServer },
}
const claudeServers = { mcpServers: membersAre(claudeServer) }
const claudeState = object({ ...claudeServers, projects: membersAre(object(claudeServers)) })
const mcpJson = object(claudeServers, ['mcpServers'])

const hook = object({ type: text, command: text }, ['type'])
const matcher = object({ matcher: text, hooks: { type: 'array', items: hook } }, ['hooks'])
const claudeSettings = object({
  permissions: object({
    allow: texts,
    deny: texts,
    ask: texts,
    additionalDirectories: texts,
    defaultMode: text,
    disableBypassPermissionsMode: { const: 'disable' },
  }),
  hooks: membersAre({ type: 'array', items: matcher }),
  env: membersAre({ type: ['string', 'number', 'boolean'] }),
  model: text,
  apiKeyHelper: text,
  cleanupPeriodDays: { type: 'integer', minimum: 1 },
  disableAllHooks: flag,
  enableAllProjectMcpServers: flag,
  enabledMcpjsonServers: texts,
  disabledMcpjsonServers: texts,
  statusLine: object({ type: { const: 'command' }, command: text }, ['type', 'command']),
})

const seconds = { type: 'number', minimum: 0 }
const granular = { type: 'object', anyOf: [{ required: ['granular'] }, { required: ['reject'] }] }
const codexServer = object({
  command: text,
  args: texts,
  cwd: text,
  env: membersAre(text),
  url: text,
  http_headers: membersAre(text),
  enabled: flag,
  startup_timeout_sec: seconds,
  tool_timeout_sec: seconds,
})
const codexConfig = object({
  model: text,
  model_provider: text,
  approval_policy: { anyOf: [{ enum: ['untrusted', 'on-failure', 'on-request', 'never'] }, granular] },
  sandbox_mode: { enum: ['read-only', 'workspace-write', 'danger-full-access'] },
  mcp_servers: membersAre(codexServer),
  model_providers: membersAre({ type: 'object' }),
  profiles: membersAre({ type: 'object' }),
})

const membersOf = (value: unknown): Members => (isObject(value) ? value : {})
const serversIn = (document: unknown) => Object.keys(membersOf(membersOf(document)['mcpServers']))

/** The servers of every project as well, each with its folder. */
function serversOfState(document: unknown): string[] {
  const projects = Object.entries(membersOf(membersOf(document)['projects']))
  const ofProjects = projects.flatMap(([folder, project]) =>
    serversIn(project).map((name) => `${name} (in ${folder})`),
  )
  return [...serversIn(document), ...ofProjects]
}

/** One server with both or neither of command and url makes every command of Codex fail. */
function transportProblems(document: unknown): string[] {
  const servers = Object.entries(membersOf(membersOf(document)['mcp_servers']))
  return servers
    .filter(
      ([, server]) => isObject(server) && Object.hasOwn(server, 'command') === Object.hasOwn(server, 'url'),
    )
    .map(([name]) => `mcp_servers.${name}: invalid transport: needs either command or url`)
}

const look =
  (
    schema: object,
    servers: (document: unknown) => readonly string[] = () => [],
    more: (document: unknown) => readonly string[] = () => [],
  ): Format['look'] =>
  async (document) => ({
    problems: [...(await schemaProblems(schema, document)), ...more(document)],
    servers: servers(document),
  })

/** Parses TOML. Throws ConfigFault: the library's message quotes the file, so only its first line and place stay. */
export async function parseToml(text: string): Promise<unknown> {
  const { parse, TomlError } = await import('smol-toml')
  try {
    return parse(text, { integersAsBigInt: 'asNeeded' })
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const what = error.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? ''
    throw new ConfigFault(`${error.line}:${error.column}: ${what.replace(/["'`].*["'`]/g, '"…"')}`)
  }
}

const parseJson = (text: string) => parseConfig(text, 'json')

/** The formats by the word that a document uses in `format:`. */
export const brainFormats = {
  'claude-state': {
    parse: parseJson,
    look: look(claudeState, serversOfState),
    meaning: 'the next run of claude replaces it with an empty one, and every MCP server in it is gone',
    isRegistry: true,
  },
  'claude-settings': {
    parse: parseJson,
    look: look(claudeSettings),
    meaning: 'claude ignores all of it without a word, permissions and hooks too',
    isRegistry: false,
  },
  'mcp-json': {
    parse: parseJson,
    look: look(mcpJson, serversIn),
    meaning: 'claude leaves out the servers of it',
    isRegistry: false,
  },
  'codex-config': {
    parse: parseToml,
    look: look(codexConfig, undefined, transportProblems),
    meaning: 'codex refuses every command',
    isRegistry: false,
  },
} as const satisfies Record<string, Format>
