/** Faults of plain programs: how they end, hang, leak and grow, and what keeps them from starting. */
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { startStranger, strangerOf } from '../e2e/gateway-mesh.ts'
import { fixture, until } from '../e2e/mesh.ts'
import { done, type Fault, fresh, kept } from './fault.ts'
import { openPrograms, type ProgramStage, paios, script, signal } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type Row = Fault<ProgramStage>

const LISTEN = `
import { createServer } from 'node:net'
createServer().listen(Number(process.argv[1]), '127.0.0.1', () => console.log('listening'))`

/** Kills the service after its surroundings were broken, so that its next start meets them. */
const breakAnd = (name: string, work: (stage: ProgramStage) => unknown) => async (stage: ProgramStage) => {
  work(stage)
  return signal(stage, name)
}
/** Mends the surroundings and asks for a start. */
const mendAnd = (name: string, work: (stage: ProgramStage) => unknown) => async (stage: ProgramStage) => {
  work(stage)
  return stage.mesh.ask('/start', { name })
}
const endStrangers = ({ strangers }: ProgramStage) =>
  Promise.all(strangers.splice(0).map((stranger) => stranger.end()))

/** A program that ends is started again; what its end was is told. */
const endings: Row[] = [
  {
    name: 'killed from outside',
    program: 'sleep',
    made: 'kill -9 of its process',
    sign: { subject: 'plain', event: 'exited', text: /^killed by SIGKILL$/ },
    heard: { rule: 'ServiceCrashed', about: 'plain' },
    person: null,
    touches: ['plain'],
    make: (stage) => signal(stage, 'plain'),
    well: fresh('plain'),
    quick: true,
  },
  {
    name: 'terminated by somebody else',
    program: 'sleep',
    made: 'kill -TERM of its process, not by paios',
    sign: { subject: 'ended', event: 'exited', text: /^killed by SIGTERM$/ },
    heard: { rule: 'ServiceCrashed', about: 'ended' },
    person: null,
    touches: ['ended'],
    make: (stage) => signal(stage, 'ended', 'SIGTERM'),
    well: fresh('ended'),
  },
  {
    name: 'crash by a signal of its own',
    program: 'sleep',
    made: 'kill -SEGV of its process',
    sign: { subject: 'crashed', event: 'exited', text: /^killed by SIGSEGV$/ },
    heard: { rule: 'ServiceCrashed', about: 'crashed' },
    person: null,
    touches: ['crashed'],
    make: (stage) => signal(stage, 'crashed', 'SIGSEGV'),
    well: fresh('crashed'),
  },
  {
    name: 'exit with a failure',
    program: '/bin/sh',
    made: 'it ends with exit code 3',
    sign: { subject: 'fails', event: 'exited', text: /^exit code 3$/ },
    heard: { rule: 'ServiceCrashed', about: 'fails' },
    person: null,
    touches: ['fails'],
    make: async ({ touch }) => done(touch('fail')),
    well: fresh('fails'),
  },
  {
    name: 'exit in peace of what is to run for ever',
    program: '/bin/sh',
    made: 'it ends with exit code 0',
    sign: { subject: 'ends', event: 'exited', text: /^exit code 0$/ },
    heard: { rule: 'ServiceCrashed', about: 'ends' },
    person: null,
    touches: ['ends'],
    make: async ({ touch }) => done(touch('end')),
    well: fresh('ends'),
  },
  {
    name: 'exit that a restart cannot mend',
    program: 'python3',
    made: 'its script imports a module that is not there, and it is killed',
    sign: {
      service: 'python',
      state: 'blocked',
      text: /^exit code 1: the module no_such_module is not inst/,
    },
    heard: { rule: 'ServiceBlocked', about: 'python' },
    person: 'install the module, then `paios start`',
    touches: ['python'],
    make: breakAnd('python', ({ at }) => writeFileSync(at('bot.py'), 'import no_such_module\n')),
    mend: mendAnd('python', ({ at }) => writeFileSync(at('bot.py'), 'import time\ntime.sleep(100000)\n')),
    well: fresh('python'),
  },
  {
    name: 'crash loop, until it gives up',
    program: '/bin/sh',
    made: 'it is killed and ends at once at every start; 2 failures in 10 min are allowed',
    sign: {
      service: 'loop',
      state: 'failed',
      text: /^gave up: more than 2 failures in 10 min, last: exit cod/,
    },
    heard: { rule: 'ServiceGaveUp', about: 'loop' },
    person: 'mend it, then `paios start` (else it is tried again after 15 min)',
    touches: ['loop'],
    make: breakAnd('loop', ({ touch }) => touch('loop-broken')),
    mend: mendAnd('loop', ({ at }) => rmSync(at('loop-broken'))),
    well: fresh('loop'),
    quick: true,
  },
  {
    name: 'descendants left by a crash',
    program: 'node, sh, sleep',
    made: 'kill -9 of a program whose grandchild has a session of its own and no parent',
    sign: { subject: 'tree', event: 'exited', text: /^killed by SIGKILL$/ },
    heard: { rule: 'ServiceCrashed', about: 'tree' },
    person: null,
    touches: ['tree'],
    prepare: ({ mesh }) => until('a grandchild', () => grandchildren(mesh).length === 1),
    make: async (stage) => {
      stage.orphans = grandchildren(stage.mesh)
      return signal(stage, 'tree')
    },
    well: {
      what: 'the old grandchild is gone, and the next life has one of its own',
      holds: async ({ mesh, orphans }) => {
        const now = grandchildren(mesh)
        return (
          (await mesh.service('tree')).ready && now.length === 1 && !orphans.some((pid) => now.includes(pid))
        )
      },
    },
  },
  {
    name: 'SIGTERM is ignored at a stop',
    program: '/bin/sh',
    made: '`paios stop` of a program that traps every polite signal',
    sign: { subject: 'deaf', event: 'killed', text: /^SIGKILL: it did not end in time$/ },
    heard: { nobody: 'whoever stopped it asked for its end' },
    person: '`paios start`, since it was stopped',
    touches: ['deaf'],
    make: paios('stop deaf'),
    mend: paios('start deaf'),
    well: fresh('deaf'),
  },
]

