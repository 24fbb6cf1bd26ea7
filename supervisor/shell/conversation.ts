/**
 * A program that a probe talks to, line by line over its stdin and stdout. Its outputs are always drained, so
 * that it never stalls, and it is ended as MCP prescribes: stdin closed, then SIGTERM, then SIGKILL, the last
 * two to its whole group.
 */
import type { Readable } from 'node:stream'
import type { Conversation } from '../../probes/probe.ts'
import { signalGroup, startLeader } from './group-leader.ts'
import { splitLines } from './lines.ts'

/** How long each polite step of the end may take. */
const POLITE_MS = 2_000
/** This much of the end of stderr is kept. */
const STDERR_KEPT = 8_192

/** `env`: the whole environment; `signal` ends the program at once when it aborts. */
export type ConversationOptions = {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly signal: AbortSignal
}

/** Starts a program in a group of its own. Rejects with the system's error if that fails. */
export async function startConversation(
  argv: readonly string[],
  { signal, ...place }: ConversationOptions,
): Promise<Conversation> {
  signal.throwIfAborted()
  const child = await startLeader(argv, place)
  const ended = new Promise<Awaited<Conversation['ended']>>((resolve) => {
    child.once('exit', (code, name) => resolve({ code, signal: name }))
  })
  const takers = new Set<(line: string) => void>()
  splitLines(child.stdout, (line) => {
    for (const take of takers) take(line)
  })
  const stderr = keepEnd(child.stderr)
  const kill = () => signalGroup(child, 'SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  return {
    pid: child.pid ?? 0,
    ended,
    write: (line) => void (child.stdin.writable && child.stdin.write(`${line}\n`)),
    onLine: (take) => void takers.add(take),
    stderr,
    async close() {
      takers.clear()
      child.stdin.end()
      for (const name of ['SIGTERM', 'SIGKILL'] as const) {
        if (await endsWithin(ended, POLITE_MS)) break
        signalGroup(child, name)
      }
      await ended
      signal.removeEventListener('abort', kill)
      // A descendant may hold the other ends open.
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    },
  }
}

async function endsWithin(ended: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const isOver = await Promise.race([ended.then(() => true), late])
  clearTimeout(timer)
  return isOver
}

/** Drains a stream and keeps its end. */
function keepEnd(stream: Readable): () => string {
  let kept = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    kept = (kept + chunk).slice(-STDERR_KEPT)
  })
  return () => kept
}
