import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { nextRandom, type RandomState, ulid } from '../../supervisor/core/random.ts'

const word = fc.integer({ min: 0, max: 0xffff_ffff })
const seed = fc.tuple(word, word, word, fc.integer({ min: 1, max: 0xffff_ffff }))

describe('random', () => {
  it('draws numbers in [0, 1), the same ones from the same state', () => {
    fc.assert(
      fc.property(seed, (start) => {
        let state: RandomState = start
        for (let i = 0; i < 20; i++) {
          const { value, state: next } = nextRandom(state)
          assert.deepEqual(nextRandom(state), { value, state: next })
          assert.ok(value >= 0 && value < 1)
          assert.ok(next.some((part) => part !== 0))
          state = next
        }
      }),
    )
  })

  it('agrees with the reference xoshiro128** from the state 1, 2, 3, 4', () => {
    let state: RandomState = [1, 2, 3, 4]
    const drawn: number[] = []
    for (let i = 0; i < 4; i++) {
      const next = nextRandom(state)
      drawn.push(next.value * 2 ** 32)
      state = next.state
    }
    // The first outputs of the authors' C code for this state.
    assert.deepEqual(drawn, [11520, 0, 5927040, 70819200])
  })

  it('is spread evenly enough for jitter', () => {
    let state: RandomState = [1, 2, 3, 4]
    const bins = Array<number>(10).fill(0)
    for (let i = 0; i < 10_000; i++) {
      const next = nextRandom(state)
      state = next.state
      const bin = Math.floor(next.value * 10)
      bins[bin] = (bins[bin] ?? 0) + 1
    }
    for (const count of bins) assert.ok(count > 850 && count < 1150, String(bins))
  })

  it('makes ULIDs that sort by their time', () => {
    const at = fc.integer({ min: 0, max: 2 ** 47 })
    fc.assert(
      fc.property(at, fc.integer({ min: 1, max: 1_000_000 }), (wall, later) => {
        const early = ulid(wall, () => 0.99)
        const late = ulid(wall + later, () => 0)
        assert.match(early, /^[0-9A-HJKMNP-TV-Z]{26}$/)
        assert.ok(early < late)
      }),
    )
  })
})
