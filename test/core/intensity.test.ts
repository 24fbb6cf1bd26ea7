import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { allowedAt, isExceeded, windowText, within } from '../../supervisor/core/intensity.ts'

const events = fc
  .array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 30 })
  .map((list) => list.sort((a, b) => a - b))
const windowMs = fc.integer({ min: 1, max: 5_000 })

describe('intensity', () => {
  it('counts an event until exactly one window later', () => {
    assert.deepEqual(within([100], 1_000, 1_099), [100])
    assert.deepEqual(within([100], 1_000, 1_100), [])
  })

  it('allows as many as the limit and not one more', () => {
    assert.equal(isExceeded([1, 2, 3], 3), false)
    assert.equal(isExceeded([1, 2, 3, 4], 3), true)
  })

  it('is told in seconds below a minute, and in minutes from there', () => {
    assert.deepEqual([59_000, 60_000, 600_000].map(windowText), ['59 s', '1 min', '10 min'])
  })

  it('never keeps what is older than the window nor drops what is younger', () => {
    fc.assert(
      fc.property(events, windowMs, fc.integer({ min: 0, max: 12_000 }), (list, ms, at) => {
        const kept = within(list, ms, at)
        assert.deepEqual(
          kept,
          list.filter((event) => event > at - ms),
        )
      }),
    )
  })

  it('says the first instant at which one more event keeps the limit', () => {
    fc.assert(
      fc.property(events, windowMs, fc.integer({ min: 1, max: 5 }), (list, ms, max) => {
        const at = list.at(-1) ?? 0
        const free = allowedAt(list, max, ms, at)
        assert.ok(free >= at)
        assert.ok(within(list, ms, free).length < max)
        if (free > at) assert.ok(within(list, ms, free - 1).length >= max)
      }),
    )
  })
})
