/**
 * How the mesh was, read from its journal by whoever asks, with or without a supervisor: the database allows readers
 * beside its one writer, and a report over months must not hold up the supervisor.
 */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { Report, ServiceReport } from '../../schemas/report.ts'
import { EPISODE_KINDS, type Episode, type EpisodeEvent, episodesOf } from '../core/episodes.ts'
import { PaiosError } from '../errors.ts'
import { type ObservedRow, WHOLE_MESH } from './observed.ts'
import { sumObserved } from './observed-table.ts'

const HOUR_MS = 3_600_000
/** How long a report waits for the database. */
const BUSY_MS = 5_000

/** The span of a report in Unix milliseconds. */
export type Span = { readonly fromMs: number; readonly toMs: number }

/**
 * The report over a span, whose beginning is moved back to a full hour, or forward to where the journal begins.
 * Throws `no-supervisor` where nothing ever ran, `home-unwritable` where the journal cannot be read.
 */
export function readReport(journal: string, home: string, span: Span): Omit<Report, 'runbooks'> {
  if (!existsSync(journal))
    throw new PaiosError('no-supervisor', `nothing ever ran in ${home}: paios up brings a mesh up`)
  return reading(journal, (database) => compose(database, span))
}

/**
 * When the steps of each runbook last repaired something, Unix milliseconds; empty where nothing ever ran. Throws like
 * `readReport` where the journal cannot be read.
 */
export function readLastRuns(journal: string): ReadonlyMap<string, number> {
  if (!existsSync(journal)) return new Map()
  return reading(journal, (database) => {
    if (!hasTable(database, 'repair')) return new Map()
    const rows = database
      .prepare("SELECT runbook, max(wall) AS wall FROM repair WHERE result = 'succeeded' GROUP BY runbook")
      .all() as { runbook: string; wall: number }[]
    return new Map(rows.map(({ runbook, wall }) => [runbook, wall]))
  })
}

function reading<T>(journal: string, work: (database: Database.Database) => T): T {
  try {
    const database = new Database(journal, { readonly: true, timeout: BUSY_MS })
    try {
      return database.transaction(() => work(database))()
    } finally {
      database.close()
    }
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError)) throw cause
    throw new PaiosError('home-unwritable', `the journal ${journal} cannot be read: ${cause.message}`, {
      cause,
    })
  }
}

function compose(database: Database.Database, { fromMs, toMs }: Span): Omit<Report, 'runbooks'> {
  const rows = hasTable(database, 'observed') ? sumObserved(database, fromMs) : []
  const whole = rows.find(({ subject }) => subject === WHOLE_MESH)
  const begin = firstWatched(database, Math.floor(fromMs / HOUR_MS) * HOUR_MS)
  const watched = whole?.good ?? 0
  const asleep = whole?.excluded ?? 0
  const episodes = episodesOf(readEpisodeEvents(database, begin))
  const present = new Set(database.prepare('SELECT name FROM service').pluck().all() as string[])
  return {
    from: new Date(begin).toISOString(),
    to: new Date(toMs).toISOString(),
    watched,
    asleep,
    notWatched: Math.max(0, (toMs - begin) / 1000 - watched - asleep),
    services: rows
      .filter(({ subject }) => subject !== WHOLE_MESH && present.has(subject))
      .map((row) =>
        serviceReport(
          row,
          episodes.filter(({ service }) => service === row.subject),
        ),
      ),
    ...alertsOf(database, begin),
  }
}

/** Before its first event a mesh was not unwatched: it was not there. */
function firstWatched(database: Database.Database, hourMs: number): number {
  const first = database.prepare('SELECT min(wall) FROM event').pluck().get() as number | null
  return Math.max(hourMs, first ?? hourMs)
}

const hasTable = (database: Database.Database, name: string): boolean =>
  database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(name) !== undefined

function* readEpisodeEvents(database: Database.Database, fromMs: number): Generator<EpisodeEvent> {
  const marks = EPISODE_KINDS.map(() => '?').join(', ')
  const rows = database
    .prepare(
      `SELECT subject, kind, text, awake AS awakeMs, data FROM event
       WHERE wall >= ? AND kind IN (${marks}) ORDER BY id`,
    )
    .iterate(fromMs, ...EPISODE_KINDS)
  for (const row of rows) {
    const { data, ...event } = row as Omit<EpisodeEvent, 'data'> & { data: string }
    yield { ...event, data: JSON.parse(data) as EpisodeEvent['data'] }
  }
}

function serviceReport(row: ObservedRow, episodes: readonly Episode[]): ServiceReport {
  const ended = episodes.flatMap(({ beganAt, endedAt }) =>
    endedAt === null ? [] : [(endedAt - beganAt) / 1000],
  )
  const healed = episodes.filter(({ endedAt }) => endedAt !== null)
  const { good, bad, excluded } = row
  return {
    name: row.subject,
    availability: good + bad === 0 ? null : good / (good + bad),
    ...{ good, bad, excluded },
    faults: episodes.length,
    healedByItself: healed.filter(({ byItself }) => byItself).length,
    healedByHand: healed.filter(({ byItself }) => !byItself).length,
    toHeal: ended.length === 0 ? null : { median: quantile(ended, 0.5), worst: Math.max(...ended) },
    lastCause: episodes.at(-1)?.cause ?? null,
  }
}

/** The least value that at least this share of them does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

/**
 * Awake seconds from being recorded to being accepted, of what told somebody something: an edit may wait, and a test is
 * no alert. Time asleep in between is taken off; time without a supervisor is not, since nobody was told in it.
 */
function deliveryTimes(database: Database.Database, fromMs: number): number[] {
  const sent = database
    .prepare(
      `SELECT created, sent FROM outbox
       WHERE state = 'sent' AND created >= ? AND op <> 'edit' AND kind <> 'test'`,
    )
    .all(fromMs) as { created: number; sent: number }[]
  const gaps = database
    .prepare(
      "SELECT wall, data ->> '$.gapMs' AS ms FROM event WHERE subject = 'paios' AND kind = 'gap' AND wall >= ?",
    )
    .all(fromMs) as { wall: number; ms: number }[]
  return sent.map((one) => {
    const asleep = gaps.map(({ wall, ms }) => Math.min(wall, one.sent) - Math.max(wall - ms, one.created))
    const awake = asleep.reduce((left, ms) => left - Math.max(0, ms), one.sent - one.created)
    return Math.max(0, awake) / 1000
  })
}

function alertsOf(database: Database.Database, fromMs: number): Pick<Report, 'incidents' | 'alerts'> {
  const count = (sql: string, ...values: number[]) =>
    database
      .prepare(sql)
      .pluck()
      .get(...values) as number
  if (!hasTable(database, 'outbox'))
    return {
      incidents: { opened: 0, open: 0 },
      alerts: { sent: 0, waiting: 0, givenUp: 0, delivery: null },
    }
  const delays = deliveryTimes(database, fromMs)
  return {
    incidents: {
      opened: count(
        'SELECT count(DISTINCT thread) FROM outbox WHERE created >= ? AND thread IN (SELECT id FROM incident)',
        fromMs,
      ),
      open: count('SELECT count(*) FROM incident WHERE closed IS NULL'),
    },
    alerts: {
      sent: delays.length,
      waiting: count("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')"),
      givenUp: count("SELECT count(*) FROM outbox WHERE state = 'dead' AND created >= ?", fromMs),
      delivery:
        delays.length === 0
          ? null
          : { median: quantile(delays, 0.5), p95: quantile(delays, 0.95), slowest: Math.max(...delays) },
    },
  }
}
