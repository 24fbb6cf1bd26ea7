import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import { everySlot, untilNext, untilSlot } from '../../supervisor/shell/slot.ts'

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

/** Virtual time, in which each timer comes when it is due. */
function virtual(t: TestContext, startMs: number) {
  let now = startMs
  t.mock.timers.enable({ apis: ['setTimeout'] })
  t.mock.method(performance, 'now', () => now)
  return {
    now: () => now,
    /** Time passes, and nothing can run. */
    block(ms: number) {
      now += ms
    },
    pass(ms: number) {
      for (let count = 0; count < ms; count++) {
        now++
        t.mock.timers.tick(1)
      }
    },
  }
}

describe('regular work', () => {
  it('meets on whole slots, until it is ended', (t) => {
    const { now, pass } = virtual(t, 12_345.5)
    const at: number[] = []
    const ends = [1_000, 5_000].map((everyMs) => everySlot(everyMs, () => at.push(Math.round(now()))))
    pass(3_000)
    assert.deepEqual(at, [13_001, 14_001, 15_001, 15_001])
    for (const end of ends) end()
    pass(20_000)
    assert.equal(at.length, 4)
  })

  it('is told how late it comes, and makes up for nothing', (t) => {
    const { block, pass } = virtual(t, 0)
    const late: number[] = []
    const end = everySlot(1_000, (lateMs) => late.push(lateMs))
    pass(999)
    block(2_500)
    pass(400)
    assert.deepEqual(late, [2_500])
    pass(1_000)
    assert.deepEqual(late, [2_500, 0])
    end()
  })

  it('comes once for a slot, also where its timer is early', (t) => {
    const { block, pass } = virtual(t, 0)
    const late: number[] = []
    const end = everySlot(1_000, (lateMs) => late.push(lateMs))
    block(-2)
    pass(1_000)
    assert.deepEqual(late, [-2])
    pass(1_003)
    assert.deepEqual(late, [-2, 0])
    end()
  })

  it('that plans for itself waits for the slot after the one of this very moment', (t) => {
    const { pass } = virtual(t, 0)
    assert.equal(untilNext(5_000), 5_000)
    pass(4_000)
    assert.equal(untilNext(5_000), 1_000)
    pass(995)
    assert.equal(untilNext(5_000), 5_005)
  })
})
