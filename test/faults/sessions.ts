/** Faults of Claude Code and of both sorts of Codex: programs, configuration, logins. Nobody's login is used. */
import { chmodSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CODEX_VERSION, installClaude, installCodex, OLD_CODEX_VERSION, orSkip } from '../brains.ts'
import { CLAUDE_LOGIN, CODEX_LOGIN, openSession, runIn, type SessionMesh } from '../e2e/session-mesh.ts'
import { type Fault, type Stage, watched } from './fault.ts'
import { withPhone } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type SessionStage = Stage & { readonly session: SessionMesh; readonly programs: readonly string[] }
type Row = Fault<SessionStage>

/** Opens a mesh whose only service is this session; `lay` puts the files of a healthy home. */
async function open(
  preset: 'claude-code' | 'codex',
  programs: readonly (string | null)[],
  settings: Readonly<Record<string, unknown>>,
  lay: (session: SessionMesh) => void,
): Promise<SessionStage | null> {
  const found = programs.filter((program) => program !== null)
  const [first] = found
  if (first === undefined || found.length < programs.length) return null
  const ends: (() => unknown)[] = []
  const session = openSession({ after: (end) => ends.push(end as () => unknown) }, preset, first, settings)
  lay(session)
  const end = async () => {
    for (const work of ends) await work()
  }
  const stage = await withPhone(session.mesh, end)
  const { code, stdout, stderr } = await session.up()
  if (code === 0) return { ...stage, session, programs: found }
  await stage.end()
  throw new Error(`paios up: exit ${code}: ${stderr}${stdout}`)
}

const put =
  (path: string, content: string | object) =>
  async ({ session }: SessionStage) =>
    void session.put(path, content) as undefined

const SERVER = { type: 'stdio', command: 'kb-server', args: [] }
const STATE = {
  numStartups: 1,
  mcpServers: { kb: SERVER, mail: SERVER },
  projects: {},
  userID: 'u'.repeat(800),
}
const LOGIN = '.claude/.credentials.json'
const hour = 3_600_000

const openClaude = async () =>
  open('claude-code', [await orSkip(installClaude())], { every: '5s' }, ({ put: lay }) => {
    lay('.claude.json', STATE)
    lay(LOGIN, CLAUDE_LOGIN)
    lay('.claude/settings.json', {})
  })

const failing = (about: string) => ({ rule: 'ProbeFailing', about }) as const
const missing = (about: string) => ({ rule: 'ServiceMissing', about }) as const

const onClaude = (
  row: Omit<Row, 'program' | 'touches' | 'well' | 'sign' | 'heard'> & {
    state?: 'running' | 'missing'
    heard?: Row['heard']
    text: RegExp
  },
): Row => {
  const { state = 'degraded', heard = failing('claude-code'), text, ...rest } = row
  return {
    ...rest,
    program: 'Claude Code 2.1.197',
    touches: [],
    well: watched('claude-code'),
    sign: { service: 'claude-code', state, text },
    heard,
  }
}

