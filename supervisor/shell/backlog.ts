/**
 * What the journal's database could not take, oldest first: each entry also is a line of the spool, so that
 * it survives the supervisor. Once the spool has no room either, memory keeps the newest row of each service
 * and the newest events; those alone are lost if the supervisor ends before the database can be written
 * again.
 */
import type { JournalEvent } from '../../schemas/status.ts'
import type { Effect } from '../core/effect.ts'
import type { Breaker, Child } from '../core/state.ts'
import { type AlertRows, mergeAlerts, NO_ALERT_ROWS } from './alert-tables.ts'
import type { Spool } from './spool.ts'

type RecordEffect = Extract<Effect, { kind: 'record' }>

/** Events that are kept in memory alone. */
const KEPT_RECORDS = 1_000

/** One step's writes. `rows`: changed children; `gone`: forgotten names. */
export type Writes = {
  readonly at: number
  readonly wall: number
  readonly rows: readonly Child[]
  readonly gone: readonly string[]
  readonly records: readonly RecordEffect[]
  readonly wanted: 'up' | 'down' | null
  /** Breakers of groups that changed, by name; null is forgotten. */
  readonly breakers: Readonly<Record<string, Breaker | null>>
  /** Incidents, mutes and what is to be told. */
  readonly alerting: AlertRows
  /** True where an operator's wish changes, or what is to be told: it must survive a power cut, too. */
  readonly durable: boolean
}

export type Backlog = {
  /** All that the database does not have yet. */
  writes(): readonly Writes[]
  /** Its events, oldest first. */
  events(): JournalEvent[]
  /** Adds one step. Never throws: a spool that cannot be written counts as full. */
  add(writes: Writes): void
  /** Hands everything to `write`, then forgets it; what `write` throws leaves all of it in place. */
  empty(write: (writes: Writes) => void): void
}

/** Takes up what the spool holds. `redact` is applied to the texts that are spooled. */
export function openBacklog(spool: Spool, redact: (text: string) => string): Backlog {
  // An earlier version told nobody by its journal.
  let spooled = spool.read().map((line) => ({ alerting: NO_ALERT_ROWS, ...JSON.parse(line) }) as Writes)
  let overflow: Writes | null = null
  const writes = () => (overflow === null ? spooled : [...spooled, overflow])
  return {
    writes,
    events: () => writes().flatMap(eventsOf),
    add(fresh) {
      const clean = { ...fresh, records: fresh.records.map((record) => redacted(record, redact)) }
      if (overflow === null && fits(spool, JSON.stringify(clean))) spooled.push(clean)
      else overflow = overflow === null ? clean : merge(overflow, clean)
    },
    empty(write) {
      if (spooled.length === 0 && overflow === null) return
      for (const entry of writes()) write(entry)
      // Should clearing fail, all of it stays and is written once more, before anything newer.
      spool.clear()
      spooled = []
      overflow = null
    },
  }
}

/** False for a full spool and for one that cannot be written, such as one that never got its blocks. */
function fits(spool: Spool, line: string): boolean {
  try {
    return spool.append(line)
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error
    return false
  }
}

function redacted(record: RecordEffect, redact: (text: string) => string): RecordEffect {
  return { ...record, text: redact(record.text), data: JSON.parse(redactedJson(record.data, redact)) }
}

/** The data as JSON, every text in it redacted. The JSON itself is not: a secret of digits would break it. */
export function redactedJson(data: RecordEffect['data'], redact: (text: string) => string): string {
  return JSON.stringify(data, (_, value: unknown) => (typeof value === 'string' ? redact(value) : value))
}

function merge(old: Writes, fresh: Writes): Writes {
  const rows = new Map(old.rows.map((child) => [child.name, child]))
  for (const name of fresh.gone) rows.delete(name)
  for (const child of fresh.rows) rows.set(child.name, child)
  return {
    ...fresh,
    rows: [...rows.values()],
    gone: [...new Set([...old.gone, ...fresh.gone])].filter((name) => !rows.has(name)),
    records: [...old.records, ...fresh.records].slice(-KEPT_RECORDS),
    wanted: fresh.wanted ?? old.wanted,
    breakers: { ...old.breakers, ...fresh.breakers },
    alerting: mergeAlerts(old.alerting, fresh.alerting),
    durable: old.durable || fresh.durable,
  }
}

function eventsOf({ at, wall, records }: Writes): JournalEvent[] {
  return records.map(({ id, subject, generation, event, text, data, cause }) => ({
    id,
    at: new Date(wall).toISOString(),
    awakeMs: at,
    subject,
    generation,
    kind: event,
    text,
    data,
    cause,
  }))
}
