/** Adoption after the supervisor's death, on real processes: what is ours is taken on, what is not is never touched. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import type { Child, Identity, Process } from '../../supervisor/core/state.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { ASIDE, createMesh, fixture, isAlive, kill, type TestMesh, until } from './mesh.ts'

const MEMORY_SERVER = resolve('node_modules/@modelcontextprotocol/server-memory/dist/index.js')

function meshFor(t: TestContext): TestMesh {
  const mesh = createMesh()
  t.after(() => mesh.end())
  return mesh
}

/** A program that belongs to nobody: leader of its own group; `heard` gives the signals that reached it. */
async function startStranger(t: TestContext, env: NodeJS.ProcessEnv = process.env) {
  const folder = mkdtempSync('/tmp/stranger-')
  const path = join(folder, 'heard')
  const [program = '', ...args] = fixture('stranger.mjs', path)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true, env })
  t.after(() => {
    endChild(child)
    rmSync(folder, { recursive: true, force: true })
  })
  await new Promise((ready) => child.stdout.once('data', ready))
  const pid = child.pid ?? 0
  const start = openProcessTable().entry(pid)?.start ?? ''
  const untouched = () => {
    assert.ok(isAlive(pid), 'the stranger lives')
    assert.equal(existsSync(path) ? readFileSync(path, 'utf8') : '', '', 'no signal reached the stranger')
  }
  return { pid, start, untouched }
}

function endChild(child: ChildProcess): void {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) kill(child.pid)
}

/** Rewrites one service's row in a journal that no supervisor has open. */
function forge(
  mesh: TestMesh,
  name: string,
  edit: (state: Child['state'] & { process: Process }) => unknown,
): void {
  const database = new Database(mesh.journal)
  const found = database.prepare('SELECT row FROM service WHERE name = ?').get(name) as { row: string }
  const child = JSON.parse(found.row) as Child & { state: { process: Process } }
  const row = JSON.stringify({ ...child, state: edit(child.state) })
  database.prepare('UPDATE service SET row = ? WHERE name = ?').run(row, name)
  database.close()
}

const withIdentity = (identity: Partial<Identity>) => (state: Child['state'] & { process: Process }) => ({
  ...state,
  process: { ...state.process, identity: { ...state.process.identity, ...identity } },
})

const asIntent = ({ process }: { process: Process }) => ({
  kind: 'spawning',
  run: process.run,
  cause: 'boot',
  wall: process.startedWall,
})

/** One plain service `a`, up, then keeper and supervisor killed; resolves to its pid. */
async function runOne(mesh: TestMesh, command = fixture('plain.sh')): Promise<number> {
  mesh.write({ a: { command } })
  assert.equal((await mesh.cli(['up'])).code, 0)
  const { pid } = await mesh.service('a')
  await mesh.killSupervision()
  return pid ?? 0
}

const kindsOf = async (mesh: TestMesh) =>
  (await mesh.events('a')).map(({ kind }) => kind).filter((kind) => !ASIDE.has(kind))

/** The tops of the process groups that belong to a service. */
const leaders = (mesh: TestMesh, name: string) =>
  mesh
    .processesOf(name)
    .filter(({ pid, group }) => pid === group)
    .map(({ pid }) => pid)

