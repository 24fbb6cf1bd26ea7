import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadMutant, mutants } from './mutants.ts'
import { type Options, runSeed } from './simulator.ts'

const DAY: Options = { days: 1, faultsPerDay: 100 }

function findFailure(from: number, count: number, options: Options) {
  for (let seed = from; seed < from + count; seed++) {
    const outcome = runSeed(seed, options)
    if (outcome.violation) return outcome
  }
  return null
}

function assertKept(from: number, count: number, options: Options) {
  const failure = findFailure(from, count, options)
  if (!failure) return
  const { seed, violation, story } = failure
  const replay = `npm run sim -- --seed ${seed} --days ${options.days} --faults ${options.faultsPerDay}`
  assert.fail(`seed ${seed}: ${violation}\n${story.slice(-30).join('\n')}\nreplay: ${replay}`)
}

describe('the simulator', () => {
  it('tells the same story for the same seed', () => {
    assert.deepEqual(runSeed(7, DAY), runSeed(7, DAY))
    assert.notDeepEqual(runSeed(7, DAY).story, runSeed(8, DAY).story)
  })

  it('finds every promise kept over a thousand days', () => assertKept(1, 1000, DAY))

  it('finds every promise kept over ten days in a row', () =>
    assertKept(5000, 10, { days: 10, faultsPerDay: 100 }))

  it('finds every promise kept when a fault strikes every three minutes', () =>
    assertKept(9000, 50, { days: 1, faultsPerDay: 480 }))

  for (const mutant of mutants) {
    it(`catches ${mutant.bug} within 200 seeds`, async () => {
      const core = await loadMutant(mutant)
      assert.notEqual(findFailure(1, 200, { ...DAY, core }), null)
    })
  }
})
