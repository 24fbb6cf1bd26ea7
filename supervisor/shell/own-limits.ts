/**
 * The supervisor's own health: it runs for weeks, so what grows in it must be seen long before it hurts. Exceeding a
 * limit is a standing warning and never an end: who supervises must not be the one that goes down.
 */
import { readdirSync } from 'node:fs'

/** A mesh of 500 services takes some 100 MiB and 1,100 descriptors; twice that is a leak. */
export const LIMITS = { residentBytes: 256 * 1024 ** 2, descriptors: 2_048, lagMs: 500 } as const

/** What was measured last; lag is the worst of the last minute, descriptors are null where they cannot be counted. */
export type OwnFigures = {
  readonly residentBytes: number
  readonly descriptors: number | null
  readonly lagMs: number
}

/** How long a late tick counts. */
const LAG_MS = 60_000
/** Descriptors are counted this often at most: it is a walk through a folder. */
const COUNT_MS = 30_000

export type OwnLimits = {
  /** One tick of the control loop; `lateMs` after it was due. */
  ticked(lateMs: number): void
  figures(): OwnFigures
  /** What is too much, in words. */
  problems(): string[]
}

/** Opens the watch; `now` is monotonic milliseconds. */
export function openOwnLimits(now: () => number = () => performance.now()): OwnLimits {
  let late: { readonly at: number; readonly ms: number }[] = []
  let counted: { readonly at: number; readonly descriptors: number | null } | null = null
  const figures = (): OwnFigures => {
    if (counted === null || now() - counted.at >= COUNT_MS)
      counted = { at: now(), descriptors: countDescriptors() }
    late = late.filter(({ at }) => at > now() - LAG_MS)
    return {
      residentBytes: process.memoryUsage.rss(),
      descriptors: counted.descriptors,
      lagMs: Math.max(0, ...late.map(({ ms }) => ms)),
    }
  }
  return {
    ticked(lateMs) {
      if (lateMs > LIMITS.lagMs / 10) late.push({ at: now(), ms: lateMs })
    },
    figures,
    problems: () => exceeded(figures()),
  }
}

/** The limits that these figures exceed, in words. */
export function exceeded({ residentBytes, descriptors, lagMs }: OwnFigures): string[] {
  const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`
  const words: string[] = []
  if (residentBytes > LIMITS.residentBytes)
    words.push(`it holds ${mib(residentBytes)} of memory, more than ${mib(LIMITS.residentBytes)}`)
  if (descriptors !== null && descriptors > LIMITS.descriptors)
    words.push(`it has ${descriptors} open descriptors, more than ${LIMITS.descriptors}`)
  if (lagMs > LIMITS.lagMs) words.push(`it was late by ${Math.round(lagMs)} ms in the last minute`)
  return words.map((word) => `the supervisor itself: ${word}   kill -TERM hands over to a new one`)
}

function countDescriptors(): number | null {
  try {
    return readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length
  } catch {
    return null
  }
}
