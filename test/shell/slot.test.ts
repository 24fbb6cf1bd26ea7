import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { untilSlot } from '../../supervisor/shell/slot.ts'

const periods = fc.integer({ min: 5_000, max: 3_600_000 })
const delays = fc.double({ min: 0, max: 600_000, noNaN: true })

describe('when a check is made', () => {
  it('fast periods keep their own times', () => {
    fc.assert(
      fc.property(delays, fc.integer({ min: 100, max: 4_999 }), (inMs, everyMs) => {
        assert.equal(untilSlot(inMs, everyMs), Math.max(10, inMs))
      }),
    )
  })

  it('slow ones meet on the nearest whole second, from 10 s on every other one, never at once', () => {
    fc.assert(
      fc.property(delays, periods, (inMs, everyMs) => {
        const before = performance.now()
        const delay = untilSlot(inMs, everyMs)
        const passed = performance.now() - before
        assert.ok(delay >= 10)
        const slot = everyMs >= 10_000 ? 2_000 : 1_000
        assert.ok(Math.abs(delay - inMs) <= slot / 2 + 10 + passed, `${delay} for ${inMs}`)
        if (delay === 10) return
        // The clock was read in between: the instant is a whole slot by that reading.
        const early = (before + delay) % slot
        assert.ok(early === 0 || slot - early <= passed + 0.001 || early < 0.001, `${early} early`)
      }),
    )
  })
})
