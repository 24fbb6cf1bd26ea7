import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { hunt, loadMutant, mutants } from './mutants.ts'
import { type Options, runSeed, shrink } from './simulator.ts'

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

  it('finds every promise kept over two thousand days', () => assertKept(1, 2000, DAY))

  it('finds every promise kept over thirty days in a row', () =>
    assertKept(5000, 5, { days: 30, faultsPerDay: 100 }))

  it('finds every promise kept when a fault strikes every three minutes', () =>
    assertKept(9000, 50, { days: 1, faultsPerDay: 480 }))

  it('leaves out of a failure the faults that it does not need', async () => {
    const mutant = mutants.find(({ slug }) => slug === 'stop-lost-in-backoff')
    assert.ok(mutant)
    const core = await loadMutant(mutant)
    const failing = findFailure(1, 200, { ...DAY, core })
    assert.ok(failing)
    const small = shrink(failing.seed, { ...DAY, core })
    assert.ok(small && small.only.length < failing.faults, `${small?.only.length} of ${failing.faults}`)
    const again = runSeed(failing.seed, { ...DAY, core, only: new Set(small.only) })
    assert.equal(again.violation, small.outcome.violation)
  })

  for (const mutant of mutants) {
    it(`catches within 200 seeds: ${mutant.bug}`, async () => {
      assert.notEqual(await hunt(mutant, 200, DAY), null)
    })
  }
})

describe('a mutant', () => {
  const load = async (text: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'paios-patch-'))
    const patch = join(folder, 'stale.patch')
    writeFileSync(patch, text)
    try {
      return await hunt({ slug: 'stale', bug: 'none', patch }, 1, DAY)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
  const patchOf = (file: string, line: string) =>
    `A bug.\n--- a/${file}\n+++ b/${file}\n@@ -1,1 +1,2 @@\n ${line}\n+// more\n`

  it('whose patch does not fit the core any more is an error', async () => {
    const stale = patchOf('supervisor/core/tree.ts', 'what never stood there')
    await assert.rejects(load(stale), /stale\.patch does not apply to the core any more/)
    await assert.rejects(load(patchOf('supervisor/core/nothing.ts', 'a')), /does not apply/)
    await assert.rejects(load('A bug without a patch.\n'), /does not apply/)
  })

  it('whose patch changes nothing in the core is an error', async () => {
    const elsewhere = 'A bug.\n--- /dev/null\n+++ b/elsewhere.txt\n@@ -0,0 +1,1 @@\n+hello\n'
    await assert.rejects(load(elsewhere), /changes nothing in the core/)
  })

  it('says in words what is wrong, and there are at least twelve', () => {
    assert.ok(mutants.length >= 12)
    for (const { bug, slug } of mutants) assert.match(bug, /^[A-Z].*\.$/, slug)
  })
})
