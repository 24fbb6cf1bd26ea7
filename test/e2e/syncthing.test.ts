/** The real Syncthing under a real supervisor: both of its processes, its faults, and that nothing of it stays. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { ServiceStatus } from '../../schemas/status.ts'
import { freePort } from '../brains.ts'
import { findDebian } from '../debian.ts'
import { makeHome } from '../syncthing.ts'
import { createMesh, kill, type TestMesh, until } from './mesh.ts'

const program = findDebian('syncthing', 'syncthing')
const skip = program === null && process.env['CI'] === undefined ? 'Syncthing is not to be had here' : false
const KEY = 'a-key-that-no-log-may-show'

type Stage = {
  readonly mesh: TestMesh
  readonly home: string
  readonly config: string
  readonly port: number
  sync(what: string, holds: (service: ServiceStatus) => boolean): Promise<ServiceStatus>
  told(): Promise<string[]>
}

/** A mesh with one Syncthing, declared and not started. */
async function stage(t: TestContext, more: Readonly<Record<string, unknown>> = {}): Promise<Stage> {
  assert.ok(program)
  const mesh = createMesh()
  t.after(() => mesh.end())
  const home = join(mesh.home, 'sync')
  const [port, listenPort] = [await freePort(), await freePort()]
  const config = makeHome(program, home, listenPort)
  writeFileSync(join(mesh.home, 'key'), KEY, { mode: 0o600 })
  const service = {
    preset: 'syncthing',
    program,
    port,
    home,
    apiKey: `\${file:${join(mesh.home, 'key')}}`,
    env: { MESH_TAG: `${mesh.home}/sync.tag` },
    ...more,
  }
  const document = { version: 1, metrics: { enabled: false }, services: { sync: service } }
  writeFileSync(join(mesh.home, 'paios.yaml'), JSON.stringify(document), { mode: 0o600 })
  return {
    mesh,
    home,
    config,
    port,
    sync: (what, holds) => mesh.untilService('sync', what, holds),
    told: async () => (await mesh.events('sync')).map(({ text }) => text),
  }
}

async function up({ mesh, sync }: Stage): Promise<ServiceStatus> {
  const { code, stderr, stdout } = await mesh.cli(['up'])
  assert.equal(code, 0, `${stderr}${stdout}`)
  return sync('running', ({ state, pid }) => state === 'running' && pid !== null)
}

/** The worker below this monitor. */
function workerOf(mesh: TestMesh, monitor: number | null): number {
  const found = mesh.processes().find(({ parent }) => parent === monitor)
  assert.ok(found, 'no worker')
  return found.pid
}

/** Waits for another life that is running, and checks that it is the only one. */
async function nextLife({ mesh, sync }: Stage, before: number | null): Promise<void> {
  const { pid } = await sync('another life', (found) => found.state === 'running' && found.pid !== before)
  const mine = mesh.processes().filter(({ text }) => text.includes('--gui-address'))
  assert.deepEqual(mine.map(({ pid: each }) => each).sort(), [pid, workerOf(mesh, pid)].sort())
}

