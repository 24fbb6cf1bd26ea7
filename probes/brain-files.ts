/**
 * What Claude Code (2.1.197) and Codex (0.105 to 0.169) want of their configuration files, as far as a mistake loses
 * something in silence. Keys that are not named here are theirs to judge. Nothing here ever quotes a value.
 */
import { z } from 'zod'
import { ConfigFault, parseConfig } from './config-file.ts'

type Members = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A file's content: its problems in words, and the MCP servers that it registers. */
export type Findings = { readonly problems: readonly string[]; readonly servers: readonly string[] }

/** How a format is read. Throws ConfigFault if the text has not its syntax. */
export type Format = {
  readonly parse: (text: string) => Promise<unknown>
  readonly look: (document: unknown) => Findings
  /** What a file that does not parse, or is of wrong types, means for the program. */
  readonly meaning: string
  /** Losing a server here, or most of the bytes, is how a reset shows. */
  readonly isRegistry: boolean
}

const strings = z.array(z.string())
const stringMap = z.record(z.string(), z.string())

/** `path: what it must be`, for each thing that does not fit. */
function problemsOf(schema: z.ZodType, value: unknown, at: readonly PropertyKey[] = []): string[] {
  const found = schema.safeParse(value)
  if (found.success) return []
  return found.error.issues.map((issue) => {
    const path = [...at, ...issue.path].map(String).join('.') || 'the document'
    if (issue.code === 'invalid_type') return `${path}: must be ${issue.expected}`
    if (issue.code === 'invalid_value') return `${path}: must be ${issue.values.join(' or ')}`
    return `${path}: ${issue.message}`
  })
}

const localServer = z.looseObject({
  command: z.string().min(1),
  args: strings.optional(),
  env: z.record(z.string(), z.unknown()).optional(),
})
const remoteServer = z.looseObject({ url: z.string().min(1), headers: stringMap.optional() })

function claudeServerProblems(server: unknown, at: readonly string[]): string[] {
  if (!isObject(server)) return [`${at.join('.')}: must be object`]
  const { type = 'stdio' } = server
  if (type === 'stdio') return problemsOf(localServer, server, at)
  return ['sse', 'http', 'ws'].includes(String(type)) ? problemsOf(remoteServer, server, at) : []
}

/** The servers of one place, `at` its path. */
function claudeServers(servers: unknown, at: readonly string[]): string[] {
  if (servers === undefined) return []
  if (!isObject(servers)) return [`${at.join('.')}: must be object`]
  return Object.entries(servers).flatMap(([name, server]) => claudeServerProblems(server, [...at, name]))
}

const namesOf = (servers: unknown): string[] => (isObject(servers) ? Object.keys(servers) : [])

function claudeState(document: unknown): Findings {
  if (!isObject(document)) return { problems: ['the document: must be object'], servers: [] }
  const { mcpServers, projects } = document
  const problems = claudeServers(mcpServers, ['mcpServers'])
  const servers = namesOf(mcpServers)
  if (projects !== undefined && !isObject(projects)) problems.push('projects: must be object')
  for (const [folder, project] of Object.entries(isObject(projects) ? projects : {})) {
    if (!isObject(project)) {
      problems.push(`projects.${folder}: must be object`)
      continue
    }
    problems.push(...claudeServers(project['mcpServers'], ['projects', folder, 'mcpServers']))
    servers.push(...namesOf(project['mcpServers']).map((name) => `${name} (in ${folder})`))
  }
  return { problems, servers }
}

function mcpJson(document: unknown): Findings {
  const servers = isObject(document) ? document['mcpServers'] : undefined
  if (!isObject(servers)) return { problems: ['mcpServers: must be object'], servers: [] }
  return { problems: claudeServers(servers, ['mcpServers']), servers: Object.keys(servers) }
}

const claudeSettings = z.looseObject({
  permissions: z
    .looseObject({
      allow: strings.optional(),
      deny: strings.optional(),
      ask: strings.optional(),
      additionalDirectories: strings.optional(),
      defaultMode: z.string().optional(),
      disableBypassPermissionsMode: z.literal('disable').optional(),
    })
    .optional(),
  hooks: z
    .record(
      z.string(),
      z.array(
        z.looseObject({
          matcher: z.string().optional(),
          hooks: z.array(z.looseObject({ type: z.string(), command: z.string().optional() })),
        }),
      ),
    )
    .optional(),
  env: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()], 'must be text')).optional(),
  model: z.string().optional(),
  apiKeyHelper: z.string().optional(),
  cleanupPeriodDays: z.int().min(1).optional(),
  disableAllHooks: z.boolean().optional(),
  enableAllProjectMcpServers: z.boolean().optional(),
  enabledMcpjsonServers: strings.optional(),
  disabledMcpjsonServers: strings.optional(),
  statusLine: z.looseObject({ type: z.literal('command'), command: z.string() }).optional(),
})

const POLICIES = ['untrusted', 'on-failure', 'on-request', 'never'] as const
const SANDBOXES = ['read-only', 'workspace-write', 'danger-full-access'] as const

const isPolicy = (value: unknown) =>
  (POLICIES as readonly unknown[]).includes(value) ||
  (isObject(value) && (isObject(value['granular']) || isObject(value['reject'])))

const codexServer = z
  .looseObject({
    command: z.string().optional(),
    args: strings.optional(),
    cwd: z.string().optional(),
    env: stringMap.optional(),
    url: z.string().optional(),
    http_headers: stringMap.optional(),
    enabled: z.boolean().optional(),
    startup_timeout_sec: z.number().min(0).optional(),
    tool_timeout_sec: z.number().min(0).optional(),
  })
  .refine(({ command, url }) => (command === undefined) !== (url === undefined), {
    error: 'invalid transport: needs either command or url, and everything of Codex fails without',
  })

const codexConfig = z.looseObject({
  model: z.string().optional(),
  model_provider: z.string().optional(),
  approval_policy: z
    .unknown()
    .refine(isPolicy, { error: `must be ${POLICIES.join(', ')} or a granular table` })
    .optional(),
  sandbox_mode: z.enum(SANDBOXES).optional(),
  mcp_servers: z.record(z.string(), codexServer).optional(),
  model_providers: z.record(z.string(), z.looseObject({})).optional(),
  profiles: z.record(z.string(), z.looseObject({})).optional(),
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
const noServers = (schema: z.ZodType) => (document: unknown) => ({
  problems: problemsOf(schema, document),
  servers: [],
})

/** The formats by the word that a document uses in `format:`. */
export const brainFormats = {
  'claude-state': {
    parse: parseJson,
    look: claudeState,
    meaning: 'the next run of claude replaces it with an empty one, and every MCP server in it is gone',
    isRegistry: true,
  },
  'claude-settings': {
    parse: parseJson,
    look: noServers(claudeSettings),
    meaning: 'claude ignores all of it without a word, permissions and hooks too',
    isRegistry: false,
  },
  'mcp-json': {
    parse: parseJson,
    look: mcpJson,
    meaning: 'claude leaves out the servers of it',
    isRegistry: false,
  },
  'codex-config': {
    parse: parseToml,
    look: noServers(codexConfig),
    meaning: 'codex refuses every command',
    isRegistry: false,
  },
} as const satisfies Record<string, Format>
