import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  afterCrash,
  isDue,
  LOG_DEFAULTS,
  mannerOf,
  overTotal,
  surplus,
  TROUBLE_FAILURES,
} from '../../supervisor/core/log-policy.ts'

const settings = { ...LOG_DEFAULTS.defaults, size: 1000, age: 60_000, keep: 3 }
const young = { sizeBytes: 10, begunWall: 1_000_000, failures: 0, failedAt: 0 }

describe('a rotation', () => {
  it('is due by size or by age, and never for an empty file', () => {
    assert.equal(isDue(settings, young, 1_000_500), false)
    assert.equal(isDue(settings, { ...young, sizeBytes: 1000 }, 1_000_500), true)
    assert.equal(isDue(settings, young, 1_060_000), true)
    assert.equal(isDue(settings, { ...young, sizeBytes: 0 }, 2_000_000), false)
  })

  it('that failed is tried again at once, after some failures a minute later, whatever the clock does', () => {
    const large = { ...young, sizeBytes: 5000, failedAt: 1_000_000 }
    assert.equal(isDue(settings, { ...large, failures: TROUBLE_FAILURES - 1 }, 1_001_000), true)
    const failed = { ...large, failures: TROUBLE_FAILURES }
    assert.equal(isDue(settings, failed, 1_059_000), false)
    assert.equal(isDue(settings, failed, 1_060_000), true)
    assert.equal(isDue(settings, failed, 100_000), true)
  })

  it('stops what runs, unless the document forbids it', () => {
    for (const state of ['starting', 'running', 'hung'] as const) {
      assert.equal(mannerOf(state, false, 'stop'), 'stop')
      assert.equal(mannerOf(state, false, 'copytruncate'), 'copy')
    }
  })

  it('waits where a process is not proven, begins or ends', () => {
    for (const state of ['spawning', 'stopping', 'sweeping', 'adopting', 'unknown'] as const) {
      assert.equal(mannerOf(state, false, 'stop'), 'wait')
      assert.equal(mannerOf(state, false, 'copytruncate'), 'wait')
    }
  })

  it('stops nothing where nothing runs, and waits for what a sweep has left over', () => {
    for (const state of ['idle', 'backoff', 'blocked', 'failed', 'missing', 'checking'] as const) {
      assert.equal(mannerOf(state, false, 'stop'), 'copy')
      assert.equal(mannerOf(state, true, 'stop'), 'wait')
      assert.equal(mannerOf(state, true, 'copytruncate'), 'copy')
    }
  })
})

describe('archives', () => {
  const archive = (end: number, bytes = 100) => ({ end, wall: end * 10, bytes })

  it('of a service are kept up to their number, and up to their bytes, the newest in any case', () => {
    const ends = (kept: { end: number }[]) => kept.map(({ end }) => end)
    assert.deepEqual(ends(surplus([archive(1), archive(2), archive(3)], settings)), [])
    assert.deepEqual(
      ends(
        surplus(
          [1, 2, 3, 4, 5].map((end) => archive(end)),
          settings,
        ),
      ),
      [2, 1],
    )
    assert.deepEqual(ends(surplus([archive(1, 3500), archive(2, 400), archive(3, 400)], settings)), [1])
    assert.deepEqual(ends(surplus([archive(9, 50_000)], settings)), [])
  })

  it('of all services go oldest first until all log files are within the total', () => {
    const all = [archive(5), archive(1), archive(3)]
    assert.deepEqual(overTotal(all, 700, 1000), [])
    assert.deepEqual(overTotal(all, 701, 1000), [archive(1)])
    assert.deepEqual(overTotal(all, 5000, 1000), [archive(1), archive(3), archive(5)])
  })
})

describe('a complete copy that a crash has left', () => {
  it('is the archive once the file was emptied, and nothing while it still holds the same', () => {
    assert.equal(
      afterCrash(500, 0, () => assert.fail('nothing to compare')),
      'archive',
    )
    assert.equal(
      afterCrash(500, 499, () => assert.fail('nothing to compare')),
      'archive',
    )
    assert.equal(
      afterCrash(500, 700, () => true),
      'discard',
    )
    assert.equal(
      afterCrash(500, 700, () => false),
      'archive',
    )
  })
})
