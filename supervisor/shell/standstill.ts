/**
 * A service's whole proven tree at a standstill for an instant, so that nothing is written meanwhile. The intent
 * is in the journal before the first SIGSTOP; whatever happens in between, SIGCONT follows: at once, or, if the
 * supervisor itself was killed, from the next one (`mend`), to processes that are proven to be those that were
 * stopped. All of it is one turn of the event loop, so no probe is judged and no timer fires in it.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { Process } from '../core/state.ts'
import { errnoOf } from '../errors.ts'
import type { Journal } from './journal.ts'
import type { Entry, ProcessTable } from './process-table.ts'

/**
 * A tree that does not stand still by then goes on, and is tried later: a process in uninterruptible sleep, or
 * threads that a busy machine gives no time to stop in.
 */
const PATIENCE_MS = process.platform === 'linux' ? 50 : 500
/** Processes that were started while the others were being stopped are looked for so many times. */
const ROUNDS = 10
/** Between two looks at a process that is about to stop. */
const LOOK_MS = 0.05

/** The proven members of a life's tree, and whose life it is. */
export type Tree = { readonly process: Process; readonly members: readonly Entry[] }

/** What the journal keeps while a tree may be stopped. `still`: members that somebody else had stopped before. */
export type Intent = {
  readonly process: Process
  readonly stops: readonly { readonly pid: number; readonly start: string }[]
  readonly still: readonly number[]
}

/** How a standstill went: how long the tree was stopped (milliseconds), or why there was none. */
export type Held =
  | { readonly kind: 'held'; readonly pauseMs: number; readonly processes: number }
  | { readonly kind: 'not-held'; readonly why: string }

export type StandstillOptions = {
  readonly table: ProcessTable
  readonly journal: Pick<Journal, 'keepIntent' | 'intents'>
  /** Sends one signal to one process; throws like `process.kill`. */
  readonly kill: (pid: number, signal: NodeJS.Signals) => void
}

/** Opens it over one process table and one journal. */
export function openStandstill({ table, journal, kill }: StandstillOptions) {
  const isSame = ({ pid, start }: Pick<Entry, 'pid' | 'start'>) => {
    const entry = table.entry(pid)
    return entry !== null && !entry.zombie && entry.start === start
  }
  const send = (entry: Entry, signal: 'SIGSTOP' | 'SIGCONT'): 'sent' | 'gone' | 'refused' => {
    if (!isSame(entry)) return 'gone'
    try {
      kill(entry.pid, signal)
      return 'sent'
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === null) throw error
      return errno === 'ESRCH' ? 'gone' : 'refused'
    }
  }
  /** Children first: a parent that asks for stopped children when it goes on shall find none. Says how many. */
  const resume = (held: readonly Entry[]): number =>
    held.toReversed().filter((entry) => send(entry, 'SIGCONT') === 'sent').length

  /** Stops what has been started since `seen` by one of the held, until there is nothing new. */
  function stopNewcomers(held: Entry[], seen: Set<number>, run: string): boolean {
    for (let round = 0; round < ROUNDS; round++) {
      if (!standStill(held)) return false
      const fresh = allPids(table).filter((pid) => !seen.has(pid))
      for (const pid of fresh) seen.add(pid)
      const ours = fresh
        .map((pid) => table.entry(pid))
        .filter(
          (entry): entry is Entry => entry !== null && !entry.zombie && belongs(table, entry, held, run),
        )
      if (ours.length === 0) return true
      held.push(...ours)
      if (ours.some((entry) => send(entry, 'SIGSTOP') === 'refused')) return false
    }
    return false
  }

  return {
    /**
     * Does `work` while the tree stands still. What it throws is thrown on, once the tree has gone on. `find` is
     * asked for the tree, null if it is not proven.
     */
    hold(service: string, find: () => Tree | null, work: () => void): Held {
      const seen = new Set(allPids(table))
      const tree = find()
      if (tree === null) return { kind: 'not-held', why: 'its process is not proven to be ours' }
      // Whoever lets them go on must not be among them: a supervisor that was started from one of its services.
      const others = tree.members.filter(({ pid }) => pid !== process.pid && pid !== process.ppid)
      const still = others.filter(({ pid }) => isStopped(pid)).map(({ pid }) => pid)
      const members = parentsFirst(others.filter(({ pid }) => !still.includes(pid)))
      const intent = {
        process: tree.process,
        stops: members.map(({ pid, start }) => ({ pid, start })),
        still,
      }
      if (!journal.keepIntent(service, intent))
        return { kind: 'not-held', why: 'the journal cannot be written' }
      const held: Entry[] = []
      const begun = performance.now()
      let pauseMs = 0
      try {
        for (const member of members) {
          if (send(member, 'SIGSTOP') === 'refused')
            return { kind: 'not-held', why: `pid ${member.pid} may not be stopped` }
          held.push(member)
        }
        if (!stopNewcomers(held, seen, tree.process.run))
          return { kind: 'not-held', why: `its processes did not stand still within ${PATIENCE_MS} ms` }
        work()
      } finally {
        resume(held)
        pauseMs = performance.now() - begun
        journal.keepIntent(service, null)
      }
      return { kind: 'held', pauseMs, processes: held.length }
    },
    /**
     * For a supervisor that starts: what the last one has left stopped goes on. `recall` finds the proven tree of a
     * recorded life, given what was stopped of it. `first` is called for each service before. Says of which
     * services how many processes went on.
     */
    mend(recall: (service: string, intent: Intent) => readonly Entry[], first: (service: string) => void) {
      const mended: { service: string; text: string }[] = []
      for (const [service, intent] of journal.intents()) {
        try {
          first(service)
        } finally {
          const members = parentsFirst(recall(service, intent))
          const count = resume(members.filter(({ pid }) => !intent.still.includes(pid) && isStopped(pid)))
          const text = `${count} of its processes go on, stopped by the last supervisor while it rotated the log`
          if (count > 0) mended.push({ service, text })
          journal.keepIntent(service, null)
        }
      }
      return mended
    },
  }
}

