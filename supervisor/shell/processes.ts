/**
 * Starts, signals and follows processes. A service is started with its outputs on the log file and in a session
 * of its own, so that it does not notice the supervisor's death. An adopted process is no child of ours: its end
 * is found by looking, and its exit code is unknown.
 */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { ChildEvent } from '../core/event.ts'
import type { Process } from '../core/state.ts'
import { openDescendants } from './descendants.ts'
import { declaredEnvironment, resolveProgram } from './environment.ts'
import { openLauncher } from './launch.ts'
import { logPathOf, openLog, readTail, watchForLine } from './log-file.ts'
import { openPipes, type Pipes } from './pipes.ts'
import { type Entry, MARKER, type ProcessTable } from './process-table.ts'
import { identify } from './proof.ts'
import { expandHome, MissingSecret, type Secrets } from './secrets.ts'
import { isPermanent, spawnReason } from './spawn-failure.ts'
import type { Intent, Tree } from './standstill.ts'

/** Once an adopted process was signalled its end is looked for this often. */
const ENDING_POLL_MS = 10
/**
 * Every so many looks its identity is compared, too; kill(pid, 0) alone takes a reused pid or a zombie for
 * it.
 */
const FULL_LOOK = 10

/** Names, to a service that beats, the file that it is to touch. */
const BEAT = 'PAIOS_HEARTBEAT'

/** A process that is watched: `pipes` for owned stdio, `asks` for the watch of a log line. */
type Live = {
  readonly process: Process
  readonly generation: number
  readonly pipes: Pipes | null
  isChild: boolean
  endWatch: (() => void) | null
  isEnding: boolean
}

export type Tell = (service: string, event: ChildEvent) => void
export type Processes = ReturnType<typeof openProcesses>

/** What process handling needs. `tell` puts facts into the mailbox. */
export type ProcessesOptions = {
  readonly table: ProcessTable
  readonly secrets: Secrets
  readonly logs: string
  /** The folder of heartbeat files. */
  readonly beats: string
  readonly tell: Tell
  /** True if what the service wrote last decides what its end means. */
  readonly needsTail: (service: string) => boolean
}

