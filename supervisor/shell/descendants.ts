/**
 * What a service has started: its group, its children's children, and everything that carries its marker. One
 * scan every 10 s remembers pid and start time of each, so that a process that left its group and dropped its
 * marker still is known when its service ends.
 */
import type { Process } from '../core/state.ts'
import type { Entry, ProcessTable } from './process-table.ts'

/** One scan for all services this often. */
export const SCAN_MS = 10_000
/** Every so many scans everything is looked at again, since a number may have been given to another process. */
const SCANS_UNTIL_ALL = 6
/** Leftovers get SIGTERM, this long after it SIGKILL. */
const POLITE_MS = 2_000
/** A sweep ends at the latest after this. */
const SWEEP_MS = 6_000
/** A sweep looks again this often. */
const LOOK_MS = 50

/** Remembered descendants: start time by pid. */
type Remembered = Map<number, string>

export type Descendants = {
  /** Looks at the whole table once and remembers every service's tree. */
  scan(living: ReadonlyMap<string, Process>): void
  /** Pids of the service's tree now, its own process first; empty if it is gone. */
  tree(service: string, process: Process): number[]
  /** The proven tree with whatever is known of each member; empty if nothing of it lives. */
  members(service: string, process: Process): readonly Entry[]
  /** Remembers these as the tree of a service, as an earlier supervisor has recorded them. */
  recall(service: string, tree: readonly { readonly pid: number; readonly start: string }[]): void
  /** Signals the whole proven tree. */
  signalTree(service: string, process: Process, signal: NodeJS.Signals): void
  /**
   * Ends what a dead process left; resolves with those that would not end, named. `null`: nothing to do,
   * known at once.
   */
  sweep(service: string, process: Process, hard: boolean): Promise<string[]> | null
  /** Pids of the service's tree as of the last scan. */
  remembered(service: string): number[]
  forget(service: string): void
}

/**
 * Descendant tracking over one process table. `known`: pids of services that run, which no sweep has to look
 * at; `logOf`: the log file of a service, which nothing but its processes writes to.
 */
export function openDescendants(
  table: ProcessTable,
  known: () => ReadonlySet<number>,
  logOf: (service: string) => string,
): Descendants {
  const memory = new Map<string, Remembered>()
  const remember = (service: string, entries: readonly Entry[]) => {
    memory.set(service, new Map(entries.map((entry) => [entry.pid, entry.start])))
  }
  const orphanRuns = openOrphanRuns(table, known)
  const strangers = new Set<number>()
  let scans = 0
  /** The table without those that an earlier scan found to be nobody's: no service can become their ancestor. */
  const lookAround = (living: readonly Process[]): Entry[] => {
    const pids = scans++ % SCANS_UNTIL_ALL === 0 ? null : table.pids()
    if (pids === null) {
      strangers.clear()
      return table.list()
    }
    for (const { identity } of living) strangers.delete(identity.pid)
    const unknown = pids.filter((pid) => !strangers.has(pid)).map((pid) => table.entry(pid))
    return unknown.filter((entry) => entry !== null)
  }
  const members = (service: string, process: Process, list: readonly Entry[]) =>
    findMembers(table, process, memory.get(service), logOf(service), list)
  return {
    scan(living) {
      const list = lookAround([...living.values()])
      const index = indexOf(list)
      const members = new Set<Entry>()
      for (const [service, process] of living) {
        const found = byParent(process, index, memory.get(service))
        for (const entry of found) members.add(entry)
        remember(service, found)
      }
      for (const entry of list) if (!members.has(entry)) strangers.add(entry.pid)
    },
    tree(service, process) {
      const entry = table.entry(process.identity.pid)
      if (!entry || entry.start !== process.identity.start) return []
      const entries = members(service, process, table.list())
      return [
        process.identity.pid,
        ...entries.map((member) => member.pid).filter((pid) => pid !== process.identity.pid),
      ]
    },
    members: (service, process) => members(service, process, table.list()),
    recall: (service, tree) => void memory.set(service, new Map(tree.map(({ pid, start }) => [pid, start]))),
    signalTree(service, process, signal) {
      for (const entry of members(service, process, table.list())) sendSignal(entry.pid, signal)
    },
    sweep(service, process, hard) {
      if (isClean(table, process, memory.get(service), orphanRuns)) {
        memory.delete(service)
        return null
      }
      return sweepAll(() => members(service, process, table.list()), hard).finally(() =>
        memory.delete(service),
      )
    },
    remembered: (service) => [...(memory.get(service)?.keys() ?? [])],
    forget: (service) => void memory.delete(service),
  }
}

/** The table by pid and by parent, made once for all services of a scan. */
type Index = {
  readonly byPid: ReadonlyMap<number, Entry>
  readonly children: ReadonlyMap<number, readonly Entry[]>
}

function indexOf(list: readonly Entry[]): Index {
  const children = new Map<number, Entry[]>()
  for (const entry of list) {
    const siblings = children.get(entry.parent)
    if (siblings) siblings.push(entry)
    else children.set(entry.parent, [entry])
  }
  return { byPid: new Map(list.map((entry) => [entry.pid, entry])), children }
}

/**
 * The process, what is remembered of its tree and still lives, and the descendants of all of them by parent.
 */
