/** The mesh of the plain programs: each row has one of its own that can be broken in the row's way. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { freePort } from '../brains.ts'
import type { Stranger } from '../e2e/gateway-mesh.ts'
import { createMesh, type Declared, fixture, kill, type TestMesh } from '../e2e/mesh.ts'
import { SLEEPER } from '../e2e/run-cli.ts'
import type { Stage } from './fault.ts'
import { openPhone } from './phone.ts'

/** A life this long is stable, so that its end is no failed start. */
const STABLE_MS = 10_500
/** What the quick rows need: none that a busy machine could make late, and nothing that takes long to come up. */
const QUICK = ['bystander', 'plain', 'loop', 'gone', 'secret', 'base', 'needy']
/** Takes 150 MiB once its file appears; the file is removed at its next start. */
const EATER = `
const fs = require('node:fs'), file = 'FILE', kept = []
fs.rmSync(file, { force: true })
setInterval(() => { if (kept.length === 0 && fs.existsSync(file)) kept.push(Buffer.alloc(150 * 2 ** 20, 1)) }, 100)`

/** What the rows of plain programs act on. */
export type ProgramStage = Stage & {
  readonly port: number
  strangers: Stranger[]
  /** Processes that a crash has left. */
  orphans: readonly number[]
  /** A path in the home. */
  at(name: string): string
  /** Makes the file that a service waits for, or is broken by. */
  touch(name: string): void
}

/** /bin/sh waits until its file appears and then goes on; the file is removed at its next start. */
const onFile = (file: string, then: string, meanwhile = ':'): string[] => [
  '/bin/sh',
  '-c',
  `rm -f ${file}; while [ ! -e ${file} ]; do ${meanwhile}; sleep 0.1; done; ${then}`,
]
/** /bin/sh ends at once while its file is there. */
const unlessFile = (file: string): string[] => [
  '/bin/sh',
  '-c',
  `[ -e ${file} ] && exit 3; exec sleep 100000`,
]
/** Installs a program that sleeps. */
export const script = (path: string, interpreter = '/bin/sh') => {
  writeFileSync(path, `#!${interpreter}\nexec sleep 100000\n`)
  chmodSync(path, 0o755)
  return path
}
const often = { every: '300ms', timeout: '300ms' }

function declare(at: (name: string) => string, port: number, answering: number): Record<string, Declared> {
  const url = `http://127.0.0.1:${answering}/`
  const loop = { max: 2, within: '10m' }
  const test = ['test', '-e', at('prepared')]
  return {
    bystander: { command: SLEEPER },
    plain: { command: SLEEPER },
    ended: { command: SLEEPER },
    crashed: { command: SLEEPER },
    tree: { command: fixture('daemonizes.mjs', 'marked', '0') },
    fails: { command: onFile(at('fail'), 'echo ran out of luck; exit 3') },
    ends: { command: onFile(at('end'), 'exit 0') },
    loop: { command: unlessFile(at('loop-broken')), intensity: loop },
    deaf: {
      command: fixture('deaf.sh'),
      stop: [
        { step: 'signal', signal: 'SIGTERM' },
        { step: 'wait-exit', for: '500ms' },
      ],
    },
    hangs: {
      command: fixture('answers.mjs', String(answering)),
      hangEvidence: true,
      probes: [
        { kind: 'http', url, ...often, role: 'startup', failureThreshold: 100 },
        { kind: 'http', url, ...often, role: 'liveness' },
      ],
    },
    beats: {
      command: onFile(at('mute'), 'exec sleep 100000', 'touch "$PAIOS_HEARTBEAT"'),
      probes: [{ kind: 'heartbeat', role: 'liveness', within: '1s', ...often, failureThreshold: 1 }],
    },
    eats: {
      command: [process.execPath, '-e', EATER.replace('FILE', at('eat'))],
      probes: [{ kind: 'memory', role: 'liveness', max: '120MiB', ...often }],
    },
    forks: {
      command: onFile(at('fork'), 'for i in 1 2 3 4 5 6 7 8; do sleep 100000 & done; wait'),
      probes: [{ kind: 'processes', role: 'readiness', max: 5, ...often }],
    },
    logs: {
      command: onFile(at('log'), 'echo ERROR: upstream lost; exec sleep 100000'),
      probes: [
        {
          kind: 'log',
          role: 'readiness',
          pattern: '^ERROR',
          clearAfter: '5s',
          ...often,
          failureThreshold: 1,
        },
      ],
    },
    slow: {
      command: SLEEPER,
      startTimeout: '2s',
      probes: [{ kind: 'exec', role: 'startup', command: test, every: '200ms', failureThreshold: 100 }],
    },
    listens: {
      command: fixture('listens.mjs', String(port)),
      probes: [{ kind: 'port', role: 'preflight', port, expect: 'free' }],
    },
    gone: { command: [script(at('gone-program'))] },
    locked: { command: [script(at('locked-program'))] },
    interpreted: { command: [script(at('interpreted-program'))] },
    secret: { command: SLEEPER, env: { TOKEN: `\${file:${at('token')}}` } },
    homeless: { command: SLEEPER, cwd: at('folder') },
    base: { command: unlessFile(at('base-broken')), intensity: { max: 1, within: '10m' } },
    data: {
      command: SLEEPER,
      probes: [
        { kind: 'sqlite', role: 'readiness', file: at('data.db'), integrity: 'quick', every: '500ms' },
      ],
    },
    needy: { command: SLEEPER, needs: ['base'] },
  }
}

