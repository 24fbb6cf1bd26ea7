import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exceeded, LIMITS, openOwnLimits } from '../../supervisor/shell/own-limits.ts'

describe('the limits of the supervisor itself', () => {
  const well = { residentBytes: 60 * 1024 ** 2, descriptors: 40, lagMs: 3 }

  it('are silent while all is well, and where descriptors cannot be counted', () => {
    assert.deepEqual(exceeded(well), [])
    assert.deepEqual(exceeded({ ...well, descriptors: null }), [])
  })

  it('are told one by one, with the figure and the limit', () => {
    const words = exceeded({ residentBytes: 300 * 1024 ** 2, descriptors: 3_000, lagMs: 700 })
    assert.match(words[0] ?? '', /300 MiB of memory, more than 256 MiB/)
    assert.match(words[1] ?? '', /3000 open descriptors, more than 2048/)
    assert.match(words[2] ?? '', /late by 700 ms in the last minute/)
  })

  it('measure this process, and remember lateness for a minute', () => {
    let now = 0
    const limits = openOwnLimits(() => now)
    limits.ticked(1)
    limits.ticked(LIMITS.lagMs + 100)
    assert.equal(limits.figures().lagMs, LIMITS.lagMs + 100)
    assert.equal(limits.problems().length, 1)
    assert.ok(limits.figures().residentBytes > 10 * 1024 ** 2)
    assert.ok((limits.figures().descriptors ?? 0) > 3)
    now = 60_001
    assert.deepEqual(limits.problems(), [])
  })
})
