/**
 * The presets of systems that cannot be had here, against a double that answers as their documentation says. The
 * specs, the probes and the processes are real.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { probeKinds } from '../../probes/index.ts'
import type { OpenProbe, ProbeResult, ProbeTarget } from '../../probes/probe.ts'
import type { ServiceSpec } from '../../schemas/service.ts'
import { freePort } from '../brains.ts'
import { createTarget, temporaryFolder } from '../probes/target.ts'
import { specOf } from './spec.ts'

const fake = fileURLToPath(new URL('../fixtures/fake-systems.mjs', import.meta.url))
const START_LIMIT_MS = 20_000
/** A stopped process answers never, so a short wait tells as much as a long one. */
const HUNG_MS = 300

type Id = 'llama-server' | 'ollama' | 'khoj' | 'leon' | 'nanoclaw' | 'nemoclaw' | 'pai-voice'

/** One double with its spec. */
type Stage = {
  readonly spec: ServiceSpec
  readonly folder: string
  readonly port: number
  become(mode: 'ok' | 'loading' | 'wrong'): void
  check(name: string, target?: ProbeTarget, timeoutMs?: number): Promise<ProbeResult>
  start(): Life
}
type Life = { readonly child: ChildProcess; readonly ended: Promise<unknown[]>; readonly target: ProbeTarget }

function settingsOf(id: Id, folder: string, port: number, more: number): object {
  const program = fake
  if (id === 'llama-server') return { program, port, model: join(folder, 'model.gguf') }
  if (id === 'leon') return { program, port, folder, tcpPort: more }
  if (id === 'nanoclaw') return { program, folder, runtime: 'none' }
  if (id === 'nemoclaw') return { program, port, sandbox: 'my-claw', gatewayPort: more }
  if (id === 'pai-voice') return { program, port, folder }
  return { program, port }
}

async function open(t: TestContext, id: Id, settings: object = {}): Promise<Stage> {
  const folder = await temporaryFolder(t)
  const [port, more] = [await freePort(), await freePort()]
  const control = join(folder, 'control')
  const become = (mode: string) => writeFileSync(control, mode)
  become('ok')
  writeFileSync(join(folder, 'model.gguf'), 'GGUF')
  if (id === 'nemoclaw') {
    const gateway = createServer((socket) => socket.destroy()).listen(more, '127.0.0.1')
    await once(gateway, 'listening')
    t.after(() => gateway.close())
  }
  const spec = specOf(id, { ...settingsOf(id, folder, port, more), ...settings }, folder)
  const env = { ...process.env, ...spec.env, FAKE_SYSTEM: id, FAKE_CONTROL: control } as Record<
    string,
    string
  >
  const nobody = targetOf(folder, env, null)
  return {
    spec,
    folder,
    port,
    become,
    check: (name, target = nobody, timeoutMs) => check(spec, name, target, timeoutMs),
    start() {
      const [program = '', ...args] = spec.command ?? []
      const out = openSync(join(folder, 'log'), 'a')
      const options = { env, cwd: spec.cwd ?? folder, detached: true, stdio: ['ignore', out, out] as const }
      const child = spawn(program, args, { ...options, stdio: ['ignore', out, out] })
      const ended = once(child, 'exit')
      t.after(async () => {
        if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL')
        await ended
      })
      return { child, ended, target: targetOf(folder, env, child.pid ?? null) }
    },
  }
}

function targetOf(folder: string, env: Record<string, string>, pid: number | null): ProbeTarget {
  const base = createTarget(folder)
  return createTarget(folder, {
    pid,
    startedAtMs: pid === null ? null : Date.now(),
    logPath: pid === null ? null : join(folder, 'log'),
    run: (argv, options) => base.run(argv, { ...options, env: { ...env, ...options.env } }),
  })
}

async function check(
  spec: ServiceSpec,
  name: string,
  target: ProbeTarget,
  timeoutMs?: number,
): Promise<ProbeResult> {
  const found = spec.probes.find((probe) => probe.name === name)
  assert.ok(found, `no probe ${name}`)
  const kind = probeKinds[found.kind] as unknown as {
    open(settings: object, target: ProbeTarget): Promise<OpenProbe>
  }
  const probe = await kind.open(found, target)
  try {
    return await probe.check(AbortSignal.timeout(timeoutMs ?? found.timeout))
  } finally {
    await probe.close()
  }
}

const named = (spec: ServiceSpec, ...roles: string[]) =>
  spec.probes.filter(({ role }) => roles.includes(role)).map(({ name = '' }) => name)

async function untilPass({ check: ask }: Stage, name: string, { child, target }: Life): Promise<void> {
  let result = await ask(name, target)
  for (const end = Date.now() + START_LIMIT_MS; result.kind !== 'pass'; result = await ask(name, target)) {
    assert.ok(Date.now() < end && child.exitCode === null, `${name}: ${JSON.stringify(result)}`)
    await wait(20)
  }
}

