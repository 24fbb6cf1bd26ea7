/**
 * The tables of alerting in the journal's database: incidents, mutes, what is to be told and what was, where each
 * thread's first message is, and the updates of the chat that were handled. All are written with the events that
 * belong to them, in one transaction.
 */
import type Database from 'better-sqlite3'
import type { NoticeKind, Severity } from '../core/alert.ts'

/** A way to reach somebody. */
export type ChannelName = 'telegram' | 'ntfy' | 'command' | 'desktop'

/** An incident as its owner wants it back. `closedWall`: Unix milliseconds, null while it is open. */
export type IncidentRow = { readonly id: string; readonly closedWall: number | null; readonly row: unknown }

/** A mute; `row` null ends it. */
export type MuteRow = { readonly id: string; readonly row: unknown }

/** A small fact that must survive, such as the day of the last digest; `value` null forgets it. */
export type KeptRow = { readonly key: string; readonly value: unknown }

/** One thing to tell by one channel. Times are Unix milliseconds but for `awakeMs`. */
export type Message = {
  readonly id: number
  readonly channel: ChannelName
  /** Unique with the channel. */
  readonly key: string
  readonly thread: string
  readonly kind: NoticeKind | 'service'
  readonly op: 'send' | 'edit' | 'reply'
  readonly severity: Severity
  /** JSON of what is told: a Notice, or the object that an alert command reads. */
  readonly body: string
  readonly state: 'pending' | 'sending' | 'sent' | 'dead' | 'superseded'
  /** Tries that failed; waiting as the other side asked for is none. */
  readonly attempts: number
  readonly notBefore: number
  readonly created: number
  /** The awake clock when it was created. */
  readonly awakeMs: number
  readonly sent: number | null
  /** The channel's own id of what was told, null where it has none or none is known. */
  readonly remote: string | null
  readonly error: string | null
}

/** Where a thread began: the channel's id of its first message. */
export type ThreadRow = {
  readonly channel: ChannelName
  readonly thread: string
  readonly remote: string
  readonly wall: number
}

/** An update of a chat that was acted upon. */
export type HandledRow = { readonly id: number; readonly wall: number }

/** What one transaction changes; every row replaces the one of its key, so writing twice changes nothing. */
export type AlertRows = {
  readonly incidents: readonly IncidentRow[]
  readonly mutes: readonly MuteRow[]
  readonly kept: readonly KeptRow[]
  readonly messages: readonly Message[]
  readonly threads: readonly ThreadRow[]
  readonly handled: readonly HandledRow[]
}

/** Nothing. */
export const NO_ALERT_ROWS: AlertRows = {
  incidents: [],
  mutes: [],
  kept: [],
  messages: [],
  threads: [],
  handled: [],
}

/** What a new supervisor takes up. */
export type AlertsLeft = {
  /** Open ones, and those that were closed in the last day, oldest first. */
  readonly incidents: readonly IncidentRow[]
  readonly mutes: readonly MuteRow[]
  readonly kept: readonly KeptRow[]
  /** Those that are neither sent nor superseded. */
  readonly messages: readonly Message[]
  readonly threads: readonly ThreadRow[]
  readonly handled: readonly HandledRow[]
  readonly nextMessageId: number
}

/** Creates what is not there. */
export const ALERT_SCHEMA = `
CREATE TABLE IF NOT EXISTS incident (id TEXT PRIMARY KEY, closed INTEGER, row TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS incident_closed ON incident (closed);
CREATE TABLE IF NOT EXISTS mute (id TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, channel TEXT NOT NULL, key TEXT NOT NULL,
  thread TEXT NOT NULL, kind TEXT NOT NULL, op TEXT NOT NULL, severity TEXT NOT NULL, body TEXT NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL, not_before INTEGER NOT NULL, created INTEGER NOT NULL,
  awake REAL NOT NULL, sent INTEGER, remote TEXT, error TEXT, UNIQUE (channel, key)) STRICT;
CREATE INDEX IF NOT EXISTS outbox_state ON outbox (state);
CREATE INDEX IF NOT EXISTS outbox_thread ON outbox (thread);
CREATE TABLE IF NOT EXISTS thread (channel TEXT NOT NULL, thread TEXT NOT NULL, remote TEXT NOT NULL,
  wall INTEGER NOT NULL, PRIMARY KEY (channel, thread)) STRICT;
CREATE TABLE IF NOT EXISTS handled (id INTEGER PRIMARY KEY, wall INTEGER NOT NULL) STRICT;
`

