/**
 * A service's log file: opened for append, read at its end, watched for a line. Services write it themselves.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Archive, readLayoutSync } from '../../probes/log-stream.ts'
import { errnoOf } from '../errors.ts'
import { openIndex } from './log-index.ts'

/** How much of the end of a log an exit signature sees. */
export const TAIL_BYTES = 65_536
/** A larger archive is not unpacked for a tail: it would take longer than a turn may. The newest one is plain. */
const UNPACK_BYTES = 1024 * 1024
/** How often a file is looked at while a stop step waits for a line. */
const LOOK_MS = 50
/** The most that one look reads: more than programs write between two looks, unless we stood still. */
const LOOK_BYTES = 16 * 1024 * 1024

/** `<home>/logs/<service>/current.log`. */
export function logPathOf(logs: string, service: string): string {
  return join(logs, service, 'current.log')
}

/**
 * Opens the log for append (0600) and says at which position of its stream this life's output begins. The caller
 * closes the descriptor.
 */
export function openLog(logs: string, service: string): { fd: number; offset: number } {
  const path = logPathOf(logs, service)
  const fd = openForAppend(path)
  return { fd, offset: readLayoutSync(path).base + fstatSync(fd).size }
}

function openForAppend(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const fd = openSync(path, 'a', 0o600)
    const index = openIndex(path, () => ({ from: 0, to: Number.POSITIVE_INFINITY }))
    index.add({ wall: Date.now(), position: 0 })
    return fd
  }
}

/** Reads `length` bytes from an offset; fewer at the end of the file, none if there is no file. */
function readRange(path: string, from: number, length: number): Buffer {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch {
    return Buffer.alloc(0)
  }
  try {
    const buffer = Buffer.alloc(length)
    return buffer.subarray(0, readSync(fd, buffer, 0, length, from))
  } finally {
    closeSync(fd)
  }
}

/** Size and inode of a file; zeros if it cannot be looked at. */
function stateOf(path: string): { size: number; ino: number } {
  try {
    return statSync(path)
  } catch {
    return { size: 0, ino: 0 }
  }
}

/**
 * What was written since a position, at most the last 64 KiB of it, also where the log was rotated in between; all
 * of a file that somebody has cut short since. It may be less where it would begin in a large compressed archive.
 */
export function readTail(path: string, offset: number): string {
  const { archives, base, currentBytes: size } = readLayoutSync(path)
  const end = base + size
  const from = Math.max(offset > end ? base : offset, end - TAIL_BYTES)
  const start = Math.max(0, from - base)
  const parts = [size > start ? readRange(path, start, size - start) : Buffer.alloc(0)]
  let reached = base
  for (const archive of archives.toReversed()) {
    if (reached <= from || archive.end !== reached) break
    const part = readArchive(join(dirname(path), archive.name), archive, from)
    if (part === null) break
    parts.unshift(part)
    reached = archive.start
  }
  return Buffer.concat(parts).toString('utf8')
}

/** An archive from a position on; null where it would have to be unpacked and is large, or is damaged. */
function readArchive(path: string, { start, end, form }: Archive, from: number): Buffer | null {
  const skip = Math.max(0, from - start)
  if (form !== 'log.gz') return readRange(path, skip, end - start - skip)
  if (end - start > UNPACK_BYTES) return null
  try {
    // Loaded by the few who need it.
    return process.getBuiltinModule('node:zlib').gunzipSync(readFileSync(path)).subarray(skip)
  } catch (error) {
    if (errnoOf(error) === null) throw error
    return null
  }
}

/** Calls `seen` once when a line that matches is written from now on. Returns the way to end the watch. */
export function watchForLine(path: string, pattern: string, seen: () => void): () => void {
  const expression = new RegExp(pattern, 'm')
  let { size: from, ino: file } = stateOf(path)
  // Bytes, since a write may end in the middle of a letter.
  let carry = Buffer.alloc(0)
  const timer = setInterval(() => {
    const { size, ino } = stateOf(path)
    if (size < from || ino !== file) from = 0
    file = ino
    from = Math.max(from, size - LOOK_BYTES)
    while (from < size) {
      const bytes = readRange(path, from, Math.min(size - from, TAIL_BYTES))
      if (bytes.length === 0) return
      from += bytes.length
      carry = Buffer.concat([carry.subarray(-TAIL_BYTES), bytes])
      if (!expression.test(carry.toString('utf8'))) continue
      clearInterval(timer)
      return seen()
    }
  }, LOOK_MS)
  return () => clearInterval(timer)
}
