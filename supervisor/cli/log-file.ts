/**
 * Reading a service's log file from its end, and following it through rotation. Works without a supervisor.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { errnoOf, fileError } from '../errors.ts'
import { pause } from './pause.ts'
import { leadingInstantMs } from './timestamps.ts'

const FIRST_WINDOW_BYTES = 64 * 1024
/** No more than this of a file's end is read into memory, however much was asked for. */
const MAX_WINDOW_BYTES = 64 * 1024 * 1024
const FOLLOW_POLL_MS = 200

/**
 * The end of a log: its lines, where it ends in bytes, and whether `since` could be judged by the lines' own
 * times.
 */
type LogEnd = { readonly lines: readonly string[]; readonly endBytes: number; readonly dated: boolean }

/**
 * The last `count` lines of a file; with `sinceMs` (epoch ms) of those only the ones from then on. A line
 * without a time belongs to the one before it. `dated` false: no line bears a time, and nothing was left out
 * for `sinceMs`. Null if there is no such file.
 */
export async function readLogEnd(
  path: string,
  count: number,
  sinceMs: number | null,
): Promise<LogEnd | null> {
  const file = await openLog(path)
  if (file === null) return null
  try {
    const { size } = await file.stat()
    for (let window = FIRST_WINDOW_BYTES; ; window *= 4) {
      const start = Math.max(0, size - Math.min(window, MAX_WINDOW_BYTES))
      const lines = splitLines(await readRange(file, start, size), start > 0)
      const whole = start === 0 || window >= MAX_WINDOW_BYTES
      if (!whole && !isEnough(lines, count, sinceMs)) continue
      const { chosen, dated } = chooseSince(lines, sinceMs)
      return { lines: count === 0 ? [] : chosen.slice(-count), endBytes: size, dated }
    }
  } finally {
    await file.close()
  }
}

function isEnough(lines: readonly string[], count: number, sinceMs: number | null): boolean {
  if (lines.length >= count) return true
  if (sinceMs === null) return false
  return lines.some((line) => (leadingInstantMs(line) ?? Infinity) < sinceMs)
}

function chooseSince(
  lines: readonly string[],
  sinceMs: number | null,
): { chosen: readonly string[]; dated: boolean } {
  if (sinceMs === null) return { chosen: lines, dated: true }
  const instants = lines.map(leadingInstantMs)
  const dated = instants.some((instant) => instant !== null)
  if (!dated) return { chosen: lines, dated }
  const first = instants.findIndex((instant) => instant !== null && instant >= sinceMs)
  return { chosen: first < 0 ? [] : lines.slice(first), dated }
}

/** Lines of a text; the first is left out where the text begins in its middle. */
function splitLines(text: string, isCut: boolean): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return isCut ? lines.slice(1) : lines
}

/**
 * Hands on what is written to the file from `fromBytes` on, until `signal` aborts. A file that was cut short
 * is read from its beginning; one that was replaced is read to its end first, then the new one from its
 * beginning.
 */
export async function followLog(
  path: string,
  fromBytes: number,
  onBytes: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  let file = await openLog(path)
  let position = fromBytes
  try {
    while (!signal.aborted) {
      if (file !== null) position = await drain(file, position, onBytes)
      const current = await openLog(path)
      if (current !== null && file !== null && (await isSame(file, current))) await current.close()
      else if (current !== null) {
        await file?.close()
        file = current
        position = 0
        continue
      }
      await pause(FOLLOW_POLL_MS, signal)
    }
  } finally {
    await file?.close()
  }
}

async function drain(file: FileHandle, from: number, onBytes: (bytes: Uint8Array) => void): Promise<number> {
  const { size } = await file.stat()
  let position = size < from ? 0 : from
  const buffer = Buffer.allocUnsafe(FIRST_WINDOW_BYTES)
  for (;;) {
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

async function readRange(file: FileHandle, start: number, end: number): Promise<string> {
  const buffer = Buffer.allocUnsafe(end - start)
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.toString('utf8', 0, filled)
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