describe('after kill -9 of the supervisor', { concurrency: 3 }, () => {
  it('every child keeps its pid and its readiness, and none runs twice', async (t) => {
    const mesh = meshFor(t)
    mesh.write({
      plain: { command: fixture('plain.sh') },
      wrapper: { command: fixture('clean-exec.sh') },
      deaf: { command: fixture('deaf.sh'), stop: [{ step: 'signal', signal: 'SIGKILL' }] },
      tree: { command: fixture('daemonizes.mjs', 'marked', '0') },
    })
    assert.equal((await mesh.cli(['up'])).code, 0)
    const before = (await mesh.status()).services
    const old = mesh.supervisorPid()
    kill(old)
    const after = await mesh.until(
      'all adopted',
      ({ pid, services }) => pid !== old && services.every(({ ready }) => ready),
    )
    for (const { name, pid, restarts } of before) {
      const now = after.services.find((service) => service.name === name)
      assert.deepEqual([now?.pid, now?.restarts], [pid, restarts], name)
      assert.deepEqual(
        leaders(mesh, name).filter((leader) => leader === pid),
        [pid],
      )
    }
    assert.equal(leaders(mesh, 'plain').length, 1)
    assert.equal(leaders(mesh, 'wrapper').length, 1)
    const events = await mesh.events('wrapper')
    assert.ok(events.some(({ kind, text }) => kind === 'adopted' && text.includes('adopted')))
  })

  it('an adopted child that dies is restarted', async (t) => {
    const mesh = meshFor(t)
    const pid = await runOne(mesh)
    assert.equal((await mesh.cli(['up'])).code, 0)
    assert.equal((await mesh.service('a')).pid, pid)
    kill(pid)
    const again = await mesh.untilService(
      'a',
      'runs again',
      (service) => service.ready && service.pid !== pid,
    )
    assert.equal(again.restarts, 1)
  })

  it('a server over owned pipes is replaced once, as planned', async (t) => {
    const mesh = meshFor(t)
    const env = { MEMORY_FILE_PATH: join(mesh.home, 'memory.json') }
    mesh.write({ a: { preset: 'mcp-stdio', serve: true, command: [process.execPath, MEMORY_SERVER], env } })
    assert.equal((await mesh.cli(['up'])).code, 0)
    const { pid } = await mesh.service('a')
    const old = mesh.supervisorPid()
    kill(old)
    const now = await mesh.untilService('a', 'replaced', (service) => service.ready && service.pid !== pid)
    assert.equal(now.restarts, 0)
    assert.deepEqual(leaders(mesh, 'a'), [now.pid])
  })

  it('a program that a probe was running is not left over', async (t) => {
    const mesh = meshFor(t)
    const command = ['/bin/sh', '-c', 'sleep 100000; :', 'hanging-probe']
    const probes = [{ kind: 'exec', role: 'liveness', timeout: '10m', every: '1s', command }]
    mesh.write({ a: { command: fixture('plain.sh'), probes } })
    await mesh.cli(['up'])
    const hanging = () =>
      mesh
        .processes()
        .filter(({ text }) => text.includes('hanging-probe'))
        .map(({ pid }) => pid)
    const [probe = 0] = await until('the probe runs', () => (hanging().length > 0 ? hanging() : null))
    const { pid } = await mesh.service('a')
    kill(mesh.supervisorPid())
    await until('the old program is gone', () => !isAlive(probe))
    assert.equal((await mesh.untilService('a', 'adopted', ({ ready }) => ready)).pid, pid)
  })

  it('what a program without a marker left is swept, whoever saw its end', async (t) => {
    const mesh = meshFor(t)
    mesh.write({ a: { command: fixture('clean-exec.sh') } })
    assert.equal((await mesh.cli(['up'])).code, 0)
    for (const isAway of [true, false]) {
      const { pid } = await mesh.untilService('a', 'runs', ({ ready }) => ready)
      const [child] = mesh.processesOf('a').filter((seen) => seen.pid !== pid)
      const old = mesh.supervisorPid()
      kill(old)
      if (!isAway) await mesh.until('the next supervisor', (status) => status.pid !== old)
      kill(pid ?? 0)
      await mesh.untilService('a', 'runs again', (service) => service.ready && service.pid !== pid)
      assert.ok(
        !isAlive(child?.pid ?? 0),
        isAway ? 'it ended while nobody watched' : 'it ended after its adoption',
      )
    }
  })
})