const claudeRows: Row[] = [
  onClaude({
    name: 'settings that do not parse',
    made: 'settings.json is cut off; Claude Code ignores all of it without a word',
    text: /\/\.claude\/settings\.json:1:\d+: ends too early \(claude ignores all of it/,
    person: 'mend the file',
    make: put('.claude/settings.json', '{"permissions": {"deny": ["Bash(rm:*)"]}'),
    mend: put('.claude/settings.json', {}),
  }),
  onClaude({
    name: 'settings of the wrong type',
    made: 'permissions.deny is a text',
    text: /settings\.json: permissions\.deny: must be array/,
    person: 'mend the file',
    make: put('.claude/settings.json', { permissions: { deny: 'Bash(rm:*)' } }),
    mend: put('.claude/settings.json', {}),
  }),
  onClaude({
    name: '.claude.json reset by the program itself',
    made: '.claude.json is cut off, and the real program is run: it begins a new one without servers',
    text: /was reset \(\d+ bytes before, \d+ now\): 2 of 2 MCP servers are gone: kb, mail/,
    person: 'put back a copy of the file',
    make: async ({ session, programs: [program = ''] }) => {
      session.put('.claude.json', '{"mcpServers":')
      await runIn(session.home, [program, 'mcp', 'list'])
      return undefined
    },
    mend: put('.claude.json', STATE),
  }),
  onClaude({
    name: 'MCP server that is no longer registered',
    made: 'one of two servers is taken out of .claude.json',
    text: /has lost servers: 1 of 2 MCP servers are gone: mail \(paios mcp accept claude-code\)/,
    person: 'put it back, or `paios mcp accept` where it was meant',
    make: put('.claude.json', { ...STATE, mcpServers: { kb: SERVER } }),
    mend: put('.claude.json', STATE),
  }),
  onClaude({
    name: 'login that is blank',
    made: 'its tokens are empty, as after a renewal that was refused',
    text: /login needed: its tokens are blank/,
    person: 'log in again with `claude`',
    make: put(LOGIN, { claudeAiOauth: { accessToken: '', refreshToken: '', expiresAt: 0, scopes: [] } }),
    mend: put(LOGIN, CLAUDE_LOGIN),
  }),
  onClaude({
    name: 'login that will expire',
    made: 'it cannot renew itself and ends in an hour',
    state: 'running',
    heard: { nobody: 'nothing is wrong yet; it stands in `paios status`' },
    text: /login expires \d{4}-\d\d-\d\d \d\d:\d\d UTC/,
    person: 'log in again before that time',
    make: put(LOGIN, {
      claudeAiOauth: { accessToken: 'fake', refreshToken: '', expiresAt: Date.now() + hour, scopes: [] },
    }),
    mend: put(LOGIN, CLAUDE_LOGIN),
  }),
  onClaude({
    name: 'login that others may read',
    made: 'chmod 644 of its file',
    text: /\.credentials\.json: mode 0644, must be 0600/,
    person: '`chmod 600` of the file that is named',
    make: async ({ session }) => void chmodSync(join(session.home, LOGIN), 0o644) as undefined,
    mend: async ({ session }) => chmodSync(join(session.home, LOGIN), 0o600),
  }),
  onClaude({
    name: 'program that is gone',
    made: 'the program is moved away; its canary runs every 5 s',
    state: 'missing',
    heard: missing('claude-code'),
    text: /claude-code does not exist/,
    person: '`npm install -g @anthropic-ai/claude-code`, then `paios start`',
    make: async ({ session: { program } }) => void renameSync(program, `${program}.away`) as undefined,
    mend: async ({ mesh, session: { program } }) => {
      renameSync(`${program}.away`, program)
      return mesh.cli(['start', 'claude-code'])
    },
  }),
]

const CONFIG = '.codex/config.toml'
const WHOLE = 'model = "m"\n'
const alive = () => ({ ...CODEX_LOGIN, last_refresh: new Date().toISOString() })

const openCodex = async () => {
  const programs = [await orSkip(installCodex(CODEX_VERSION)), await orSkip(installCodex(OLD_CODEX_VERSION))]
  return open('codex', programs, { every: '3s' }, ({ put: lay }) => {
    lay('.codex/auth.json', alive())
    lay(CONFIG, WHOLE)
  })
}
/** Puts another program in the place of Codex. */
const become =
  (index: number) =>
  async ({ session, programs }: SessionStage) => {
    rmSync(session.program)
    symlinkSync(programs[index] ?? '', session.program)
    return undefined
  }

const codexRows: Row[] = [
  {
    name: 'configuration that does not parse',
    program: `Codex ${CODEX_VERSION}`,
    made: 'a table of config.toml is not closed',
    sign: {
      service: 'codex',
      state: 'degraded',
      text: /\/\.codex\/config\.toml:2:1\d: .*codex refuses every command/,
    },
    heard: failing('codex'),
    person: 'mend the file',
    touches: [],
    make: put(CONFIG, 'model = "m"\n[mcp_servers.kb\n'),
    mend: put(CONFIG, WHOLE),
    well: watched('codex'),
  },
  {
    name: 'configuration in place of which its defaults are used, in silence',
    program: `Codex ${CODEX_VERSION}`,
    made: 'a key that only Codex itself judges has a value that it does not know',
    sign: {
      service: 'codex',
      state: 'degraded',
      text: /config\.toml.*\(it runs with its defaults instead\)/,
    },
    heard: failing('codex'),
    person: 'mend the file',
    touches: [],
    make: put(CONFIG, 'model = "m"\nmodel_verbosity = "banana"\n'),
    mend: put(CONFIG, WHOLE),
    well: watched('codex'),
  },
  {
    name: 'login that has run out',
    program: `Codex ${CODEX_VERSION}`,
    made: 'its token (a JWT) has expired, and nothing could renew it',
    sign: { service: 'codex', state: 'degraded', text: /login needed: expired/ },
    heard: failing('codex'),
    person: '`codex login`',
    touches: [],
    make: put('.codex/auth.json', {
      ...CODEX_LOGIN,
      tokens: { ...CODEX_LOGIN.tokens, refresh_token: '' },
    }),
    mend: (stage) => put('.codex/auth.json', alive())(stage),
    well: watched('codex'),
  },
  {
    name: 'version that has changed',
    program: `Codex ${CODEX_VERSION}, ${OLD_CODEX_VERSION}`,
    made: `the program is replaced by ${OLD_CODEX_VERSION}; its canary runs every 3 s`,
    sign: { subject: 'codex', event: 'version-changed', text: /^0\.169\.0 -> 0\.105\.0$/ },
    heard: { nobody: 'nothing is wrong; it stands in `paios events`' },
    person: null,
    touches: [],
    make: become(1),
    well: watched('codex'),
  },
  {
    name: 'program that ends at once',
    program: `Codex ${OLD_CODEX_VERSION}`,
    made: 'a script is in its place that ends with exit code 3, as with a library that is missing',
    sign: { service: 'codex', state: 'degraded', text: /cannot load libssl/ },
    heard: failing('codex'),
    person: 'install it again',
    touches: [],
    make: async ({ session: { program } }) => {
      rmSync(program)
      writeFileSync(program, '#!/bin/sh\necho cannot load libssl >&2\nexit 3\n', { mode: 0o755 })
      return undefined
    },
    mend: become(1),
    well: watched('codex'),
  },
  {
    name: 'program that is gone',
    program: `Codex ${OLD_CODEX_VERSION}`,
    made: 'the program is moved away; its canary runs every 3 s',
    sign: { service: 'codex', state: 'missing', text: /codex does not exist/ },
    heard: missing('codex'),
    person: '`npm install -g @openai/codex`, then `paios start`',
    touches: [],
    make: async ({ session: { program } }) => void rmSync(program) as undefined,
    mend: async ({ mesh, session, programs: [program = ''] }) => {
      symlinkSync(program, session.program)
      return mesh.cli(['start', 'codex'])
    },
    well: watched('codex'),
  },
]

/** Claude Code in a home that is nobody's. */
export const claude = defineGroup('claude', 'Claude Code', openClaude, claudeRows)
/** Codex in a home that is nobody's: the current program, and the last launcher with a child. */
export const codex = defineGroup('codex', 'Codex', openCodex, codexRows)
