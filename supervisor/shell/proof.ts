/** Proof of identity: nothing is signalled that is not proven to be ours. */
import type { IdentityVerdict } from '../core/event.ts'
import type { Identity } from '../core/state.ts'
import type { ProcessTable } from './process-table.ts'

/**
 * Is the recorded process still the one that was recorded? Boot, pid and start time decide; the marker may
 * contradict them. Without a marker (a wrapper may exec with a clean environment) the open log file is the
 * evidence; without either nobody can tell.
 */
export function identify(
  table: ProcessTable,
  run: string,
  identity: Identity,
  logPath: string,
): IdentityVerdict {
  if (identity.boot !== table.boot) return { kind: 'dead' }
  try {
    const entry = table.entry(identity.pid)
    if (!entry || entry.zombie) return { kind: 'dead' }
    if (entry.start !== identity.start) return { kind: 'foreign', pid: identity.pid }
    const marker = table.marker(identity.pid)
    if (marker.kind === 'run' && marker.run !== run) return { kind: 'foreign', pid: identity.pid }
    if (marker.kind === 'none' && table.writesTo(identity.pid, logPath) !== true) {
      return {
        kind: 'unknown',
        reason: `pid ${identity.pid} has the right start time but neither its marker nor its log file`,
      }
    }
    return { kind: 'same', identity, startedWall: Date.now() }
  } catch (error) {
    return { kind: 'unknown', reason: `the process table cannot be read (${(error as Error).message})` }
  }
}

/** The process that carries this run's marker and has no parent with it: what an intent without a pid became. */
export function findRun(table: ProcessTable, run: string): IdentityVerdict {
  try {
    const marked = table.list().filter((entry) => {
      if (entry.zombie) return false
      const marker = table.marker(entry.pid)
      return marker.kind === 'run' && marker.run === run
    })
    const pids = new Set(marked.map((entry) => entry.pid))
    const leader =
      marked.find((entry) => entry.group === entry.pid && !pids.has(entry.parent)) ??
      marked.find((entry) => !pids.has(entry.parent))
    if (!leader) return { kind: 'dead' }
    return {
      kind: 'same',
      identity: { boot: table.boot, pid: leader.pid, start: leader.start },
      startedWall: Date.now(),
    }
  } catch (error) {
    return { kind: 'unknown', reason: `the process table cannot be read (${(error as Error).message})` }
  }
}
