import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, identityOf, PASS, Stage } from './stage.ts'

const plain = (over = {}) => new Stage([makeSpec('a', over)])
const probed = () => plain({ probes: [makeProbe('startup'), makeProbe('readiness'), makeProbe('liveness')] })

describe('row: adopting', () => {
  it('the same process is adopted as it was: still ready, no start, no signal', () => {
    const stage = probed().up('a')
    const { readyAt } = stage.state('a', 'running')
    const { since } = stage.child('a')
    stage.pass(5_000).crash()
    assert.deepEqual(stage.done('identify')[0]?.identity, identityOf(1))
    stage.forget().identified('a', 'same')
    assert.equal(stage.state('a', 'running').readyAt, readyAt)
    assert.equal(stage.child('a').since, since)
    assert.equal(stage.child('a').generation, 1)
    assert.deepEqual(stage.done('open-probes')[0]?.roles, ['readiness', 'liveness', 'preflight'])
    assert.equal(stage.count('spawn') + stage.count('signal'), 0)
  })

  it('one that was starting goes on starting, with a fresh budget', () => {
    const stage = probed().spawned('a').pass(50_000).crash().identified('a', 'same')
    assert.equal(stage.kind('a'), 'starting')
    assert.equal((stage.child('a').timers.budget?.at ?? 0) - stage.at, 60_000)
  })

  it('one that was stopping is stopped', () => {
    const stage = plain().up('a').stop('a').crash().identified('a', 'same')
    assert.equal(stage.kind('a'), 'stopping')
    assert.equal(stage.done('signal')[0]?.signal, 'SIGTERM')
    assert.equal(stage.ended('a', 0).kind('a'), 'idle')
  })

  it('a stop whose time was up meanwhile ends as a restart', () => {
    const stage = plain()
      .up('a')
      .stop('a', { forMs: 1_000 })
      .crash()
      .fire('a', 'unstop')
      .identified('a', 'same')
    assert.equal(stage.ended('a', 0).kind('a'), 'checking')
  })

  it('a dead one is an unplanned end: swept, counted, started again', () => {
    const stage = plain().up('a').pass(60_000).crash().identified('a', 'dead')
    assert.equal(stage.kind('a'), 'sweeping')
    assert.equal(stage.swept('a').kind('a'), 'checking')
    assert.equal(stage.child('a').counters.total, 1)
  })

  it('a foreign one is not signalled and counts as an end', () => {
    const stage = plain().up('a').crash().forget().identified('a', 'foreign')
    assert.equal(stage.kind('a'), 'sweeping')
    assert.equal(stage.count('signal'), 0)
    assert.ok(stage.done('record').some(({ event }) => event === 'foreign'))
  })

  it('an intent without a pid is looked for by its marker, and started again if nobody carries it', () => {
    const stage = plain().checked('a')
    const { run } = stage.state('a', 'spawning')
    stage.crash()
    assert.deepEqual(stage.done('identify'), [{ kind: 'identify', service: 'a', run, identity: null }])
    stage.identified('a', 'dead')
    assert.equal(stage.kind('a'), 'checking')
    assert.equal(stage.child('a').counters.total, 0)
  })

  it('an intent whose process is gone but has left others is swept before the next start', () => {
    const stage = plain().checked('a').crash().identified('a', 'orphaned')
    assert.equal(stage.kind('a'), 'sweeping')
    assert.equal(stage.count('adopt'), 0)
    stage.crash().identified('a', 'same')
    assert.equal(stage.count('adopt'), 0)
    assert.equal(stage.kind('a'), 'sweeping')
    stage.swept('a')
    assert.ok(['checking', 'backoff'].includes(stage.kind('a')))
  })

  it('an intent whose process is found is adopted', () => {
    const stage = plain().checked('a').crash().identified('a', 'same')
    assert.equal(stage.state('a', 'running').process.adopted, true)
  })

  it('owned pipes died with the supervisor: a planned restart', () => {
    const stage = plain({ stdio: 'pipes' }).up('a').crash().identified('a', 'same')
    assert.equal(stage.state('a', 'stopping').cause, 'supervisor-restart')
    assert.equal(stage.ended('a', 0).kind('a'), 'checking')
    assert.equal(stage.child('a').counters.total, 0)
    const dead = plain({ stdio: 'pipes' }).up('a').crash().identified('a', 'dead').swept('a')
    assert.equal(dead.child('a').counters.total, 0)
  })

  it('an end that was seen before the crash counts, pipes or not', () => {
    const stage = plain({ stdio: 'pipes' }).up('a').exited('a').crash().identified('a', 'dead').swept('a')
    assert.equal(stage.child('a').counters.total, 1)
  })

  it('the answer about another run changes nothing', () => {
    const stage = plain().up('a').crash()
    const before = stage.child('a')
    stage.tell('a', { kind: 'identified', run: 'another', verdict: { kind: 'dead' } })
    assert.equal(stage.child('a'), before)
  })

  it('a second crash before the answer asks again', () => {
    const stage = plain().up('a').crash().crash()
    assert.equal(stage.done('identify').length, 1)
    assert.equal(stage.identified('a', 'same').kind('a'), 'running')
  })

  it('a declaration that changed while the supervisor was away takes force', () => {
    const stage = plain()
      .up('a')
      .crash()
      .declare([makeSpec('a', { command: ['other'] })])
    assert.equal(stage.kind('a'), 'adopting')
    assert.equal(stage.identified('a', 'same').kind('a'), 'stopping')
    stage.ended('a', 0).up('a')
    assert.deepEqual(stage.child('a').spec.command, ['other'])
    assert.equal(stage.child('a').nextSpec, null)
  })

  it('an operator stop of an adopted service is obeyed once it is known', () => {
    const stage = plain().up('a').crash().stop('a')
    assert.equal(stage.kind('a'), 'adopting')
    assert.equal(stage.identified('a', 'same').kind('a'), 'stopping')
  })
})

