/** The journal's events, as they are read: from the database, and what it does not have yet beside them. */
import type Database from 'better-sqlite3'
import type { JournalEvent } from '../../schemas/status.ts'

/** Which events to read. Times are Unix milliseconds. */
export type EventQuery = {
  readonly after: number
  readonly limit: number
  readonly service: string | null
  readonly sinceMs: number | null
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

/** The newest matching events of the database, oldest first. */
export function readEvents(
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

/** The event and what it follows from, first cause first; `newer`: what the database does not have yet. */
export function readWhy(database: Database.Database, newer: JournalEvent[], id: number): JournalEvent[] {
  const one = database.prepare('SELECT * FROM event WHERE id = ?')
  const chain: JournalEvent[] = []
  for (let next: number | null = id; next !== null && chain.length < 200; ) {
    const row = one.get(next) as EventRow | undefined
    const event = row ? show(row) : newer.find((candidate) => candidate.id === next)
    if (!event) break
    chain.unshift(event)
    next = event.cause
  }
  return chain
}

/** Adds the events that the database does not have to those that it has. */
export function withNewer(events: JournalEvent[], newer: JournalEvent[], query: EventQuery): JournalEvent[] {
  const { after, service, sinceMs, limit } = query
  const matching = newer.filter(
    ({ id, subject, at }) =>
      id > after &&
      (service === null || subject === service) &&
      (sinceMs === null || Date.parse(at) >= sinceMs) &&
      id > (events.at(-1)?.id ?? 0),
  )
  return limit === 0 ? [] : [...events, ...matching].slice(-limit)
}
