import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import { play } from '../../supervisor/export/examples.ts'

describe('the examples of the alert rules', () => {
  for (const [name, rule] of Object.entries(RULES)) {
    it(`${name} fires where it says so, and is silent where it says so`, () => {
      const fired = play(name, rule, rule.fires)
      assert.equal(fired.length, 1)
      assert.doesNotMatch(fired[0]!.summary, /[{}]|undefined|\s\s/)
      assert.notEqual(fired[0]!.subject.name, '')
      const told = play(name, rule, rule.silent).filter(({ held }) => held.length === 0)
      assert.deepEqual(told, [])
    })
  }
})