function byParent(process: Process, { byPid, children }: Index, remembered?: Remembered): Entry[] {
  const found = new Set<Entry>()
  const add = (pid: number, start: string) => {
    const entry = byPid.get(pid)
    if (entry?.start === start) found.add(entry)
  }
  for (const [pid, start] of remembered ?? []) if (pid !== process.identity.pid) add(pid, start)
  add(process.identity.pid, process.identity.start)
  // A set goes on to what is added while it is walked.
  for (const entry of found) for (const child of children.get(entry.pid) ?? []) found.add(child)
  return [...found]
}

/**
 * Everything proven to belong to this run: by marker, by remembered pid and start time, by parent, and the
 * members of a group in which one member is proven.
 */
function findMembers(
  table: ProcessTable,
  owner: Process,
  remembered: Remembered | undefined,
  logPath: string,
  list: readonly Entry[],
): Entry[] {
  // Nothing survives a reboot: pids and start times of an earlier boot name strangers.
  if (owner.identity.boot !== table.boot) return []
  const proven = new Map<number, Entry>()
  const own = contradicts(table, owner) ? list.filter((entry) => entry.pid !== owner.identity.pid) : list
  for (const entry of byParent(owner, indexOf(own), remembered)) proven.set(entry.pid, entry)
  for (const entry of list) {
    if (entry.pid === process.pid || entry.pid <= 1) continue
    if (!proven.has(entry.pid)) {
      const marker = table.marker(entry.pid)
      if (marker.kind === 'run' && marker.run === owner.run) proven.set(entry.pid, entry)
    }
  }
  // A group id is not given out again while the group has members, so right after our own child's end its
  // group is ours. One that was only adopted may have ended long ago: there a member must vouch for the group,
  // proven or with the service's log as its output.
  const group = owner.identity.pid
  const isRenewed = list.some((entry) => entry.pid === group && entry.start !== owner.identity.start)
  const vouched =
    [...proven.values()].some((entry) => entry.group === group) ||
    list.some((entry) => entry.group === group && isUnmarkedWriter(table, entry.pid, logPath))
  if (vouched || (!owner.adopted && !isRenewed)) {
    for (const entry of list) if (entry.group === group) proven.set(entry.pid, entry)
  }
  return [...proven.values()].filter((entry) => !entry.zombie)
}

/** True if the process has no marker (a wrapper may have dropped it) and writes to this log. */
function isUnmarkedWriter(table: ProcessTable, pid: number, logPath: string): boolean {
  return table.marker(pid).kind === 'none' && table.writesTo(pid, logPath) === true
}

/** True if the process with the recorded pid carries the marker of another run. */
function contradicts(table: ProcessTable, { identity, run }: Process): boolean {
  const marker = table.marker(identity.pid)
  return marker.kind === 'run' && marker.run !== run
}

/**
 * Cheap and sufficient for the common case: the group is empty, nothing remembered lives, and no process that
 * was handed to one of our ancestors carries the marker (an orphan's top always is such a one).
 */
function isClean(
  table: ProcessTable,
  owner: Process,
  remembered: Remembered | undefined,
  orphanRuns: () => ReadonlySet<string> | null,
): boolean {
  if (groupExists(owner.identity.pid)) return false
  for (const [pid, start] of remembered ?? []) {
    if (pid === owner.identity.pid) continue
    const entry = table.entry(pid)
    if (entry && !entry.zombie && entry.start === start) return false
  }
  return orphanRuns()?.has(owner.run) === false
}

/** The runs whose markers orphans carry, looked up once for all ends of a turn; null where that is not cheap. */
function openOrphanRuns(
  table: ProcessTable,
  known: () => ReadonlySet<number>,
): () => ReadonlySet<string> | null {
  let seen: { readonly runs: ReadonlySet<string> | null } | null = null
  const look = () => {
    const orphans = table.orphans()
    if (orphans === null) return null
    const running = known()
    const markers = orphans.filter((pid) => !running.has(pid)).map((pid) => table.marker(pid))
    return new Set(markers.flatMap((marker) => (marker.kind === 'run' ? [marker.run] : [])))
  }
  return () => {
    if (seen === null) {
      seen = { runs: look() }
      // What ended before this turn can leave no more; the next end may.
      queueMicrotask(() => {
        seen = null
      })
    }
    return seen.runs
  }
}

function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Signals one proven process; a process that ended in between is what was wanted. */
function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code !== 'ESRCH' &&
      (error as NodeJS.ErrnoException).code !== 'EPERM'
    )
      throw error
  }
}

async function sweepAll(look: () => Entry[], hard: boolean): Promise<string[]> {
  const begun = performance.now()
  let left = look()
  const termed = new Set<string>()
  while (left.length > 0) {
    const passed = performance.now() - begun
    if (passed > SWEEP_MS) break
    const kill = hard || passed > POLITE_MS
    for (const entry of left) {
      const id = `${entry.pid} ${entry.start}`
      if (kill) sendSignal(entry.pid, 'SIGKILL')
      else if (!termed.has(id)) {
        termed.add(id)
        sendSignal(entry.pid, 'SIGTERM')
        sendSignal(entry.pid, 'SIGCONT')
      }
    }
    await new Promise((done) => setTimeout(done, LOOK_MS))
    left = look()
  }
  return left.map((entry) => `pid ${entry.pid} (${entry.program})`)
}
