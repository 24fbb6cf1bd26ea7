/**
 * Who holds a service's port, and the end of one that is proven to be the service's own earlier life. Proof is the
 * marker of a run that the journal knows as an earlier generation of this service, or, where the journal was lost, any
 * marker together with the service's own log file as its output; and never the marker of the present run.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { portHolders } from '../../probes/port-holders.ts'
import { logPathOf } from './log-file.ts'
import type { Entry } from './process-table.ts'
import type { Stage } from './repair-stage.ts'

/** After SIGTERM, and after SIGKILL. */
const GRACE_MS = 5_000
const KILL_MS = 3_000
const POLL_MS = 50

/** `own`: of the present life; `earlier`: proven to be of an earlier one; `stranger`: anything else. */
export type PortHolder =
  | { readonly kind: 'none' }
  | { readonly kind: 'hidden' }
  | { readonly kind: 'own' | 'stranger'; readonly pid: number; readonly program: string }
  | { readonly kind: 'earlier'; readonly pid: number; readonly program: string; readonly run: string }

/** Looks who listens on the port of a service. */
export async function findHolder(
  stage: Stage,
  service: string,
  port: number,
  signal: AbortSignal,
): Promise<PortHolder> {
  const tree = stage.tree(service)
  const { listening, pids } = await portHolders(port, undefined, tree, (argv) => stage.run(argv, { signal }))
  const [pid] = pids
  if (pid === undefined) return { kind: listening ? 'hidden' : 'none' }
  const entry = stage.table.entry(pid)
  if (entry === null) return { kind: 'none' }
  const { program } = entry
  if (tree.includes(pid)) return { kind: 'own', pid, program }
  const run = earlierRun(stage, service, pid)
  return run === null ? { kind: 'stranger', pid, program } : { kind: 'earlier', pid, program, run }
}

/** The run that the process belongs to if it is proven to be of an earlier life, null otherwise. */
function earlierRun(stage: Stage, service: string, pid: number): string | null {
  const marker = stage.table.marker(pid)
  if (marker.kind !== 'run' || marker.run === stage.currentRun(service)) return null
  const isKnown = stage.earlierRuns(service).has(marker.run)
  const isOurs = isKnown || stage.table.writesTo(pid, logPathOf(stage.home.logs, service)) === true
  return isOurs ? marker.run : null
}

/** Ends everything of that run: SIGTERM, 5 s, SIGKILL. Each is proven again before each signal. */
export async function endEarlier(stage: Stage, run: string, signal: AbortSignal): Promise<readonly Entry[]> {
  const ended = new Map<number, Entry>()
  for (const [name, limitMs] of [
    ['SIGTERM', GRACE_MS],
    ['SIGKILL', KILL_MS],
  ] as const) {
    for (const entry of ofRun(stage, run)) {
      ended.set(entry.pid, entry)
      send(entry.pid, name)
    }
    const deadline = performance.now() + limitMs
    while (ofRun(stage, run).length > 0 && performance.now() < deadline) {
      signal.throwIfAborted()
      await wait(POLL_MS)
    }
  }
  return [...ended.values()]
}

function ofRun({ table }: Stage, run: string): Entry[] {
  return table.list().filter(({ pid, zombie }) => {
    if (zombie || pid === process.pid) return false
    const marker = table.marker(pid)
    return marker.kind === 'run' && marker.run === run
  })
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
