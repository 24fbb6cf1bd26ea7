import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { faultOf } from '../../supervisor/core/fault.ts'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, Stage } from './stage.ts'

const fault = (stage: Stage) => faultOf(stage.child('kb'))

describe('what is wrong with a service', () => {
  it('is nothing while it runs', () => {
    assert.equal(fault(new Stage([makeSpec('kb')]).up('kb')), null)
  })

  it('is how it ended, while it waits and while it is tried again', () => {
    const stage = new Stage([makeSpec('kb')]).up('kb')
    stage.ended('kb', 3)
    assert.equal(fault(stage), 'exit code 3')
    if (stage.kind('kb') === 'backoff') stage.fire('kb', 'backoff')
    stage.up('kb')
    assert.deepEqual([stage.kind('kb'), fault(stage)], ['running', 'exit code 3'])
  })

  it('is what its probes say', () => {
    const stage = new Stage([makeSpec('kb', { probes: [makeProbe('readiness')] })]).up('kb')
    const { name, kind, role } = stage.child('kb').spec.probes[0]!
    stage.probe('kb', name ?? `${kind}-${role}`, FAIL, 10)
    assert.equal(fault(stage), 'no answer')
  })
})
