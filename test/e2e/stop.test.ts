/** Stopping and handing over on real processes: deadlines, descendants, dependents, supervisors that end or stall. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openDescendants } from '../../supervisor/shell/descendants.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { freePort } from '../brains.ts'
import { ASIDE, createMesh, type Declared, fixture, isAlive, kill, type TestMesh, until } from './mesh.ts'

const TERM = { step: 'signal', signal: 'SIGTERM' }
const termFor = (time: string) => [TERM, { step: 'wait-exit', for: time }]

async function up(
  t: TestContext,
  services: Readonly<Record<string, Declared>>,
  env: Record<string, string> = {},
): Promise<TestMesh> {
  const mesh = createMesh()
  t.after(() => mesh.end())
  mesh.write(services)
  const { code, stderr, stdout } = await mesh.cli(['up'], env)
  assert.equal(code, 0, `${stderr}${stdout}`)
  return mesh
}

const pidsOf = async (mesh: TestMesh) =>
  Object.fromEntries((await mesh.status()).services.map(({ name, pid }) => [name, pid]))
const kinds = async (mesh: TestMesh, name: string) =>
  (await mesh.events(name)).map(({ kind }) => kind).filter((kind) => !ASIDE.has(kind))
const nothingLeft = (mesh: TestMesh) =>
  until('nothing of the mesh is left', () => mesh.processes().length === 0)

/** A service with an HTTP server and a liveness probe on it that fails after about a second. */
async function answering(): Promise<Declared> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/`
  const probe = { kind: 'http', every: '300ms', timeout: '300ms' }
  return {
    command: fixture('answers.mjs', String(port)),
    stop: termFor('300ms'),
    probes: [
      { ...probe, url, role: 'startup', failureThreshold: 100 },
      { ...probe, url, role: 'liveness' },
    ],
  }
}

/** How long the supervisor stands still; minutes in the long form. */
const STILL_MS = process.env['PAIOS_TEST_LONG'] ? 240_000 : 15_000
const FAILURES = new Set(['degraded', 'hung', 'backoff', 'exited', 'killed', 'stopping', 'failed', 'blocked'])

describe('a stop', { concurrency: 4 }, () => {
  it('kills a child that ignores SIGTERM at its deadline', async (t) => {
    const mesh = await up(t, { a: { command: fixture('deaf.sh'), stop: termFor('500ms') } })
    const { code, stdout } = await mesh.cli(['stop', 'a'])
    assert.equal(code, 0, stdout)
    assert.equal(mesh.processesOf('a').length, 0)
    assert.ok((await kinds(mesh, 'a')).includes('killed'))
    assert.equal((await mesh.service('a')).state, 'stopped')
  })

  it('shows its deadline, and --now cuts it', async (t) => {
    const mesh = await up(t, { a: { command: fixture('deaf.sh'), stop: termFor('1h') } })
    const asked = mesh.ask('/stop', { name: 'a' })
    const { deadline } = await mesh.untilService('a', 'stopping', ({ state }) => state === 'stopping')
    assert.ok(Date.parse(deadline ?? '') > Date.now())
    await asked
    assert.equal((await mesh.cli(['stop', 'a', '--now'])).code, 0)
    assert.equal(mesh.processesOf('a').length, 0)
  })

  it('sweeps a double-forked grandchild in a session of its own', async (t) => {
    const mesh = await up(t, { a: { command: fixture('daemonizes.mjs', 'marked', '0') } })
    await until('the grandchild is an orphan', () => orphan(mesh, 'a'))
    assert.equal((await mesh.cli(['stop', 'a'])).code, 0)
    assert.deepEqual(mesh.processesOf('a'), [])
  })

  it('sweeps what a crashed child left before the next one starts', async (t) => {
    const mesh = await up(t, { a: { command: fixture('daemonizes.mjs', 'marked', '0') } })
    const left = await until('the grandchild is an orphan', () => orphan(mesh, 'a'))
    const { pid } = await mesh.service('a')
    kill(pid ?? 0)
    await mesh.untilService('a', 'runs again', (service) => service.ready && service.pid !== pid)
    assert.ok(!isAlive(left.pid))
  })

  it('finds a grandchild without a marker that a scan saw before it broke away', async (t) => {
    const tag = `/tmp/paios-clean-${process.pid}`
    const [program = '', ...args] = fixture('daemonizes.mjs', 'clean', '1500', tag)
    const child = spawn(program, args, { detached: true, stdio: 'ignore' })
    const table = openProcessTable()
    const pid = child.pid ?? 0
    const identity = { boot: table.boot, pid, start: table.entry(pid)?.start ?? '' }
    const owner = { identity, run: 'none', startedAt: 0, startedWall: 0, logOffset: 0, adopted: false }
    const descendants = openDescendants(
      table,
      () => new Set(),
      () => '/dev/null/none',
    )
    const scan = () => descendants.scan(new Map([['a', owner]]))
    const grandchild = () =>
      table.list().find(({ group, parent, pid: own }) => own === group && isBelow(parent, pid, table))
    const found = await until('the grandchild hangs on its parents', grandchild)
    t.after(() => kill(found.pid))
    scan()
    await until('the grandchild is an orphan', () => !isBelow(found.pid, pid, table))
    scan()
    child.kill('SIGKILL')
    await new Promise((ended) => child.once('exit', ended))
    assert.deepEqual(await descendants.sweep('a', owner, false), [])
    assert.ok(!isAlive(found.pid))
  })

  it('is refused while others need the service, and takes them along when told to', async (t) => {
    const mesh = await up(t, {
      db: { command: fixture('plain.sh') },
      web: { command: fixture('plain.sh'), needs: ['db'] },
    })
    const before = await pidsOf(mesh)
    const refused = await mesh.cli(['stop', 'db'])
    assert.equal(refused.code, 5)
    assert.match(refused.stderr, /needed by web.*--with-dependents/)
    assert.deepEqual(await pidsOf(mesh), before)
    assert.equal((await mesh.cli(['stop', 'db', '--with-dependents'])).code, 0)
    const ended = (await mesh.events()).filter(({ kind }) => kind === 'exited').map(({ subject }) => subject)
    assert.deepEqual(ended, ['web', 'db'])
  })

  it('during a backoff means that nothing is started', async (t) => {
    const mesh = createMesh()
    t.after(() => mesh.end())
    mesh.write({ a: { command: fixture('exit-at-once.sh', '1') } })
    await mesh.cli(['up', '--no-wait'])
    const { generation } = await mesh.untilService(
      'a',
      'waits',
      ({ state, restarts }) => state === 'backoff' && restarts >= 3,
    )
    await mesh.ask('/stop', { name: 'a' })
    // The third wait is at most 960 ms long; only time can show that nothing follows it.
    await wait(1_200)
    const now = await mesh.service('a')
    assert.equal(now.state, 'stopped')
    assert.ok(now.generation <= generation + 1)
    assert.equal((await kinds(mesh, 'a')).at(-1), 'stopped')
    assert.equal(mesh.processesOf('a').length, 0)
  })
})

/** The daemonized grandchild of a service once its parents are gone. */
function orphan(mesh: TestMesh, name: string) {
  const seen = mesh.processesOf(name)
  const pids = new Set(seen.map(({ pid }) => pid))
  return seen.find(
    ({ text, pid, group, parent }) => text.includes(' grandchild ') && pid === group && !pids.has(parent),
  )
}

function isBelow(pid: number, top: number, table: ReturnType<typeof openProcessTable>): boolean {
  for (let entry = table.entry(pid); entry; entry = table.entry(entry.parent))
    if (entry.pid === top) return true
  return false
}

describe('restarts', { concurrency: 4 }, () => {
  it('of one service that are asked for twenty times at once make one', async (t) => {
    const mesh = await up(t, { a: { command: fixture('slow-stop.sh', '1'), stop: termFor('10s') } })
    const { generation } = await mesh.service('a')
    await Promise.all(Array.from({ length: 20 }, () => mesh.ask('/restart', { name: 'a' })))
    const now = await mesh.untilService(
      'a',
      'runs again',
      (service) => service.ready && service.generation > generation,
    )
    assert.equal(now.generation, generation + 1)
    assert.equal((await kinds(mesh, 'a')).filter((kind) => kind === 'started').length, 2)
  })

  it('follow when a child hangs: found by its liveness probe, killed, started again', async (t) => {
    const mesh = await up(t, { a: { ...(await answering()), hangEvidence: true } })
    const { pid } = await mesh.service('a')
    process.kill(pid ?? 0, 'SIGSTOP')
    const now = await mesh.untilService('a', 'runs again', (service) => service.ready && service.pid !== pid)
    assert.equal(now.restarts, 1)
    const seen = await kinds(mesh, 'a')
    assert.ok(seen.includes('hung') && seen.includes('killed'), seen.join())
    const evidence = (await mesh.events('a')).find(({ kind }) => kind === 'evidence')
    const kept = readFileSync(/is in (\S+)$/.exec(evidence?.text ?? '')?.[1] ?? '', 'utf8')
    assert.match(kept, new RegExp(`pid ${pid} \\(node[\\s\\S]*State: T \\(stopped\\)`))
    assert.ok(!isAlive(pid ?? 0))
  })

  it('do not follow when it was the supervisor that stood still', async (t) => {
    const mesh = await up(t, { a: await answering(), b: { command: fixture('plain.sh') } })
    const before = await pidsOf(mesh)
    const supervisor = mesh.supervisorPid()
    process.kill(supervisor, 'SIGSTOP')
    t.after(() => kill(supervisor, 'SIGCONT'))
    await wait(STILL_MS)
    process.kill(supervisor, 'SIGCONT')
    await until('the gap is recorded', async () => (await mesh.events()).some(({ kind }) => kind === 'gap'))
    // Three failed checks would need a second; all probes have looked again after ten.
    await wait(STILL_MS > 60_000 ? 12_000 : 1_500)
    assert.deepEqual(await pidsOf(mesh), before)
    const failures = (await mesh.events()).filter(({ kind }) => FAILURES.has(kind))
    assert.deepEqual(failures, [])
    assert.deepEqual(
      (await mesh.status()).services.map(({ restarts }) => restarts),
      [0, 0],
    )
    assert.equal(mesh.supervisorPid(), supervisor)
  })
})

describe('the supervisor', { concurrency: 4 }, () => {
  it('hands over at SIGTERM: the keeper starts the next one, children keep their pids', async (t) => {
    const mesh = await up(t, {
      a: { command: fixture('plain.sh') },
      b: { command: fixture('deaf.sh'), stop: termFor('300ms') },
    })
    const before = await pidsOf(mesh)
    const [old, keeper] = [mesh.supervisorPid(), mesh.keeperPid()]
    process.kill(old, 'SIGTERM')
    await mesh.until(
      'the next one',
      ({ pid, services }) => pid !== old && services.every(({ ready }) => ready),
    )
    assert.deepEqual(await pidsOf(mesh), before)
    assert.equal(mesh.keeperPid(), keeper)
  })

  it('is one, however many `up` come at once', async (t) => {
    const mesh = createMesh()
    t.after(() => mesh.end())
    mesh.write({ a: { command: fixture('plain.sh') } })
    const ended = await Promise.all([mesh.cli(['up']), mesh.cli(['up']), mesh.cli(['up'])])
    assert.deepEqual(
      ended.map(({ code }) => code),
      [0, 0, 0],
      ended.map(({ stderr }) => stderr).join(),
    )
    await until(
      'one keeper and one supervisor',
      () => mesh.processes().filter(({ text }) => /keeper\.sh| supervise /.test(text)).length === 2,
    )
    assert.equal(mesh.processesOf('a').filter(({ pid, group }) => pid === group).length, 1)
  })

  it('goes on under a new keeper when its keeper was killed, and says so', async (t) => {
    const mesh = await up(t, { a: { command: fixture('plain.sh') } })
    const before = await pidsOf(mesh)
    const [old, keeper] = [mesh.supervisorPid(), mesh.keeperPid()]
    kill(keeper)
    assert.ok(['gone', 'running'].includes((await mesh.status()).keeper))
    const now = await mesh.until(
      'a new keeper',
      (status) => status.pid !== old && status.keeper === 'running',
    )
    assert.notEqual(mesh.keeperPid(), keeper)
    assert.deepEqual(Object.fromEntries(now.services.map(({ name, pid }) => [name, pid])), before)
    assert.ok((await mesh.events('paios')).some(({ kind }) => kind === 'keeper-gone'))
  })

  it('is missed by status: exit 4, and what still lives is listed as unsupervised', async (t) => {
    const mesh = await up(t, { a: { command: fixture('plain.sh') } })
    const { pid } = await mesh.service('a')
    await mesh.killSupervision()
    const { code, stdout } = await mesh.cli(['status', '--json'])
    assert.equal(code, 4)
    const [service] = (JSON.parse(stdout) as { services: { pid: number; reason: string }[] }).services
    assert.equal(service?.pid, pid)
    assert.match(service?.reason ?? '', /unsupervised: pid \d+ still runs/)
  })
})

/** The fleet that `down` has to end whatever it does. */
const stubborn = (): Record<string, Declared> => ({
  deaf: { command: fixture('deaf.sh'), stop: termFor('300ms') },
  daemon: { command: fixture('daemonizes.mjs', 'marked', '0') },
  wrapper: { command: fixture('clean-exec.sh') },
  slow: { command: fixture('slow-stop.sh', '0.5') },
  crashing: { command: fixture('crash-after.sh', '0.3') },
  probed: {
    command: fixture('plain.sh'),
    probes: [
      {
        kind: 'exec',
        role: 'liveness',
        timeout: '10m',
        command: ['/bin/sh', '-c', 'sleep 100000; :', 'hanging-probe'],
      },
    ],
  },
})

describe('down', { concurrency: 4 }, () => {
  it('leaves nothing behind', async (t) => {
    const mesh = createMesh()
    t.after(() => mesh.end())
    mesh.write(stubborn())
    await mesh.cli(['up', '--no-wait'])
    await until('the grandchild is an orphan', () => orphan(mesh, 'daemon'))
    await until('the probe runs', () =>
      mesh.processesOf('probed').some(({ text }) => text.includes('hanging-probe')),
    )
    assert.equal((await mesh.cli(['down'])).code, 0)
    await nothingLeft(mesh)
  })

  it('without a supervisor stops what lives', async (t) => {
    const mesh = createMesh()
    t.after(() => mesh.end())
    mesh.write(stubborn())
    await mesh.cli(['up', '--no-wait'])
    await until('the grandchild is an orphan', () => orphan(mesh, 'daemon'))
    await mesh.killSupervision()
    const { code, stderr } = await mesh.cli(['down'])
    assert.equal(code, 0, stderr)
    await nothingLeft(mesh)
    assert.equal((await mesh.cli(['status'])).code, 4)
  })

  it('ends a keeper that waits to start the next supervisor', async (t) => {
    const mesh = await up(t, { a: { command: fixture('plain.sh') } })
    const keeper = mesh.keeperPid()
    for (let crash = 0; crash < 2; crash++) {
      const old = mesh.supervisorPid()
      kill(old)
      if (crash === 0) await mesh.until('the next one', ({ pid }) => pid !== old)
    }
    const { code, stderr } = await mesh.cli(['down'])
    assert.equal(code, 0, stderr)
    await until('the keeper is gone', () => !isAlive(keeper), 5_000)
    await nothingLeft(mesh)
  })
})
