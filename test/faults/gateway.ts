/**
 * Faults of the real OpenClaw gateway, by its own preset: three failures in 10 min use up its budget, so the rows stand
 * in an order in which `paios start` gives it a new one in time.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installBrains, OPENCLAW_VERSION, orSkip } from '../brains.ts'
import {
  createGatewayMesh,
  type GatewayMesh,
  isWell,
  START_LIMIT_MS,
  type Stranger,
  startStranger,
  strangerOf,
} from '../e2e/gateway-mesh.ts'
import { until } from '../e2e/mesh.ts'
import { ANSWERED, type Fault, fresh, kept, type Stage } from './fault.ts'
import { signal, withPhone } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type GatewayStage = Stage & {
  readonly own: GatewayMesh
  readonly program: string
  strangers: Stranger[]
}
type Row = Fault<GatewayStage>

const LISTEN = `
import { createServer } from 'node:net'
createServer().listen(Number(process.argv[1]), '127.0.0.1', () => console.log('listening'))`
const LOCK = `
import Database from 'better-sqlite3'
const database = new Database(process.argv[1])
database.exec('BEGIN EXCLUSIVE')
console.log('locked')
setInterval(() => undefined, 60_000)`

async function openGateway(): Promise<GatewayStage | null> {
  const installed = await orSkip(installBrains())
  if (installed === null) return null
  const own = await createGatewayMesh()
  const program = join(own.gw.home, 'bin', 'openclaw')
  await mkdir(join(own.gw.home, 'bin'))
  await symlink(installed, program)
  await own.declare({ program })
  const bare = await withPhone(own.mesh, () => own.end())
  const stage: GatewayStage = {
    ...bare,
    own,
    program,
    strangers: [],
    async end() {
      for (const stranger of stage.strangers) await stranger.end()
      await bare.end()
    },
  }
  const { code, stdout, stderr } = await own.paios('up')
  if (code === 0) {
    await own.untilGateway('well', isWell)
    return stage
  }
  await stage.end()
  throw new Error(`paios up: exit ${code}: ${stderr}${stdout}`)
}

/** A life that was ready for 10 s is stable: its end is no failed start. */
const untilStable = ({ own }: GatewayStage) =>
  own.untilGateway('stable', (one) => isWell(one) && Date.now() - Date.parse(one.since) > 10_500)