const TABLE = `CREATE TABLE note (text TEXT);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)
  INSERT INTO note SELECT 'note ' || i FROM n`
const PYTHON = 'import time\nwhile True: time.sleep(1)\n'

/** Brings up all programs and waits until they are stable; for quick rows only what those need, and no wait. */
export async function openPrograms(isQuick: boolean): Promise<ProgramStage> {
  const mesh = createMesh()
  const at = (name: string) => join(mesh.home, name)
  const touch = (name: string) => writeFileSync(at(name), '')
  const port = await freePort()
  let answering = port
  // A port that nobody has taken yet may be given out twice.
  while (answering === port) answering = await freePort()
  mkdirSync(at('folder'))
  touch('prepared')
  writeFileSync(at('token'), 'a-token-that-opens-nothing', { mode: 0o600 })
  writeFileSync(at('bot.py'), PYTHON)
  new Database(at('data.db')).exec(TABLE).close()
  mesh.write(declare(at, port, answering))
  // This preset has no command to which the tag could be added.
  const python = { preset: 'python-service', script: at('bot.py'), env: { MESH_TAG: at('python.tag') } }
  const document = JSON.parse(readFileSync(at('paios.yaml'), 'utf8')) as { services: object }
  const all = Object.entries({ ...document.services, python })
  const services = Object.fromEntries(isQuick ? all.filter(([name]) => QUICK.includes(name)) : all)
  writeFileSync(at('paios.yaml'), JSON.stringify({ ...document, services }), { mode: 0o600 })
  const phone = await openPhone(mesh)
  phone.declare(mesh)
  const stage: ProgramStage = {
    mesh,
    phone,
    port,
    strangers: [],
    orphans: [],
    at,
    touch,
    async end() {
      for (const stranger of stage.strangers) await stranger.end()
      await mesh.end()
      await phone.end()
    },
  }
  await up(stage)
  if (isQuick) return stage
  await mesh.until('all are stable', (status) =>
    status.services.every(({ ready, since }) => ready && Date.now() - Date.parse(since) > STABLE_MS),
  )
  return stage
}

/** A stage that is only a mesh with a phone, not up yet. */
export async function openStage(write: (mesh: TestMesh) => unknown): Promise<Stage> {
  const mesh = createMesh()
  write(mesh)
  return withPhone(mesh, () => mesh.end())
}

/** A mesh whose document is there, with a phone that it tells. */
export async function withPhone(mesh: TestMesh, end: () => Promise<unknown>): Promise<Stage> {
  const phone = await openPhone(mesh)
  phone.declare(mesh)
  return {
    mesh,
    phone,
    async end() {
      await end()
      await phone.end()
    },
  }
}

/** `paios up`, which must go well. */
export async function up(stage: Stage, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const { code, stdout, stderr } = await stage.mesh.cli(['up'], env)
  if (code === 0) return
  await stage.end()
  throw new Error(`paios up: exit ${code}: ${stderr}${stdout}`)
}

/** Signals the process of a service. */
export async function signal(
  stage: Stage,
  name: string,
  what: NodeJS.Signals = 'SIGKILL',
): Promise<undefined> {
  const { pid } = await stage.mesh.service(name)
  if (pid === null) throw new Error(`${name} has no process`)
  kill(pid, what)
}

/** Runs `paios` with these words, separated by blanks. */
export const paios = (words: string) => (stage: Stage) => stage.mesh.cli(words.split(' '))
