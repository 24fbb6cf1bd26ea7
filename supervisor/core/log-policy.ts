/**
 * When a log file is rotated, how, and which archives are given up. Sizes are bytes, times Unix milliseconds:
 * the age of a file is a matter of dates, not of time awake.
 */
import type { ChildState } from './state.ts'

/** How one service's log is kept, as the document says it. */
export type LogSettings = {
  /** The file is rotated once it is this large. */
  readonly size: number
  /** It is rotated once its first line is this old (milliseconds). */
  readonly age: number
  /** So many archives are kept. */
  readonly keep: number
  /** `stop` loses nothing and halts the processes for an instant; `copytruncate` never halts them. */
  readonly rotate: 'stop' | 'copytruncate'
}

/** How all logs of a home are kept; `total` bounds them together, archives of removed services included. */
export type LogsPolicy = {
  readonly defaults: LogSettings
  readonly services: Readonly<Record<string, LogSettings>>
  readonly total: number
}

/**
 * 10 MiB: copied in some 5 ms, weeks of a quiet service, and with five archives about 25 MiB on the disk where
 * text shrinks to a tenth (70 MiB where it does not). A week: with five archives more than a month of a service
 * that writes little. 1 GiB: nothing on a disk of today, and the worst case of 14 services.
 */
export const LOG_DEFAULTS: LogsPolicy = {
  defaults: { size: 10 * 1024 ** 2, age: 7 * 86_400_000, keep: 5, rotate: 'stop' },
  services: {},
  total: 1024 ** 3,
}

/** So many failures in a row are a trouble to tell of; from then on a rotation is tried this much later. */
export const TROUBLE_FAILURES = 3
const RETRY_MS = 60_000

/** What is known of a log file; `failures`: of its rotation in a row, the last of them at `failedAt`. */
export type LogLook = {
  readonly sizeBytes: number
  readonly begunWall: number
  readonly failures: number
  readonly failedAt: number
}

/** True if the file is to be rotated now. An empty one never is. */
export function isDue(settings: LogSettings, look: LogLook, wall: number): boolean {
  if (look.sizeBytes === 0) return false
  // A clock that was set back must not put it off for ever.
  if (look.failures >= TROUBLE_FAILURES && Math.abs(wall - look.failedAt) < RETRY_MS) return false
  return look.sizeBytes >= settings.size || wall - look.begunWall >= settings.age
}

/**
 * How a service's log may be rotated in a state: by stopping its processes (`stop`), as it is (`copy`), or not
 * now (`wait`): where a process may be that is not proven, or that is being stopped, which is soon over. What a
 * sweep has left over still may write, and is nobody's to stop.
 */
export function mannerOf(
  state: ChildState['kind'],
  hasLeftovers: boolean,
  rotate: LogSettings['rotate'],
): 'stop' | 'copy' | 'wait' {
  switch (state) {
    case 'starting':
    case 'running':
    case 'hung':
      return rotate === 'stop' ? 'stop' : 'copy'
    case 'spawning':
    case 'stopping':
    case 'sweeping':
    case 'adopting':
    case 'unknown':
      return 'wait'
    default:
      return hasLeftovers && rotate === 'stop' ? 'wait' : 'copy'
  }
}

/** An archive as far as its deletion is concerned; `bytes`: what it takes on the disk. */
export type Kept = { readonly end: number; readonly wall: number; readonly bytes: number }

/**
 * The archives of one service that are to go: all but the newest `keep`, and so many more that the rest takes at
 * most one more times the rotated size than that (each is somewhat larger, in a flood much). The newest one stays.
 */
export function surplus<A extends Kept>(archives: readonly A[], { keep, size }: LogSettings): A[] {
  const newestFirst = archives.toSorted((a, b) => b.end - a.end)
  let bytes = 0
  return newestFirst.filter((archive, index) => {
    bytes += archive.bytes
    return index > 0 && (index >= keep || bytes > (keep + 1) * size)
  })
}

/** The archives of all services that are to go, oldest first, for all log files to take at most `total`. */
export function overTotal<A extends Kept>(archives: readonly A[], otherBytes: number, total: number): A[] {
  let bytes = archives.reduce((sum, archive) => sum + archive.bytes, otherBytes)
  return archives
    .toSorted((a, b) => a.wall - b.wall || a.end - b.end)
    .filter((archive) => {
      if (bytes <= total) return false
      bytes -= archive.bytes
      return true
    })
}

/**
 * What becomes of a complete copy that a crash has left while nobody knows whether the file was emptied yet:
 * `archive` if it was, `discard` if the file still begins with the same bytes.
 */
export function afterCrash(
  copyBytes: number,
  currentBytes: number,
  isSame: () => boolean,
): 'archive' | 'discard' {
  return currentBytes >= copyBytes && isSame() ? 'discard' : 'archive'
}
