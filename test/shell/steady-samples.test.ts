import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Sample } from '../../supervisor/core/evaluate.ts'
import { sameList, steadyList } from '../../supervisor/shell/steady-samples.ts'

type Told = { readonly value: number; readonly service: string; readonly probe: string | null }

const told = fc.record({
  value: fc.constantFrom(0, 1, Number.NaN),
  service: fc.constantFrom('kb', 'gateway', 'posting'),
  probe: fc.constantFrom(null, 'live', 'ready'),
})
const shown = ({ value, service, probe }: Told): Sample => ({
  labels: probe === null ? { service } : { service, probe },
  value,
})

describe('a list of samples', () => {
  it('says what it was told last, whatever it said before', () => {
    fc.assert(
      fc.property(fc.array(fc.array(told, { maxLength: 5 }), { maxLength: 6 }), (rounds) => {
        const list = steadyList()
        for (const round of rounds) {
          const found = list((put) => {
            for (const { value, service, probe } of round) put(value, service, probe ?? undefined)
          })
          assert.deepEqual(found, round.map(shown))
        }
      }),
    )
  })

  it('is the same object while it says the same, and its samples where they do', () => {
    const list = steadyList()
    const say = (...values: number[]) =>
      list((put) => {
        for (const [at, value] of values.entries()) put(value, `s${at}`)
      })
    const first = say(1, 2, 3)
    assert.equal(say(1, 2, 3), first)
    const second = say(1, 5, 3)
    assert.notEqual(second, first)
    assert.deepEqual(
      second.map((sample, at) => sample === first[at]),
      [true, false, true],
    )
    assert.deepEqual(
      first.map(({ value }) => value),
      [1, 2, 3],
    )
    assert.notEqual(say(1, 5), second)
  })

  it('of samples that others keep is the former one where it holds the same', () => {
    const same = sameList()
    const [a, b] = [
      shown({ value: 1, service: 'a', probe: null }),
      shown({ value: 1, service: 'b', probe: null }),
    ]
    const first = same([a, b])
    assert.equal(same([a, b]), first)
    assert.deepEqual(same([b, a]), [b, a])
    assert.deepEqual(same([b]), [b])
  })
})
