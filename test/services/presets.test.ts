import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { probeKinds } from '../../probes/index.ts'
import { presets } from '../../services/index.ts'
import { readRunbook } from '../../supervisor/document/runbook.ts'
import { openPipes } from '../../supervisor/shell/pipes.ts'
import { createTarget, temporaryFolder } from '../probes/target.ts'
import { specOf } from './spec.ts'

const runbooks = new URL('../../runbooks/', import.meta.url)
const EXAMPLES = {
  process: { command: ['sleep', '60'] },
  'mcp-stdio': { command: ['some-server'], serve: true },
  'mcp-http': { url: 'http://127.0.0.1:3001/mcp' },
  'openclaw-gateway': {},
  'claude-code': {},
  codex: {},
  'file-watcher': { command: ['watch'], folder: '~/inbox' },
  khoj: {},
  leon: { folder: '~/leon' },
  'llama-server': { model: '~/models/m.gguf' },
  nanoclaw: { folder: '~/nanoclaw' },
  nemoclaw: { sandbox: 'my-claw' },
  ollama: {},
  'pai-voice': {},
  'python-service': { script: 'it.py' },
  syncthing: {},
} satisfies Record<keyof typeof presets, object>
const ids = Object.keys(EXAMPLES) as (keyof typeof presets)[]

describe('the register of presets', () => {
  it('names each preset as it names itself, and holds every preset that there is', () => {
    for (const id of ids) assert.equal(presets[id].id, id)
    assert.deepEqual(Object.keys(presets).sort(), [...ids].sort())
  })

  for (const id of ids) {
    it(`${id} makes a valid spec of its settings`, () => {
      const spec = specOf(id, EXAMPLES[id], '/home/me')
      assert.equal(spec.runbook, `${id}.md`)
      assert.equal(new Set(spec.probes.map((probe) => probe.name)).size, spec.probes.length)
    })

    it(`${id} has a runbook that is its own and begins its checks with \`paios status\``, () => {
      const { runbook, body, problems } = readRunbook(fileURLToPath(new URL(`${id}.md`, runbooks)), false)
      assert.deepEqual(problems, [])
      assert.equal(runbook?.preset, id)
      const check = body.slice(body.indexOf('## Check'), body.indexOf('## Recover'))
      assert.match(check, /```sh\npaios status /)
    })
  }
})

describe('process', () => {
  it('has no probes, stops by SIGTERM and 10 s, and refuses secrets in arguments', () => {
    const spec = specOf('process', EXAMPLES.process, '/home/me')
    assert.deepEqual([spec.kind, spec.probes], ['daemon', []])
    assert.deepEqual(spec.stop, [
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
      { step: 'wait-exit', for: 10_000 },
    ])
    assert.throws(() => specOf('process', { command: ['x', '${env:KEY}'] }, '/home/me'), /shows in ps/)
  })
})

describe('mcp-stdio', () => {
  const entry = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-memory/dist/index.js')
  const command = [process.execPath, entry]

  it('without `serve` tries a copy out every 5 min, and starts nothing that lasts', async (t) => {
    const folder = await temporaryFolder(t)
    const spec = specOf('mcp-stdio', { command, tools: ['read_graph'] }, '/home/me')
    assert.deepEqual([spec.command, spec.program, spec.probes.length], [null, process.execPath, 1])
    const [canary] = spec.probes
    assert.ok(canary?.kind === 'mcp')
    assert.deepEqual([canary.every, canary.timeout, canary.failureThreshold], [300_000, 35_000, 2])
    const { kind: _k, name: _n, role: _r, every: _e, timeout, ...rest } = canary
    const { failureThreshold: _f, successThreshold: _s, ...settings } = rest
    const env = { MEMORY_FILE_PATH: join(folder, 'memory.json') }
    const probe = await probeKinds.mcp.open({ ...settings, env }, createTarget(folder))
    const result = await probe.check(AbortSignal.timeout(timeout))
    assert.ok(
      result.kind === 'pass' && /^memory-server \S+; 9 tools$/.test(result.note ?? ''),
      JSON.stringify(result),
    )
  })

  it('with `serve` runs a real server: every probe passes, and closing stdin ends it', async (t) => {
    const folder = await temporaryFolder(t)
    const spec = specOf('mcp-stdio', { command, serve: true }, '/home/me')
    const [program = '', ...args] = spec.command ?? []
    const env = { MEMORY_FILE_PATH: join(folder, 'memory.json') }
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'ignore'] })
    t.after(() => child.kill('SIGKILL'))
    const ended = once(child, 'exit')
    assert.equal(spec.stdio, 'pipes')
    const { exchange, end } = openPipes(child.stdin, child.stdout, join(folder, 'log'))
    const target = createTarget(folder, { pid: child.pid!, exchange })
    const found = spec.probes.map(async (settings) => {
      assert.ok(settings.kind === 'mcp')
      const probe = await probeKinds.mcp.open(settings, target)
      return [settings.role, (await probe.check(AbortSignal.timeout(settings.timeout))).kind]
    })
    assert.deepEqual(await Promise.all(found), [
      ['startup', 'pass'],
      ['readiness', 'pass'],
      ['liveness', 'pass'],
    ])
    assert.equal(spec.stop[0]?.step, 'close-stdin')
    end()
    assert.deepEqual(await ended, [0, null])
  })
})

describe('mcp-http', () => {
  const url = 'http://127.0.0.1:3001/mcp'

  it('without a command only watches, with one it keeps a daemon on a port that must be free', () => {
    const watched = specOf('mcp-http', { url }, '/home/me')
    assert.deepEqual([watched.command, watched.program, watched.ports], [null, null, []])
    assert.deepEqual(
      watched.probes.map(({ role }) => role),
      ['readiness'],
    )
    const kept = specOf(
      'mcp-http',
      { url, command: ['server'], headers: { a: '${file:~/token}' } },
      '/home/me',
    )
    assert.deepEqual([kept.command, kept.stdio, kept.ports], [['server'], 'log', [3001]])
    assert.deepEqual(
      kept.probes.map(({ role, kind, failureThreshold }) => `${role} ${kind} ${failureThreshold}`),
      ['preflight port 3', 'startup mcp 3', 'readiness mcp 3', 'liveness mcp 3'],
    )
  })

  it('refuses a URL of another machine, and none', () => {
    assert.throws(() => specOf('mcp-http', { url: 'http://example.org/mcp' }, '/home/me'), /of this machine/)
    assert.throws(() => specOf('mcp-http', { command: ['server'] }, '/home/me'))
  })
})
