/** Runs, approvals and budgets of repairs as rows of the journal's database. A run that is over keeps its row. */
import type Database from 'better-sqlite3'
import { NO_REPAIRS, type Outcome, type RecoveryState, type Run } from '../core/recovery-state.ts'

/** Creates what is not there. */
export const REPAIR_SCHEMA = `
CREATE TABLE IF NOT EXISTS repair (id INTEGER PRIMARY KEY, wall INTEGER NOT NULL, service TEXT NOT NULL,
  runbook TEXT NOT NULL, result TEXT, row TEXT NOT NULL) STRICT;
`

/** Runs that are over are kept this long. */
const KEEP_MS = 90 * 86_400_000
const KEY = 'repairs'

/** A run that is over, with what it came to. */
export type EndedRun = { readonly run: Run; readonly outcome: Outcome }

/** Writes everything that is not over, and what has just ended, as one transaction. */
export function writeRepairs(
  database: Database.Database,
  { runs, ...rest }: RecoveryState,
  ended: readonly EndedRun[],
): void {
  const put = database.prepare('INSERT OR REPLACE INTO repair VALUES (?, ?, ?, ?, ?, ?)')
  const write = database.transaction(() => {
    for (const run of runs)
      put.run(run.id, run.startedWall, run.service, run.runbook.id, null, JSON.stringify(run))
    for (const { run, outcome } of ended) {
      const row = JSON.stringify({ ...run, steps: [], outcome })
      put.run(run.id, run.startedWall, run.service, run.runbook.id, outcome.result, row)
    }
    database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)').run(KEY, JSON.stringify(rest))
  })
  // A person's decision must survive a power cut.
  database.pragma('synchronous = FULL')
  try {
    write.immediate()
  } finally {
    database.pragma('synchronous = NORMAL')
  }
}

/** What was left: runs that are not over, approvals, budgets. */
export function readRepairs(database: Database.Database): RecoveryState {
  const kept = database.prepare('SELECT value FROM meta WHERE key = ?').get(KEY) as
    | { value: string }
    | undefined
  if (kept === undefined) return NO_REPAIRS
  const rows = database.prepare('SELECT row FROM repair WHERE result IS NULL ORDER BY id').all()
  const runs = (rows as { row: string }[]).map(({ row }) => JSON.parse(row) as Run)
  return { ...NO_REPAIRS, ...(JSON.parse(kept.value) as Partial<RecoveryState>), runs }
}

/** The newest runs that are over, newest first. */
export function readEndedRuns(
  database: Database.Database,
  limit: number,
): (Run & { readonly outcome: Outcome })[] {
  const rows = database
    .prepare('SELECT row FROM repair WHERE result IS NOT NULL ORDER BY id DESC LIMIT ?')
    .all(limit)
  return (rows as { row: string }[]).map(({ row }) => JSON.parse(row) as Run & { outcome: Outcome })
}

/** Cuts runs that were over long ago. */
export function pruneRepairs(database: Database.Database, wall: number): void {
  database.prepare('DELETE FROM repair WHERE result IS NOT NULL AND wall < ?').run(wall - KEEP_MS)
}
