import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { backoffMs, HALF_OPEN_MAX_MS, HALF_OPEN_MS, nextHalfOpenMs } from '../../supervisor/core/backoff.ts'

const dice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('backoff', () => {
  it('is 200 ms · 2ⁿ⁻¹, at most 60 s, within 20 % either way', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), dice, (n, chance) => {
        const plain = Math.min(60_000, 200 * 2 ** Math.min(n - 1, 40))
        const delay = backoffMs(n, chance)
        assert.ok(Number.isInteger(delay))
        assert.ok(delay >= Math.floor(plain * 0.8) && delay <= Math.ceil(plain * 1.2), `${n}: ${delay}`)
      }),
    )
  })

  it('never gets shorter with one more failure and the same chance', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), dice, (n, chance) =>
        assert.ok(backoffMs(n + 1, chance) >= backoffMs(n, chance)),
      ),
    )
  })

  it('half-open waits are 15 min, 30 min, 1 h, 2 h, 4 h, and 6 h from then on', () => {
    const waits = [0, 0, 0, 0, 0, 0, 0].reduce<number[]>(
      (all) => [...all, nextHalfOpenMs(all.at(-1) ?? 0)],
      [],
    )
    assert.deepEqual(
      waits.map((ms) => ms / 60_000),
      [15, 30, 60, 120, 240, 360, 360],
    )
    assert.equal(waits[0], HALF_OPEN_MS)
    assert.equal(waits.at(-1), HALF_OPEN_MAX_MS)
  })
})
