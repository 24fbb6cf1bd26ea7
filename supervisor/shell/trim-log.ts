/**
 * The logs that the supervisor's starters write, bounded: `keeper.log` here and in keeper.sh, `boot.log` in the
 * program that systemd or launchd starts.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'

/** Beyond this a log is cut. */
export const LOG_LIMIT_BYTES = 1024 * 1024
/** What is kept of it, from its end. */
export const LOG_KEPT_BYTES = 256 * 1024

/**
 * Cuts a log that has grown beyond the limit to its newest part, in place, so that whoever appends to it goes on. To be
 * called while nobody writes. A log that is not there, or cannot be cut, is left as it is: it is for people only.
 */
export function trimLog(path: string): void {
  try {
    const file = openSync(path, 'r+')
    try {
      const { size } = fstatSync(file)
      if (size <= LOG_LIMIT_BYTES) return
      const kept = Buffer.alloc(LOG_KEPT_BYTES)
      const length = readSync(file, kept, 0, LOG_KEPT_BYTES, size - LOG_KEPT_BYTES)
      ftruncateSync(file, 0)
      writeSync(file, kept, 0, length, 0)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (!(error instanceof Error && 'errno' in error)) throw error
  }
}
