/**
 * The record of what the supervisor intends and saw: one state row per service, written in the same
 * transaction as the events, and committed before the effects are performed. WAL with synchronous=NORMAL
 * survives kill -9; what an operator wants is committed with FULL. If the database cannot be written, the
 * rows and events go to a preallocated spool, which is read back before anything else at the next start.
 */
import Database from 'better-sqlite3'
import type { JournalEvent } from '../../schemas/status.ts'
import type { Outcome, RecoveryState, Run } from '../core/recovery-state.ts'
import { errnoOf, PaiosError } from '../errors.ts'
import {
  ALERT_SCHEMA,
  type AlertRows,
  type AlertsLeft,
  type ChannelName,
  type IncidentRow,
  knowsMessage,
  type Message,
  NO_ALERT_ROWS,
  overlayAlerts,
  pruneAlerts,
  readAlertsLeft,
  readIncident,
  readIncidents,
  readMessage,
  readThread,
  readToldSince,
} from './alert-tables.ts'
import { openBacklog, type Writes } from './backlog.ts'
import { type EventQuery, readEvents, readWhy, withNewer } from './history.ts'
import {
  keepDocument,
  type Left,
  overlay,
  pruneTo,
  readDocument,
  readIntents,
  readLeft,
  SCHEMA,
  writeIntent,
  writer,
} from './journal-tables.ts'
import type { ObservedRow } from './observed.ts'
import { addObserved, OBSERVED_SCHEMA, pruneObserved } from './observed-table.ts'
import {
  type EndedRun,
  pruneRepairs,
  REPAIR_SCHEMA,
  readEndedRuns,
  readRepairs,
  writeRepairs,
} from './repair-tables.ts'
import { openSpool } from './spool.ts'
import type { Intent } from './standstill.ts'

/** How long a write waits for a stranger's lock on the database. */
const BUSY_MS = 5_000

export type Journal = {
  /** Commits steps as one. Never throws for the world's faults: the spool takes what the database cannot. */
  save(batch: readonly Writes[]): void
  left(): Left
  /** The newest matching events, oldest first. */
  events(query: EventQuery): JournalEvent[]
  /** The event and what it follows from, first cause first; empty if there is no such event. */
  why(id: number): JournalEvent[]
  /** What alerting takes up after a start, and what was told; written by `save`. */
  readonly alerts: AlertRecord
  /** The last document that was valid, null if there never was one. */
  lastDocument(): { hash: string; mesh: string } | null
  /** Keeps a document as the last valid one; never throws for the world's faults, like `save`. */
  keepDocument(hash: string, mesh: string): void
  /**
   * Records what is about to be done to a service and must be undone if this supervisor dies meanwhile, null once
   * it is over. Committed on return; false if that cannot be.
   */
  keepIntent(service: string, intent: Intent | null): boolean
  /** The intents of an earlier supervisor that were not over, by service. */
  intents(): [service: string, intent: Intent][]
  /** Adds to the account of observed time; false if that cannot be now. */
  observe(rows: readonly ObservedRow[]): boolean
  /** Records where repairs stand, before anything is done. Committed on return; false if that cannot be. */
  keepRepairs(state: RecoveryState, ended: readonly EndedRun[]): boolean
  /** Repairs that an earlier supervisor has left. */
  repairs(): RecoveryState
  /** The newest repairs that are over, newest first. */
  endedRepairs(limit: number): readonly (Run & { readonly outcome: Outcome })[]
  /** Why the database cannot be written, null if it can. */
  problem(): string | null
  /**
   * Tries again where there is a problem: `save` does not, so that a mesh in trouble is not slowed down, too.
   */
  recheck(): void
  prune(wall: number): void
  close(): void
}

/** Reading what alerting has written. Where the database cannot be read it is empty: somebody must hear of that. */
export type AlertRecord = {
  left(wall: number): AlertsLeft
  knows(channel: ChannelName, key: string): boolean
  /** The newest incidents, the open ones first. */
  incidents(limit: number): IncidentRow[]
  incident(id: string): IncidentRow | null
  message(id: number): Message | null
  /** What was told of a thread, oldest first. */
  thread(thread: string): Message[]
  /** Everything that was enqueued since then, oldest first. */
  toldSince(wall: number): Message[]
}

/**
 * Opens (and if need be makes) the journal. `redact` is applied to every text that is written. What the spool
 * holds is part of what `left`, `events` and `why` say, and enters the database with the first write that
 * succeeds: a start on a disk that is still full must find what lives. Opening and `left` throw
 * home-unwritable where the database cannot be read, journal-damaged where it is none.
 */
