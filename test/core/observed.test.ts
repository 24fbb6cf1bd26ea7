import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { accountOf, type Ledger, type Spent, turnOver } from '../../supervisor/core/observed.ts'
import { makeSpec } from '../sim/mesh.ts'
import { Stage } from './stage.ts'

const account = (stage: Stage) => accountOf(stage.child('kb'), stage.mesh)

describe('a moment of a service', () => {
  it('is good while it is up and bad while it is wanted and not', () => {
    const stage = new Stage([makeSpec('kb')]).up('kb')
    assert.equal(account(stage), 'good')
    stage.ended('kb')
    assert.equal(account(stage), 'bad')
  })

  it('is excluded during the first start, and bad during the start after a failure', () => {
    const stage = new Stage([makeSpec('kb')])
    assert.equal(account(stage), 'excluded')
    stage.up('kb').ended('kb').fire('kb', 'backoff')
    assert.equal(account(stage), 'bad')
  })

  it('is excluded while the operator has stopped it, or the mesh is down', () => {
    const stage = new Stage([makeSpec('kb')]).up('kb')
    stage.stop('kb')
    assert.equal(account(stage), 'excluded')
    const other = new Stage([makeSpec('kb')]).up('kb')
    other.ask({ kind: 'down' })
    assert.equal(account(other), 'excluded')
  })

  it('is excluded where nobody wants it to run', () => {
    assert.equal(account(new Stage([makeSpec('kb', { enabled: false })])), 'excluded')
  })
})

describe('the ledger of accounts', () => {
  const accounts = fc.constantFrom('good', 'bad', 'excluded', null)
  const changes = fc.array(
    fc.record({ afterMs: fc.nat(5_000), subject: fc.constantFrom('a', 'b'), account: accounts }),
  )

  it('returns every millisecond in which a service was counted once, under how it counted', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const ledger: Ledger = new Map()
        const spent: Spent[] = []
        // Counted by hand, millisecond span by span.
        const now = new Map<string, string | null>()
        const expected = new Map<string, number>()
        let at = 0
        for (const { afterMs, subject, account } of all) {
          for (const [name, how] of now)
            if (how !== null) expected.set(`${name} ${how}`, (expected.get(`${name} ${how}`) ?? 0) + afterMs)
          at += afterMs
          now.set(subject, account)
          const one = turnOver(ledger, subject, account, at)
          if (one) spent.push(one)
        }
        for (const subject of ['a', 'b']) {
          const one = turnOver(ledger, subject, null, at)
          if (one) spent.push(one)
        }
        const found = new Map<string, number>()
        for (const { subject, account, ms } of spent)
          found.set(`${subject} ${account}`, (found.get(`${subject} ${account}`) ?? 0) + ms)
        const some = (sums: Map<string, number>) => [...sums].filter(([, ms]) => ms > 0).sort()
        assert.deepEqual(some(found), some(expected))
        assert.equal(ledger.size, 0)
      }),
    )
  })
})
