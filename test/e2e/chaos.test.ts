/** A short run of chaos: 20 times kill -9 of the supervisor over 50 real children. `npm run chaos` is the long form. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { chaos } from '../chaos/chaos.ts'

it('20 times kill -9 of the supervisor: every child is adopted, none runs twice, no stranger is touched', async (t) => {
  const seed = Number(process.env['CHAOS_SEED'] ?? 20)
  const { kills, adopted, violations } = await chaos({
    kills: 20,
    seed,
    services: 50,
    tell: (line) => t.diagnostic(line),
  })
  assert.deepEqual(violations, [], `seed ${seed}`)
  assert.equal(kills, 20)
  assert.ok(adopted > 0)
})