describe('a record that does not fit the process', { concurrency: 3 }, () => {
  it('a reused pid is never signalled, and the service starts anew', async (t) => {
    const mesh = meshFor(t)
    const stranger = await startStranger(t)
    kill(await runOne(mesh))
    forge(mesh, 'a', withIdentity({ pid: stranger.pid, start: '1' }))
    await mesh.cli(['up'])
    const { pid } = await mesh.untilService('a', 'runs', ({ ready }) => ready)
    assert.notEqual(pid, stranger.pid)
    assert.ok((await kindsOf(mesh)).includes('foreign'))
    await mesh.cli(['down'])
    stranger.untouched()
  })

  it('a process with the marker of another run is foreign', async (t) => {
    const mesh = meshFor(t)
    const stranger = await startStranger(t, { ...process.env, PAIOS_RUN: '01J00000000000000000000000' })
    kill(await runOne(mesh))
    forge(mesh, 'a', withIdentity({ pid: stranger.pid, start: stranger.start }))
    await mesh.cli(['up'])
    const { pid } = await mesh.untilService('a', 'runs', ({ ready }) => ready)
    assert.notEqual(pid, stranger.pid)
    await mesh.cli(['down'])
    stranger.untouched()
  })

  it('the right start time without marker and log is unknown: no signal and no second copy', async (t) => {
    const mesh = meshFor(t)
    const stranger = await startStranger(t)
    const own = await runOne(mesh)
    kill(own)
    await until('it is gone', () => !isAlive(own))
    forge(mesh, 'a', withIdentity({ pid: stranger.pid, start: stranger.start }))
    assert.equal((await mesh.cli(['up'])).code, 1)
    const { state, reason, pid } = await mesh.service('a')
    assert.equal(state, 'unknown')
    assert.match(reason ?? '', /neither its marker nor its log file/)
    assert.equal(pid, null)
    assert.deepEqual(leaders(mesh, 'a'), [])
    const down = await mesh.cli(['down'])
    assert.equal(down.code, 1)
    assert.match(down.stderr, /^paios: not stopped: a: cannot tell whether its process still is ours/m)
    stranger.untouched()
  })

  it('nothing of an earlier boot is taken on or signalled', async (t) => {
    const mesh = meshFor(t)
    const stranger = await startStranger(t)
    kill(await runOne(mesh))
    forge(mesh, 'a', withIdentity({ boot: 'linux:another', pid: stranger.pid, start: stranger.start }))
    await mesh.cli(['up'])
    const { pid } = await mesh.untilService('a', 'runs', ({ ready }) => ready)
    assert.notEqual(pid, stranger.pid)
    await mesh.cli(['down'])
    stranger.untouched()
  })

  it('a group that others have taken since is not swept', async (t) => {
    const mesh = meshFor(t)
    // The leader ends and leaves a member: the group lives on under a number that names no process.
    const leader = spawn('/bin/sh', ['-c', 'sleep 100000 >&- & echo $!'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const member = await new Promise<number>((told) =>
      leader.stdout.once('data', (text: Buffer) => told(Number(text))),
    )
    t.after(() => kill(member))
    kill(await runOne(mesh))
    forge(mesh, 'a', withIdentity({ pid: leader.pid ?? 0, start: '1' }))
    await mesh.cli(['up'])
    await mesh.untilService('a', 'runs', ({ ready }) => ready)
    assert.ok(isAlive(member))
  })
})

describe('an intent without a pid', { concurrency: 3 }, () => {
  it('finds the process that carries its marker', async (t) => {
    const mesh = meshFor(t)
    const pid = await runOne(mesh)
    forge(mesh, 'a', asIntent)
    await mesh.cli(['up'])
    assert.equal((await mesh.untilService('a', 'runs', ({ ready }) => ready)).pid, pid)
    assert.deepEqual(leaders(mesh, 'a'), [pid])
  })

  it('finds a program that dropped its marker by its log file', async (t) => {
    const mesh = meshFor(t)
    const pid = await runOne(mesh, fixture('clean-exec.sh'))
    forge(mesh, 'a', asIntent)
    await mesh.cli(['up'])
    assert.equal((await mesh.untilService('a', 'runs', ({ ready }) => ready)).pid, pid)
    assert.deepEqual(leaders(mesh, 'a'), [pid])
  })

  it('starts the service where there is no such process', async (t) => {
    const mesh = meshFor(t)
    const pid = await runOne(mesh)
    kill(-pid)
    await until('its group is gone', () => mesh.processesOf('a').length === 0)
    forge(mesh, 'a', asIntent)
    await mesh.cli(['up'])
    const now = await mesh.untilService('a', 'runs', ({ ready }) => ready)
    assert.notEqual(now.pid, pid)
    assert.ok((await kindsOf(mesh)).includes('not-started'))
    assert.deepEqual(leaders(mesh, 'a'), [now.pid])
  })

  it('ends what a process left that was killed before its pid was known', async (t) => {
    const mesh = meshFor(t)
    const pid = await runOne(mesh)
    const others = mesh.processesOf('a').filter((seen) => seen.pid !== pid)
    assert.equal(others.length, 1)
    kill(pid)
    forge(mesh, 'a', asIntent)
    await mesh.cli(['up'])
    const now = await mesh.untilService('a', 'runs', ({ ready }) => ready)
    assert.deepEqual(leaders(mesh, 'a'), [now.pid])
    assert.ok(!others.some((seen) => isAlive(seen.pid)))
  })
})
