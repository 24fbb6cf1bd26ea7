/**
 * Programs that probes run. They carry a marker of their home, so that a new supervisor finds and ends those
 * that the last one's death has left without a deadline. Only the holder of the home's lock may look.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Conversation, RunOptions, RunResult } from '../../probes/probe.ts'
import { type ConversationOptions, startConversation } from './conversation.ts'
import { openDescendants } from './descendants.ts'
import { signalGroup, startLeader } from './group-leader.ts'
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

/** Most that is kept of each output of a probe's program. */
const OUTPUT_MAX = 4 * 1024 * 1024
/** What a program has left holds its outputs open for no longer than this. */
const DRAIN_MS = 500

/** Runs a probe's program in a group of its own; when the signal aborts, the whole group is killed. */
async function runProbeProgram(
  argv: readonly string[],
  { signal, stdin, ...place }: RunOptions & ProgramPlace,
  started: (pid: number) => void,
): Promise<RunResult> {
  signal.throwIfAborted()
  const child = await startLeader(argv, place)
  if (child.pid !== undefined) started(child.pid)
  const kill = () => signalGroup(child, 'SIGKILL')
  if (signal.aborted) kill()
  signal.addEventListener('abort', kill, { once: true })
  const [stdout, stderr] = [keepStart(child.stdout), keepStart(child.stderr)]
  child.stdin.end(stdin ?? '')
  const closed = once(child, 'close')
  const [code, name] = (await once(child, 'exit')) as [number | null, string | null]
  signal.removeEventListener('abort', kill)
  const held = setTimeout(() => {
    for (const stream of [child.stdout, child.stderr]) stream.destroy()
  }, DRAIN_MS)
  await closed
  clearTimeout(held)
  return { code, signal: name, stdout: stdout(), stderr: stderr() }
}

/** Drains a stream and keeps its beginning. */
function keepStart(stream: Readable): () => string {
  const parts: Buffer[] = []
  let length = 0
  stream.on('data', (part: Buffer) => {
    if (length < OUTPUT_MAX) parts.push(part.subarray(0, OUTPUT_MAX - length))
    length += part.length
  })
  return () => Buffer.concat(parts).toString('utf8')
}