describe('row: unknown', () => {
  const unknown = () => probed().up('a').crash().forget().identified('a', 'unknown')

  it('nothing is signalled and nothing started while identity cannot be proven', () => {
    const stage = unknown()
    for (let i = 0; i < 10; i++) stage.fire('a', 'retry').identified('a', 'unknown').start('a').restart('a')
    assert.equal(stage.kind('a'), 'unknown')
    assert.equal(
      stage.count('signal') + stage.count('spawn') + stage.count('sweep') + stage.count('run-preflight'),
      0,
    )
  })

  it('is looked at again every 30 s', () => {
    const stage = unknown()
    const began = stage.at
    stage.fire('a', 'retry')
    assert.equal(stage.at - began, 30_000)
    assert.equal(stage.done('identify').length, 1)
  })

  it('a proof later adopts it as it was, and none of its timers lives on', () => {
    const stage = unknown().identified('a', 'same')
    assert.equal(stage.kind('a'), 'running')
    assert.deepEqual(Object.keys(stage.child('a').timers), ['stable'])
    const starting = probed().spawned('a').crash().identified('a', 'unknown').identified('a', 'same')
    assert.deepEqual(Object.keys(starting.child('a').timers), ['budget'])
  })

  it('a stop is kept in mind and obeyed with the proof', () => {
    const stage = unknown().stop('a')
    assert.equal(stage.kind('a'), 'unknown')
    assert.equal(stage.identified('a', 'same').kind('a'), 'stopping')
  })

  it('a changed declaration does not pass for the one in force', () => {
    const stage = unknown().declare([makeSpec('a', { command: ['other'] })])
    assert.deepEqual(stage.child('a').spec.command, ['program'])
    assert.equal(stage.identified('a', 'same').kind('a'), 'stopping')
  })

  it('survives another crash', () => {
    const stage = unknown().crash()
    assert.equal(stage.identified('a', 'same').kind('a'), 'running')
  })
})

describe('recovery of what had no process', () => {
  it('backoff and blocked keep their time, but no longer than their longest wait', () => {
    const stage = plain().up('a').ended('a')
    const due = stage.child('a').timers.backoff?.at
    stage.crash()
    assert.equal(stage.child('a').timers.backoff?.at, due)
    stage.at = -1e9
    stage.crash()
    assert.equal((stage.child('a').timers.backoff?.at ?? 0) - stage.at, 72_000)
  })

  it('an operator stop stays one', () => {
    const stage = plain()
      .up('a')
      .stop('a')
      .ended('a', 0)
      .crash()
      .declare([makeSpec('a')])
    assert.equal(stage.kind('a'), 'idle')
    assert.equal(stage.child('a').desired.kind, 'stopped')
  })

  it('a timed stop ends at its wall time', () => {
    const stage = plain().up('a').stop('a', { forMs: 7_200_000 }).ended('a', 0).pass(3_600_000).crash()
    assert.equal((stage.child('a').timers.unstop?.at ?? 0) - stage.at, 3_600_000)
    assert.equal(stage.fire('a', 'unstop').kind('a'), 'checking')
  })

  it('a check that was under way begins again', () => {
    const stage = plain().crash()
    assert.equal(stage.kind('a'), 'idle')
    assert.equal(stage.declare([makeSpec('a')]).kind('a'), 'checking')
  })

  it('liveness failures from before the crash do not end the process', () => {
    const stage = probed().up('a').probe('a', 'tcp-liveness', FAIL, 2).crash().identified('a', 'same')
    assert.equal(stage.probe('a', 'tcp-liveness', FAIL, 2).kind('a'), 'running')
    assert.equal(
      stage.probe('a', 'tcp-liveness', PASS).probe('a', 'tcp-liveness', FAIL, 3).kind('a'),
      'stopping',
    )
  })
})
