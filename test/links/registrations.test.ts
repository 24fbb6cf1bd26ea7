import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Registration, StdioServer } from '../../supervisor/links/identity.ts'
import { readRegistrations } from '../../supervisor/links/registrations.ts'

let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'paios-links-'))
})
afterEach(() => rmSync(home, { recursive: true }))

function put(path: string, content: string | object): string {
  const file = join(home, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

const read = (env: Record<string, string> = {}) => readRegistrations({ home, env })
const named = (registrations: readonly Registration[], name: string) => {
  const found = registrations.find((registration) => registration.name === name)
  assert.ok(found, `${name} is registered`)
  return found
}

describe('the registrations of Claude Code', () => {
  it('are found in user, local and project scope, with the folder that they count in', async () => {
    const project = join(home, 'work')
    const file = put('.claude.json', {
      numStartups: 3,
      mcpServers: { kb: { command: 'python3', args: ['/srv/kb.py'], env: { KB: '1' } } },
      projects: {
        [project]: {
          mcpServers: { notes: { type: 'stdio', command: 'node', args: ['./notes.js'] } },
          enabledMcpjsonServers: ['shared'],
        },
        '/gone': { history: [] },
      },
    })
    const inside = put('work/.mcp.json', {
      mcpServers: { shared: { type: 'http', url: 'http://127.0.0.1:3000/mcp' }, strange: { command: 'x' } },
    })
    const { registrations, problems } = await read()
    assert.deepEqual(problems, [])
    const places = registrations.map(({ client, scope, name, project, off }) => [
      client,
      scope,
      name,
      project,
      off,
    ])
    assert.deepEqual(places, [
      ['claude', 'user', 'kb', null, null],
      ['claude', 'local', 'notes', project, null],
      ['claude', 'project', 'shared', project, null],
      ['claude', 'project', 'strange', project, 'waits for approval'],
    ])
    assert.deepEqual(
      registrations.map((registration) => registration.file),
      [file, file, inside, inside],
    )
    assert.equal((named(registrations, 'kb').server as StdioServer).cwd, null)
    assert.equal((named(registrations, 'notes').server as StdioServer).cwd, project)
    assert.equal(named(registrations, 'strange').isStrange, true)
    assert.equal(named(registrations, 'shared').isStrange, false)
  })

  it('are approved by the user alone, never by the folder that they came with', async () => {
    put('.claude.json', { projects: { [join(home, 'work')]: {}, [join(home, 'own')]: {} } })
    put('work/.mcp.json', { mcpServers: { a: { command: 'a' } } })
    put('work/.claude/settings.json', { enableAllProjectMcpServers: true })
    put('own/.mcp.json', { mcpServers: { b: { command: 'b' }, c: { command: 'c' } } })
    put('own/.claude/settings.local.json', {
      enableAllProjectMcpServers: true,
      disabledMcpjsonServers: ['c'],
    })
    const { registrations } = await read()
    assert.equal(named(registrations, 'a').off, 'waits for approval')
    assert.equal(named(registrations, 'b').off, null)
    assert.equal(named(registrations, 'c').off, 'disabled')
  })

  it('have their variables put in, and no value of one is kept', async () => {
    put('.claude.json', {
      mcpServers: {
        kb: {
          command: '${BIN}/kb',
          args: ['--level', '${LEVEL:-info}', '${NONE}'],
          env: { TOKEN: 'very-secret-value', FOLDER: '/srv/kb' },
        },
      },
    })
    const { registrations } = await read({ BIN: '/opt/bin' })
    const server = named(registrations, 'kb').server as StdioServer
    assert.deepEqual(server.argv, ['/opt/bin/kb', '--level', 'info', '${NONE}'])
    assert.deepEqual(server.written, ['${BIN}/kb', '--level', '${LEVEL:-info}', '${NONE}'])
    assert.deepEqual(Object.keys(server.env), ['TOKEN', 'FOLDER'])
    assert.deepEqual(server.harmless, { FOLDER: '/srv/kb' })
    assert.doesNotMatch(JSON.stringify(registrations), /very-secret/)
  })

  it('are looked for where CLAUDE_CONFIG_DIR says', async () => {
    put('.claude.json', { mcpServers: { old: { command: 'old' } } })
    put('moved/.claude.json', { mcpServers: { new: { command: 'new' } } })
    const { registrations } = await read({ CLAUDE_CONFIG_DIR: join(home, 'moved') })
    assert.deepEqual(
      registrations.map(({ name }) => name),
      ['new'],
    )
  })
})

describe('the registrations of Codex', () => {
  it('are found in its own file and in those of projects, trusted or not', async () => {
    const trusted = join(home, 'trusted')
    const strange = join(home, 'strange')
    put(
      '.codex/config.toml',
      [
        'model = "x" # mine',
        '[mcp_servers.kb]',
        'command = "python3"',
        'args = ["/srv/kb.py"]',
        'startup_timeout_sec = 10.0',
        '[mcp_servers.kb.env]',
        'KB = "1"',
        '[mcp_servers.web]',
        'url = "http://127.0.0.1:3000/mcp"',
        'bearer_token_env_var = "WEB_TOKEN"',
        '[mcp_servers.off]',
        'command = "off"',
        'enabled = false',
        `[projects."${trusted}"]`,
        'trust_level = "trusted"',
      ].join('\n'),
    )
    put('trusted/.codex/config.toml', '[mcp_servers.inside]\ncommand = "a"\n')
    put('strange/.codex/config.toml', '[mcp_servers.evil]\ncommand = "b"\n')
    put('.claude.json', { projects: { [strange]: {} } })
    const { registrations, problems } = await read()
    assert.deepEqual(problems, [])
    assert.deepEqual(
      registrations.map(({ client, scope, name, off }) => [client, scope, name, off]),
      [
        ['codex', 'user', 'kb', null],
        ['codex', 'user', 'web', null],
        ['codex', 'user', 'off', 'disabled'],
        ['codex', 'project', 'inside', null],
        ['codex', 'project', 'evil', 'waits for approval'],
      ],
    )
    const web = named(registrations, 'web').server
    assert.deepEqual(web.kind === 'http' && web.headers, ['Authorization'])
  })

  it('are looked for where CODEX_HOME says', async () => {
    put('elsewhere/config.toml', '[mcp_servers.kb]\ncommand = "kb"\n')
    const { registrations } = await read({ CODEX_HOME: join(home, 'elsewhere') })
    assert.equal(named(registrations, 'kb').file, join(home, 'elsewhere/config.toml'))
  })
})

describe('the registrations of OpenClaw', () => {
  it('are found under mcp.servers of its JSON5 file and of what that includes', async () => {
    put('.openclaw/openclaw.json', `// mine\n{ mcp: { $include: './mcp.json5' }, mcpServers: { wrong: {} } }`)
    put(
      '.openclaw/mcp.json5',
      `{ servers: { kb: { command: 'kb', cwd: '/srv' }, off: { url: 'http://[::1]:1/', enabled: false } } }`,
    )
    const { registrations, problems } = await read()
    assert.deepEqual(problems, [])
    assert.deepEqual(
      registrations.map(({ client, name, off }) => [client, name, off]),
      [
        ['openclaw', 'kb', null],
        ['openclaw', 'off', 'disabled'],
      ],
    )
    assert.equal((named(registrations, 'kb').server as StdioServer).cwd, '/srv')
  })

  it('are looked for where its variables say, the most exact one first', async () => {
    for (const name of ['config', 'state', 'home/.openclaw']) {
      put(`${name}/openclaw.json`, { mcp: { servers: { [name.slice(0, 4)]: { command: 'x' } } } })
    }
    const at = (name: string) => join(home, name)
    const names = async (env: Record<string, string>) =>
      (await read(env)).registrations.map(({ name }) => name)
    assert.deepEqual(await names({ OPENCLAW_HOME: at('home') }), ['home'])
    assert.deepEqual(await names({ OPENCLAW_HOME: at('home'), OPENCLAW_STATE_DIR: at('state') }), ['stat'])
    assert.deepEqual(
      await names({ OPENCLAW_STATE_DIR: at('state'), OPENCLAW_CONFIG_PATH: at('config/openclaw.json') }),
      ['conf'],
    )
  })
})

describe('a file that is broken', () => {
  it('becomes one line with its place and none of its content, and costs the others nothing', async () => {
    const project = join(home, 'work')
    put('.claude.json', { mcpServers: { kb: { command: 'kb' } }, projects: { [project]: {} } })
    const mcpJson = put('work/.mcp.json', '{ "mcpServers": { "a": { "env": { "T": "s3cret" s3cret2')
    const toml = put('.codex/config.toml', '[mcp_servers.x\ncommand = "s3cret"\n')
    const openclaw = put('.openclaw/openclaw.json', '{ mcp: s3cret }')
    const { registrations, problems } = await read()
    assert.deepEqual(
      registrations.map(({ name }) => name),
      ['kb'],
    )
    assert.deepEqual(
      problems.map((line) => line.split(': ')[0]),
      [mcpJson, toml, openclaw],
    )
    for (const line of problems) {
      assert.match(line, /: \d+:\d+: /)
      assert.doesNotMatch(line, /s3cret/)
    }
  })

  it('or a table of another shape, or an entry without a transport, is passed over', async () => {
    mkdirSync(join(home, '.codex/config.toml'), { recursive: true })
    put('.claude.json', {
      mcpServers: { a: 5, b: { args: 'x' }, c: { command: 'c', args: 'no list', env: [] }, d: null },
      projects: ['x'],
    })
    put('.openclaw/openclaw.json', '[]')
    const { registrations, problems } = await read()
    assert.deepEqual(
      registrations.map(({ name }) => name),
      ['c'],
    )
    assert.equal(problems.filter((line) => /neither a command nor a url/.test(line)).length, 3)
    assert.equal(problems.filter((line) => /config\.toml: is not a regular file/.test(line)).length, 1)
  })
})

describe('a machine without any client', () => {
  it('has no registrations and no problems', async () => {
    assert.deepEqual(await read(), { registrations: [], problems: [] })
  })
})
