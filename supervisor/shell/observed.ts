/**
 * The account of observed time: from change to change of each service, to the millisecond of the awake clock, added to
 * the hour that it is in; for the whole mesh how long it was watched and asleep. Kept in memory and written once a
 * minute, and soon after an outage, so that a crash costs a minute of what went well at most.
 */
import { accountOf, type Ledger, type Spent, turnOver } from '../core/observed.ts'
import type { Mesh } from '../core/state.ts'

/** Between two writes. */
const FLUSH_MS = 60_000
/** Until the first one, so that a report of a new mesh says something. */
const FIRST_MS = 5_000
/** An outage is written after this at the latest, so what has not changed is looked at this often. */
const OUTAGE_MS = 5_000
const HOUR_MS = 3_600_000
const hourOf = (wall: number) => Math.floor(wall / HOUR_MS)
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
  /** True in maintenance: what is down then is nobody's fault. */
  readonly isExcused: () => boolean
  /** Adds rows to what is recorded; false if that cannot be now. */
  readonly write: (rows: readonly ObservedRow[]) => boolean
}

/** Opens an account that begins now. */
export function openObserved({ mesh, awake, isExcused, write }: ObservedOptions) {
  const ledger: Ledger = new Map()
  let rows = new Map<string, ObservedRow>()
  let last = awake()
  let flushed = last - FLUSH_MS + FIRST_MS
  let wanted = mesh.wanted
  let hasOutage = false
  let lastWall = 0
  let settled = { at: Number.NEGATIVE_INFINITY, hour: 0, excused: false }
  const add = (subject: string, account: Spent['account'], ms: number, wall: number) => {
    const hour = hourOf(wall)
    const key = `${hour} ${subject}`
    const row = rows.get(key) ?? { hour, subject, good: 0, bad: 0, excluded: 0 }
    rows.set(key, { ...row, [account]: row[account] + ms / 1000 })
    if (account === 'bad') hasOutage = true
  }
  const flush = () => {
    settleAll(awake(), lastWall)
    if (rows.size === 0 || !write([...rows.values()])) return
    rows = new Map()
    hasOutage = false
  }
  const settle = (name: string, at: number, wall: number) => {
    const child = mesh.children.get(name)
    const account = child ? (isExcused() ? 'excluded' : accountOf(child, mesh)) : null
    const spent = turnOver(ledger, name, account, at)
    if (spent) add(name, spent.account, spent.ms, wall)
  }
  const settleAll = (at: number, wall: number) => {
    for (const name of new Set([...ledger.keys(), ...mesh.children.keys()])) settle(name, at, wall)
    settled = { at, hour: hourOf(wall), excused: isExcused() }
  }
  return {
    /** The core has changed these services; `wall` is Unix milliseconds. */
    moved(names: Iterable<string>, at: number, wall: number): void {
      lastWall = wall
      if (wanted !== mesh.wanted) settleAll(at, wall)
      else for (const name of names) settle(name, at, wall)
      wanted = mesh.wanted
    },
    /** A tick of the loop. */
    tick(wall: number): void {
      const at = awake()
      add(WHOLE_MESH, 'good', at - last, wall)
      last = at
      lastWall = wall
      const { hour, excused } = settled
      if (at - settled.at >= OUTAGE_MS || hour !== hourOf(wall) || excused !== isExcused())
        settleAll(at, wall)
      if (at - flushed < (hasOutage ? OUTAGE_MS : FLUSH_MS)) return
      flushed = at
      flush()
    },
    /** The host slept, or this process was held, for so many milliseconds. */
    slept(gapMs: number, wall: number): void {
      add(WHOLE_MESH, 'excluded', gapMs, wall)
    },
    /** Writes what is not written yet, for the end. */
    flush,
  }
}
