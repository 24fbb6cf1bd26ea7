/** The tables of the journal and what is written into them; how and when is the journal's. */
import type Database from 'better-sqlite3'
import type { Row } from '../core/event.ts'
import type { Breaker, Child } from '../core/state.ts'
import { alertWriter } from './alert-tables.ts'
import { redactedJson, type Writes } from './backlog.ts'
import type { Intent } from './standstill.ts'

/** Events are kept at least this long. */
const KEEP_MS = 90 * 86_400_000
/** More events than this are cut, oldest first. */
const KEEP_MOST = 500_000

/** Creates what is not there. */
export const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS spec (hash TEXT PRIMARY KEY, spec TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS service (name TEXT PRIMARY KEY, spec TEXT NOT NULL, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, wall INTEGER NOT NULL, awake REAL NOT NULL,
  subject TEXT NOT NULL, generation INTEGER, kind TEXT NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL,
  cause INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS event_subject ON event (subject, id);
`

/** What the last supervisor left. */
export type Left = {
  readonly rows: readonly Row[]
  readonly wanted: 'up' | 'down'
  readonly breakers: Readonly<Record<string, Breaker>>
  readonly nextEventId: number
  readonly awakeMs: number
}

/** Cuts old events and specs that no service has any more. */
export function pruneTo(database: Database.Database, wall: number): void {
  // Without the newest one, a start after a quiet season would use its ids again.
  database
    .prepare('DELETE FROM event WHERE wall < ? AND id < (SELECT max(id) FROM event)')
    .run(wall - KEEP_MS)
  database.prepare('DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?').run(KEEP_MOST)
  database.exec('DELETE FROM spec WHERE hash NOT IN (SELECT spec FROM service)')
}

/** Keeps a document as the last valid one. */
export function keepDocument(database: Database.Database, hash: string, mesh: string): void {
  const keep = database.transaction(() => {
    database.exec("DELETE FROM meta WHERE key LIKE 'document:%'")
    database.prepare('INSERT INTO meta VALUES (?, ?)').run(`document:${hash}`, mesh)
  })
  keep.immediate()
}

/** Keeps what is about to be done to a log; null: it is done. */
export function writeIntent(database: Database.Database, service: string, intent: Intent | null): void {
  const key = `intent:${service}`
  if (intent === null) database.prepare('DELETE FROM meta WHERE key = ?').run(key)
  else database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)').run(key, JSON.stringify(intent))
}

/** What was about to be done, by service. */
export function readIntents(database: Database.Database): [string, Intent][] {
  const rows = database.prepare("SELECT key, value FROM meta WHERE key LIKE 'intent:%'").all()
  return (rows as { key: string; value: string }[]).map(({ key, value }) => [
    key.slice('intent:'.length),
    JSON.parse(value) as Intent,
  ])
}

/** The last valid document, null if there never was one. */
export function readDocument(database: Database.Database): { hash: string; mesh: string } | null {
  const kept = database
    .prepare(
      `SELECT substr(key, length('document:') + 1) AS hash, value AS mesh FROM meta
       WHERE key LIKE 'document:%'`,
    )
    .get()
  return (kept as { hash: string; mesh: string } | undefined) ?? null
}

/** What was left, with one step over it that the database does not have. */
export function overlay(left: Left, { rows, gone, records, wanted, breakers, at }: Writes): Left {
  const isOther = ({ child }: Row) =>
    !gone.includes(child.name) && rows.every(({ name }) => name !== child.name)
  return {
    rows: [...left.rows.filter(isOther), ...rows.map((child) => ({ child: { ...child, nextSpec: null } }))],
    wanted: wanted ?? left.wanted,
    breakers: withoutNull({ ...left.breakers, ...breakers }),
    nextEventId: Math.max(left.nextEventId, ...records.map(({ id }) => id + 1)),
    awakeMs: at,
  }
}

type Breakers = Readonly<Record<string, Breaker>>

const withoutNull = (breakers: Readonly<Record<string, Breaker | null>>): Breakers =>
  Object.fromEntries(Object.entries(breakers).flatMap(([name, one]) => (one === null ? [] : [[name, one]])))

function readBreakers(database: Database.Database): Breakers {
  const rows = database.prepare("SELECT key, value FROM meta WHERE key LIKE 'breaker:%'").all()
  return Object.fromEntries(
    (rows as { key: string; value: string }[]).map(({ key, value }) => [
      key.slice('breaker:'.length),
      JSON.parse(value) as Breaker,
    ]),
  )
}

/** Writes steps, a batch as one transaction. */
export function writer(database: Database.Database, redact: (text: string) => string) {
  const meta = database.prepare(
    'INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  )
  const unmeta = database.prepare('DELETE FROM meta WHERE key = ?')
  const spec = database.prepare('INSERT INTO spec VALUES (?, ?) ON CONFLICT DO NOTHING')
  const row = database.prepare(
    'INSERT INTO service VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET spec = excluded.spec, row = excluded.row',
  )
  const gone = database.prepare('DELETE FROM service WHERE name = ?')
  const event = database.prepare('INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const alerting = alertWriter(database, redact)
  const writeOne = (writes: Writes, known: ReadonlySet<string>) => {
    for (const child of writes.rows) {
      if (!known.has(child.specHash)) spec.run(child.specHash, JSON.stringify(child.spec))
      row.run(child.name, child.specHash, JSON.stringify({ ...child, spec: null, nextSpec: null }))
    }
    for (const name of writes.gone) gone.run(name)
    for (const { id, subject, generation, event: kind, text, data, cause } of writes.records) {
      event.run(
        id,
        Math.round(writes.wall),
        writes.at,
        subject,
        generation,
        kind,
        redact(text),
        redactedJson(data, redact),
        cause,
      )
    }
    if (writes.wanted) meta.run('wanted', writes.wanted)
    for (const [group, breaker] of Object.entries(writes.breakers)) {
      if (breaker === null) unmeta.run(`breaker:${group}`)
      else meta.run(`breaker:${group}`, JSON.stringify(breaker))
    }
    alerting(writes.alerting)
    meta.run('awake', String(writes.at))
  }
  const run = database.transaction((batch: readonly Writes[], known: ReadonlySet<string>) => {
    for (const writes of batch) writeOne(writes, known)
  })
  return (batch: readonly Writes[], known: Set<string>) => {
    const isDurable = batch.some((writes) => writes.durable)
    if (isDurable) database.pragma('synchronous = FULL')
    try {
      run.immediate(batch, known)
      for (const writes of batch) for (const child of writes.rows) known.add(child.specHash)
    } finally {
      if (isDurable) database.pragma('synchronous = NORMAL')
    }
  }
}

/** What the last supervisor left, as far as the database has it. */
export function readLeft(database: Database.Database): Left {
  const value = (key: string) =>
    (database.prepare('SELECT value FROM meta WHERE key = ?').get(key) as { value: string } | undefined)
      ?.value
  const rows = database
    .prepare(
      'SELECT service.row AS row, spec.spec AS spec FROM service JOIN spec ON spec.hash = service.spec',
    )
    .all()
  const newest = database.prepare('SELECT coalesce(max(id), 0) AS id FROM event').get() as { id: number }
  return {
    rows: (rows as { row: string; spec: string }[]).map(({ row, spec }) => ({
      child: { ...(JSON.parse(row) as Child), spec: JSON.parse(spec) as Child['spec'] },
    })),
    wanted: value('wanted') === 'down' ? 'down' : 'up',
    breakers: readBreakers(database),
    nextEventId: newest.id + 1,
    awakeMs: Number(value('awake') ?? 0),
  }
}
