import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { evaluate, type Labels, type Sample, type Samples } from '../../supervisor/core/evaluate.ts'
import {
  and,
  changes,
  type Expression,
  increase,
  operation,
  or,
  select,
  since,
  sumBy,
  unless,
} from '../../supervisor/core/expression.ts'
import { count, forgetOutside, movedIn, type Windows } from '../../supervisor/core/windows.ts'

const at = (labels: Labels, value: number): Sample => ({ labels, value })
const kb = { service: 'kb' }
const web = { service: 'web' }

/** Evaluates over these gauges, at second 1,000. */
function over(gauges: Record<string, Sample[]>, expression: Expression, moves: Windows = new Map()) {
  const samples: Samples = {
    present: (metric) => gauges[metric] ?? [],
    moved: (metric, window) => movedIn(moves, metric, window * 1000, 1_000_000),
  }
  return evaluate(expression, samples, 1000)
}

const up = select('service_up')
const live = select('service_live')

describe('the evaluator', () => {
  it('selects by one value and by several', () => {
    const service_state = ['failed', 'hung', 'running'].map((state) => at({ ...kb, state }, 1))
    const one = over({ service_state }, select('service_state', { state: 'hung' }))
    assert.deepEqual(one, [at({ ...kb, state: 'hung' }, 1)])
    const two = over({ service_state }, select('service_state', { state: ['failed', 'hung'] }))
    assert.equal((two as Sample[]).length, 2)
  })

  it('keeps the samples for which a comparison holds, with their own value', () => {
    const service_up = [at(kb, 3), at(web, 1)]
    assert.deepEqual(over({ service_up }, operation(up, '>=', 2)), [at(kb, 3)])
    assert.deepEqual(over({ service_up }, operation(operation(up, '*', 2), '==', 2)), [at(web, 2)])
  })

  it('tells the seconds since an instant', () => {
    const result = over({ service_start_time_seconds: [at(kb, 940)] }, since('service_start_time_seconds'))
    assert.deepEqual(result, [at(kb, 60)])
  })

  it('joins samples by the labels that they share, and keeps only these', () => {
    const gauges = {
      service_up: [at({ ...kb, kind: 'daemon' }, 5), at({ ...web, kind: 'daemon' }, 1)],
      service_live: [at(kb, 4)],
    }
    assert.deepEqual(over(gauges, operation(up, '>', live, ['service'])), [at(kb, 5)])
    assert.deepEqual(over(gauges, operation(up, '>', live)), [])
  })

  it('takes labels from the right side where it is told to', () => {
    const gauges = {
      service_up: [at({ ...kb, probe: 'a' }, 2), at({ ...kb, probe: 'b' }, 3)],
      service_info: [at({ ...kb, kind: 'daemon' }, 1)],
    }
    const joined = operation(up, '*', select('service_info'), ['service'], ['kind'])
    assert.deepEqual(over(gauges, joined), [
      at({ ...kb, probe: 'a', kind: 'daemon' }, 2),
      at({ ...kb, probe: 'b', kind: 'daemon' }, 3),
    ])
  })

  it('refuses a join in which one sample has two partners', () => {
    const many = [at({ ...kb, probe: 'a' }, 2), at({ ...kb, probe: 'b' }, 3)]
    const join = operation(up, '>', live, ['service'])
    assert.throws(
      () => over({ service_up: [at(kb, 1)], service_live: many }, join),
      /many samples on the right/,
    )
    assert.throws(
      () => over({ service_up: many, service_live: [at(kb, 1)] }, join),
      /many samples on the left/,
    )
  })

  it('knows and, or and unless', () => {
    const gauges = { service_up: [at(kb, 1), at(web, 2)], service_live: [at(kb, 7)] }
    assert.deepEqual(over(gauges, and(up, live)), [at(kb, 1)])
    assert.deepEqual(over(gauges, unless(up, live)), [at(web, 2)])
    assert.deepEqual(over(gauges, or(live, up)), [at(kb, 7), at(web, 2)])
    assert.deepEqual(over({ service_up: [at(kb, 1)] }, unless(up, live, [])), [at(kb, 1)])
    assert.deepEqual(over(gauges, unless(up, live, [])), [])
  })

  it('counts exactly what moved in a window that is open at its beginning', () => {
    const moves: Windows = new Map()
    const labels = { ...kb, cause: 'error' }
    for (const second of [400, 401.5, 999, 1000])
      count(moves, 'service_exits_total', labels, 1, second * 1000)
    const crashes = sumBy(['service'], increase('service_exits_total', 600))
    assert.deepEqual(over({}, crashes, moves), [at(kb, 3)])
  })

  it('counts the changes of a gauge, and takes moves within a second for one moment', () => {
    const moves: Windows = new Map()
    for (const ms of [0, 400, 5_000]) count(moves, 'supervisor_start_time_seconds', {}, 1, 990_000 + ms)
    assert.equal(moves.get('supervisor_start_time_seconds')?.get('')?.at.length, 2)
    assert.deepEqual(over({}, changes('supervisor_start_time_seconds', 60), moves), [at({}, 3)])
  })

  it('forgets what is too old, and what a clock that was set back has left in the future', () => {
    const moves: Windows = new Map()
    for (const second of [10, 500, 2_000]) count(moves, 'service_exits_total', kb, 1, second * 1000)
    assert.equal(forgetOutside(moves, 100_000, 1_000_000), true)
    assert.deepEqual(moves.get('service_exits_total')?.get('service\u0000kb')?.at, [500_000])
    assert.equal(forgetOutside(moves, 600_000, 1_000_000), true)
    assert.equal(moves.size, 0)
  })
})
