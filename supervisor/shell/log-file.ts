/**
 * A service's log file: opened for append, read at its end, watched for a line. Services write it themselves.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** How much of the end of a log an exit signature sees. */
export const TAIL_BYTES = 65_536
/** How often a file is looked at while a stop step waits for a line. */
const LOOK_MS = 50

/** `<home>/logs/<service>/current.log`. */
export function logPathOf(logs: string, service: string): string {
  return join(logs, service, 'current.log')
}

const foldersMade = new Set<string>()

/**
 * Opens the log for append (0600) and says where this life's output begins. The caller closes the descriptor.
 */
export function openLog(logs: string, service: string): { fd: number; offset: number } {
  const path = logPathOf(logs, service)
  if (!foldersMade.has(path)) {
    mkdirSync(join(logs, service), { recursive: true, mode: 0o700 })
    foldersMade.add(path)
  }
  try {
    const fd = openSync(path, 'a', 0o600)
    return { fd, offset: fstatSync(fd).size }
  } catch (error) {
    foldersMade.delete(path)
    throw error
  }
}

/** Reads `[from, to)` of a file as text; empty if there is none. */
function readRange(path: string, from: number, length: number): string {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch {
    return ''
  }
  try {
    const buffer = Buffer.alloc(length)
    return buffer.subarray(0, readSync(fd, buffer, 0, length, from)).toString('utf8')
  } finally {
    closeSync(fd)
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

/** What was written since `offset`, at most the last 64 KiB of it. */
export function readTail(path: string, offset: number): string {
  const size = sizeOf(path)
  const from = Math.max(Math.min(offset, size), size - TAIL_BYTES)
  return size > from ? readRange(path, from, size - from) : ''
}

/** Calls `seen` once when a line that matches is written from now on. Returns the way to end the watch. */
export function watchForLine(path: string, pattern: string, seen: () => void): () => void {
  const expression = new RegExp(pattern, 'm')
  let from = sizeOf(path)
  let carry = ''
  const timer = setInterval(() => {
    const size = sizeOf(path)
    if (size < from) from = 0
    if (size === from) return
    const length = Math.min(size - from, TAIL_BYTES)
    carry = (carry + readRange(path, size - length, length)).slice(-2 * TAIL_BYTES)
    from = size
    if (!expression.test(carry)) return
    clearInterval(timer)
    seen()
  }, LOOK_MS)
  return () => clearInterval(timer)
}
