/** The table of observed time in the journal's database. */
import type Database from 'better-sqlite3'
import type { ObservedRow } from './observed.ts'

/** Creates what is not there. */
export const OBSERVED_SCHEMA = `
CREATE TABLE IF NOT EXISTS observed (hour INTEGER NOT NULL, subject TEXT NOT NULL, good REAL NOT NULL,
  bad REAL NOT NULL, excluded REAL NOT NULL, PRIMARY KEY (hour, subject)) STRICT, WITHOUT ROWID;
`

/** As long as events. */
const KEEP_HOURS = 90 * 24
const HOUR_MS = 3_600_000

/** Adds seconds to their hours, all of them or none. */
export function addObserved(database: Database.Database, rows: readonly ObservedRow[]): void {
  const add = database.prepare(
    `INSERT INTO observed VALUES (@hour, @subject, @good, @bad, @excluded) ON CONFLICT DO UPDATE SET
     good = good + excluded.good, bad = bad + excluded.bad, excluded = observed.excluded + excluded.excluded`,
  )
  database
    .transaction(() => {
      for (const row of rows) add.run(row)
    })
    .immediate()
}

/** Cuts old hours. `wall`: Unix milliseconds. */
export function pruneObserved(database: Database.Database, wall: number): void {
  database.prepare('DELETE FROM observed WHERE hour < ?').run(Math.floor(wall / HOUR_MS) - KEEP_HOURS)
}

/** The sums from the hour of `sinceWall` on, by subject, and the first hour that they hold. */
export function sumObserved(database: Database.Database, sinceWall: number): ObservedRow[] {
  return database
    .prepare(
      `SELECT min(hour) AS hour, subject, sum(good) AS good, sum(bad) AS bad, sum(excluded) AS excluded
       FROM observed WHERE hour >= ? GROUP BY subject ORDER BY subject`,
    )
    .all(Math.floor(sinceWall / HOUR_MS)) as ObservedRow[]
}
