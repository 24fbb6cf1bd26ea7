/** Faults of the supervisor itself, its keeper, its record and those whom it tells. */

import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { Child, Identity, Process } from '../../supervisor/core/state.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { type Stranger, strangerOf } from '../e2e/gateway-mesh.ts'
import { fixture, isAlive, kill, type TestMesh, until } from '../e2e/mesh.ts'
import { SLEEPER } from '../e2e/run-cli.ts'
import { ANSWERED, type Fault, fresh, kept, type Stage } from './fault.ts'
import { type Listener, openListener } from './listener.ts'
import { openStage, paios, script, signal, up } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type SupervisorStage = Stage & {
  readonly at: (name: string) => string
  deadman: Listener
  stranger: HeardStranger | null
}
type Row = Fault<SupervisorStage>

/** How long the supervisor stands still. */
const STILL_MS = 15_000

async function openSupervisor(): Promise<SupervisorStage> {
  const bare = await openStage((mesh) => mesh.write({}))
  const { mesh, phone } = bare
  const at = (name: string) => join(mesh.home, name)
  const stage: SupervisorStage = {
    ...bare,
    at,
    deadman: await openListener(),
    stranger: null,
    async end() {
      await bare.end()
      await stage.stranger?.end()
      await stage.deadman.end()
    },
  }
  writeFileSync(script(at('tell')), '#!/bin/sh\ncat > /dev/null\n')
  const url = `http://127.0.0.1:${stage.deadman.port}/`
  mesh.write(
    { plain: { command: SLEEPER }, tree: { command: fixture('plain.sh') } },
    { alerts: { command: [at('tell')] }, deadman: { url, every: '1s' } },
  )
  phone.declare(mesh)
  await up(stage)
  return stage
}

/** A program that belongs to nobody and writes down every signal that reaches it. */
type HeardStranger = Stranger & { readonly start: string; heard(): string }

