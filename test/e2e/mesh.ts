/**
 * A real mesh in a temporary home for end-to-end tests: the document, the command line, the control socket, and
 * an account of every process that belongs to it. Whatever a test does, `end` leaves no process and no folder.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { JournalEvent, ServiceStatus, Status } from '../../schemas/status.ts'
import { call, isListening, request } from '../../supervisor/cli/client.ts'

/** The program under test. */
export const ENTRY = resolve(import.meta.dirname, '../../bin/paios.mjs')
const FIXTURES = resolve(import.meta.dirname, '../fixtures')
/** How often a predicate is looked at; every wait ends with an error after LIMIT_MS. */
const POLL_MS = 25
const LIMIT_MS = 60_000

/** How a command ended and what it wrote. */
export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** A process as `ps` shows it; `text` is its command line followed by its environment. */
export type Seen = {
  readonly pid: number
  readonly parent: number
  readonly group: number
  /** PAIOS_RUN, null if the environment has none or is not to be seen. */
  readonly run: string | null
  readonly text: string
}

/** A service of a test document; the tag of the home is added to command and environment. */
export type Declared = { readonly command: readonly string[]; readonly [field: string]: unknown }

/** One mesh in its own home. */
export type TestMesh = {
  readonly home: string
  readonly journal: string
  /** Writes paios.yaml: these services, metrics off. */
  write(services: Readonly<Record<string, Declared>>, more?: Readonly<Record<string, unknown>>): void
  /** Runs one command to its end. `env` is added to this process's own. */
  cli(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>
  status(): Promise<Status>
  service(name: string): Promise<ServiceStatus>
  /** Polls the socket, also while nothing answers, until the predicate holds. Rejects after 60 s with the last status. */
  until(what: string, holds: (status: Status) => boolean): Promise<Status>
  /** The same for one service. */
  untilService(name: string, what: string, holds: (service: ServiceStatus) => boolean): Promise<ServiceStatus>
  ask(path: string, body: Readonly<Record<string, unknown>>): Promise<unknown>
  /** The journal's events, oldest first (the newest 10,000); a text is the name of a service. */
  events(query?: string | { readonly service?: string; readonly since?: string }): Promise<JournalEvent[]>
  /** The pid in run/supervisor.lock; throws if there is none. */
  supervisorPid(): number
  /** The pid of the keeper above the running supervisor. */
  keeperPid(): number
  /** Every process of this home but the caller's own commands: supervisor, keeper, services and what they started. */
  processes(): Seen[]
  /** The processes of one service: by the tag in its command line or environment. */
  processesOf(service: string): Seen[]
  /** kill -9 of keeper and supervisor; the services live on. */
  killSupervision(): Promise<void>
  /** Ends everything by pid and removes the home. */
  end(): Promise<void>
}

/** Kinds of events about incidents, repairs and kept files: they come beside those of a service's life. */
export const ASIDE: ReadonlySet<string> = new Set([
  ...['alert', 'alert-ended', 'told', 'acknowledged', 'incident-closed', 'incident-reopened'],
  ...['repair', 'approval', 'config-kept'],
])

/** A command that runs a hostile program of test/fixtures with this Node or /bin/sh. */
export function fixture(name: string, ...args: string[]): string[] {
  const path = join(FIXTURES, name)
  return [name.endsWith('.mjs') ? process.execPath : '/bin/sh', path, ...args]
}

/** Waits until `holds` answers something truthy and resolves to it. */
export async function until<T>(
  what: string,
  holds: () => T | Promise<T>,
  limitMs = LIMIT_MS,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const found = await holds()
    if (found) return found as NonNullable<T>
    if (performance.now() > deadline) throw new Error(`not seen within ${limitMs / 1000} s: ${what}`)
    await wait(POLL_MS)
  }
}

/** True while a process with this pid exists and is no zombie. */
export function isAlive(pid: number): boolean {
  return list().some((seen) => seen.pid === pid)
}