/** What fails of those that matter, with the reasons. */
async function failing(stage: Stage, life: Life): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of named(stage.spec, 'readiness', 'liveness')) {
    const result = await stage.check(name, life.target)
    if (result.kind !== 'pass') found[name] = result.reason
  }
  return found
}

/** What each says when it is not as it should be, although it answers with status 200. */
const WRONG: Record<Id, Record<string, RegExp>> = {
  'llama-server': { ready: /status is "no idea", expected "ok"/, live: /body does not match/ },
  ollama: {
    live: /body does not match \^Ollama is running/,
    version: /content type text\/plain/,
    models: /content type text\/plain/,
  },
  khoj: { ready: /email is missing/ },
  leon: { live: /success is missing/ },
  nanoclaw: { database: /ncl\.sock: the answer does not match/ },
  nemoclaw: { live: /content type text\/plain/, ready: /content type text\/plain/ },
  'pai-voice': { live: /status is "starting"/, voice: /status is "starting"/ },
}

for (const id of Object.keys(WRONG) as Id[]) {
  describe(`${id}, against a double`, () => {
    it('is let through by its preflights, starts, passes every probe, and ends by its stop steps', async (t) => {
      const stage = await open(t, id)
      for (const name of named(stage.spec, 'preflight')) {
        assert.equal((await stage.check(name)).kind, 'pass', name)
      }
      const life = stage.start()
      await untilPass(stage, 'startup', life)
      for (const name of named(stage.spec, 'readiness', 'liveness')) await untilPass(stage, name, life)
      const [first] = stage.spec.stop
      assert.ok(first?.step === 'signal')
      process.kill(-(life.child.pid ?? 0), first.signal)
      assert.deepEqual(await life.ended, [null, 'SIGTERM'])
    })

    it('is judged by what it says, not by its status', async (t) => {
      const stage = await open(t, id)
      const life = stage.start()
      await untilPass(stage, 'startup', life)
      for (const name of named(stage.spec, 'readiness', 'liveness')) await untilPass(stage, name, life)
      stage.become('wrong')
      const found = await failing(stage, life)
      assert.deepEqual(Object.keys(found).sort(), Object.keys(WRONG[id]).sort(), JSON.stringify(found))
      for (const [name, reason] of Object.entries(WRONG[id])) assert.match(found[name] ?? '', reason)
    })

    it('fails its liveness when it hangs', async (t) => {
      const stage = await open(t, id)
      const life = stage.start()
      await untilPass(stage, 'startup', life)
      life.child.kill('SIGSTOP')
      const result = await stage.check('live', life.target, HUNG_MS)
      assert.ok(result.kind === 'fail' && /no answer in time/.test(result.reason), JSON.stringify(result))
    })
  })
}

describe('who holds a port', () => {
  for (const id of ['llama-server', 'ollama', 'khoj', 'leon', 'nemoclaw', 'pai-voice'] as const) {
    it(`is named before ${id} starts`, async (t) => {
      const stage = await open(t, id)
      const life = stage.start()
      await untilPass(stage, 'startup', life)
      const second = await stage.check('port-free')
      assert.ok(second.kind === 'fail', JSON.stringify(second))
      assert.match(
        second.reason,
        new RegExp(`port ${stage.port} is held by pid ${life.child.pid} \\(.*fake-systems`),
      )
      assert.equal((await stage.check('port-free', life.target)).kind, 'pass')
    })
  }
})

describe('llama-server', () => {
  it('says that it loads: the start goes on, and one that loads again is not ended', async (t) => {
    const stage = await open(t, 'llama-server')
    stage.become('loading')
    const life = stage.start()
    let startup = await stage.check('startup', life.target)
    while (startup.kind === 'fail' && /ECONNREFUSED/.test(startup.reason)) {
      assert.equal(startup.progress, false)
      startup = await stage.check('startup', life.target)
    }
    assert.deepEqual(startup, {
      kind: 'fail',
      reason: 'GET /health: 503, message: Loading model',
      progress: true,
    })
    assert.deepEqual([stage.spec.startTimeout, stage.spec.startTimeoutMax], [60_000, 600_000])
    assert.equal((await stage.check('live', life.target)).kind, 'pass')
    assert.equal((await stage.check('ready', life.target)).kind, 'fail')
  })

  it('does not start without its model', async (t) => {
    const stage = await open(t, 'llama-server', { model: '/nowhere/model.gguf' })
    const model = await stage.check('model')
    assert.ok(model.kind === 'fail' && /\/nowhere\/model\.gguf does not exist/.test(model.reason))
  })
})