const grandchildren = (mesh: ProgramStage['mesh']) =>
  mesh
    .processesOf('tree')
    .filter(({ text, pid, group }) => text.includes(' grandchild ') && pid === group)
    .map(({ pid }) => pid)

/** A program that runs and is not well. */
const illnesses: Row[] = [
  {
    name: 'hang of a server',
    program: 'node (HTTP server)',
    made: 'SIGSTOP of its process; a liveness probe every 0.3 s; its stop gives it 10 s before SIGKILL',
    sign: { subject: 'hangs', event: 'hung', text: /^hung: GET \/: no answer in time$/ },
    heard: { rule: 'ServiceHung', about: 'hangs' },
    person: null,
    touches: ['hangs'],
    make: (stage) => signal(stage, 'hangs', 'SIGSTOP'),
    well: fresh('hangs'),
  },
  {
    name: 'hang of a worker that answers nobody',
    program: '/bin/sh',
    made: 'it goes on without touching its heartbeat; 1 s is allowed',
    sign: { subject: 'beats', event: 'hung', text: /^hung: no beat since .*, expected one within 1s$/ },
    heard: { rule: 'ServiceCrashed', about: 'beats' },
    person: null,
    touches: ['beats'],
    make: async ({ touch }) => done(touch('mute')),
    well: fresh('beats'),
  },
  {
    name: 'memory over its limit',
    program: 'node',
    made: 'it takes 150 MiB; its limit is 120 MiB',
    sign: { subject: 'eats', event: 'hung', text: /^hung: \d+ MiB in 1 process, allowed 120 MiB$/ },
    heard: { rule: 'ServiceCrashed', about: 'eats' },
    person: null,
    touches: ['eats'],
    make: async ({ touch }) => done(touch('eat')),
    well: fresh('eats'),
  },
  {
    name: 'more processes than allowed',
    program: '/bin/sh',
    made: 'it starts 8 children; 5 processes are allowed',
    sign: { service: 'forks', state: 'degraded', text: /^\d+ processes in its tree, allowed 5/ },
    heard: { rule: 'ProbeFailing', about: 'forks' },
    person: '`paios restart`, or mend what starts them',
    touches: ['forks'],
    make: async ({ touch }) => done(touch('fork')),
    mend: paios('restart forks'),
    well: fresh('forks'),
  },
  {
    name: 'bad line in its log',
    program: '/bin/sh',
    made: 'it logs a line that its log probe looks for; 5 s without another end it',
    sign: { service: 'logs', state: 'degraded', text: /^ERROR: upstream lost/ },
    heard: { nobody: 'over before the 10 s after which a warning is told' },
    person: null,
    touches: [],
    make: async ({ touch }) => done(touch('log')),
    well: kept('logs'),
  },
  {
    name: 'start that never gets ready',
    program: 'sleep',
    made: 'its startup probe fails and it is killed; a start may take 2 s',
    sign: { subject: 'slow', event: 'start-failed', text: /^not ready after 2 s: test: exit 1/ },
    heard: { rule: 'ServiceCrashLooping', about: 'slow' },
    person: 'bring about what it waits for; it is tried again by itself',
    touches: ['slow'],
    make: breakAnd('slow', ({ at }) => rmSync(at('prepared'))),
    mend: async ({ touch }) => touch('prepared'),
    well: fresh('slow'),
  },
  {
    name: 'need that dies',
    program: 'sleep',
    made: 'what it needs is killed and gives up; it runs on',
    sign: { service: 'needy', state: 'running', text: /^needs base, which is not ready$/ },
    heard: { rule: 'ServiceGaveUp', about: 'base' },
    person: 'mend the need, then `paios start` of it',
    touches: ['base'],
    make: breakAnd('base', ({ touch }) => touch('base-broken')),
    mend: mendAnd('base', ({ at }) => rmSync(at('base-broken'))),
    well: kept('needy'),
    quick: true,
  },
  {
    name: 'start while its need is down',
    program: 'sleep',
    made: 'its need has given up; it is killed',
    sign: { service: 'needy', state: 'waiting', text: /^waiting for base \((failed|backoff)\)$/ },
    // With the row before it is the third crash in ten minutes.
    heard: { rule: 'ServiceCrashLooping', about: 'base' },
    person: 'mend the need, then `paios start` of it; what waits starts by itself',
    touches: ['base', 'needy'],
    make: async (stage) => {
      stage.touch('base-broken')
      await signal(stage, 'base')
      await stage.mesh.untilService('base', 'gives up', ({ state }) => state === 'failed')
      return signal(stage, 'needy')
    },
    mend: mendAnd('base', ({ at }) => rmSync(at('base-broken'))),
    well: fresh('needy'),
  },
]

