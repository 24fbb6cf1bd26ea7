/**
 * Programs that probes run. The only file that imports execa. They carry a marker of their home, so that a new supervisor finds and
 * ends those that the last one's death has left without a deadline. Only the holder of the home's lock may
 * look.
 */
import { createHash } from 'node:crypto'
import type { RunOptions, RunResult } from '../../probes/probe.ts'
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

/** execa hands over the whole environment and kills children at exit unless told otherwise. */
const QUIET = { extendEnv: false, cleanup: false, buffer: false, reject: false } as const
/** Most that is kept of each output of a probe's program. */
const OUTPUT_MAX = 4 * 1024 * 1024

/** Runs a probe's program in a group of its own; when the signal aborts, the whole group is killed. */
export async function runProbeProgram(
  argv: readonly string[],
  options: RunOptions & { cwd: string },
): Promise<RunResult> {
  const [program = '', ...args] = argv
  // Loaded with the first such program: it costs 4 MiB, and time before the first spawn.
  const { execa } = await import('execa')
  const subprocess = execa(program, args, {
    ...QUIET,
    buffer: true,
    maxBuffer: OUTPUT_MAX,
    stripFinalNewline: false,
    detached: true,
    cwd: options.cwd,
    env: { ...options.env },
    input: options.stdin ?? '',
  })
  const { pid } = subprocess
  const kill = () => {
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  if (options.signal.aborted) kill()
  options.signal.addEventListener('abort', kill, { once: true })
  const result = await subprocess.finally(() => {
    options.signal.removeEventListener('abort', kill)
    kill()
  })
  if (result.exitCode === undefined && result.signal === undefined) {
    throw new Error(
      `${program} could not be run: ${result.cause instanceof Error ? result.cause.message : 'unknown cause'}`,
    )
  }
  return {
    code: result.exitCode ?? null,
    signal: result.signal ?? null,
    stdout: String(result.stdout ?? ''),
    stderr: String(result.stderr ?? ''),
  }
}