const DAY_MS = 86_400_000
/** Closed incidents and what was told of them are kept as long as events. */
const KEEP_MS = 90 * DAY_MS
const KEEP_INCIDENTS = 10_000
const KEEP_MESSAGES = 50_000
/** Telegram offers an update again for a day. */
const KEEP_HANDLED_MS = 2 * DAY_MS

/** Cuts what is old or too much; what is open or waits is never cut. */
export function pruneAlerts(database: Database.Database, wall: number): void {
  const run = (sql: string, ...values: number[]) => database.prepare(sql).run(...values)
  run('DELETE FROM incident WHERE closed < ?', wall - KEEP_MS)
  run(
    `DELETE FROM incident WHERE closed IS NOT NULL AND id NOT IN
     (SELECT id FROM incident WHERE closed IS NOT NULL ORDER BY closed DESC LIMIT ?)`,
    KEEP_INCIDENTS,
  )
  const isOver = "state IN ('sent', 'superseded', 'dead')"
  run(`DELETE FROM outbox WHERE ${isOver} AND created < ?`, wall - KEEP_MS)
  run(`DELETE FROM outbox WHERE ${isOver} AND id <= (SELECT max(id) FROM outbox) - ?`, KEEP_MESSAGES)
  run('DELETE FROM thread WHERE wall < ?', wall - KEEP_MS)
  run('DELETE FROM handled WHERE wall < ?', wall - KEEP_HANDLED_MS)
}

const COLUMNS = `id, channel, key, thread, kind, op, severity, body, state, attempts, not_before AS notBefore,
  created, awake AS awakeMs, sent, remote, error`

/** Writes the rows of alerting; the caller owns the transaction. */
export function alertWriter(database: Database.Database, redact: (text: string) => string) {
  const json = (value: unknown) =>
    JSON.stringify(value, (_, part: unknown) => (typeof part === 'string' ? redact(part) : part))
  const incident = database.prepare('INSERT OR REPLACE INTO incident VALUES (?, ?, ?)')
  const mute = database.prepare('INSERT OR REPLACE INTO mute VALUES (?, ?)')
  const unmute = database.prepare('DELETE FROM mute WHERE id = ?')
  const keep = database.prepare('INSERT OR REPLACE INTO kept VALUES (?, ?)')
  const unkeep = database.prepare('DELETE FROM kept WHERE key = ?')
  // Another message of the same key was told before this one, and stays.
  const message = database.prepare(
    `INSERT INTO outbox VALUES (@id, @channel, @key, @thread, @kind, @op, @severity, @body, @state, @attempts,
       @notBefore, @created, @awakeMs, @sent, @remote, @error)
     ON CONFLICT DO UPDATE SET state = @state, attempts = @attempts, not_before = @notBefore,
       sent = @sent, remote = @remote, error = @error WHERE id = @id AND key = @key`,
  )
  const thread = database.prepare('INSERT OR REPLACE INTO thread VALUES (@channel, @thread, @remote, @wall)')
  const handled = database.prepare('INSERT OR IGNORE INTO handled VALUES (@id, @wall)')
  return (rows: AlertRows): void => {
    for (const { id, closedWall, row } of rows.incidents) incident.run(id, closedWall, json(row))
    for (const { id, row } of rows.mutes) row === null ? unmute.run(id) : mute.run(id, json(row))
    for (const { key, value } of rows.kept) value === null ? unkeep.run(key) : keep.run(key, json(value))
    for (const one of rows.messages) message.run(one)
    for (const one of rows.threads) thread.run(one)
    for (const one of rows.handled) handled.run(one)
  }
}

/** What is open, waits or still counts. */
export function readAlertsLeft(database: Database.Database, wall: number): AlertsLeft {
  const all = <T>(sql: string, ...values: unknown[]) => database.prepare(sql).all(...values) as T[]
  const incidents = all<{ id: string; closedWall: number | null; row: string }>(
    'SELECT id, closed AS closedWall, row FROM incident WHERE closed IS NULL OR closed > ? ORDER BY id',
    wall - DAY_MS,
  )
  const mutes = all<{ id: string; row: string }>('SELECT id, row FROM mute ORDER BY id')
  const kept = all<{ key: string; value: string }>('SELECT key, value FROM kept')
  const newest = database.prepare('SELECT coalesce(max(id), 0) AS id FROM outbox').get() as { id: number }
  return {
    incidents: incidents.map(({ row, ...rest }) => ({ ...rest, row: JSON.parse(row) })),
    mutes: mutes.map(({ id, row }) => ({ id, row: JSON.parse(row) })),
    kept: kept.map(({ key, value }) => ({ key, value: JSON.parse(value) })),
    messages: all<Message>(
      `SELECT ${COLUMNS} FROM outbox WHERE state IN ('pending', 'sending', 'dead') ORDER BY id`,
    ),
    threads: all<ThreadRow>('SELECT * FROM thread ORDER BY wall DESC LIMIT 5000'),
    handled: all<HandledRow>('SELECT * FROM handled ORDER BY wall, id'),
    nextMessageId: newest.id + 1,
  }
}

