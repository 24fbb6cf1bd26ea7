/**
 * Programs that probes run. They carry a marker of their home, so that a new supervisor finds and ends those
 * that the last one's death has left without a deadline. Only the holder of the home's lock may look. The only
 * file that imports execa.
 */
import { createHash } from 'node:crypto'
import type { Conversation, RunOptions, RunResult } from '../../probes/probe.ts'
import { type ConversationOptions, startConversation } from './conversation.ts'
import { openDescendants } from './descendants.ts'
import { MARKER, type ProcessTable } from './process-table.ts'

/** The marker's value names the home without showing its path. */
const runOf = (logs: string) => `probe-${createHash('sha256').update(logs).digest('hex').slice(0, 16)}`

/** Where a program of a probe runs, and with what; the marker is added. */
export type ProgramPlace = { readonly env: Readonly<Record<string, string>>; readonly cwd: string }

export type ProbePrograms = {
  /** Runs a program to its end, and ends what it left. */
  run(argv: readonly string[], options: RunOptions & ProgramPlace): Promise<RunResult>
  /** Starts a program to talk to; its `close` also ends what it left. */
  converse(argv: readonly string[], options: ConversationOptions): Promise<Conversation>
}

/**
 * Programs of probes over one process table; `logs` is the home's folder of logs. Each carries a marker of its own,
 * so that whatever it starts is found and ended, also what leaves its group.
 */
export function openProbePrograms(table: ProcessTable, logs: string): ProbePrograms {
  const descendants = openDescendants(
    table,
    () => new Set(),
    () => '',
  )
  let count = 0
  const nextRun = () => `${runOf(logs)}-${process.pid}-${++count}`
  const sweep = async (pid: number, start: string, run: string) => {
    const identity = { boot: table.boot, pid, start }
    const owner = { identity, run, startedAt: 0, startedWall: 0, logOffset: 0, adopted: false }
    await descendants.sweep(run, owner, true)
  }
  return {
    async run(argv, options) {
      const run = nextRun()
      let seen: { pid: number; start: string } | null = null
      const started = (pid: number) => {
        seen = { pid, start: table.entry(pid)?.start ?? '' }
      }
      try {
        return await runProbeProgram(argv, { ...options, env: { ...options.env, [MARKER]: run } }, started)
      } finally {
        const { pid, start } = seen ?? { pid: null, start: '' }
        if (pid !== null) await sweep(pid, start, run)
      }
    },
    async converse(argv, options) {
      const run = nextRun()
      const conversation = await startConversation(argv, {
        ...options,
        env: { ...options.env, [MARKER]: run },
      })
      const { pid } = conversation
      const start = table.entry(pid)?.start ?? ''
      return {
        ...conversation,
        async close() {
          await conversation.close()
          await sweep(pid, start, run)
        },
      }
    },
  }
}

/** SIGKILL to every program that a probe of an earlier supervisor of this home has left. */
export function endProbePrograms(table: ProcessTable, logs: string): void {
  const run = runOf(logs)
  for (const { pid, zombie } of table.list()) {
    if (zombie || pid === process.pid) continue
    const marker = table.marker(pid)
    if (marker.kind !== 'run' || !marker.run.startsWith(run)) continue
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
async function runProbeProgram(
  argv: readonly string[],
  options: RunOptions & ProgramPlace,
  started: (pid: number) => void,
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
  if (pid !== undefined) started(pid)
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
  const result = await subprocess.finally(() => options.signal.removeEventListener('abort', kill))
  if (result.exitCode === undefined && result.signal === undefined) {
    throw result.cause instanceof Error ? result.cause : new Error(`${program} could not be run`)
  }
  return {
    code: result.exitCode ?? null,
    signal: result.signal ?? null,
    stdout: String(result.stdout ?? ''),
    stderr: String(result.stderr ?? ''),
  }
}