async function startHeard(): Promise<HeardStranger> {
  const folder = mkdtempSync('/tmp/stranger-')
  const path = join(folder, 'heard')
  writeFileSync(path, '')
  const [program = '', ...args] = fixture('stranger.mjs', path)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  await new Promise((ready) => child.stdout.once('data', ready))
  const stranger = strangerOf(child)
  return {
    pid: stranger.pid,
    start: openProcessTable().entry(stranger.pid)?.start ?? '',
    heard: () => readFileSync(path, 'utf8'),
    async end() {
      await stranger.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Rewrites the identity in one service's row of a journal that no supervisor has open. */
function forge(mesh: TestMesh, name: string, identity: Partial<Identity>): void {
  const database = new Database(mesh.journal)
  const found = database.prepare('SELECT row FROM service WHERE name = ?').get(name) as { row: string }
  const child = JSON.parse(found.row) as Child & { state: { process: Process } }
  const process = { ...child.state.process, identity: { ...child.state.process.identity, ...identity } }
  const row = JSON.stringify({ ...child, state: { ...child.state, process } })
  database.prepare('UPDATE service SET row = ? WHERE name = ?').run(row, name)
  database.close()
}

/** Keeper, supervisor and service are killed, and the record says that a stranger is the service. */
const forgeAndUp = (isExact: boolean) => async (stage: SupervisorStage) => {
  const { mesh } = stage
  const { pid } = await mesh.service('plain')
  await mesh.killSupervision()
  kill(pid ?? 0)
  await until('it is gone', () => !isAlive(pid ?? 0))
  const { pid: other = 0, start = '' } = stage.stranger ?? {}
  forge(mesh, 'plain', { pid: other, start: isExact ? start : '1' })
  return mesh.cli(['up'])
}
const prepareStranger = async (stage: SupervisorStage) => {
  stage.stranger = await startHeard()
}
/** Fails the row if any signal has reached the stranger. */
async function untouched(stage: SupervisorStage): Promise<void> {
  const { stranger } = stage
  stage.stranger = null
  const heard = stranger?.heard()
  const lives = stranger !== null && isAlive(stranger.pid)
  await stranger?.end()
  if (heard !== '' || !lives) throw new Error(`the stranger was signalled: ${heard || 'it is dead'}`)
}

const noWarning = {
  what: 'no warning of the mesh, all runs',
  holds: async ({ mesh }: Stage) => {
    const { warnings, services } = await mesh.status()
    return warnings.length === 0 && services.every(({ ready }) => ready)
  },
}

const deaths: Row[] = [
  {
    name: 'supervisor killed',
    program: 'the supervisor',
    made: 'kill -9 of it',
    sign: { subject: 'plain', event: 'adopted', text: /^still runs as pid \d+: adopted$/ },
    heard: { rule: 'SupervisorUncleanStart', about: 'supervisor' },
    person: null,
    touches: [],
    make: async ({ mesh }) => void kill(mesh.supervisorPid()) as undefined,
    well: kept('plain', 'tree'),
    quick: true,
  },
  {
    name: 'supervisor terminated',
    program: 'the supervisor',
    made: 'kill -TERM of it',
    sign: { subject: 'plain', event: 'adopted', text: /^still runs as pid \d+: adopted$/ },
    heard: { nobody: 'an orderly end, and the keeper starts it again' },
    person: null,
    touches: [],
    make: async ({ mesh }) => void kill(mesh.supervisorPid(), 'SIGTERM') as undefined,
    well: kept('plain', 'tree'),
  },
  {
    name: 'time that stood still',
    program: 'the supervisor',
    made: `SIGSTOP of it, SIGCONT after ${STILL_MS / 1000} s (a sleep of the machine looks like this)`,
    sign: { subject: 'paios', event: 'gap', text: /\d/ },
    heard: { nobody: 'nothing is wrong after it' },
    person: null,
    touches: [],
    make: async ({ mesh }) => {
      const pid = mesh.supervisorPid()
      kill(pid, 'SIGSTOP')
      await wait(STILL_MS)
      kill(pid, 'SIGCONT')
      return undefined
    },
    well: kept('plain', 'tree'),
  },
  {
    name: 'keeper killed',
    program: 'the keeper',
    made: 'kill -9 of it',
    sign: { subject: 'paios', event: 'keeper-gone', text: /keeper/ },
    // With the two rows before it is the third start in half an hour.
    heard: { rule: 'SupervisorRestarting', about: 'supervisor' },
    person: null,
    touches: [],
    make: async ({ mesh }) => void kill(mesh.keeperPid()) as undefined,
    well: {
      what: 'another keeper runs',
      holds: async ({ mesh }) => {
        const { keeper, services } = await mesh.status()
        return keeper === 'running' && services.every(({ ready }) => ready)
      },
    },
  },
  {
    name: 'keeper and supervisor killed',
    program: 'keeper and supervisor',
    made: 'kill -9 of both, then `paios status`',
    sign: { code: 4, text: /unsupervised: pid \d+ still runs/ },
    heard: { nobody: 'nobody is left to tell; the sentinel does so after two minutes' },
    person: '`paios up`',
    touches: [],
    make: async ({ mesh }) => {
      await mesh.killSupervision()
      return mesh.cli(['status'])
    },
    mend: paios('up'),
    well: kept('plain', 'tree'),
  },
  {
    name: 'a second supervisor',
    program: 'the supervisor',
    made: '`paios up --foreground` in a home whose supervisor runs',
    sign: { code: 5, text: /supervisor/ },
    heard: ANSWERED,
    person: null,
    touches: [],
    make: paios('up --foreground'),
    well: kept('plain', 'tree'),
  },
  {
    name: 'control socket that is removed',
    program: 'the supervisor',
    made: '`run/paios.sock` is deleted',
    sign: {
      subject: 'paios',
      event: 'socket-made-anew',
      text: /was removed or replaced: a new one is served/,
    },
    heard: { nobody: 'healed by itself, no service is concerned' },
    person: null,
    touches: [],
    make: async ({ at }) => rmSync(at('run/paios.sock')) as undefined,
    well: kept('plain', 'tree'),
    quick: true,
  },
  {
    name: 'control socket that is overwritten',
    program: 'the supervisor',
    made: 'a file is moved to `run/paios.sock`',
    sign: {
      subject: 'paios',
      event: 'socket-made-anew',
      text: /was removed or replaced: a new one is served/,
    },
    heard: { nobody: 'healed by itself, no service is concerned' },
    person: null,
    touches: [],
    make: async ({ at }) => {
      writeFileSync(at('run/other'), 'no socket')
      renameSync(at('run/other'), at('run/paios.sock'))
      return undefined
    },
    well: kept('plain', 'tree'),
  },
  {
    name: 'folder `run` that is removed',
    program: 'the supervisor',
    made: '`rm -r run`: socket, lock and what tells who keeps it',
    sign: { subject: 'paios', event: 'lock-made-anew', text: /was removed or replaced: a new one is held/ },
    heard: { nobody: 'healed by itself, no service is concerned' },
    person: null,
    touches: [],
    make: async ({ at }) => rmSync(at('run'), { recursive: true }) as undefined,
    well: {
      what: 'reachable, and a second supervisor is refused',
      holds: async ({ mesh }) => {
        const { services, warnings } = await mesh.status()
        const { code } = await mesh.cli(['up', '--foreground'])
        return warnings.length === 0 && services.every(({ ready }) => ready) && code === 5
      },
    },
  },
  {
    name: 'a second supervisor after the lock was deleted',
    program: 'the supervisor',
    made: '`run/lock.db` is deleted, and at once `paios up --foreground`',
    sign: { code: 5, text: /a supervisor with pid \d+ already runs/ },
    heard: ANSWERED,
    person: null,
    touches: [],
    make: async (stage) => {
      rmSync(stage.at('run/lock.db'))
      return paios('up --foreground')(stage)
    },
    well: kept('plain', 'tree'),
  },
]

const records: Row[] = [
  {
    name: 'pid that was given to another program',
    program: 'the journal',
    made: 'while nothing runs, the record is made to name a stranger of another start time; `paios up`',
    sign: {
      subject: 'plain',
      event: 'foreign',
      text: /^pid \d+ now belongs to another program: not signalled$/,
    },
    heard: { nobody: 'healed by itself, and no stranger was signalled' },
    person: null,
    touches: ['plain'],
    prepare: prepareStranger,
    make: forgeAndUp(false),
    well: fresh('plain'),
    clear: untouched,
  },
  {
    name: 'process that nothing proves to be ours',
    program: 'the journal',
    made: 'the same with the right start time, but neither marker nor log; `paios up`',
    sign: { service: 'plain', state: 'unknown', text: /neither its marker nor its log file/ },
    heard: { rule: 'ServiceUnknown', about: 'plain' },
    person: 'see whose it is and end it, then `paios start`; it is never signalled',
    touches: ['plain'],
    prepare: prepareStranger,
    make: forgeAndUp(true),
    mend: async (stage) => {
      await untouched(stage)
      return stage.mesh.cli(['start', 'plain'])
    },
    well: fresh('plain'),
  },
  {
    name: 'journal that is damaged',
    program: 'the journal',
    made: 'keeper and supervisor are killed, the file is overwritten; `paios up`',
    sign: { code: 1, text: /the journal \S+ cannot be read: .*put back a copy/ },
    heard: ANSWERED,
    person: 'put back a copy of it, then `paios up`',
    touches: [],
    make: async ({ mesh }) => {
      await mesh.killSupervision()
      for (const end of ['', '-wal', '-shm']) copyFileSync(mesh.journal + end, `${mesh.journal}.good${end}`)
      for (const end of ['-wal', '-shm']) rmSync(mesh.journal + end)
      writeFileSync(mesh.journal, 'this is no database, '.repeat(500))
      return mesh.cli(['up'])
    },
    mend: async ({ mesh }) => {
      for (const end of ['', '-wal', '-shm']) copyFileSync(`${mesh.journal}.good${end}`, mesh.journal + end)
      return mesh.cli(['up'])
    },
    well: kept('plain', 'tree'),
  },
]

const telling: Row[] = [
  {
    name: 'alert command that fails',
    program: 'the alert command',
    made: 'it ends with exit 1, and a service is killed',
    sign: { mesh: /^the alert command \S+\/tell failed: exit 1: no route to anybody$/ },
    heard: { rule: 'AlertDeliveryDelayed', about: 'command' },
    late: 'a channel has two minutes to deliver',
    limitMs: 300_000,
    person: 'mend the command; the next alert ends the warning',
    touches: ['plain'],
    make: async (stage) => {
      writeFileSync(stage.at('tell'), '#!/bin/sh\necho no route to anybody >&2\nexit 1\n')
      return signal(stage, 'plain')
    },
    mend: async (stage) => {
      writeFileSync(stage.at('tell'), '#!/bin/sh\ncat > /dev/null\n')
      return signal(stage, 'plain')
    },
    well: noWarning,
  },
  {
    name: "dead man's switch out of reach",
    program: "the dead man's switch",
    made: 'what listens there ends',
    sign: { mesh: /^the dead man's switch cannot be reached: ECONNREFUSED$/ },
    heard: { nobody: 'a warning (DeadmanPingFailing) once it is overdue, after 10 min' },
    person: 'nothing but to bring it back',
    touches: [],
    make: async ({ deadman }) => void (await deadman.end()) as undefined,
    mend: async (stage) => {
      stage.deadman = await openListener(stage.deadman.port)
    },
    well: noWarning,
  },
]

/** The supervisor and what it stands on. */
export const supervisor = defineGroup('supervisor', 'Supervisor, keeper, journal, alerts', openSupervisor, [
  ...deaths,
  ...records,
  ...telling,
])