/** What was left, with rows over it that the database does not have. */
export function overlayAlerts(left: AlertsLeft, rows: AlertRows): AlertsLeft {
  const waits = ({ state }: Message) => state !== 'sent' && state !== 'superseded'
  return {
    incidents: replaced(left.incidents, rows.incidents, ({ id }) => id),
    mutes: replaced(left.mutes, rows.mutes, ({ id }) => id).filter(({ row }) => row !== null),
    kept: replaced(left.kept, rows.kept, ({ key }) => key).filter(({ value }) => value !== null),
    messages: replaced(left.messages, rows.messages, ({ id }) => String(id)).filter(waits),
    threads: replaced(left.threads, rows.threads, ({ channel, thread }) => `${channel} ${thread}`),
    handled: replaced(left.handled, rows.handled, ({ id }) => String(id)),
    nextMessageId: Math.max(left.nextMessageId, ...rows.messages.map(({ id }) => id + 1)),
  }
}

/** Both, for what is written later than it was to be. */
export function mergeAlerts(old: AlertRows, fresh: AlertRows): AlertRows {
  return {
    incidents: replaced(old.incidents, fresh.incidents, ({ id }) => id),
    mutes: replaced(old.mutes, fresh.mutes, ({ id }) => id),
    kept: replaced(old.kept, fresh.kept, ({ key }) => key),
    messages: replaced(old.messages, fresh.messages, ({ id }) => String(id)),
    threads: replaced(old.threads, fresh.threads, ({ channel, thread }) => `${channel} ${thread}`),
    handled: replaced(old.handled, fresh.handled, ({ id }) => String(id)),
  }
}

function replaced<T>(old: readonly T[], fresh: readonly T[], keyOf: (one: T) => string): T[] {
  const all = new Map(old.map((one) => [keyOf(one), one]))
  for (const one of fresh) all.set(keyOf(one), one)
  return [...all.values()]
}

/** True if a message of this key was enqueued before, whatever became of it. */
export function knowsMessage(database: Database.Database, channel: ChannelName, key: string): boolean {
  return (
    database.prepare('SELECT 1 FROM outbox WHERE channel = ? AND key = ?').get(channel, key) !== undefined
  )
}

/** One message by its number, undefined if there is none. */
export function readMessage(database: Database.Database, id: number): Message | undefined {
  return database.prepare(`SELECT ${COLUMNS} FROM outbox WHERE id = ?`).get(id) as Message | undefined
}

/** What was told of a thread and of the approvals that belong to it, or is to be, oldest first. */
export function readThread(database: Database.Database, thread: string): Message[] {
  return database
    .prepare(
      `SELECT ${COLUMNS} FROM outbox WHERE thread = @thread
         OR (thread >= 'approval-' AND thread < 'approval.' AND json_extract(body, '$.answers') = @thread)
       ORDER BY id`,
    )
    .all({ thread }) as Message[]
}

/** Everything that was enqueued since then, oldest first, for reports. */
export function readToldSince(database: Database.Database, sinceWall: number): Message[] {
  return database
    .prepare(`SELECT ${COLUMNS} FROM outbox WHERE created >= ? ORDER BY id`)
    .all(sinceWall) as Message[]
}

type StoredIncident = { id: string; closedWall: number | null; row: string }
const INCIDENT = 'SELECT id, closed AS closedWall, row FROM incident'
const parsed = ({ row, ...rest }: StoredIncident): IncidentRow => ({ ...rest, row: JSON.parse(row) })

/** The newest incidents: open ones first, then those that were closed last. Both by their index. */
export function readIncidents(database: Database.Database, limit: number): IncidentRow[] {
  const all = (rest: string, most: number) =>
    database.prepare(`${INCIDENT} WHERE ${rest}, rowid DESC LIMIT ?`).all(most) as StoredIncident[]
  const open = all('closed IS NULL ORDER BY closed', limit)
  return [...open, ...all('closed IS NOT NULL ORDER BY closed DESC', limit - open.length)].map(parsed)
}

/** One incident by its id, null if it is not there. */
export function readIncident(database: Database.Database, id: string): IncidentRow | null {
  const found = database.prepare(`${INCIDENT} WHERE id = ?`).get(id) as StoredIncident | undefined
  return found === undefined ? null : parsed(found)
}
