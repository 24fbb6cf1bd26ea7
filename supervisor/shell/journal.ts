/**
 * The record of what the supervisor intends and saw: one state row per service, written in the same
 * transaction as the events, and committed before the effects are performed. WAL with synchronous=NORMAL
 * survives kill -9; what an operator wants is committed with FULL. If the database cannot be written, the
 * rows and events go to a preallocated spool, which is read back before anything else at the next start.
 */
import Database from 'better-sqlite3'
import type { JournalEvent } from '../../schemas/status.ts'
import type { Row } from '../core/event.ts'
import type { Breaker, Child } from '../core/state.ts'
import { errnoOf, PaiosError } from '../errors.ts'
import { openBacklog, redactedJson, type Writes } from './backlog.ts'
import { type EventQuery, readEvents, readWhy, withNewer } from './history.ts'
import { openSpool } from './spool.ts'

/** Events are kept at least this long. */
const KEEP_MS = 90 * 86_400_000
/** How long a write waits for a stranger's lock on the database. */
const BUSY_MS = 5_000
/** More events than this are cut, oldest first. */
const KEEP_MOST = 500_000

/** What the last supervisor left. */
export type Left = {
  readonly rows: readonly Row[]
  readonly wanted: 'up' | 'down'
  readonly breakers: Readonly<Record<string, Breaker>>
  readonly nextEventId: number
  readonly awakeMs: number
}

export type Journal = {
  /** Commits steps as one. Never throws for the world's faults: the spool takes what the database cannot. */
  save(batch: readonly Writes[]): void
  left(): Left
  /** The newest matching events, oldest first. */
  events(query: EventQuery): JournalEvent[]
  /** The event and what it follows from, first cause first; empty if there is no such event. */
  why(id: number): JournalEvent[]
  /** The last document that was valid, null if there never was one. */
  lastDocument(): { hash: string; mesh: string } | null
  /** Keeps a document as the last valid one; never throws for the world's faults, like `save`. */
  keepDocument(hash: string, mesh: string): void
  /** Why the database cannot be written, null if it can. */
  problem(): string | null
  /**
   * Tries again where there is a problem: `save` does not, so that a mesh in trouble is not slowed down, too.
   */
  recheck(): void
  prune(wall: number): void
  close(): void
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS spec (hash TEXT PRIMARY KEY, spec TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS service (name TEXT PRIMARY KEY, spec TEXT NOT NULL, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, wall INTEGER NOT NULL, awake REAL NOT NULL,
  subject TEXT NOT NULL, generation INTEGER, kind TEXT NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL,
  cause INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS event_subject ON event (subject, id);
`

/**
 * Opens (and if need be makes) the journal. `redact` is applied to every text that is written. What the spool
 * holds is part of what `left`, `events` and `why` say, and enters the database with the first write that
 * succeeds: a start on a disk that is still full must find what lives. Opening and `left` throw
 * home-unwritable where the database cannot be read.
 */
export function openJournal(path: string, spoolPath: string, redact: (text: string) => string): Journal {
  const database = reading(path, () => openDatabase(path))
  const spool = openSpool(spoolPath)
  const backlog = openBacklog(spool, redact)
  const write = writer(database, redact)
  const knownSpecs = new Set<string>()
  let problem: string | null = null
  let unkept: { hash: string; mesh: string } | null = null
  const attempt = (work: () => void): boolean => {
    try {
      backlog.empty((writes) => write([writes], new Set()))
      if (unkept !== null) keepDocument(database, unkept.hash, unkept.mesh)
      unkept = null
      work()
      if (problem !== null) database.pragma(`busy_timeout = ${BUSY_MS}`)
      problem = null
    } catch (error) {
      if (!(error instanceof Database.SqliteError) && errnoOf(error) === null) throw error
      knownSpecs.clear()
      // From now on each look at it must be cheap.
      database.pragma('busy_timeout = 0')
      problem = troubleOf(path, error as Error & { code: string })
    }
    return problem === null
  }
  const nothing = () => undefined
  return {
    save(batch) {
      if (problem === null && attempt(() => write(batch, knownSpecs))) return
      for (const writes of batch) backlog.add(writes)
    },
    left: () =>
      backlog.writes().reduce(
        overlay,
        reading(path, () => readLeft(database)),
      ),
    events: (query) => withNewer(readEvents(database, query), backlog.events(), query),
    why: (id) => readWhy(database, backlog.events(), id),
    lastDocument: () => unkept ?? readDocument(database),
    keepDocument(hash, mesh) {
      unkept = { hash, mesh }
      attempt(nothing)
    },
    problem: () => problem,
    recheck() {
      if (problem !== null) attempt(nothing)
    },
    prune(wall) {
      attempt(() => pruneTo(database, wall))
      knownSpecs.clear()
    },
    close() {
      spool.close()
      database.close()
    },
  }
}

/** What nothing goes on without: throws disk-full or home-unwritable, in words. */
function reading<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError)) throw cause
    if (cause.code === 'SQLITE_FULL') throw new PaiosError('disk-full', troubleOf(path, cause), { cause })
    // A new one would know nothing of what runs, and start all of it a second time.
    const remedy = /^SQLITE_(NOTADB|CORRUPT)/.test(cause.code)
      ? '; put back a copy of it, or move it away once nothing that it knows runs any more'
      : ''
    const message = `the journal ${path} cannot be read: ${cause.message}${remedy}`
    throw new PaiosError('home-unwritable', message, { cause })
  }
}

function openDatabase(path: string): Database.Database {
  const database = new Database(path, { timeout: BUSY_MS })
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  if (process.platform === 'darwin') database.pragma('fullfsync = ON')
  database.exec(SCHEMA)
  return database
}

function troubleOf(path: string, { code, message }: Error & { code: string }): string {
  const why = code === 'SQLITE_FULL' || code === 'ENOSPC' ? 'its disk is full; free some space' : message
  return `the journal ${path} cannot be written: ${why}`
}

function pruneTo(database: Database.Database, wall: number): void {
  // Without the newest one, a start after a quiet season would use its ids again.
  database
    .prepare('DELETE FROM event WHERE wall < ? AND id < (SELECT max(id) FROM event)')
    .run(wall - KEEP_MS)
  database.prepare('DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?').run(KEEP_MOST)
  database.exec('DELETE FROM spec WHERE hash NOT IN (SELECT spec FROM service)')
}

function keepDocument(database: Database.Database, hash: string, mesh: string): void {
  const keep = database.transaction(() => {
    database.exec("DELETE FROM meta WHERE key LIKE 'document:%'")
    database.prepare('INSERT INTO meta VALUES (?, ?)').run(`document:${hash}`, mesh)
  })
  keep.immediate()
}

function readDocument(database: Database.Database): { hash: string; mesh: string } | null {
  const kept = database
    .prepare(
      `SELECT substr(key, length('document:') + 1) AS hash, value AS mesh FROM meta
       WHERE key LIKE 'document:%'`,
    )
    .get()
  return (kept as { hash: string; mesh: string } | undefined) ?? null
}

/** What was left, with one step over it that the database does not have. */
function overlay(left: Left, { rows, gone, records, wanted, breakers, at }: Writes): Left {
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

function writer(database: Database.Database, redact: (text: string) => string) {
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

function readLeft(database: Database.Database): Left {
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
