import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { accountOf } from '../../supervisor/core/observed.ts'
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
