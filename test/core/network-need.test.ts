import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { awaitsNetwork, needsNetwork } from '../../supervisor/core/network-need.ts'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, PASS, Stage, UNKNOWN } from './stage.ts'

const local = makeProbe('readiness', { name: 'local' })
const remote = makeProbe('readiness', { name: 'remote', host: 'api.example.com' } as object)
const started = (...probes: (typeof local)[]) => new Stage([makeSpec('kb', { probes })]).up('kb')
const waits = (stage: Stage) => awaitsNetwork(stage.mesh.children.get('kb')!)

describe('a probe that needs the network', () => {
  it('says so itself, or connects to another machine', () => {
    assert.equal(needsNetwork(remote), true)
    assert.equal(needsNetwork({ ...remote, network: false }), false)
    for (const host of ['localhost', '127.0.0.1', '127.8.0.1', '::1'])
      assert.equal(needsNetwork({ ...local, host } as typeof local), false, host)
    assert.equal(needsNetwork({ ...local, network: true }), true)
    assert.equal(needsNetwork({ ...local, kind: 'memory', max: 1 } as typeof local), false)
  })
})

describe('a service that is not ready for want of the network', () => {
  it('has failing probes, and all of them need it', () => {
    const stage = started(local, remote)
    assert.equal(waits(stage), false, 'it is ready')
    stage.probe('kb', 'remote', FAIL, 3)
    assert.equal(waits(stage), true)
    stage.probe('kb', 'local', FAIL, 3)
    assert.equal(waits(stage), false, 'the local one fails, too')
    stage.probe('kb', 'local', PASS, 1)
    assert.equal(waits(stage), true)
    stage.probe('kb', 'remote', PASS, 1)
    assert.equal(waits(stage), false)
  })

  it('is none where the network has been away from the start and something else was never seen well', () => {
    const stage = new Stage([makeSpec('kb', { probes: [local, remote] })])
    stage.spawned('kb')
    stage.probe('kb', 'remote', FAIL, 3).probe('kb', 'local', UNKNOWN, 3)
    assert.equal(waits(stage), false)
    stage.probe('kb', 'local', PASS, 1)
    assert.equal(waits(stage), true)
  })

  it('is none without a process', () => {
    assert.equal(waits(new Stage([makeSpec('kb', { probes: [remote] })])), false)
  })
})
