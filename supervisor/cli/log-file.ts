/**
 * Reading a service's log from its end or from an instant on, over its archives, and following it through rotation.
 * Works without a supervisor.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { errnoOf, fileError } from '../errors.ts'
import { pause } from './pause.ts'
import { leadingInstantMs } from './timestamps.ts'

const FIRST_WINDOW_BYTES = 64 * 1024
/** No more than this of a log's end is read into memory, however much was asked for. */
const MAX_WINDOW_BYTES = 64 * 1024 * 1024
const FOLLOW_POLL_MS = 200

/**
 * The end of a log: its lines, the position at which it ends (to follow it from there), how many bytes of that are
 * a last line that is not ended yet, and what `since` went by: the lines' own times, the index of the supervisor's
 * looks (exact to some seconds), or nothing.
 */
type LogEnd = {
  readonly lines: readonly string[]
  readonly end: number
  readonly openBytes: number
  readonly by: 'lines' | 'index' | 'nothing'
}

/** A part of the stream as text. */
type Part = Pick<LogEnd, 'lines' | 'end' | 'openBytes'>

/** Reading streams of logs is loaded by the one command that does it. */
const logStream = () => import('../../probes/log-stream.ts')

/**
 * The last `count` lines of a log; with `sinceMs` (epoch ms) of those only the ones from then on. A line without a
 * time belongs to the one before it; where most lines have none, the supervisor's index of sizes decides. Null if
 * there is no such log.
 */
export async function readLogEnd(
  path: string,
  count: number,
  sinceMs: number | null,
): Promise<LogEnd | null> {
  const { readLayout } = await logStream()
  const layout = await named(path, () => readLayout(path))
  if (layout.archives.length === 0 && layout.base === 0 && !(await isThere(path))) return null
  const oldest = layout.archives[0]?.start ?? layout.base
  const size = layout.base + layout.currentBytes - oldest
  const from = sinceMs === null ? null : await indexedStart(path, layout.archives, oldest, sinceMs)
  if (from !== null) {
    const first = Math.max(oldest, from, oldest + size - MAX_WINDOW_BYTES)
    return since(await readLines(path, oldest, first), sinceMs, count, 'index')
  }
  for (let window = FIRST_WINDOW_BYTES; ; window *= 4) {
    const first = oldest + Math.max(0, size - Math.min(window, MAX_WINDOW_BYTES))
    const part = await readLines(path, oldest, first)
    const isWhole = first === oldest || window >= MAX_WINDOW_BYTES
    if (isWhole || isEnough(part.lines, count, sinceMs)) return since(part, sinceMs, count, 'nothing')
  }
}

async function isThere(path: string): Promise<boolean> {
  const file = await openLog(path)
  await file?.close()
  return file !== null
}

/** Where the index says that an instant is; null if it does not reach back to it. */
async function indexedStart(
  path: string,
  archives: readonly { readonly wall: number; readonly end: number }[],
  oldest: number,
  sinceMs: number,
): Promise<number | null> {
  const { positionAt, readMarks } = await import('../shell/log-index.ts')
  // Names tell whole seconds, rounded down.
  const ends = archives.map(({ wall, end }) => ({ wall: wall + 1000, position: end }))
  return positionAt([...readMarks(path), ...ends], sinceMs, oldest)
}

function isEnough(lines: readonly string[], count: number, sinceMs: number | null): boolean {
  if (lines.length >= count) return true
  if (sinceMs === null) return false
  return lines.some((line) => (leadingInstantMs(line) ?? Infinity) < sinceMs)
}

/** `otherwise`: what the part was chosen by, if not by the times in its lines. */
function since(
  { lines, end, openBytes }: Part,
  sinceMs: number | null,
  count: number,
  otherwise: 'index' | 'nothing',
): LogEnd {
  const result = (chosen: readonly string[], by: LogEnd['by']): LogEnd => ({
    lines: count === 0 ? [] : chosen.slice(-count),
    end,
    openBytes,
    by,
  })
  if (sinceMs === null) return result(lines, 'lines')
  const instants = lines.map(leadingInstantMs)
  const dated = instants.filter((instant) => instant !== null).length
  // A few lines with times among many without say nothing of those, if there is something that does.
  const isDated = otherwise === 'index' ? dated * 2 >= lines.length : dated > 0
  if (!isDated) return result(lines, lines.length === 0 ? 'lines' : otherwise)
  const first = instants.findIndex((instant) => instant !== null && instant >= sinceMs)
  return result(first < 0 ? [] : lines.slice(first), 'lines')
}

/** Whole lines from the one that holds a position on, as far as it begins no more than 4 KiB before. */
async function readLines(path: string, oldest: number, position: number): Promise<Part> {
  const { streamLog } = await logStream()
  const begin = Math.max(oldest, position - 4096)
  const parts: Buffer[] = []
  let end = begin
  await named(path, async () => {
    for await (const piece of streamLog(path, begin)) {
      parts.push(piece.bytes)
      end = piece.position + piece.bytes.length
    }
  })
  const bytes = Buffer.concat(parts)
  const cut = begin === position ? -1 : bytes.lastIndexOf(10, position - begin - 1)
  const isCut = cut < 0 && begin > oldest
  const lines = bytes.toString('utf8', isCut ? bytes.indexOf(10) + 1 : cut + 1).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return { lines, end, openBytes: bytes.length - bytes.lastIndexOf(10) - 1 }
}

/**
 * Hands on what is written to the log from a position on, until `signal` aborts, without gap or duplicate through
 * rotations. A file that somebody has cut short is read from its beginning; one that was replaced is read to its
 * end first, then the new one from its beginning.
 */
export async function followLog(
  path: string,
  from: number,
  onBytes: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const { readLayout, streamLog } = await logStream()
  let position = from
  let file = await openLog(path)
  try {
    while (!signal.aborted) {
      const current = await openLog(path)
      if (file !== null && (current === null || !(await isSame(file, current)))) {
        const { base } = await readLayout(path)
        position = base + (await drain(file, position - base, onBytes))
        if (current !== null) position = base
      }
      if (current !== null) {
        await file?.close()
        file = current
        await named(path, async () => {
          for await (const piece of streamLog(path, position)) {
            onBytes(piece.bytes)
            position = piece.position + piece.bytes.length
          }
        })
      }
      await pause(FOLLOW_POLL_MS, signal)
    }
  } finally {
    await file?.close()
  }
}

/** What was written to a file that is not at its path any more; returns where it ends. */
async function drain(file: FileHandle, from: number, onBytes: (bytes: Uint8Array) => void): Promise<number> {
  const buffer = Buffer.allocUnsafe(FIRST_WINDOW_BYTES)
  for (let position = Math.max(0, from); ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) return position
    onBytes(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
}

async function isSame(a: FileHandle, b: FileHandle): Promise<boolean> {
  const [left, right] = await Promise.all([a.stat(), b.stat()])
  return left.ino === right.ino && left.dev === right.dev
}

/** Errors of reading, in words. */
async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (errnoOf(cause) === null) throw cause
    throw fileError(`read ${path}`, cause)
  }
}

async function openLog(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return null
    throw fileError(`read ${path}`, cause)
  }
}
