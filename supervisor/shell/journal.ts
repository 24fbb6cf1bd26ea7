/**
 * The record of what the supervisor intends and saw: one state row per service, written in the same transaction
 * as the events, and committed before the effects are performed. WAL with synchronous=NORMAL survives kill -9;
 * what an operator wants is committed with FULL. If the database cannot be written, the rows and events go to a
 * preallocated spool, which is read back before anything else at the next start.
 */
import Database from 'better-sqlite3'
import type { JournalEvent } from '../../schemas/status.ts'
import type { Effect } from '../core/effect.ts'
import type { Row } from '../core/event.ts'
import type { Child } from '../core/state.ts'
import { openSpool, type Spool } from './spool.ts'

/** Events are kept at least this long. */
const KEEP_MS = 90 * 86_400_000
/** More events than this are cut, oldest first. */
const KEEP_MOST = 500_000

type RecordEffect = Extract<Effect, { kind: 'record' }>

/** One step's writes. `rows`: changed children; `gone`: forgotten names. */
export type Writes = {
  readonly at: number
  readonly wall: number
  readonly rows: readonly Child[]
  readonly gone: readonly string[]
  readonly records: readonly RecordEffect[]
  readonly wanted: 'up' | 'down' | null
  /** True where an operator's wish changes: it must survive a power cut, too. */
  readonly durable: boolean
}

/** What the last supervisor left. */
export type Left = {
  readonly rows: readonly Row[]
  readonly wanted: 'up' | 'down'
  readonly nextEventId: number
  readonly awakeMs: number
}

/** Which events to read. Times are Unix milliseconds. */
export type EventQuery = {
  readonly after: number
  readonly limit: number
  readonly service: string | null
  readonly sinceMs: number | null
}

export type Journal = {
  /** Commits one step. Never throws for the world's faults: the spool takes what the database cannot. */
  save(writes: Writes): void
  left(): Left
  /** The newest matching events, oldest first. */
  events(query: EventQuery): JournalEvent[]
  /** The event and what it follows from, first cause first; empty if there is no such event. */
  why(id: number): JournalEvent[]
  /** The last document that was valid, null if there never was one. */
  lastDocument(): { hash: string; mesh: string } | null
  keepDocument(hash: string, mesh: string): void
  /** Why the database cannot be written, null if it can. */
  problem(): string | null
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

/** Opens (and if need be makes) the journal. `redact` is applied to every text that is written. */
export function openJournal(path: string, spoolPath: string, redact: (text: string) => string): Journal {
  const database = new Database(path, { timeout: 5_000 })
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  if (process.platform === 'darwin') database.pragma('fullfsync = ON')
  database.exec(SCHEMA)
  const spool = openSpool(spoolPath)
  const write = writer(database, redact)
  readBack(spool, write)
  let problem: string | null = null
  const knownSpecs = new Set<string>()
  return {
    save(writes) {
      if (problem !== null && spool.isFull()) return
      try {
        if (problem !== null) readBack(spool, write)
        write(writes, knownSpecs)
        problem = null
      } catch (error) {
        knownSpecs.clear()
        problem = `the journal cannot be written: ${(error as Error).message}`
        spool.append(JSON.stringify(writes))
      }
    },
    left: () => readLeft(database),
    events: (query) => readEvents(database, query),
    why: (id) => readWhy(database, id),
    lastDocument: () =>
      (database.prepare("SELECT key AS hash, value AS mesh FROM meta WHERE key LIKE 'document:%'").get() as
        | { hash: string; mesh: string }
        | undefined) ?? null,
    keepDocument: (hash, mesh) => keepDocument(database, hash, mesh),
    problem: () => problem,
    prune(wall) {
      database.prepare('DELETE FROM event WHERE wall < ?').run(wall - KEEP_MS)
      database.prepare('DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?').run(KEEP_MOST)
      database.exec('DELETE FROM spec WHERE hash NOT IN (SELECT spec FROM service)')
      knownSpecs.clear()
    },
    close() {
      spool.close()
      database.close()
    },
  }
}

function keepDocument(database: Database.Database, hash: string, mesh: string): void {
  const keep = database.transaction(() => {
    database.exec("DELETE FROM meta WHERE key LIKE 'document:%'")
    database.prepare('INSERT INTO meta VALUES (?, ?)').run(`document:${hash}`, mesh)
  })
  keep.immediate()
}

/** Rows and events that only the spool holds enter the database; a spool that cannot be emptied stays. */
function readBack(spool: Spool, write: (writes: Writes, known: Set<string>) => void): void {
  const lines = spool.read()
  if (lines.length === 0) return
  for (const line of lines) write(JSON.parse(line) as Writes, new Set())
  spool.clear()
}

function writer(database: Database.Database, redact: (text: string) => string) {
  const meta = database.prepare(
    'INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  )
  const spec = database.prepare('INSERT INTO spec VALUES (?, ?) ON CONFLICT DO NOTHING')
  const row = database.prepare(
    'INSERT INTO service VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET spec = excluded.spec, row = excluded.row',
  )
  const gone = database.prepare('DELETE FROM service WHERE name = ?')
  const event = database.prepare('INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const run = database.transaction((writes: Writes, known: Set<string>) => {
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
        redact(JSON.stringify(data)),
        cause,
      )
    }
    if (writes.wanted) meta.run('wanted', writes.wanted)
    meta.run('awake', String(writes.at))
  })
  return (writes: Writes, known: Set<string>) => {
    if (writes.durable) database.pragma('synchronous = FULL')
    try {
      run.immediate(writes, known)
      for (const child of writes.rows) known.add(child.specHash)
    } finally {
      if (writes.durable) database.pragma('synchronous = NORMAL')
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
    nextEventId: newest.id + 1,
    awakeMs: Number(value('awake') ?? 0),
  }
}

type EventRow = {
  id: number
  wall: number
  awake: number
  subject: string
  generation: number | null
  kind: string
  text: string
  data: string
  cause: number | null
}

const show = ({ wall, awake, data, ...rest }: EventRow): JournalEvent => ({
  ...rest,
  at: new Date(wall).toISOString(),
  awakeMs: awake,
  data: JSON.parse(data) as Record<string, unknown>,
})

function readEvents(
  database: Database.Database,
  { after, limit, service, sinceMs }: EventQuery,
): JournalEvent[] {
  const rows = database
    .prepare(
      `SELECT * FROM event WHERE id > @after AND (@service IS NULL OR subject = @service)
       AND (@since IS NULL OR wall >= @since) ORDER BY id DESC LIMIT @limit`,
    )
    .all({ after, limit, service, since: sinceMs })
  return (rows as EventRow[]).reverse().map(show)
}

function readWhy(database: Database.Database, id: number): JournalEvent[] {
  const one = database.prepare('SELECT * FROM event WHERE id = ?')
  const chain: JournalEvent[] = []
  for (let next: number | null = id; next !== null && chain.length < 200; ) {
    const row = one.get(next) as EventRow | undefined
    if (!row) break
    chain.unshift(show(row))
    next = row.cause
  }
  return chain
}