/** Opens process handling for one mesh. */
export function openProcesses({ table, secrets, logs, beats, tell, needsTail }: ProcessesOptions) {
  const live = new Map<string, Live>()
  const knownPids = new Set<number>()
  const launcher = openLauncher()
  const logOf = (service: string) => logPathOf(logs, service)
  const beatOf = (service: string) => join(beats, service)
  const descendants = openDescendants(table, () => knownPids, logOf)

  const ended = (service: string, entry: Live, code: number | null, signal: string | null) => {
    if (live.get(service) !== entry) return
    live.delete(service)
    knownPids.delete(entry.process.identity.pid)
    entry.endWatch?.()
    const tail = needsTail(service) ? readTail(logPathOf(logs, service), entry.process.logOffset) : ''
    tell(service, {
      kind: 'exited',
      generation: entry.generation,
      exit: { code, signal },
      logTail: secrets.redact(tail),
    })
  }

  function spawn(service: string, spec: ServiceSpec, generation: number, run: string): void {
    const failed = (reason: string, permanent: boolean) =>
      tell(service, { kind: 'spawn-failed', generation, reason: secrets.redact(reason), permanent })
    let fd: number | null = null
    try {
      const own: Record<string, string> = { [MARKER]: run }
      if (spec.probes.some(({ kind }) => kind === 'heartbeat')) own[BEAT] = beatOf(service)
      const env = declaredEnvironment(secrets.resolve(spec.env), own)
      const log = openLog(logs, service)
      fd = log.fd
      start(service, spec, generation, run, env, log, failed)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      const reason =
        code === 'ENOSPC' ? 'its log cannot be written: the disk is full' : (error as Error).message
      failed(reason, error instanceof MissingSecret)
    } finally {
      if (fd !== null) closeSync(fd)
    }
  }

  function start(
    service: string,
    spec: ServiceSpec,
    generation: number,
    run: string,
    env: Record<string, string>,
    log: { fd: number; offset: number },
    failed: (reason: string, permanent: boolean) => void,
  ): void {
    const [program = '', ...args] = (spec.command ?? []).map(expandHome)
    const found = resolveProgram(spec, env['PATH'] ?? '')
    const wanted = {
      command: [program, ...args] as const,
      path: found.kind === 'found' ? found.path : null,
      cwd: expandHome(spec.cwd ?? env['HOME'] ?? '/'),
      env,
      log: log.fd,
      stdio: spec.stdio,
    }
    let known: Live | null = null
    const exited = (code: number | null, signal: string | null) => {
      if (known === null) return
      known.isChild = false
      ended(service, known, code, signal)
    }
    const fail = (error: NodeJS.ErrnoException) => failed(spawnReason(program, error), isPermanent(error))
    const child = launcher.launch(wanted, exited, fail)
    if (child === null) return
    const { pid } = child
    const identity = { boot: table.boot, pid, start: table.entry(pid)?.start ?? '' }
    const process: Process = {
      identity,
      run,
      startedAt: 0,
      startedWall: Date.now(),
      logOffset: log.offset,
      adopted: false,
    }
    const pipes = child.pipes && openPipes(child.pipes.stdin, child.pipes.stdout, logPathOf(logs, service))
    known = { process, generation, pipes, isChild: true, endWatch: null, isEnding: false }
    live.set(service, known)
    knownPids.add(pid)
    tell(service, { kind: 'spawned', generation, identity, logOffset: log.offset })
  }

  /** True if the process is proven to be the recorded one at this very moment. */
  function isProven(service: string, process: Process): boolean {
    const entry = live.get(service)
    if (entry?.isChild && entry.process.identity.pid === process.identity.pid) return true
    return identify(table, process.run, process.identity, logPathOf(logs, service)).kind === 'same'
  }

  /** An adopted process that was told to end: nobody tells us when it does, so look closely. */
  function expectEnd(service: string): void {
    const entry = live.get(service)
    if (!entry?.process.adopted || entry.isEnding) return
    entry.isEnding = true
    const timer = setInterval(() => {
      if (live.get(service) === entry && isSame(table, entry.process)) return
      clearInterval(timer)
      ended(service, entry, null, null)
    }, ENDING_POLL_MS)
  }

  function signal(
    service: string,
    process: Process,
    name: NodeJS.Signals,
    to: 'process' | 'group' | 'tree',
  ): void {
    if (!isProven(service, process)) return
    expectEnd(service)
    const { pid } = process.identity
    if (to === 'tree') {
      descendants.signalTree(service, process, name)
      return
    }
    const ownsGroup = to === 'group' && table.entry(pid)?.group === pid
    try {
      globalThis.process.kill(ownsGroup ? -pid : pid, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  let looks = 0
  function lookAtAdopted(): void {
    looks++
    live.forEach((entry, service) => {
      if (entry.isChild || !entry.process.adopted) return
      if (isAlive(entry.process.identity.pid) && (looks % FULL_LOOK !== 0 || isSame(table, entry.process)))
        return
      ended(service, entry, null, null)
    })
  }

  return {
    spawn,
    signal,
    /** Follows a process that an earlier supervisor started. */
    adopt(service: string, generation: number, process: Process): void {
      live.set(service, { process, generation, pipes: null, isChild: false, endWatch: null, isEnding: false })
      knownPids.add(process.identity.pid)
    },
    closeStdin: (service: string) => live.get(service)?.pipes?.end(),
    beatOf,
    /** The exchange over owned pipes, null where there is none. */
    pipes: (service: string) => live.get(service)?.pipes ?? null,
    watchLog(service: string, generation: number, index: number, pattern: string): void {
      const entry = live.get(service)
      if (!entry || entry.generation !== generation) return
      entry.endWatch?.()
      const seen = () => tell(service, { kind: 'log-seen', generation, index })
      entry.endWatch = watchForLine(logPathOf(logs, service), pattern, seen)
    },
    sweep(service: string, generation: number, process: Process, hard: boolean): void {
      const sweeping = descendants.sweep(service, process, hard)
      const swept = (left: string[]) => tell(service, { kind: 'swept', generation, left })
      if (!sweeping) return swept([])
      sweeping.then(swept, (error: Error) => swept([`what could not be looked for: ${error.message}`]))
    },
    /** A life and its tree, each member proven at this very moment; null if its process is not. */
    proven(service: string): Tree | null {
      const process = live.get(service)?.process
      if (!process || !isProven(service, process)) return null
      return { process, members: descendants.members(service, process) }
    },
    /** The proven tree of a life that an earlier supervisor has recorded, given what it knew of it. */
    recall(service: string, { process, stops }: Intent): readonly Entry[] {
      descendants.recall(service, stops)
      // Its process may have ended meanwhile: its group alone proves nothing then.
      return descendants.members(service, { ...process, adopted: true })
    },
    tree: (service: string): number[] => {
      const entry = live.get(service)
      return entry ? descendants.tree(service, entry.process) : []
    },
    /** Looks whether adopted processes still live; to be called once a second. */
    look: lookAtAdopted,
    scan: () => descendants.scan(new Map([...live].map(([service, entry]) => [service, entry.process]))),
    remembered: (service: string) => descendants.remembered(service),
    forget: (service: string) => descendants.forget(service),
    close: launcher.close,
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function isSame(table: ProcessTable, { identity }: Process): boolean {
  const entry = table.entry(identity.pid)
  return entry !== null && !entry.zombie && entry.start === identity.start
}
