/**
 * The account of observed time: every tick adds to the hour that it is in, by service, and for the whole mesh how
 * long it was watched and asleep. Kept in memory and written once a minute, so that a crash costs a minute at most.
 */
import { accountOf } from '../core/observed.ts'
import type { Mesh } from '../core/state.ts'

/** Between two writes. */
const FLUSH_MS = 60_000
/** Until the first one, so that a report of a new mesh says something. */
const FIRST_MS = 5_000
const HOUR_MS = 3_600_000
/** No service can have this name. */
export const WHOLE_MESH = 'paios'

/** Seconds of one hour by subject. For the whole mesh `good` is time watched and `excluded` time asleep. */
export type ObservedRow = {
  /** Whole hours since the epoch. */
  readonly hour: number
  readonly subject: string
  readonly good: number
  readonly bad: number
  readonly excluded: number
}

export type ObservedOptions = {
  readonly mesh: Mesh
  readonly awake: () => number
  /** Adds rows to what is recorded; false if that cannot be now. */
  readonly write: (rows: readonly ObservedRow[]) => boolean
}

/** Opens an account that begins now. */
export function openObserved({ mesh, awake, write }: ObservedOptions) {
  let rows = new Map<string, ObservedRow>()
  let last = awake()
  let flushed = last - FLUSH_MS + FIRST_MS
  const add = (subject: string, account: 'good' | 'bad' | 'excluded', ms: number, hour: number) => {
    const key = `${hour} ${subject}`
    const row = rows.get(key) ?? { hour, subject, good: 0, bad: 0, excluded: 0 }
    rows.set(key, { ...row, [account]: row[account] + ms / 1000 })
  }
  const flush = () => {
    if (rows.size > 0 && write([...rows.values()])) rows = new Map()
  }
  return {
    /** A tick of the loop; `wall` is Unix milliseconds. */
    tick(wall: number): void {
      const at = awake()
      const ms = at - last
      last = at
      const hour = Math.floor(wall / HOUR_MS)
      add(WHOLE_MESH, 'good', ms, hour)
      for (const child of mesh.children.values()) add(child.name, accountOf(child, mesh), ms, hour)
      if (at - flushed < FLUSH_MS) return
      flushed = at
      flush()
    },
    /** The host slept, or this process was held, for so many milliseconds. */
    slept(gapMs: number, wall: number): void {
      add(WHOLE_MESH, 'excluded', gapMs, Math.floor(wall / HOUR_MS))
    },
    flush,
  }
}
