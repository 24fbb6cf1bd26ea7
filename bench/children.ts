/** The children of one supervisor as their log files show them. */
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { pause } from './processes.ts'

/** Nothing comes up later than this. */
const LIMIT_MS = 60_000

/** A life that has written its first line; `at` in milliseconds of performance-independent monotonic time. */
export type Life = { readonly pid: number; readonly at: number }

/** Monotonic milliseconds, of the clock that the child's first line names. */
export const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6

const FIRST_LINE = /up (\d+) (\d+)\n/

/** Size of a log in bytes, 0 if there is none. */
export const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** The first life that was written to a log after `offset`, null if there is none yet. */
function lifeAfter(path: string, offset: number): Life | null {
  if (sizeOf(path) <= offset) return null
  const fd = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(200)
    const text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, offset))
    const found = FIRST_LINE.exec(text)
    return found ? { pid: Number(found[1]), at: Number(found[2]) / 1e6 } : null
  } finally {
    closeSync(fd)
  }
}

/**
 * Waits until every log has a life after its offset; looks every `everyMs`, which does not blur the figures.
 */
export async function awaitLives(
  paths: readonly string[],
  offsets: ReadonlyMap<string, number>,
  everyMs: number,
): Promise<Life[]> {
  const found = new Map<string, Life>()
  const deadline = monotonicMs() + LIMIT_MS
  for (;;) {
    for (const path of paths) {
      if (found.has(path)) continue
      const life = lifeAfter(path, offsets.get(path) ?? 0)
      if (life) found.set(path, life)
    }
    if (found.size === paths.length) return paths.map((path) => found.get(path)!)
    if (monotonicMs() > deadline)
      throw new Error(`${paths.length - found.size} of ${paths.length} children did not start`)
    await pause(everyMs)
  }
}

/** Kills one child with SIGKILL and resolves to the milliseconds until the next one's first line. */
export async function killAndTime(path: string, pid: number): Promise<number> {
  const offsets = new Map([[path, sizeOf(path)]])
  const killedAt = monotonicMs()
  process.kill(pid, 'SIGKILL')
  const [next] = await awaitLives([path], offsets, 2)
  return next!.at - killedAt
}

/** Removes logs of children that have ended. */
export function removeLogs(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { force: true })
}