const allPids = (table: ProcessTable): number[] => table.pids() ?? table.list().map(({ pid }) => pid)

/** A process that was started a moment ago: by a member, in a member's group, or with the marker of the run. */
function belongs(table: ProcessTable, entry: Entry, held: readonly Entry[], run: string): boolean {
  if (held.some(({ pid, group }) => pid === entry.parent || (group === entry.group && group > 1))) return true
  const marker = table.marker(entry.pid)
  return marker.kind === 'run' && marker.run === run
}

/** In the order in which they were started by each other, as far as the parents are among them. */
function parentsFirst(entries: readonly Entry[]): Entry[] {
  const byPid = new Map(entries.map((entry) => [entry.pid, entry]))
  const depthOf = (entry: Entry) => {
    let depth = 0
    for (let up = byPid.get(entry.parent); up && depth < entries.length; up = byPid.get(up.parent)) depth++
    return depth
  }
  return entries.toSorted((a, b) => depthOf(a) - depthOf(b) || a.pid - b.pid)
}

const nap = new Int32Array(new SharedArrayBuffer(4))

/** Waits until every thread of every process has stopped or is gone; false if that takes too long. */
function standStill(entries: readonly Entry[]): boolean {
  const deadline = performance.now() + PATIENCE_MS
  for (const { pid } of entries) {
    while (!isStopped(pid)) {
      if (performance.now() > deadline) return false
      Atomics.wait(nap, 0, 0, LOOK_MS)
    }
  }
  return true
}

/** True once no thread of the process can write any more: stopped, traced, or ended. */
function isStopped(pid: number): boolean {
  return process.platform === 'linux' ? isStoppedLinux(pid) : isStoppedByPs(pid)
}

/** `ps` shows the state of the process and not of each thread. Not tried on macOS. */
function isStoppedByPs(pid: number): boolean {
  try {
    const args = ['-o', 'stat=', '-p', String(pid)]
    const text = execFileSync('/bin/ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return 'TZ'.includes(text.trim().charAt(0))
  } catch (error) {
    // ps says 1 and nothing else when there is no such process.
    if ((error as { status?: number }).status === 1) return true
    throw error
  }
}

const isGone = (error: unknown) => ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')

function isStoppedLinux(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => isThreadStopped(pid, thread))
  } catch (error) {
    if (isGone(error)) return true
    throw error
  }
}

function isThreadStopped(pid: number, thread: string): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')
    return 'TtZXx'.includes(text.charAt(text.lastIndexOf(')') + 2))
  } catch (error) {
    if (isGone(error)) return true
    throw error
  }
}
