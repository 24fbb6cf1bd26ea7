/** Claude Code and Codex as sessions: what is seen of them, and what their logins see of it. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { brainConfig } from '../../probes/brain-config.ts'
import { codex } from '../../probes/codex.ts'
import {
  CLAUDE_VERSION,
  CODEX_VERSION,
  installClaude,
  installCodex,
  OLD_CODEX_VERSION,
  orSkip,
} from '../brains.ts'
import { createTarget, openProbe, temporaryFolder } from '../probes/target.ts'
import { isAlive, type TestMesh, until } from './mesh.ts'
import { CLAUDE_LOGIN, CODEX_LOGIN, evidenceOf, notesReadings, openSession, runIn } from './session-mesh.ts'

const LIMIT = { timeout: 300_000 }
const CANARIES = 20
const programs = {
  claude: await orSkip(installClaude()),
  codex: await orSkip(installCodex(CODEX_VERSION)),
  old: await orSkip(installCodex(OLD_CODEX_VERSION)),
}
const where = (program: string | null) => ({ ...LIMIT, skip: program === null && 'not to be had here' })

/** The canaries after the first one. */
async function probeAgain(mesh: TestMesh, name: string): Promise<void> {
  for (let count = 1; count < CANARIES; count++) {
    const { stdout, stderr } = await mesh.cli(['probe', name, '--json'])
    const { probes } = JSON.parse(stdout || stderr) as { probes: readonly { name: string; result: string }[] }
    assert.equal(probes.find((probe) => probe.name === 'canary')?.result, 'pass', stdout)
  }
}

