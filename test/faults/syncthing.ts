/** Faults of Syncthing, which is two processes, talks to nobody here, and is Debian's. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../brains.ts'
import { findDebian } from '../debian.ts'
import { createMesh, kill, type TestMesh } from '../e2e/mesh.ts'
import { makeHome } from '../syncthing.ts'
import { type Fault, fresh, kept, type Stage } from './fault.ts'
import { signal, up, withPhone } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type SyncStage = Stage & {
  readonly at: (name: string) => string
  readonly config: string
  readonly whole: string
  readonly port: number
}
type Row = Fault<SyncStage>
const KEY = 'a-key-that-no-log-may-show'
const OTHER_KEY = 'another-key-that-it-does-not-know'

async function openSync(): Promise<SyncStage | null> {
  const program = findDebian('syncthing', 'syncthing')
  if (program === null) return null
  const mesh = createMesh()
  const at = (name: string) => join(mesh.home, name)
  const [port, listenPort] = [await freePort(), await freePort()]
  const config = makeHome(program, at('sync'), listenPort)
  mkdirSync(at('shared/.stfolder'), { recursive: true })
  const folder = `<folder id="x" path="${at('shared')}" type="sendreceive" rescanIntervalS="1" fsWatcherEnabled="false"></folder>`
  writeFileSync(config, readFileSync(config, 'utf8').replace(/(<configuration[^>]*>)/, `$1${folder}`))
  writeFileSync(at('key'), KEY, { mode: 0o600 })
  const reference = `\${file:${at('key')}}`
  const often = { kind: 'http', role: 'readiness', port, path: '/rest/system/ping', every: '1s' }
  const asking = { ...often, name: 'often', headers: { 'X-API-Key': reference }, failureThreshold: 1 }
  const sync = {
    preset: 'syncthing',
    program,
    port,
    home: at('sync'),
    apiKey: reference,
    env: { MESH_TAG: at('sync.tag') },
    probes: [asking],
  }
  const document = { version: 1, metrics: { enabled: false }, services: { sync } }
  writeFileSync(at('paios.yaml'), JSON.stringify(document), { mode: 0o600 })
  const stage = await withPhone(mesh, () => mesh.end())
  await up(stage)
  await mesh.untilService('sync', 'runs', ({ ready }) => ready)
  return { ...stage, at, config, whole: readFileSync(config, 'utf8'), port }
}

async function workerOf(mesh: TestMesh): Promise<number> {
  const { pid } = await mesh.service('sync')
  const found = mesh.processes().find(({ parent }) => parent === pid)
  if (!found) throw new Error('Syncthing has no worker')
  return found.pid
}

const row = (fault: Omit<Row, 'program'>): Row => ({ ...fault, program: 'Syncthing' })

const rows: Row[] = [
  row({
    name: 'restart that it asked for itself',
    made: 'its API is asked to restart it',
    sign: {
      subject: 'sync',
      event: 'exited',
      text: /^exit code 3: a restart that was asked for on its page$/,
    },
    heard: { nobody: 'planned' },
    person: null,
    touches: ['sync'],
    make: async ({ port }) => {
      const url = `http://127.0.0.1:${port}/rest/system/restart`
      const { ok, status } = await fetch(url, { method: 'POST', headers: { 'X-API-Key': KEY } })
      if (!ok) throw new Error(`its API answered ${status}`)
      return undefined
    },
    well: fresh('sync'),
  }),
  row({
    name: 'worker that is killed',
    made: 'kill -9 of the worker below its monitor',
    sign: { subject: 'sync', event: 'exited', text: /^exit code 255: its worker process was killed$/ },
    heard: { rule: 'ServiceCrashed', about: 'sync' },
    person: null,
    touches: ['sync'],
    make: async ({ mesh }) => void kill(await workerOf(mesh)) as undefined,
    well: fresh('sync'),
  }),
  row({
    name: 'monitor that is killed, its worker lives on',
    made: 'kill -9 of its monitor; the worker holds port and database and is swept first',
    sign: { subject: 'sync', event: 'exited', text: /^killed by SIGKILL$/ },
    heard: { rule: 'ServiceCrashed', about: 'sync' },
    person: null,
    touches: ['sync'],
    make: (stage) => signal(stage, 'sync'),
    well: fresh('sync'),
  }),
  row({
    name: 'key of its API that is wrong',
    made: 'the file that holds the key has another one; looked at every 1 s',
    sign: { service: 'sync', state: 'degraded', text: /GET \/rest\/system\/ping: 403/ },
    heard: { rule: 'ProbeFailing', about: 'sync' },
    person: 'put the right key into the file',
    touches: [],
    make: async ({ at }) => void writeFileSync(at('key'), OTHER_KEY, { mode: 0o600 }) as undefined,
    mend: async ({ at }) => writeFileSync(at('key'), KEY, { mode: 0o600 }),
    well: kept('sync'),
  }),
  row({
    name: 'folder that has lost its marker',
    made: 'the .stfolder of a shared folder is removed',
    sign: { service: 'sync', state: 'degraded', text: /Error on folder .*folder marker missing/ },
    heard: { rule: 'ProbeFailing', about: 'sync' },
    person: 'see where the files are (a disk that is not mounted?) and put the marker back',
    touches: [],
    make: async ({ at }) => void rmSync(at('shared/.stfolder'), { recursive: true }) as undefined,
    mend: async ({ at }) => mkdirSync(at('shared/.stfolder')),
    well: kept('sync'),
  }),
  row({
    name: 'config.xml cut off before its start',
    made: 'config.xml is cut off, and it is killed',
    sign: { service: 'sync', state: 'blocked', text: /config\.xml does not match/ },
    heard: { rule: 'ServiceBlocked', about: 'sync' },
    person: 'put back a copy of the file, then `paios start`',
    touches: ['sync'],
    make: async (stage) => {
      writeFileSync(stage.config, stage.whole.slice(0, 900))
      return signal(stage, 'sync')
    },
    mend: async (stage) => {
      writeFileSync(stage.config, stage.whole)
      return stage.mesh.cli(['start', 'sync'])
    },
    well: fresh('sync'),
  }),
]

/** The real Syncthing, cut off from the network. */
export const syncthing = defineGroup('syncthing', 'Syncthing', openSync, rows)