/** What happens to a database that a program works on. */
const databases: Row[] = [
  {
    name: 'database locked by another process',
    program: 'SQLite',
    made: 'a stranger holds an exclusive lock on it; looked at every 0.5 s',
    sign: { service: 'data', state: 'degraded', text: /^data\.db: database locked by pid \d+ \(node/ },
    heard: { rule: 'ProbeFailing', about: 'data' },
    person: 'end the holder, which is named',
    touches: [],
    make: async ({ at, strangers }) => {
      const [, path = '', ...words] = fixture('holds-database.mjs', at('data.db'), 'BEGIN EXCLUSIVE')
      const child = spawn(process.execPath, [path, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
      strangers.push(strangerOf(child))
      return undefined
    },
    mend: endStrangers,
    well: kept('data'),
  },
  {
    name: 'database that is damaged',
    program: 'SQLite',
    made: 'a page in its middle is overwritten',
    sign: { service: 'data', state: 'degraded', text: /^data\.db: is damaged: / },
    heard: { rule: 'ProbeFailing', about: 'data' },
    person: 'put back a copy',
    touches: [],
    make: async ({ at }) => {
      copyFileSync(at('data.db'), at('data.db.good'))
      const bytes = readFileSync(at('data.db'))
      writeFileSync(at('data.db'), bytes.fill(0x5a, 8_192, 16_384))
      return undefined
    },
    mend: async ({ at }) => copyFileSync(at('data.db.good'), at('data.db')),
    well: kept('data'),
  },
]

/** What keeps a program from starting; each is found before its start, so no restart is wasted. */
const obstacles: Row[] = [
  {
    name: 'port held by a stranger',
    program: 'node (TCP server)',
    made: 'another program listens on its port, and it is started',
    sign: { service: 'listens', state: 'blocked', text: /^port \d+ is held by pid \d+ \(node/ },
    heard: { rule: 'ServiceBlocked', about: 'listens' },
    person: 'end the stranger; it starts by itself within 30 s',
    touches: ['listens'],
    prepare: paios('stop listens'),
    make: async (stage) => {
      stage.strangers.push(await startStranger(LISTEN, String(stage.port)))
      return stage.mesh.cli(['start', 'listens'])
    },
    mend: endStrangers,
    well: fresh('listens'),
  },
  {
    name: 'program that is gone',
    program: 'a script',
    made: 'its file is removed, and it is killed',
    sign: { service: 'gone', state: 'missing', text: /gone-program does not exist/ },
    heard: { rule: 'ServiceMissing', about: 'gone' },
    person: 'install it again, then `paios start`',
    touches: ['gone'],
    make: breakAnd('gone', ({ at }) => rmSync(at('gone-program'))),
    mend: mendAnd('gone', ({ at }) => script(at('gone-program'))),
    well: fresh('gone'),
    quick: true,
  },
  {
    name: 'program that may not be executed',
    program: 'a script',
    made: 'chmod 600 of its file, and it is killed',
    sign: { service: 'locked', state: 'blocked', text: /^\S+locked-program is not executable: chmod \+x/ },
    heard: { rule: 'ServiceBlocked', about: 'locked' },
    person: '`chmod +x`, then `paios start` (else it is looked at again in 30 s)',
    touches: ['locked'],
    make: breakAnd('locked', ({ at }) => chmodSync(at('locked-program'), 0o600)),
    mend: mendAnd('locked', ({ at }) => chmodSync(at('locked-program'), 0o755)),
    well: fresh('locked'),
  },
  {
    name: 'interpreter that is gone',
    program: 'a script',
    made: 'the first line of its file names no program, and it is killed',
    sign: {
      service: 'interpreted',
      state: 'blocked',
      text: /interpreted-program could not be started: it, its interpreter or its working folder does not exi/,
    },
    heard: { rule: 'ServiceBlocked', about: 'interpreted' },
    person: 'install the interpreter, then `paios start`',
    touches: ['interpreted'],
    make: breakAnd('interpreted', ({ at }) => script(at('interpreted-program'), '/no/such/interpreter')),
    mend: mendAnd('interpreted', ({ at }) => script(at('interpreted-program'))),
    well: fresh('interpreted'),
  },
  {
    name: 'secret that is missing',
    program: 'sleep',
    made: 'the file that holds its TOKEN is removed, and it is killed',
    sign: {
      service: 'secret',
      state: 'blocked',
      text: /^secret \$\{file:\S+\/token\} cannot be read: ENOENT/,
    },
    heard: { rule: 'ServiceBlocked', about: 'secret' },
    person: 'put the file back, then `paios start` (else it is looked at again in 30 s)',
    touches: ['secret'],
    make: breakAnd('secret', ({ at }) => rmSync(at('token'))),
    mend: mendAnd('secret', ({ at }) =>
      writeFileSync(at('token'), 'a-token-that-opens-nothing', { mode: 0o600 }),
    ),
    well: fresh('secret'),
    quick: true,
  },
  {
    name: 'working folder that is gone',
    program: 'sleep',
    made: 'the folder is moved away, and it is killed',
    sign: { service: 'homeless', state: 'blocked', text: /^its working folder \S+ does not exist/ },
    heard: { rule: 'ServiceBlocked', about: 'homeless' },
    person: 'nothing but to put it back: it is looked at again every 30 s',
    touches: ['homeless'],
    make: breakAnd('homeless', ({ at }) => renameSync(at('folder'), at('folder-away'))),
    mend: async ({ at }) => renameSync(at('folder-away'), at('folder')),
    well: fresh('homeless'),
  },
]

/** Plain programs on one mesh. */
export const programs = defineGroup('programs', 'Programs', openPrograms, [
  ...endings,
  ...illnesses,
  ...databases,
  ...obstacles,
])