describe('Claude Code', where(programs.claude), () => {
  const program = programs.claude ?? ''
  const server = { type: 'stdio', command: 'kb-server', args: [], env: { KEY: 'sk-secret' } }
  const state = {
    numStartups: 1,
    mcpServers: { kb: server, mail: server },
    projects: {},
    userID: 'u'.repeat(800),
  }

  it('is ok with its version and what was not checked; 20 canaries neither read nor change the login', async (t) => {
    const session = openSession(t, 'claude-code', program, { login: false })
    const { mesh, home, put } = session
    put('.claude.json', state)
    const login = evidenceOf(put('.claude/.credentials.json', CLAUDE_LOGIN))
    const before = login()
    assert.ok(notesReadings(put('control', '')), 'this file system notes no readings')
    const { code, stdout, stderr } = await session.up()
    assert.equal(code, 0, stdout + stderr)
    await session.until('running', new RegExp(`${CLAUDE_VERSION}; handshake ok; login not checked`))
    await probeAgain(mesh, 'claude-code')
    assert.deepEqual(login(), before)
    assert.deepEqual(readdirSync(join(home, '.claude')), ['.credentials.json'])
    assert.deepEqual(readdirSync(home).sort(), ['.claude', '.claude.json', 'bin', 'control'])
    await until('nothing is left', () => session.left().length === 0)
  })

  it('each broken file is seen in words, and so is its mending', async (t) => {
    const { mesh, put, up, until: shows } = openSession(t, 'claude-code', program)
    put('.claude/.credentials.json', CLAUDE_LOGIN)
    put('.claude.json', state)
    put('.claude/settings.json', { permissions: { deny: ['Bash(rm:*)'] } })
    assert.equal((await up()).code, 0)
    await shows('running', /login renews itself/)
    put('.claude/settings.json', '{"permissions": {"deny": ["Bash(rm:*)"]}')
    await shows('degraded', /\/\.claude\/settings\.json:1:\d+: ends too early \(claude ignores all of it/)
    put('.claude/settings.json', { permissions: { deny: 'Bash(rm:*)' } })
    await shows('degraded', /settings\.json: permissions\.deny: must be array/)
    put('.claude/settings.json', {})
    await shows('running', /handshake ok/)
    put('.claude.json', '{"mcpServers":')
    await shows('degraded', /\/\.claude\.json:1:\d+: ends too early/)
    // What the next run of the real program makes of it.
    await runIn(join(mesh.home, 'user'), [program, 'mcp', 'list'])
    const lost = await shows(
      'degraded',
      /was reset \(\d+ bytes before, \d+ now\): 2 of 2 MCP servers are gone: kb, mail/,
    )
    assert.doesNotMatch(JSON.stringify(lost), /sk-secret/)
    put('.claude.json', state)
    await shows('running', /handshake ok/)
    put('.claude.json', { ...state, mcpServers: { kb: server } })
    await shows(
      'degraded',
      /has lost servers: 1 of 2 MCP servers are gone: mail \(paios mcp accept claude-code\)/,
    )
    const accepted = await mesh.cli(['mcp', 'accept', 'claude-code'])
    assert.equal(accepted.stdout, 'claude-code: 1 MCP servers accepted: kb\n', accepted.stderr)
    await shows('running', /handshake ok/)
    put('.claude/.credentials.json', {
      claudeAiOauth: { accessToken: '', refreshToken: '', expiresAt: 0, scopes: [] },
    })
    await shows('degraded', /login needed/)
    const told = (await mesh.events('claude-code')).map(({ kind }) => kind)
    assert.ok(told.includes('servers-lost'), told.join())
  })

  it('whose program was never there is absent, and missing once it was', async (t) => {
    const session = openSession(t, 'claude-code', program, { every: '1s', login: false })
    rmSync(session.program)
    assert.equal((await session.up()).code, 0)
    const absent = await session.until('absent', /claude-code does not exist/)
    assert.equal(absent.next, 'npm install -g @anthropic-ai/claude-code')
    symlinkSync(program, session.program)
    await session.mesh.cli(['start', 'claude-code'])
    await session.until('running', /handshake ok/)
    rmSync(session.program)
    await session.until('missing', /claude-code does not exist/)
  })
})

describe('Codex', where(programs.codex ?? programs.old), () => {
  const [current, old] = [programs.codex ?? '', programs.old ?? '']

  for (const [version, program] of [
    [CODEX_VERSION, current],
    [OLD_CODEX_VERSION, old],
  ] as const) {
    it(`${version} is ok, starts no server, and 20 canaries neither read nor change its dead login`, async (t) => {
      const { mesh, home, put, up, until: shows, left } = openSession(t, 'codex', program, { login: false })
      const login = put('.codex/auth.json', CODEX_LOGIN)
      put(
        '.codex/config.toml',
        `model = "m"\n[mcp_servers.kb]\ncommand = "touch"\nargs = ["${home}/started"]\n`,
      )
      const look = evidenceOf(login)
      const before = look()
      assert.equal((await up()).code, 0)
      await shows('running', new RegExp(`${version}; handshake ok; login not checked`))
      await probeAgain(mesh, 'codex')
      assert.deepEqual(look(), before)
      assert.deepEqual(readdirSync(home).sort(), ['.codex', 'bin'])
      assert.deepEqual(readdirSync(join(home, '.codex')).sort(), ['auth.json', 'config.toml'])
      await until('nothing is left', () => left().length === 0)
    })
  }

  it('each broken config is seen in words within moments, and so is its mending', async (t) => {
    const { put, up, until: shows } = openSession(t, 'codex', current, { login: false })
    const config = (text: string) => put('.codex/config.toml', text)
    config('model = "m"\n')
    assert.equal((await up()).code, 0)
    await shows('running', /handshake ok/)
    for (const [text, words] of [
      ['model = "m"\n[mcp_servers.kb\n', /\/\.codex\/config\.toml:2:1\d: .*codex refuses every command/],
      [
        'approval_policy = "sometimes"\n',
        /approval_policy: must be "untrusted" or "on-failure" or "on-request" or "never"/,
      ],
      ['sandbox_mode = "none"\n', /sandbox_mode: must be "read-only" or "workspace-write"/],
      ['[mcp_servers.a]\ncommand = "x"\n[mcp_servers.b]\nfoo = 1\n', /mcp_servers\.b: invalid transport/],
    ] as const) {
      config(text)
      await shows('degraded', words)
      config('model = "m"\n')
      await shows('running', /handshake ok/)
    }
  })

  it('tells a change of its version', async (t) => {
    const session = openSession(t, 'codex', old, { every: '1s', login: false })
    await session.up()
    await session.until('running', /0\.105\.0; handshake ok/)
    rmSync(session.program)
    symlinkSync(current, session.program)
    await session.until('running', /0\.169\.0; handshake ok/)
    const changes = (await session.mesh.events('codex')).filter(({ kind }) => kind === 'version-changed')
    assert.deepEqual(
      changes.map(({ text }) => text),
      [`${OLD_CODEX_VERSION} -> ${CODEX_VERSION}`],
    )
  })

  it('judges config.toml as the real programs do', async (t) => {
    const home = await temporaryFolder(t)
    mkdirSync(join(home, '.codex'))
    const file = join(home, '.codex', 'config.toml')
    const check = await openProbe(t, brainConfig, { file, format: 'codex-config' })
    for (const text of CONFIGS) {
      writeFileSync(file, text)
      const { kind } = await check()
      for (const program of [current, old]) {
        const { code, stderr } = await runIn(home, [program, 'mcp', 'list', '--json'])
        assert.equal(kind === 'pass' ? 0 : 1, code, `${text}: we say ${kind}, ${program} says ${stderr}`)
      }
    }
  })
})

/** Valid and broken ones; each is put before the real programs. */
const CONFIGS = [
  'model = "m"\n',
  'unknown_key = 1\n',
  'approval_policy = "never"\nsandbox_mode = "read-only"\n',
  'approval_policy = "always"\n',
  'sandbox_mode = 1\n',
  'model = 5\n',
  'model = "m\n',
  '[mcp_servers.a\n',
  'a = 1\na = 2\n',
  '[mcp_servers.a]\ncommand = "x"\nargs = ["y"]\nstartup_timeout_sec = 10\n',
  '[mcp_servers.a]\ncommand = "x"\nargs = "y"\n',
  '[mcp_servers.a]\nfoo = 1\n',
  '[mcp_servers.a]\ncommand = "x"\nurl = "http://127.0.0.1:1"\n',
  '[mcp_servers.a]\nurl = "http://127.0.0.1:1"\nenabled = false\n',
  '[mcp_servers.a]\nurl = "http://127.0.0.1:1"\nenabled = "no"\n',
  '[mcp_servers.a]\ncommand = "x"\n[mcp_servers.a.env]\nK = 5\n',
]

describe('the launcher of Codex 0.105 that is stopped', where(programs.old), () => {
  for (const moment of ['at once', 'once its child runs'] as const) {
    it(`${moment} costs one canary its time, and leaves nothing`, async (t) => {
      const folder = await temporaryFolder(t)
      const base = createTarget(join(folder, 'cache'))
      const pids: number[] = []
      const target = createTarget(join(folder, 'cache'), {
        async converse(argv, options) {
          const conversation = await base.converse(argv, options)
          pids.push(conversation.pid)
          if (moment === 'once its child runs') {
            const path = `/proc/${conversation.pid}/task/${conversation.pid}/children`
            const children = () => readFileSync(path, 'utf8').trim()
            pids.push(...(await until('the child', children)).split(' ').map(Number))
          }
          process.kill(conversation.pid, 'SIGSTOP')
          return conversation
        },
      })
      const settings = { program: programs.old ?? '', home: folder, mode: 'app-server' } as const
      const probe = await codex.open(settings, target)
      const result = await probe.check(AbortSignal.timeout(3000))
      // The child has the launcher's pipes, and answers without it.
      assert.equal(result.kind, moment === 'at once' ? 'fail' : 'pass', JSON.stringify(result))
      await probe.close()
      assert.deepEqual([pids.filter(isAlive), readdirSync(join(folder, 'cache'))], [[], []])
    })
  }
})