describe('the others', () => {
  it('khoj with logins is asked for less', async (t) => {
    const stage = await open(t, 'khoj', { anonymous: false })
    assert.ok(!stage.spec.command?.includes('--anonymous-mode'))
    stage.become('wrong')
    const life = stage.start()
    await untilPass(stage, 'startup', life)
    assert.deepEqual(await failing(stage, life), {})
  })

  it('khoj on a Postgres of its own asks pg_isready first', () => {
    const { probes, env } = specOf('khoj', { database: 'postgres' }, '/home/me')
    const found = probes.find(({ name }) => name === 'database')
    assert.ok(found?.kind === 'exec' && found.role === 'preflight' && found.command[0] === 'pg_isready')
    assert.equal(env['USE_EMBEDDED_DB'], undefined)
    assert.equal(specOf('khoj', {}, '/home/me').env['USE_EMBEDDED_DB'], 'true')
  })

  it('leon is degraded, not dead, without its Python server', async (t) => {
    const stage = await open(t, 'leon')
    stage.become('loading')
    const life = stage.start()
    await untilPass(stage, 'startup', life)
    assert.deepEqual(Object.keys(await failing(stage, life)), ['python'])
    stage.become('ok')
    await untilPass(stage, 'python', life)
  })

  it('the voice server without a key is degraded, unless none is wanted', async (t) => {
    const stage = await open(t, 'pai-voice')
    stage.become('loading')
    const life = stage.start()
    await untilPass(stage, 'live', life)
    assert.deepEqual(await failing(stage, life), {
      voice: 'GET /health: api_key_configured is false, expected true',
    })
    const silent = specOf('pai-voice', { port: stage.port, voice: false }, stage.folder)
    assert.equal((await check(silent, 'voice', life.target)).kind, 'pass')
  })

  it('nemoclaw does not start without its sandbox or its gateway', async (t) => {
    const stage = await open(t, 'nemoclaw')
    stage.become('wrong')
    const sandbox = await stage.check('sandbox')
    assert.ok(
      sandbox.kind === 'fail' && /output does not match/.test(sandbox.reason),
      JSON.stringify(sandbox),
    )
    const alone = specOf('nemoclaw', { sandbox: 'my-claw', gatewayPort: await freePort() }, '/home/me')
    const gateway = await check(alone, 'gateway', createTarget(stage.folder))
    assert.ok(gateway.kind === 'fail' && /ECONNREFUSED/.test(gateway.reason))
  })

  it('nanoclaw that was killed leaves a socket that nobody answers on', async (t) => {
    const stage = await open(t, 'nanoclaw')
    const life = stage.start()
    await untilPass(stage, 'startup', life)
    life.child.kill('SIGKILL')
    await life.ended
    const startup = await stage.check('startup', life.target)
    assert.ok(
      startup.kind === 'fail' && /ncl\.sock: ECONNREFUSED/.test(startup.reason),
      JSON.stringify(startup),
    )
  })

  it('one that another manager runs is probed only: no command, no preflight, nothing of its log', () => {
    const folder = { folder: '/srv/x' }
    const observed = {
      ollama: {},
      'llama-server': { model: '/m.gguf' },
      khoj: {},
      leon: folder,
      nanoclaw: folder,
      'pai-voice': {},
      syncthing: {},
    } as const
    for (const [id, settings] of Object.entries(observed) as [keyof typeof observed, object][]) {
      const spec = specOf(id, { ...settings, observe: true }, '/home/me')
      assert.deepEqual([spec.kind, spec.command], ['external', null], id)
      assert.ok(spec.probes.length > 0, id)
      for (const { role, kind } of spec.probes) {
        assert.ok((role === 'readiness' || role === 'liveness') && kind !== 'log', id)
      }
    }
  })
})

describe('file-watcher', () => {
  it('needs its folder, and sees work pile up, output grow old and beats stop', async (t) => {
    const folder = await temporaryFolder(t)
    const inbox = join(folder, 'inbox')
    const output = join(folder, 'out.log')
    const settings = { command: ['watch'], folder: inbox, backlog: 3, heartbeat: '1m' }
    const spec = specOf('file-watcher', { ...settings, output: { path: output, maxAge: '1h' } }, folder)
    const target = createTarget(folder)
    const reason = async (name: string) => {
      const result = await check(spec, name, target)
      return result.kind === 'pass' ? null : result.reason
    }
    assert.match((await reason('folder')) ?? '', /inbox does not exist/)
    mkdirSync(inbox)
    assert.equal(await reason('folder'), null)
    assert.equal(await reason('backlog'), null)
    for (const name of ['a', 'b', 'c']) writeFileSync(join(inbox, name), '')
    assert.match((await reason('backlog')) ?? '', /3 entries/)
    assert.match((await reason('output')) ?? '', /does not exist/)
    writeFileSync(output, 'done')
    assert.equal(await reason('output'), null)
    const beat = spec.probes.find(({ kind }) => kind === 'heartbeat')
    assert.ok(beat?.kind === 'heartbeat' && beat.role === 'liveness' && beat.within === 60_000)
  })
})

describe('the runbooks of these presets', () => {
  it('say which of them have met the program only as a double', () => {
    for (const id of Object.keys(WRONG)) {
      const text = readFileSync(new URL(`../../runbooks/${id}.md`, import.meta.url), 'utf8')
      assert.match(text, /Tested\s+against\s+a\s+fake/, id)
    }
  })
})