/** Kills one process by its pid; one that is gone is what was wanted. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const LINE = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/

function list(): Seen[] {
  const text = execFileSync('ps', ['axeww', '-o', 'pid=,ppid=,pgid=,stat=,command='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  return text.split('\n').flatMap((line) => {
    const match = LINE.exec(line)
    if (!match || match[4]!.startsWith('Z')) return []
    const run = / PAIOS_RUN=(\S+)/.exec(match[5]!)?.[1] ?? null
    return [
      { pid: Number(match[1]), parent: Number(match[2]), group: Number(match[3]), run, text: match[5]! },
    ]
  })
}

/** Makes a home with a short path; nothing runs yet. */
export function createMesh(): TestMesh {
  const home = mkdtempSync('/tmp/pm-')
  const commands = new Set<number>()
  const tagOf = (service: string) => `${home}/${service}.tag`
  const mine = () =>
    list().filter((seen) => seen.text.includes(home) && seen.pid !== process.pid && !commands.has(seen.pid))
  const supervisorPid = () => readPid(join(home, 'run', 'supervisor.lock'))
  const status = () => call<Status>(home, 'GET', '/status')
  const mesh: TestMesh = {
    home,
    journal: join(home, 'state', 'journal.db'),
    write(services, more = {}) {
      const tagged = Object.entries(services).map(([name, { command, env, ...rest }]) => {
        const added = { ...(env as Record<string, string> | undefined), MESH_TAG: tagOf(name) }
        return [name, { command: [...command, tagOf(name)], env: added, ...rest }]
      })
      // JSON is YAML.
      const document = {
        version: 1,
        metrics: { enabled: false },
        ...more,
        services: Object.fromEntries(tagged),
      }
      writeFileSync(join(home, 'paios.yaml'), JSON.stringify(document, null, 2), { mode: 0o600 })
    },
    cli: (args, env = {}) => runCommand(home, args, env, commands),
    status,
    service: async (name) => serviceIn(await status(), name),
    async until(what, holds) {
      let last: Status | null = null
      const look = async () => {
        last = await status().catch(() => null)
        return last !== null && holds(last) ? last : null
      }
      return until(what, look).catch((error: Error) => {
        throw new Error(`${error.message}; last seen: ${JSON.stringify(last)}`)
      })
    },
    async untilService(name, what, holds) {
      const seen = await mesh.until(`${name}: ${what}`, (whole) => holds(serviceIn(whole, name)))
      return serviceIn(seen, name)
    },
    ask: (path, body) => call(home, 'POST', path, body),
    async events(query = {}) {
      const asked = typeof query === 'string' ? { service: query } : query
      const search = new URLSearchParams({ limit: '10000', ...asked })
      const { body } = await request(home, 'GET', `/events?${search}`)
      return body
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as JournalEvent)
    },
    supervisorPid,
    keeperPid() {
      const pid = supervisorPid()
      const supervisor = list().find((seen) => seen.pid === pid)
      if (!supervisor) throw new Error(`no supervisor with pid ${pid}`)
      return supervisor.parent
    },
    processes: mine,
    processesOf: (service) => mine().filter((seen) => seen.text.includes(tagOf(service))),
    async killSupervision() {
      const pids = [mesh.keeperPid(), supervisorPid()]
      for (const pid of pids) kill(pid)
      await until('keeper and supervisor are gone', () => !pids.some(isAlive))
    },
    async end() {
      if (existsSync(join(home, 'run')) && (await isListening(home))) await mesh.cli(['down'])
      for (let left = mine(); left.length > 0; left = mine()) {
        for (const { pid } of left) kill(pid)
        await wait(POLL_MS)
      }
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  return mesh
}

function serviceIn(status: Status, name: string): ServiceStatus {
  const found = status.services.find((service) => service.name === name)
  if (!found) throw new Error(`status has no service ${name}`)
  return found
}

function readPid(path: string): number {
  return (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid
}

function runCommand(
  home: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  commands: Set<number>,
): Promise<Ended> {
  return new Promise((settle) => {
    const child = execFile(
      process.execPath,
      [ENTRY, ...args],
      { env: { ...process.env, ...env, PAIOS_HOME: home }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        commands.delete(child.pid ?? 0)
        settle({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr })
      },
    )
    commands.add(child.pid ?? 0)
  })
}
