/**
 * Programs that probes have started. They carry a marker of their home, so that a new supervisor finds and
 * ends those that the last one's death has left without a deadline. Only the holder of the home's lock may
 * look.
 */
import { createHash } from 'node:crypto'
import { MARKER, type ProcessTable } from './process-table.ts'

/** The marker's value names the home without showing its path. */
const runOf = (logs: string) => `probe-${createHash('sha256').update(logs).digest('hex').slice(0, 16)}`

/** The marker for programs of probes; `logs` is the home's folder of logs. */
export function probeMarker(logs: string): Record<string, string> {
  return { [MARKER]: runOf(logs) }
}

/** SIGKILL to every program that a probe of an earlier supervisor of this home has left. */
export function endProbePrograms(table: ProcessTable, logs: string): void {
  const run = runOf(logs)
  for (const { pid, zombie } of table.list()) {
    if (zombie || pid === process.pid) continue
    const marker = table.marker(pid)
    if (marker.kind !== 'run' || marker.run !== run) continue
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
