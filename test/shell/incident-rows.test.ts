/** Incidents of months in the journal: what is asked of them is found among all of them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import {
  ALERT_SCHEMA,
  NO_ALERT_ROWS,
  readIncident,
  readIncidents,
} from '../../supervisor/shell/alert-tables.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'

const COUNT = 10_000

/** Every thousandth is open; the others were closed in another order than they were opened in. */
function history(t: TestContext): string {
  const folder = mkdtempSync('/tmp/pir-')
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'journal.db')
  const database = new Database(path)
  database.exec(ALERT_SCHEMA)
  const insert = database.prepare('INSERT INTO incident VALUES (?, ?, ?)')
  const row = JSON.stringify({
    timeline: Array.from({ length: 20 }, () => ({ wall: 1, text: 'it went on' })),
  })
  database.transaction(() => {
    for (let i = 0; i < COUNT; i++) insert.run(`i${i}`, i % 1000 === 0 ? null : (i * 7919) % COUNT, row)
  })()
  database.close()
  return path
}

describe('incidents of months', () => {
  it('are found by their id, and listed with the open ones first, then by when they were closed', (t) => {
    const path = history(t)
    const database = new Database(path)
    t.after(() => database.close())
    const begun = performance.now()
    assert.equal(readIncident(database, 'i1')?.closedWall, 7919)
    const found = performance.now()
    const newest = readIncidents(database, 200)
    t.diagnostic(
      `of ${COUNT}: one in ${(found - begun).toFixed(2)} ms, 200 in ${(performance.now() - found).toFixed(1)} ms`,
    )
    assert.equal(readIncident(database, 'i99999'), null)
    assert.deepEqual(
      newest.slice(0, 10).map(({ id }) => id),
      Array.from({ length: 10 }, (_, index) => `i${9000 - index * 1000}`),
    )
    const closed = newest.slice(10).map(({ closedWall }) => closedWall!)
    assert.equal(closed.length, 190)
    assert.deepEqual(
      closed,
      closed.toSorted((one, other) => other - one),
    )
    assert.deepEqual(
      readIncidents(database, 3).map(({ id }) => id),
      ['i9000', 'i8000', 'i7000'],
    )
  })

  it('are those of the spool where the database could not be written', (t) => {
    const path = history(t)
    const journal = openJournal(path, `${path}.spool`, (text) => text)
    t.after(() => journal.close())
    const locker = new Database(path)
    t.after(() => locker.close())
    locker.exec('BEGIN IMMEDIATE')
    const alerting = { ...NO_ALERT_ROWS, incidents: [{ id: 'i1', closedWall: 5, row: {} }] }
    const nothing = { rows: [], gone: [], records: [], breakers: {}, wanted: null }
    journal.save([{ at: 1, wall: 1, durable: false, ...nothing, alerting }])
    assert.notEqual(journal.problem(), null)
    assert.equal(journal.alerts.incident('i1')?.closedWall, 5)
    assert.equal(journal.alerts.incident('i2')?.closedWall, 5838)
  })
})
