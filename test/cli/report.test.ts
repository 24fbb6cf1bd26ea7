import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Report, ServiceReport } from '../../schemas/report.ts'
import { renderReport } from '../../supervisor/cli/report.ts'

const service = (name: string, over: Partial<ServiceReport> = {}): ServiceReport => ({
  ...{ name, availability: 1, good: 600, bad: 0, excluded: 0, faults: 0, healedByItself: 0, healedByHand: 0 },
  ...{ toHeal: null, lastCause: null, ...over },
})
const report = (over: Partial<Report> = {}): Report => ({
  from: '2026-11-14T00:00:00Z',
  to: '2026-11-21T00:00:00Z',
  ...{ watched: 532_800, asleep: 64_800, notWatched: 7_200, services: [] },
  runbooks: { count: 60, drilled: 0, oldestDrillDays: null, reviewDue: 0 },
  incidents: { opened: 0, open: 0 },
  alerts: { sent: 0, waiting: 0, givenUp: 0, delivery: null },
  ...over,
})
const lines = (over: Partial<Report>) =>
  renderReport(report(over), { columns: Infinity, color: false }).split('\n')

describe('the report for people', () => {
  it('says how long the mesh was watched, asleep and not watched', () => {
    assert.equal(lines({})[1], 'watched 6 d 4 h · asleep 18 h · not watched 2 h')
  })

  it('has the worst service first, with its faults and who healed them', () => {
    const gateway = service('gateway', {
      ...{ availability: 0.999996, bad: 2.4, faults: 3, healedByItself: 1, healedByHand: 1 },
      ...{ toHeal: { median: 1, worst: 95 }, lastCause: 'killed by SIGKILL' },
    })
    const shown = lines({ services: [service('kb'), gateway] })
    assert.equal(
      shown[3],
      'gateway  99.999 %   2.4 s         3: 1 healed by itself, 1 by hand, 1 not over; the longest 1 min 35 s; last: killed by SIGKILL',
    )
    assert.equal(shown[4], 'kb       100 %      -             -')
  })

  it('shows an outage of a moment as one', () => {
    const kb = service('kb', { availability: 0.9995, good: 599.7, bad: 0.3, faults: 1, healedByItself: 1 })
    assert.match(lines({ services: [kb] })[3]!, /^kb +99.950 % +0\.3 s +1: 1 healed by itself/)
  })

  it('gives no share to what never was wanted', () => {
    assert.match(lines({ services: [service('kb', { availability: null })] })[3]!, /^kb +- +-/)
  })

  it('says what was told, and what waits or was given up', () => {
    const alerts = {
      ...{ sent: 4, waiting: 1, givenUp: 2 },
      delivery: { median: 0.4, p95: 1.26, slowest: 61.04 },
    }
    assert.equal(
      lines({ alerts, incidents: { opened: 3, open: 1 } }).at(-3),
      'incidents: 3 told, 1 open · alerts: 4 sent · 1 waiting · 2 given up · slowest delivery 61.0 s (95 % within 1.3 s)',
    )
  })

  it('says how old the drills of runbooks are', () => {
    const last = (runbooks: Report['runbooks']) => lines({ runbooks }).at(-2)
    assert.equal(
      last({ count: 60, drilled: 0, oldestDrillDays: null, reviewDue: 0 }),
      'runbooks: 60 · none was ever drilled',
    )
    assert.equal(
      last({ count: 60, drilled: 12, oldestDrillDays: 40, reviewDue: 3 }),
      'runbooks: 60 · 12 drilled, the oldest 40 d ago · 48 never · 3 to be reviewed',
    )
  })
})