describe('Syncthing under the supervisor', { skip }, () => {
  it('comes up, answers with its API, listens on loopback only, and is gone after down', async (t) => {
    const stand = await stage(t)
    const { mesh, port } = stand
    const { pid } = await up(stand)
    const worker = workerOf(mesh, pid)
    const probe = await mesh.cli(['status', 'sync'])
    assert.equal(probe.code, 0, probe.stdout)
    const sockets = spawnSync('ss', ['-tuanpH'], { encoding: 'utf8' })
    const mine = (sockets.stdout ?? '').split('\n').filter((line) => line.includes(`pid=${worker},`))
    if (sockets.status === 0) assert.ok(mine.length >= 2, sockets.stdout)
    for (const line of mine) assert.match(line, /\s127\.0\.0\.1:\d+\s+(127\.0\.0\.1|0\.0\.0\.0):/, line)
    assert.ok(!(await stand.told()).join('\n').includes(KEY))
    assert.equal((await mesh.cli(['down'])).code, 0)
    await until('nothing is left', () => mesh.processes().length === 0)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
  })

  it('is started again when its worker is killed, and the loss is counted', async (t) => {
    const stand = await stage(t)
    const { pid } = await up(stand)
    kill(workerOf(stand.mesh, pid))
    await nextLife(stand, pid)
    assert.match((await stand.told()).join('\n'), /exit code 255: its worker process was killed/)
  })

  it('is started again when its monitor is killed: the worker, which lives on, is swept first', async (t) => {
    const stand = await stage(t)
    const { pid } = await up(stand)
    const worker = workerOf(stand.mesh, pid)
    kill(pid ?? 0)
    await nextLife(stand, pid)
    assert.ok(!stand.mesh.processes().some((each) => each.pid === worker))
  })

  it('asked by its API to restart, starts at once and keeps its budget', async (t) => {
    const stand = await stage(t)
    const { pid } = await up(stand)
    const url = `http://127.0.0.1:${stand.port}/rest/system/restart`
    const { ok } = await fetch(url, { method: 'POST', headers: { 'X-API-Key': KEY } })
    assert.ok(ok)
    await nextLife(stand, pid)
    assert.match((await stand.told()).join('\n'), /exit code 3: a restart that was asked for on its page/)
  })

  it('is blocked by a config.xml that was cut off, and starts when it is whole again', async (t) => {
    const stand = await stage(t)
    copyFileSync(stand.config, `${stand.config}.good`)
    writeFileSync(stand.config, readFileSync(stand.config, 'utf8').slice(0, 900))
    await stand.mesh.cli(['up'])
    const blocked = await stand.sync('blocked', ({ state }) => state === 'blocked')
    assert.match(blocked.reason ?? '', /config\.xml does not match/)
    copyFileSync(`${stand.config}.good`, stand.config)
    await stand.mesh.cli(['start', 'sync'])
    await stand.sync('running', ({ state }) => state === 'running')
  })

  it('is blocked by a config.xml that it cannot read, with its own words', async (t) => {
    const stand = await stage(t)
    writeFileSync(stand.config, '<configuration version="36"><device</configuration>\n')
    await stand.mesh.cli(['up'])
    const blocked = await stand.sync('blocked', ({ state }) => state === 'blocked')
    assert.match(blocked.reason ?? '', /its config\.xml cannot be used: .*XML syntax error/)
  })

  it('on a home that another one uses is blocked, and says so', async (t) => {
    const stand = await stage(t)
    await up(stand)
    const { mesh, home } = stand
    const path = join(mesh.home, 'paios.yaml')
    const document = JSON.parse(readFileSync(path, 'utf8'))
    const second = { ...document.services.sync, port: await freePort() }
    second.env = { MESH_TAG: `${mesh.home}/second.tag` }
    writeFileSync(path, JSON.stringify({ ...document, services: { ...document.services, second } }))
    await mesh.cli(['up'])
    const blocked = await mesh.untilService('second', 'blocked', ({ state }) => state === 'blocked')
    assert.match(blocked.reason ?? '', /another Syncthing uses the same home/)
    assert.equal((await mesh.service('sync')).state, 'running')
    assert.ok(home.startsWith(mesh.home))
  })

  it('is degraded while a folder of its has an error, and well again after it', async (t) => {
    const stand = await stage(t)
    const folder = join(stand.mesh.home, 'shared')
    mkdirSync(join(folder, '.stfolder'), { recursive: true })
    const entry = `<folder id="x" path="${folder}" type="sendreceive" rescanIntervalS="1" fsWatcherEnabled="false"></folder>`
    const text = readFileSync(stand.config, 'utf8')
    writeFileSync(stand.config, text.replace(/(<configuration[^>]*>)/, `$1${entry}`))
    await up(stand)
    rmSync(join(folder, '.stfolder'), { recursive: true })
    const degraded = await stand.sync('degraded', ({ state }) => state === 'degraded')
    assert.match(degraded.reason ?? '', /Error on folder .*folder marker missing/)
    mkdirSync(join(folder, '.stfolder'))
    await stand.sync('running', ({ state }) => state === 'running')
  })
})
