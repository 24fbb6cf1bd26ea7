import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { report as reportSchema } from '../../schemas/report.ts'
import { NO_REPAIRS, type Result } from '../../supervisor/core/recovery-state.ts'
import { type Message, NO_ALERT_ROWS } from '../../supervisor/shell/alert-tables.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import { readLastRuns, readReport } from '../../supervisor/shell/report.ts'
import { Bench, runbookOf } from '../core/repair-bench.ts'
import { Stage } from '../core/stage.ts'
import { makeSpec } from '../sim/mesh.ts'

const HOUR_MS = 3_600_000
const START = 500_000 * HOUR_MS

function openPlace(t: TestContext) {
  const folder = mkdtempSync('/tmp/pr-')
  const path = join(folder, 'journal.db')
  const journal = openJournal(path, join(folder, 'spool'), (text) => text)
  t.after(() => {
    journal.close()
    rmSync(folder, { recursive: true })
  })
  return { path, folder, journal }
}

describe('the report from the journal', () => {
  it('is a contract: account, faults and time without a supervisor', (t) => {
    const { path, folder, journal } = openPlace(t)
    const stage = new Stage([makeSpec('kb')])
    const tell = (id: number, seconds: number, event: string, data: object = {}) =>
      journal.save([
        {
          ...{ at: seconds * 1000, wall: START + seconds * 1000, gone: [], wanted: null, breakers: {} },
          ...{ rows: [stage.child('kb')], alerting: NO_ALERT_ROWS, durable: false },
          records: [
            {
              ...{ kind: 'record', id, subject: 'kb', generation: 1, event, text: event, cause: null },
              data: data as Record<string, unknown>,
            },
          ],
        },
      ])
    tell(1, 0, 'ready')
    tell(2, 100, 'exited', { asked: false, class: 'failure' })
    tell(3, 101, 'ready')
    tell(4, 500, 'failed')
    const row = (hour: number, subject: string, good: number, bad: number, excluded: number) => ({
      ...{ hour, subject, good, bad, excluded },
    })
    assert.ok(journal.observe([row(500_000, 'paios', 1800, 0, 600), row(500_000, 'kb', 1782, 18, 0)]))
    assert.ok(journal.observe([row(500_000, 'kb', 18, 0, 0), row(500_000, 'gone', 5, 5, 0)]))
    const span = { fromMs: START - 10 * HOUR_MS, toMs: START + HOUR_MS }
    const report = readReport(path, folder, span)
    assert.deepEqual(reportSchema.omit({ runbooks: true }).parse(report), report)
    assert.equal(report.from, new Date(START).toISOString())
    assert.deepEqual([report.watched, report.asleep, report.notWatched], [1800, 600, 1200])
    assert.deepEqual(report.services, [
      {
        ...{ name: 'kb', availability: 0.990_099_009_900_990_1, good: 1800, bad: 18, excluded: 0 },
        ...{ faults: 2, healedByItself: 1, healedByHand: 0, toHeal: { median: 1, worst: 1 } },
        lastCause: 'failed',
      },
    ])
  })

  it('counts what was told, and how long it took to arrive', (t) => {
    const { path, folder, journal } = openPlace(t)
    const message = (
      id: number,
      state: 'sent' | 'pending' | 'dead',
      tookMs: number | null,
      { op, kind }: Pick<Message, 'op' | 'kind'> = { op: 'send', kind: 'opened' },
    ) => ({
      ...{ id, channel: 'telegram' as const, key: `k${id}`, thread: 'i1', kind },
      ...{ op, severity: 'critical' as const, body: '{}', state, attempts: 0, notBefore: 0 },
      ...{
        created: START,
        awakeMs: 0,
        sent: tookMs === null ? null : START + tookMs,
        remote: null,
        error: null,
      },
    })
    const about = (id: number, event: string, data: Record<string, unknown>) => ({
      ...{ kind: 'record' as const, id, subject: 'paios', generation: null, event, text: event },
      ...{ cause: null, data },
    })
    journal.save([
      {
        ...{ at: 0, wall: START, rows: [], gone: [], wanted: null, breakers: {}, durable: true },
        ...{ alerting: NO_ALERT_ROWS, records: [about(1, 'started', {})] },
      },
      {
        ...{ at: 0, wall: START + 8 * HOUR_MS + 1_000, rows: [], gone: [], wanted: null, breakers: {} },
        ...{ durable: true, records: [about(2, 'gap', { gapMs: 8 * HOUR_MS })] },
        alerting: {
          ...NO_ALERT_ROWS,
          incidents: [{ id: 'i1', closedWall: null, row: {} }],
          messages: [
            message(1, 'sent', 400),
            message(2, 'sent', 900),
            message(3, 'pending', null),
            message(4, 'dead', null),
            // Neither tells anybody anything.
            message(5, 'sent', 60_000, { op: 'edit', kind: 'updated' }),
            message(6, 'sent', 50_000, { op: 'send', kind: 'test' }),
            // Of these 8 h and 2 s it slept 8 h.
            message(7, 'sent', 8 * HOUR_MS + 2_000),
          ],
        },
      },
    ])
    const { alerts, incidents } = readReport(path, folder, { fromMs: START, toMs: START + HOUR_MS })
    assert.deepEqual(alerts, {
      ...{ sent: 3, waiting: 1, givenUp: 1 },
      delivery: { median: 0.9, p95: 2, slowest: 2 },
    })
    assert.deepEqual(incidents, { opened: 1, open: 1 })
  })

  it('knows when the steps of each runbook last repaired something', (t) => {
    const { path, journal } = openPlace(t)
    const ended = (id: number, runbook: string, result: Result, startedWall: number) => {
      const bench = new Bench()
      bench.consider(runbookOf(['{ id: collect, action: diagnostics.collect }']))
      const run = { ...bench.run, id, startedWall, runbook: { ...bench.run.runbook, id: runbook } }
      return { run, outcome: { result, text: '', facts: {} } }
    }
    assert.deepEqual(readLastRuns(path), new Map())
    assert.ok(
      journal.keepRepairs(NO_REPAIRS, [
        ended(1, 'kb', 'succeeded', 1_000),
        ended(2, 'kb', 'succeeded', 2_000),
        ended(3, 'kb', 'failed', 3_000),
        ended(4, 'other', 'skipped', 4_000),
      ]),
    )
    assert.deepEqual(readLastRuns(path), new Map([['kb', 2_000]]))
    assert.deepEqual(readLastRuns('/nonexistent/journal.db'), new Map())
  })

  it('of a home in which nothing ever ran says so', () => {
    assert.throws(
      () => readReport('/nonexistent/journal.db', '/nonexistent', { fromMs: 0, toMs: 1 }),
      /nothing ever ran in \/nonexistent: paios up/,
    )
  })
})