const start = ({ own }: GatewayStage) => own.paios('start', 'gateway')
const stop = async ({ own }: GatewayStage) => {
  await own.paios('stop', 'gateway')
  return own.untilGateway('stopped', ({ state }) => state === 'stopped')
}
const endStrangers = (how: NodeJS.Signals) => async (stage: GatewayStage) => {
  for (const stranger of stage.strangers.splice(0)) await stranger.end(how)
}
const breakConfig = ({ own }: GatewayStage) => own.gw.writeConfig({ ...own.gw.config, bogusKey: 1 })
const mendConfig = ({ own }: GatewayStage) => own.gw.writeConfig(own.gw.config)
const gatewayPid = /gateway\.state\.lock is held by pid \d+ \(openclaw/

const row = (fault: Omit<Row, 'program' | 'touches' | 'limitMs'>): Row => ({
  ...fault,
  program: `OpenClaw gateway ${OPENCLAW_VERSION}`,
  touches: ['gateway'],
  limitMs: START_LIMIT_MS,
})

const deaths: Row[] = [
  row({
    name: 'restart that it asked for itself',
    made: 'SIGUSR2, as a change of its settings does it',
    sign: { subject: 'gateway', event: 'exited', text: /^exit code 0: a restart that it asked for itself/ },
    heard: { nobody: 'planned' },
    person: null,
    prepare: untilStable,
    make: (stage) => signal(stage, 'gateway', 'SIGUSR2'),
    well: fresh('gateway'),
  }),
  row({
    name: 'gateway killed',
    made: 'kill -9 of its process',
    sign: { subject: 'gateway', event: 'exited', text: /^killed by SIGKILL$/ },
    heard: { rule: 'ServiceCrashed', about: 'gateway' },
    person: null,
    prepare: untilStable,
    make: (stage) => signal(stage, 'gateway'),
    well: fresh('gateway'),
  }),
  row({
    name: 'gateway that hangs',
    made: 'SIGSTOP of its process',
    sign: { subject: 'gateway', event: 'hung', text: /^hung: GET \/healthz: no answer in time$/ },
    heard: { rule: 'ServiceHung', about: 'gateway' },
    late: 'it is asked every 10 s, and three silences in a row count',
    person: null,
    prepare: untilStable,
    make: (stage) => signal(stage, 'gateway', 'SIGSTOP'),
    well: fresh('gateway'),
  }),
  row({
    name: 'third failure in 10 min',
    made: 'kill -9 once more',
    sign: { service: 'gateway', state: 'failed', text: /^gave up: more than 2 failures in 10 min/ },
    heard: { rule: 'ServiceGaveUp', about: 'gateway' },
    person: 'see why, then `paios start` (else it is tried again after 15 min)',
    make: (stage) => signal(stage, 'gateway'),
    mend: start,
    well: fresh('gateway'),
  }),
  row({
    name: 'gateway terminated by somebody else',
    made: 'kill -TERM of its process, not by paios; it drains',
    sign: {
      subject: 'gateway',
      event: 'exited',
      text: /^exit code 0: somebody else sent it SIGTERM$/,
    },
    heard: { rule: 'ServiceCrashed', about: 'gateway' },
    person: null,
    prepare: untilStable,
    make: (stage) => signal(stage, 'gateway', 'SIGTERM'),
    well: fresh('gateway'),
  }),
]

const surroundings: Row[] = [
  row({
    name: 'configuration broken while it runs',
    made: 'an unknown key is written into openclaw.json; all its health pages stay green',
    sign: {
      service: 'gateway',
      state: 'running',
      text: /^would not start again: openclaw\.json: bogusKey: unknown key$/,
    },
    heard: { rule: 'ProbeFailing', about: 'gateway' },
    person: 'mend the file',
    make: async (stage) => void (await breakConfig(stage)) as undefined,
    mend: mendConfig,
    well: kept('gateway'),
  }),
  row({
    name: 'restart onto a broken configuration',
    made: 'the file is broken, then `paios restart gateway`',
    sign: { code: 5, text: /not restarted.*keeps running: gateway: openclaw\.json: bogusKey: unknown key/ },
    heard: ANSWERED,
    person: 'mend the file',
    make: async (stage) => {
      await breakConfig(stage)
      return stage.own.paios('restart', 'gateway')
    },
    mend: mendConfig,
    well: kept('gateway'),
  }),
  row({
    name: 'death while its configuration is broken',
    made: 'the file is broken, and it is killed',
    sign: {
      service: 'gateway',
      state: 'blocked',
      text: /^openclaw\.json: bogusKey: unknown key; looked at again/,
    },
    heard: { rule: 'ServiceBlocked', about: 'gateway' },
    person: 'mend the file; it starts by itself',
    make: async (stage) => {
      await breakConfig(stage)
      return signal(stage, 'gateway')
    },
    mend: mendConfig,
    well: fresh('gateway'),
  }),
  row({
    name: 'state database locked by another process',
    made: 'a stranger holds an exclusive lock on it; all its health pages stay green',
    sign: {
      service: 'gateway',
      state: 'degraded',
      text: /another process holds a lock on its state database|database locked by pid/,
    },
    heard: { rule: 'ProbeFailing', about: 'gateway' },
    late: 'it is looked at once a minute, and a lock must last for three looks',
    person: 'end the holder (`paios probe gateway` names it)',
    make: async (stage) => {
      const file = join(stage.own.gw.stateDir, 'state', 'openclaw.sqlite')
      stage.strangers.push(await startStranger(LOCK, file))
      return undefined
    },
    mend: endStrangers('SIGKILL'),
    well: kept('gateway'),
  }),
]

/** What keeps it from starting. */
const obstacles: Row[] = [
  row({
    name: 'port of the gateway held by a stranger',
    made: 'while it is stopped another program listens on its port; `paios start gateway`',
    sign: {
      service: 'gateway',
      state: 'blocked',
      text: /^port \d+ is held by pid \d+ \(node.*; looked at again/,
    },
    heard: { rule: 'ServiceBlocked', about: 'gateway' },
    person: 'end the stranger, which is named; it starts by itself within 30 s',
    prepare: stop,
    make: async (stage) => {
      stage.strangers.push(await startStranger(LISTEN, String(stage.own.gw.port)))
      return start(stage)
    },
    mend: endStrangers('SIGKILL'),
    well: fresh('gateway'),
  }),
  row({
    name: 'second gateway on the same state',
    made: 'while it is stopped a gateway is started by hand on another port; `paios start gateway`',
    sign: { service: 'gateway', state: 'blocked', text: gatewayPid },
    heard: { rule: 'ServiceBlocked', about: 'gateway' },
    person: 'end the other one, which is named; it starts by itself within 30 s',
    async prepare(stage) {
      await stop(stage)
      const { gw } = stage.own
      const argv = ['gateway', 'run', '--port', String(gw.port + 1), '--bind', 'loopback']
      stage.strangers.push(strangerOf(spawn(stage.program, argv, { env: gw.env, stdio: 'ignore' })))
      const locks = join(gw.stateDir, 'tmp')
      const isLocked = () =>
        existsSync(locks) &&
        readdirSync(locks, { recursive: true, encoding: 'utf8' }).some((name) =>
          name.endsWith('gateway.state.lock'),
        )
      await until('the other gateway has its lock', isLocked, START_LIMIT_MS)
    },
    make: start,
    mend: endStrangers('SIGTERM'),
    well: fresh('gateway'),
  }),
  row({
    name: 'state database that is damaged',
    made: 'while it is stopped the file is overwritten; `paios start gateway`',
    sign: {
      service: 'gateway',
      state: 'blocked',
      text: /^openclaw\.sqlite: is not a database; looked/,
    },
    heard: { rule: 'ServiceBlocked', about: 'gateway' },
    person: 'put back a copy, then `paios start` (else it is looked at again in 30 s)',
    async prepare(stage) {
      await stop(stage)
      const state = join(stage.own.gw.stateDir, 'state')
      await cp(state, `${state}.good`, { recursive: true })
    },
    make: async (stage) => {
      const state = join(stage.own.gw.stateDir, 'state')
      for (const end of ['-wal', '-shm']) await rm(join(state, `openclaw.sqlite${end}`), { force: true })
      await writeFile(join(state, 'openclaw.sqlite'), 'this is no database, '.repeat(500))
      return start(stage)
    },
    mend: async (stage) => {
      const state = join(stage.own.gw.stateDir, 'state')
      await rm(state, { recursive: true })
      await rename(`${state}.good`, state)
      return start(stage)
    },
    well: fresh('gateway'),
  }),
  row({
    name: 'program that is gone',
    made: 'the program is removed, and it is killed',
    sign: { service: 'gateway', state: 'missing', text: /bin\/openclaw does not exist/ },
    heard: { rule: 'ServiceMissing', about: 'gateway' },
    person: '`npm install -g openclaw`, then `paios start`',
    make: async (stage) => {
      await rename(stage.program, `${stage.program}.away`)
      return signal(stage, 'gateway')
    },
    mend: async (stage) => {
      await rename(`${stage.program}.away`, stage.program)
      return start(stage)
    },
    well: fresh('gateway'),
  }),
]

/** The real gateway under its own preset. */
export const gateway = defineGroup('gateway', 'OpenClaw gateway', openGateway, [
  ...deaths,
  ...surroundings,
  ...obstacles,
])
