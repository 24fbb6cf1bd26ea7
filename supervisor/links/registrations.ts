/**
 * Who has registered which MCP server: the files of Claude Code, Codex and OpenClaw, read and never run,
 * since asking the programs starts every server and leaves some behind. A file that is broken becomes one
 * line of the result.
 */
import { join } from 'node:path'
import { parseToml } from '../../probes/brain-files.ts'
import { ConfigFault, parseConfig, readConfig, resolveIncludes } from '../../probes/config-file.ts'
import { approval, type Members, membersOf, type Place, readServers } from './client-formats.ts'
import type { Registration } from './identity.ts'

/** All that is registered; `problems` are files and entries that could not be read, a line each. */
export type Registrations = {
  readonly registrations: readonly Registration[]
  readonly problems: readonly string[]
}

/** Where to look: the user's home, and the environment for what moves the files elsewhere. */
export type LookOptions = {
  readonly home: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** More projects than this are left out, the oldest entries first, so that a look stays quick. */
const PROJECTS_MAX = 500

/** Reads every file that may register a server. Never throws for what it finds in them. */
export async function readRegistrations({ home, env }: LookOptions): Promise<Registrations> {
  const problems: string[] = []
  const look = { home, env, problems }
  const claude = await readClaude(look)
  const codex = await readCodex(look, claude.projects)
  const openclaw = await readOpenclaw(look)
  return { registrations: [...claude.registrations, ...codex, ...openclaw], problems }
}

type Look = LookOptions & { readonly problems: string[] }

/** The document in a file; null if there is none, or if it is broken, which is said. */
async function load(path: string, parse: (text: string) => Promise<unknown>, { problems }: Look) {
  try {
    return membersOf(await parse(await readConfig(path)))
  } catch (error) {
    if (error instanceof ConfigFault && error.message === 'no such file') return null
    const code = (error as NodeJS.ErrnoException).code
    if (!(error instanceof ConfigFault) && code === undefined) throw error
    problems.push(`${path}: ${error instanceof ConfigFault ? error.message : code}`)
    return null
  }
}

// Comments and trailing commas cost nothing to understand, whatever the program itself thinks of them.
const parseJson = (text: string) => parseConfig(text, 'json5')

const always = () => null
const isOn = (path: string | undefined): path is string => path !== undefined && path !== ''

async function readClaude(look: Look) {
  const { home, env, problems } = look
  const moved = env['CLAUDE_CONFIG_DIR']
  const file = isOn(moved) ? join(moved, '.claude.json') : join(home, '.claude.json')
  const document = (await load(file, parseJson, look)) ?? {}
  const shared = { client: 'claude', variables: env, problems } as const
  const own = { ...shared, isStrange: false, file }
  const registrations = readServers(document['mcpServers'], {
    ...own,
    scope: 'user',
    project: null,
    off: always,
  })
  const projects = Object.entries(membersOf(document['projects'])).slice(-PROJECTS_MAX)
  const settings = await load(
    join(isOn(moved) ? moved : join(home, '.claude'), 'settings.json'),
    parseJson,
    look,
  )
  for (const [project, value] of projects) {
    const entry = membersOf(value)
    const disabled = new Set([entry['disabledMcpServers'] ?? []].flat().map(String))
    const off = (name: string) => (disabled.has(name) ? 'disabled' : null)
    registrations.push(...readServers(entry['mcpServers'], { ...own, scope: 'local', project, off }))
    registrations.push(...(await readMcpJson(project, [entry, settings ?? {}], shared, look)))
  }
  return { registrations, projects: projects.map(([project]) => project) }
}

type Shared = Pick<Place, 'client' | 'variables' | 'problems'>

/** `.mcp.json` comes with the folder; only the user's own files can approve what it names. */
async function readMcpJson(project: string, answers: readonly Members[], shared: Shared, look: Look) {
  const file = join(project, '.mcp.json')
  const document = await load(file, parseJson, look)
  if (document === null) return []
  const own = await load(join(project, '.claude', 'settings.local.json'), parseJson, look)
  const said = own === null ? answers : [...answers, own]
  const place = { ...shared, scope: 'project', project, file } as const
  const strange = readServers(document['mcpServers'], {
    ...place,
    isStrange: true,
    off: (name) => approval(name, said),
  })
  return strange.map((registration) => ({ ...registration, isStrange: registration.off !== null }))
}

async function readCodex(look: Look, claudeProjects: readonly string[]): Promise<Registration[]> {
  const { home, env, problems } = look
  const moved = env['CODEX_HOME']
  const file = join(isOn(moved) ? moved : join(home, '.codex'), 'config.toml')
  const document = (await load(file, parseToml, look)) ?? {}
  const shared = { client: 'codex', variables: env, problems, off: always } as const
  const user = { ...shared, scope: 'user', project: null, file, isStrange: false } as const
  const found = readServers(document['mcp_servers'], user)
  const known = membersOf(document['projects'])
  const projects = new Set([...Object.keys(known), ...claudeProjects])
  for (const project of [...projects].slice(-PROJECTS_MAX)) {
    const inside = join(project, '.codex', 'config.toml')
    if (inside === file) continue
    const own = await load(inside, parseToml, look)
    if (own === null) continue
    const isTrusted = membersOf(known[project])['trust_level'] === 'trusted'
    const off = () => (isTrusted ? null : 'waits for approval')
    const place = { ...shared, off, scope: 'project', project, file: inside, isStrange: !isTrusted } as const
    found.push(...readServers(own['mcp_servers'], place))
  }
  return found
}

/** Where OpenClaw keeps its configuration, by what its own variables say. */
export function openclawConfigPath({ home, env }: LookOptions): string {
  const [config, state, moved] = [
    env['OPENCLAW_CONFIG_PATH'],
    env['OPENCLAW_STATE_DIR'],
    env['OPENCLAW_HOME'],
  ]
  if (isOn(config)) return config
  return join(isOn(state) ? state : join(isOn(moved) ? moved : home, '.openclaw'), 'openclaw.json')
}

async function readOpenclaw(look: Look): Promise<Registration[]> {
  const file = openclawConfigPath(look)
  const parse = async (text: string) => {
    return resolveIncludes(await parseJson(text), '$include', 'json5', file)
  }
  const document = (await load(file, parse, look)) ?? {}
  const place = {
    client: 'openclaw',
    scope: 'user',
    project: null,
    file,
    isStrange: false,
    off: always,
    variables: look.env,
    problems: look.problems,
  } as const
  return readServers(membersOf(document['mcp'])['servers'], place)
}