export function openJournal(path: string, spoolPath: string, redact: (text: string) => string): Journal {
  const database = reading(path, () => openDatabase(path))
  const spool = openSpool(spoolPath)
  const backlog = openBacklog(spool, redact)
  const write = writer(database, redact)
  const knownSpecs = new Set<string>()
  let problem: string | null = null
  let unkept: { hash: string; mesh: string } | null = null
  const over = new Set<string>()
  const attempt = (work: () => void): boolean => {
    try {
      backlog.empty((writes) => write([writes], new Set()))
      if (unkept !== null) keepDocument(database, unkept.hash, unkept.mesh)
      unkept = null
      for (const service of over) writeIntent(database, service, null)
      over.clear()
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
    alerts: alertRecord(database, () => backlog.writes().map(({ alerting }) => alerting)),
    lastDocument: () => unkept ?? readDocument(database),
    keepDocument(hash, mesh) {
      unkept = { hash, mesh }
      attempt(nothing)
    },
    keepIntent(service, intent) {
      if (intent === null) over.add(service)
      else over.delete(service)
      return problem === null && attempt(() => intent && writeIntent(database, service, intent))
    },
    intents: () => reading(path, () => readIntents(database)),
    observe: (rows) => problem === null && attempt(() => addObserved(database, rows)),
    keepRepairs: (state, ended) => problem === null && attempt(() => writeRepairs(database, state, ended)),
    repairs: () => reading(path, () => readRepairs(database)),
    endedRepairs: (limit) => reading(path, () => readEndedRuns(database, limit)),
    problem: () => problem,
    recheck() {
      if (problem !== null) attempt(nothing)
    },
    prune(wall) {
      attempt(() => {
        pruneTo(database, wall)
        pruneAlerts(database, wall)
        pruneObserved(database, wall)
        pruneRepairs(database, wall)
      })
      knownSpecs.clear()
    },
    close() {
      spool.close()
      database.close()
    },
  }
}

function alertRecord(database: Database.Database, unwritten: () => AlertRows[]): AlertRecord {
  const read = <T>(otherwise: T, work: () => T): T => {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error
      return otherwise
    }
  }
  const messages = (stored: Message[], isAsked: (one: Message) => boolean) => {
    const fresh = unwritten().flatMap((rows) => rows.messages.filter(isAsked))
    return [...new Map([...stored, ...fresh].map((one) => [one.id, one])).values()]
  }
  const none: AlertsLeft = { ...NO_ALERT_ROWS, nextMessageId: 1 }
  return {
    left: (wall) =>
      unwritten().reduce(
        overlayAlerts,
        read(none, () => readAlertsLeft(database, wall)),
      ),
    knows: (channel, key) =>
      read(false, () => knowsMessage(database, channel, key)) ||
      unwritten().some((rows) => rows.messages.some((one) => one.channel === channel && one.key === key)),
    incidents(limit) {
      const stored = read([], () => readIncidents(database, limit))
      const fresh = unwritten().flatMap((rows) => rows.incidents)
      return [...new Map([...stored, ...fresh].map((one) => [one.id, one])).values()]
    },
    incident: (id) =>
      unwritten()
        .flatMap((rows) => rows.incidents)
        .findLast((one) => one.id === id) ?? read(null, () => readIncident(database, id)),
    message: (id) =>
      messages(
        read([], () => [readMessage(database, id) ?? []].flat()),
        (one) => one.id === id,
      )[0] ?? null,
    thread: (thread) =>
      messages(
        read([], () => readThread(database, thread)),
        (one) => one.thread === thread,
      ),
    toldSince: (wall) =>
      messages(
        read([], () => readToldSince(database, wall)),
        ({ created }) => created >= wall,
      ),
  }
}

/** What nothing goes on without: throws disk-full, home-unwritable or journal-damaged, in words. */
function reading<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError)) throw cause
    if (cause.code === 'SQLITE_FULL') throw new PaiosError('disk-full', troubleOf(path, cause), { cause })
    const message = `the journal ${path} cannot be read: ${cause.message}`
    if (!/^SQLITE_(NOTADB|CORRUPT)/.test(cause.code))
      throw new PaiosError('home-unwritable', message, { cause })
    // A new one would know nothing of what runs, and start all of it a second time.
    const remedy = 'put back a copy of it, or move it away once nothing that it knows runs any more'
    throw new PaiosError('journal-damaged', `${message}; ${remedy}`, { cause })
  }
}

function openDatabase(path: string): Database.Database {
  const database = new Database(path, { timeout: BUSY_MS })
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  if (process.platform === 'darwin') database.pragma('fullfsync = ON')
  database.exec(SCHEMA + ALERT_SCHEMA + OBSERVED_SCHEMA + REPAIR_SCHEMA)
  return database
}

function troubleOf(path: string, { code, message }: Error & { code: string }): string {
  const why = code === 'SQLITE_FULL' || code === 'ENOSPC' ? 'its disk is full; free some space' : message
  return `the journal ${path} cannot be written: ${why}`
}
