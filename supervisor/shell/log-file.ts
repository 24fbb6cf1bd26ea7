/**
 * A service's log file: opened for append, read at its end, watched for a line. Services write it themselves.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errnoOf } from '../errors.ts'

/** How much of the end of a log an exit signature sees. */
export const TAIL_BYTES = 65_536
/** How often a file is looked at while a stop step waits for a line. */
const LOOK_MS = 50
/** The most that one look reads: more than programs write between two looks, unless we stood still. */
const LOOK_BYTES = 16 * 1024 * 1024

/** `<home>/logs/<service>/current.log`. */
export function logPathOf(logs: string, service: string): string {
  return join(logs, service, 'current.log')
}

/**
 * Opens the log for append (0600) and says where this life's output begins. The caller closes the descriptor.
 */
export function openLog(logs: string, service: string): { fd: number; offset: number } {
  const fd = openForAppend(logPathOf(logs, service))
  return { fd, offset: fstatSync(fd).size }
}

function openForAppend(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    return openSync(path, 'a', 0o600)
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

/** What was written since `offset`, at most the last 64 KiB of it; all of a file that was truncated since. */
export function readTail(path: string, offset: number): string {
  const { size } = stateOf(path)
  const from = Math.max(offset > size ? 0 : offset, size - TAIL_BYTES)
  return size > from ? readRange(path, from, size - from).toString('utf8') : ''
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
