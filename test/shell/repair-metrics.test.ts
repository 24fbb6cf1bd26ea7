/** What the metrics count of repairs: every result of a run, from its first one on. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { REMEDY_RESULTS } from '../../schemas/metrics.ts'
import { emptyMesh } from '../../supervisor/core/step.ts'
import { measureRepairs } from '../../supervisor/repair-metrics.ts'
import type { RepairEvent } from '../../supervisor/shell/repair-event.ts'
import { Bench, runbookOf } from '../core/repair-bench.ts'
import { metricsOf } from './metrics-view.ts'

const RESTORE =
  '{ id: restore, action: config.restore_last_good, R, rollback: { action: config.undo_restore } }'
const RESTART = '{ id: restart, action: service.restart, R }'

/** How the machine itself comes to each result. */
const STORIES: Readonly<Record<(typeof REMEDY_RESULTS)[number], (bench: Bench) => unknown>> = {
  succeeded: (bench) => [begin(bench, RESTART), bench.look(), bench.acted(), bench.verified()],
  failed: (bench) => [begin(bench, RESTART), bench.look(), bench.acted(false)],
  verify_failed: (bench) => [begin(bench, RESTART), bench.look(), bench.acted(), bench.verified(false)],
  refused: (bench) => [begin(bench, RESTART), bench.look({ kind: 'refuse', text: 'no' })],
  skipped: (bench) => [begin(bench, RESTART), bench.look({ kind: 'skip', text: 'no' })],
  told: (bench) => [begin(bench, "{ id: people, action: tell, with: { text: 'Call.' } }"), bench.look()],
  rolled_back: (bench) => [
    ...[begin(bench, RESTORE), bench.look(), bench.decide('approved'), bench.look(), bench.acted()],
    ...[bench.verified(false), bench.tell({ kind: 'undone', ok: true, text: '' })],
  ],
  denied: (bench) => [begin(bench, RESTORE), bench.look(), bench.decide('denied')],
  expired(bench) {
    begin(bench, RESTORE)
    bench.look()
    bench.at += 1_800_000
    bench.post({ kind: 'ticked' })
  },
  superseded: (bench) => [
    ...[begin(bench, RESTORE), bench.look()],
    bench.post({ kind: 'resolved', service: 'kb', incident: 'i1' }),
  ],
}
const begin = (bench: Bench, step: string) => assert.ok(bench.consider(runbookOf([step])).ok)

async function counted(story: (bench: Bench) => unknown): Promise<{ before: string; after: string }> {
  const mesh = emptyMesh(1, [1, 2, 3, 4])
  const metrics = metricsOf(mesh)
  const bench = new Bench()
  const listeners: ((event: RepairEvent) => void)[] = []
  const repairs = {
    subscribe: (listener: (event: RepairEvent) => void) => {
      listeners.push(listener)
      return () => undefined
    },
    approvals: () => bench.state.approvals,
    state: () => bench.state,
  }
  measureRepairs(repairs, { mesh, clock: { awake: () => bench.at } as never }, metrics)
  const tell = (event: RepairEvent) => {
    for (const listener of listeners) listener(event)
  }
  story(bench)
  for (const effect of bench.effects) if (effect.kind === 'begun') tell({ kind: 'runBegun', run: effect.run })
  const before = await metrics.text()
  for (const effect of bench.effects) if (effect.kind === 'ended') tell({ ...effect, kind: 'runEnded' })
  return { before, after: await metrics.text() }
}

const series = (result: string, value: number) =>
  `paios_remediation_actions_total{runbook="test",result="${result}"} ${value}\n`

describe('the results of runs', () => {
  for (const result of REMEDY_RESULTS)
    it(`${result} counts, from a series that was 0 before`, async () => {
      const { before, after } = await counted(STORIES[result])
      for (const one of REMEDY_RESULTS) {
        assert.ok(before.includes(series(one, 0)), before)
        assert.ok(after.includes(series(one, one === result ? 1 : 0)), after)
      }
    })

  it('of a run that an earlier supervisor has begun are there from the start', async () => {
    const mesh = emptyMesh(1, [1, 2, 3, 4])
    const metrics = metricsOf(mesh)
    const bench = new Bench()
    begin(bench, RESTART)
    const repairs = { subscribe: () => () => undefined, approvals: () => [], state: () => bench.state }
    measureRepairs(repairs, { mesh, clock: { awake: () => bench.at } as never }, metrics)
    assert.ok((await metrics.text()).includes(series('told', 0)))
  })
})
