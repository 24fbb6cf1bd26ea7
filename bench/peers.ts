/** The supervisors under test, each driven by its own command line with the same children. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { kill, mustRun, parentOf, pause, run } from './processes.ts'

/**
 * What is to be run: `count` children of one command, or a single one; `probePort` gives each an HTTP probe.
 */
export type Mesh = {
  readonly count: number
  readonly command: readonly string[]
  readonly probePort: number | null
  readonly metricsPort: number | null
}

/** One supervisor. Paths and homes are its own, below one temporary folder. */
export type Peer = {
  readonly name: 'paios' | 'floor' | 'pm2'
  /** Writes what is to be run. */
  declare(mesh: Mesh): void
  /** Issues the start command; resolves when it has ended. */
  start(): Promise<void>
  /** Log of the child with this number. */
  logPath(index: number): string
  /** The supervisor's own processes. */
  pids(): Promise<number[]>
  /** The command line that shows every child as JSON, null if it has none. */
  readonly status: readonly string[] | null
  /** Stops children and supervisor, and resolves to the milliseconds that the command took. */
  stop(): Promise<number>
  readonly env: NodeJS.ProcessEnv
}

const nameOf = (index: number) => `s${index}`
const ROOT = dirname(import.meta.dirname)

/** The environment of everything: nothing of npm's, which would be copied into each child. */
function cleanEnv(extra: Record<string, string>): NodeJS.ProcessEnv {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: process.env['HOME'], LANG: 'C.UTF-8', ...extra }
}

/** This checkout of PAIOS. */
export function openPaios(folder: string, node: string): Peer {
  const home = join(folder, 'p')
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const env = cleanEnv({ PAIOS_HOME: home, HOME: home })
  const paios = (...words: string[]) => [node, join(ROOT, 'bin', 'paios.mjs'), ...words]
  return {
    name: 'paios',
    declare({ count, command, probePort, metricsPort }) {
      const metrics = metricsPort === null ? 'enabled: false' : `port: ${metricsPort}`
      const probe =
        probePort === null
          ? ''
          : `\n    probes: [{ kind: http, role: readiness, url: 'http://127.0.0.1:${probePort}/', every: 10s }]`
      const service = (index: number) =>
        `  ${nameOf(index)}:\n    command: ${JSON.stringify(command)}${probe}\n`
      const services = Array.from({ length: count }, (_, index) => service(index)).join('')
      writeFileSync(join(home, 'paios.yaml'), `version: 1\nmetrics: { ${metrics} }\nservices:\n${services}`)
    },
    start: async () => void (await mustRun(paios('up'), env)),
    logPath: (index) => join(home, 'logs', nameOf(index), 'current.log'),
    async pids() {
      const { output } = await mustRun(paios('status', '--json'), env)
      const { pid } = JSON.parse(output) as { pid: number }
      return [pid, parentOf(pid)]
    },
    status: paios('status', '--json'),
    stop: async () => (await run(paios('down'), env)).ms,
    env,
  }
}

/** The minimal supervisor in Node. */
export function openFloor(folder: string, node: string): Peer {
  const home = join(folder, 'f')
  mkdirSync(home, { recursive: true })
  const declared = join(home, 'children.json')
  const logPath = (index: number) => join(home, `${nameOf(index)}.log`)
  const env = cleanEnv({})
  let supervisor: ChildProcess | null = null
  return {
    name: 'floor',
    declare({ count, command }) {
      const children = Array.from({ length: count }, (_, index) => [command, logPath(index)])
      writeFileSync(declared, JSON.stringify(children))
    },
    async start() {
      supervisor = spawn(node, [join(import.meta.dirname, 'floor.mjs'), declared], {
        env,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
    },
    logPath,
    pids: async () => [supervisor?.pid ?? 0],
    status: null,
    stop() {
      const begun = performance.now()
      return new Promise((resolve) => {
        supervisor?.once('exit', () => resolve(performance.now() - begun))
        supervisor?.kill('SIGTERM')
      })
    },
    env,
  }
}

/** pm2 as npm installed it in `package`, with a home of its own and without its calls home. */
export function openPm2(folder: string, node: string, packageRoot: string): Peer {
  const home = join(folder, 'm')
  mkdirSync(home, { recursive: true })
  const env = cleanEnv({
    PM2_HOME: join(home, 'pm2'),
    HOME: home,
    PM2_DISABLE_VERSION_CHECK: 'true',
    PM2_DISCRETE_MODE: 'true',
  })
  const pm2 = (...words: string[]) => [node, join(packageRoot, 'bin', 'pm2'), ...words]
  const logPath = (index: number) => join(home, `${nameOf(index)}.log`)
  const declared = join(home, 'ecosystem.json')
  const readPid = () => Number(readFileSync(join(home, 'pm2', 'pm2.pid'), 'utf8'))
  return {
    name: 'pm2',
    declare({ count, command: [program, ...args] }) {
      const apps = Array.from({ length: count }, (_, index) => ({
        name: nameOf(index),
        script: program,
        args,
        interpreter: 'none',
        exec_mode: 'fork',
        vizion: false,
        pmx: false,
        merge_logs: true,
        out_file: logPath(index),
        error_file: logPath(index),
        pid_file: join(home, `${nameOf(index)}.pid`),
      }))
      writeFileSync(declared, JSON.stringify({ apps }))
    },
    start: async () => void (await mustRun(pm2('start', declared), env)),
    logPath,
    pids: async () => [readPid()],
    status: pm2('jlist'),
    async stop() {
      const pid = existsSync(join(home, 'pm2', 'pm2.pid')) ? readPid() : null
      const { ms } = await run(pm2('kill'), env)
      await pause(200)
      if (pid !== null) kill(pid, 'SIGKILL')
      return ms
    },
    env,
  }
}

const PM2_VERSION = '7.0.4'

/**
 * Installs pm2 into a cache outside the tree, by the npm that belongs to this machine, under the pinned Node.
 */
export async function installPm2(cache: string, node: string): Promise<string> {
  const found = join(cache, 'node_modules', 'pm2')
  if (existsSync(join(found, 'package.json'))) return found
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'package.json'), '{"private":true}\n')
  const npm = npmProgram()
  const words = [
    'install',
    '--prefix',
    cache,
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    `pm2@${PM2_VERSION}`,
  ]
  await mustRun([node, npm, ...words], process.env, cache)
  return found
}

/** npm's own script: of the npm that runs this, else the first one in PATH. */
function npmProgram(): string {
  const running = process.env['npm_execpath']
  if (running?.endsWith('.js')) return running
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
  const found = folders.map((folder) => join(folder, 'npm')).find((path) => existsSync(path))
  if (!found) throw new Error('there is no npm in PATH')
  return realpathSync(found)
}
