/** Proof of identity: nothing is signalled that is not proven to be ours. */
import type { IdentityVerdict } from '../core/event.ts'
import type { Identity } from '../core/state.ts'
import type { Entry, ProcessTable } from './process-table.ts'

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

/**
 * What became of an intent without a pid: a service leads its own group, so it is the oldest group leader
 * with this run's marker. A wrapper that has dropped the marker is known by the log file, which nobody else
 * has opened.
 */
export function findRun(table: ProcessTable, run: string, logPath: string): IdentityVerdict {
  const identityOf = ({ pid, start }: Entry) => ({ boot: table.boot, pid, start })
  try {
    const list = table.list().filter((entry) => !entry.zombie)
    const isMarked = ({ pid }: Entry) => {
      const marker = table.marker(pid)
      return marker.kind === 'run' && marker.run === run
    }
    const marked = list.filter(isMarked).sort((a, b) => Number(a.start) - Number(b.start) || a.pid - b.pid)
    const leader =
      marked.find((entry) => entry.group === entry.pid) ??
      list.find(
        ({ pid, group }) =>
          pid === group && table.marker(pid).kind === 'none' && table.writesTo(pid, logPath) === true,
      )
    if (leader) return { kind: 'same', identity: identityOf(leader), startedWall: Date.now() }
    const [orphan] = marked
    return orphan ? { kind: 'orphaned', identity: identityOf(orphan) } : { kind: 'dead' }
  } catch (error) {
    return { kind: 'unknown', reason: `the process table cannot be read (${(error as Error).message})` }
  }
}
