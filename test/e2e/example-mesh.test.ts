/**
 * The operator's whole mesh as docs/examples/paios-mesh.yaml has it, brought up with the real programs as far as they
 * can be had here, each broken in two ways. Only the ports are others than in the file.
 */
import assert from 'node:assert/strict'
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import type { ServiceStatus } from '../../schemas/status.ts'
import { type ExampleHome, installExample, layOutExample } from './example-home.ts'
import { createStory, startStranger } from './gateway-mesh.ts'
import { createMesh, kill, until } from './mesh.ts'
import { writeDocument } from './run-cli.ts'
import { CODEX_LOGIN } from './session-mesh.ts'

const LIMIT = { timeout: 900_000 }
/** A gateway takes 10 CPU-seconds to start, beside everything else on two cores. */
const START_MS = 240_000

const programs = await installExample()
const absent = Object.entries(programs).flatMap(([name, path]) => (path === null ? [name] : []))
if (process.env['CI'] !== undefined) assert.deepEqual(absent, [], 'CI leaves nothing out')

describe('the example mesh', {
  ...LIMIT,
  skip: absent.length > 0 && `not to be had here: ${absent.join(', ')}`,
}, () => {
  const mesh = createMesh()
  let example: ExampleHome
  const at = (...path: string[]) => example.at(...path)
  const put = (path: string, content: string | object) => example.put(path, content)
  const paios = (...words: string[]) => mesh.cli(words, example.env)
  const shows = (name: string, state: ServiceStatus['state'], text = /^/) => {
    let last: ServiceStatus | null = null
    const look = async () => {
      last = await mesh.service(name).catch(() => null)
      const said = `${last?.reason ?? ''} ${last?.note ?? ''} ${last?.warnings.join(' ') ?? ''}`
      return last?.state === state && text.test(said) ? last : null
    }
    return until(`${name} ${state} ${text}`, look, START_MS).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${JSON.stringify(last)}`)
    })
  }
  const it = createStory()
  let config: object = {}

  before(async () => {
    example = await layOutExample(join(mesh.home, 'user'), programs)
    config = example.config
    const old = { preset: 'codex', program: 'codex-old', every: '2s', env: { MESH_TAG: mesh.home } }
    writeDocument(
      mesh,
      `${example.document}  codex-old: ${JSON.stringify(old)}\nmetrics: { enabled: false }\n`,
    )
  })
  after(() => mesh.end())

  it('is valid, whatever of it is installed', async () => {
    const { code, stdout, stderr } = await paios('check')
    assert.equal(code, 0, stdout + stderr)
  })

  it('comes up: what is installed is well, what is not is absent, and nobody is alarmed', async () => {
    const { code, stdout, stderr } = await paios('up')
    assert.equal(code, 0, stdout + stderr)
    await shows('gateway', 'running')
    await shows('claude', 'running', /2\.1\.197; handshake ok; login not checked.*login renews itself/)
    await shows('codex', 'running', /0\.169\.0.*handshake ok/)
    await shows('codex-old', 'running', /0\.105\.0.*handshake ok/)
    await shows('kb', 'running', /10 tools/)
    await shows('memory', 'running', /9 tools/)
    await shows('analytics', 'running', /13 tools/)
    for (const name of ['sync', 'inbox']) await shows(name, 'running')
    for (const name of ['macos', 'embeddings', 'voice']) await shows(name, 'absent')
    const table = (await paios('status')).stdout
    assert.match(table, /^claude +ok +/m)
    assert.match(table, /^kb +ok +/m)
    await assert.rejects(async () => readFileSync(at('told')), { code: 'ENOENT' })
  })

  it('the gateway: a broken config while it runs is a warning, and when it dies it is not started onto it', async () => {
    put('.openclaw/openclaw.json', { ...config, bogusKey: 1 })
    const warned = await shows('gateway', 'running', /would not start again: .*bogusKey/)
    kill(warned.pid ?? 0)
    await shows('gateway', 'blocked', /bogusKey/)
    put('.openclaw/openclaw.json', config)
    await shows('gateway', 'running')
  })

  it('Claude Code: settings that it would ignore, and a program that is gone', async () => {
    put('.claude/settings.json', '{"permissions": ')
    await shows('claude', 'degraded', /settings\.json:1:\d+/)
    put('.claude/settings.json', {})
    await shows('claude', 'running')
    renameSync(at('bin', 'claude'), at('claude.away'))
    await paios('probe', 'claude')
    await shows('claude', 'missing', /claude is not installed/)
    renameSync(at('claude.away'), at('bin', 'claude'))
    await paios('start', 'claude')
    await shows('claude', 'running', /handshake ok/)
  })

  it('Codex: a table that it cannot read, and a login that has run out', async () => {
    put('.codex/config.toml', 'model = "gpt-5"\n[mcp_servers.kb\n')
    await shows('codex', 'degraded', /config\.toml:\d+:\d+/)
    put('.codex/config.toml', 'model = "gpt-5"\n')
    await shows('codex', 'running')
    const { tokens, ...login } = CODEX_LOGIN
    put('.codex/auth.json', { ...login, tokens: { ...tokens, refresh_token: '' } })
    await paios('stop', 'codex')
    await paios('start', 'codex')
    await shows('codex', 'degraded', /login needed/)
    put('.codex/auth.json', { ...CODEX_LOGIN, last_refresh: new Date().toISOString() })
    await paios('stop', 'codex')
    await paios('start', 'codex')
    await shows('codex', 'running', /handshake ok/)
  })

  it('the older Codex: a program that ends at once, and one that is gone', async () => {
    rmSync(at('bin', 'codex-old'))
    put('bin/codex-old', '#!/bin/sh\necho cannot load libssl >&2\nexit 3\n')
    chmodSync(at('bin', 'codex-old'), 0o755)
    await shows('codex-old', 'degraded', /cannot load libssl/)
    rmSync(at('bin', 'codex-old'))
    await shows('codex-old', 'missing', /codex-old is not installed/)
  })

  it('the knowledge base: a database that another holds is told with its holder, and a server that does not start', async () => {
    const hold =
      "import { DatabaseSync } from 'node:sqlite'; const held = new DatabaseSync(process.argv[1]); held.exec('BEGIN EXCLUSIVE'); console.log('held'); setInterval(() => {}, 1e6)"
    const holder = await startStranger(hold, at('kb', 'kb.db'))
    await shows('kb', 'degraded', new RegExp(`locked by pid ${holder.pid}\\b`))
    await holder.end()
    await shows('kb', 'running')
    rmSync(at('bin', 'mcp-server-sqlite'))
    put('bin/mcp-server-sqlite', '#!/bin/sh\necho "ImportError: no module named kb" >&2\nexit 1\n')
    chmodSync(at('bin', 'mcp-server-sqlite'), 0o755)
    const { code, stdout } = await paios('probe', 'kb')
    assert.equal(code, 1)
    assert.match(stdout, /fail .*canary.*ImportError: no module named kb/)
  })

  it('analytics: killed it is started again, hung it is replaced', async () => {
    const { pid } = await mesh.service('analytics')
    kill(pid ?? 0)
    const next = await until('another life', async () => {
      const found = await mesh.service('analytics')
      return found.state === 'running' && found.pid !== pid ? found : null
    })
    kill(next.pid ?? 0, 'SIGSTOP')
    await until(
      'a third life',
      async () => {
        const found = await mesh.service('analytics')
        return found.state === 'running' && found.pid !== next.pid
      },
      START_MS,
    )
  })

  it('Syncthing: a worker that dies, and a config.xml that is cut off', async () => {
    const { pid } = await mesh.service('sync')
    kill(mesh.processes().find(({ parent }) => parent === pid)?.pid ?? 0)
    const next = await until('another life', async () => {
      const found = await mesh.service('sync')
      return found.state === 'running' && found.pid !== pid ? found : null
    })
    const path = at('.local', 'state', 'syncthing', 'config.xml')
    const whole = readFileSync(path, 'utf8')
    writeFileSync(path, whole.slice(0, 500))
    kill(next.pid ?? 0)
    await shows('sync', 'blocked', /config\.xml/)
    writeFileSync(path, whole)
    await shows('sync', 'running')
  })

  it('the inbox: a heartbeat that stops restarts it, a folder that is gone is a warning', async () => {
    const { pid } = await mesh.service('inbox')
    renameSync(at('notes', 'inbox'), at('notes', 'away'))
    await shows('inbox', 'running', /would not start again: .*inbox/)
    renameSync(at('notes', 'away'), at('notes', 'inbox'))
    kill(pid ?? 0)
    await until('another life', async () => {
      const found = await mesh.service('inbox')
      return found.state === 'running' && found.pid !== pid
    })
  })

  it('every trouble was told, and every recovery', async () => {
    const told = readFileSync(at('told'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { service: string; event: string })
    const of = (name: string) => told.filter(({ service }) => service === name).map(({ event }) => event)
    assert.deepEqual(of('gateway'), ['down', 'blocked', 'recovered'])
    assert.deepEqual(of('claude'), ['degraded', 'recovered', 'missing', 'recovered'])
    assert.deepEqual(of('codex').slice(0, 2), ['degraded', 'recovered'])
    assert.deepEqual(of('codex-old').slice(-1), ['missing'])
    assert.deepEqual(of('kb').slice(0, 2), ['degraded', 'recovered'])
    assert.equal(of('analytics').filter((event) => event === 'recovered').length, 2)
    assert.deepEqual(of('sync').slice(-2), ['blocked', 'recovered'])
  })

  it('goes down and leaves nothing', async () => {
    const { code, stdout, stderr } = await paios('down')
    assert.equal(code, 0, stdout + stderr)
    await until('nothing is left', () => mesh.processes().length === 0)
  })
})
