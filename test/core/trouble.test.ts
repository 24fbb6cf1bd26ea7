import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CODES, makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, PASS, Stage } from './stage.ts'

const plain = (over = {}) => new Stage([makeSpec('a', over)])
/** What was told since the beginning or since `forget`. */
const told = (stage: Stage) =>
  stage.all.flatMap((effect) => (effect.kind === 'alert' ? [`${effect.event}: ${effect.reason}`] : []))

describe('what an operator must hear of', () => {
  it('a crash is told once, and its recovery once, however many attempts lie between', () => {
    const stage = plain().up('a').ended('a', 1)
    for (let i = 0; i < 3; i++) stage.fire('a', 'backoff').spawned('a').ended('a', 1)
    assert.deepEqual(told(stage), [
      'down: exit code 1',
      'recovered: was down',
      'down: exit code 1',
      'recovered: was down',
      'down: exit code 1',
      'recovered: was down',
      'down: exit code 1',
    ])
    const gated = plain({ probes: [makeProbe('readiness')] })
      .up('a')
      .ended('a', 1)
    for (let i = 0; i < 3; i++) gated.fire('a', 'backoff').spawned('a').ended('a', 1)
    assert.deepEqual(told(gated), ['down: exit code 1'])
    gated.recover('a')
    assert.deepEqual(told(gated), ['down: exit code 1', 'recovered: was down'])
  })

  it('a restart at once of a stable life is told, too: nothing fails silently', () => {
    const stage = plain().up('a').pass(20_000).ended('a', 1).up('a')
    assert.deepEqual(told(stage), ['down: exit code 1', 'recovered: was down'])
  })

  it('giving up is told after going down', () => {
    const stage = plain({ intensity: { max: 1, within: 600_000 }, probes: [makeProbe('readiness')] }).up('a')
    stage.ended('a', 1).recover('a').ended('a', 1)
    assert.equal(stage.kind('a'), 'failed')
    assert.match(
      told(stage).join('\n'),
      /^down.*\nrecovered.*\ndown.*\ngave-up: gave up: more than 1 failures/,
    )
  })

  it('blocked, missing and unknown are told with their reasons', () => {
    assert.deepEqual(told(plain().checked('a', 'fail')), ['blocked: program: fail'])
    const missing = plain().up('a').ended('a', 1).fire('a', 'backoff').checked('a', 'absent')
    assert.deepEqual(told(missing), ['down: exit code 1', 'missing: program: absent'])
    const unknown = plain().up('a').forget().crash().identified('a', 'unknown')
    assert.match(told(unknown).join('\n'), /^unknown: .*permission denied/)
  })

  it('a program that never was here is no trouble', () => {
    assert.deepEqual(told(plain().checked('a', 'absent')), [])
  })

  it('a planned end, a restart that was asked for and a stop are no trouble', () => {
    const stage = plain().up('a').pass(5_000).ended('a', CODES.planned).up('a')
    stage.restart('a').ended('a', 143).up('a').stop('a').ended('a', 143)
    assert.deepEqual(told(stage), [])
  })

  it('an end in peace is a trouble of what is to run for ever, and of nothing else', () => {
    const ends = (restart: 'permanent' | 'transient' | 'temporary') =>
      told(plain({ restart }).up('a').pass(20_000).ended('a', 0))
    assert.deepEqual(ends('permanent'), ['down: exit code 0'])
    assert.deepEqual([...ends('transient'), ...ends('temporary')], [])
  })

  it('not being ready is told by the verdict, and its end', () => {
    const stage = plain({ probes: [makeProbe('readiness')] }).up('a')
    stage.probe('a', 'tcp-readiness', FAIL, 2)
    assert.deepEqual(told(stage), [])
    stage.probe('a', 'tcp-readiness', FAIL).probe('a', 'tcp-readiness', PASS)
    assert.deepEqual(told(stage), ['degraded: no answer', 'recovered: was degraded'])
  })

  it('what is only watched is told, too', () => {
    const stage = plain({ command: null, probes: [makeProbe('readiness')] })
    stage.probe('a', 'tcp-readiness', FAIL, 3).probe('a', 'tcp-readiness', PASS)
    assert.deepEqual(told(stage), ['degraded: no answer', 'recovered: was degraded'])
  })

  it('a trouble is not told again by the next supervisor', () => {
    const stage = plain().checked('a', 'fail').forget().crash()
    if (stage.kind('a') === 'checking') stage.checked('a', 'fail')
    assert.deepEqual(told(stage), [])
  })

  it('what nobody wants any more is not in trouble, and nothing recovered', () => {
    const stage = plain().up('a').ended('a', 1).stop('a').start('a').up('a')
    assert.deepEqual(told(stage), ['down: exit code 1'])
  })
})

describe('a service that is only watched and has a program', () => {
  const session = () =>
    plain({ command: null, kind: 'session', program: 'claude', probes: [makeProbe('readiness')] })

  it('is absent while its program never was here, without an alert', () => {
    const stage = session().checked('a', 'absent')
    assert.equal(stage.kind('a'), 'absent')
    assert.deepEqual(told(stage), [])
  })

  it('is watched once its program is here', () => {
    const stage = session().checked('a')
    assert.equal(stage.kind('a'), 'observing')
    assert.deepEqual(
      stage.done('open-probes').map(({ roles }) => roles),
      [['startup', 'readiness', 'liveness']],
    )
    assert.equal(stage.count('spawn'), 0)
  })

  it('is missing when its program is gone, and is told', () => {
    const stage = session().checked('a').tell('a', { kind: 'program-gone' }).checked('a', 'absent')
    assert.equal(stage.kind('a'), 'missing')
    assert.deepEqual(told(stage), ['missing: program: absent'])
    stage.fire('a', 'retry').checked('a').probe('a', 'tcp-readiness', PASS)
    assert.deepEqual(told(stage), ['missing: program: absent', 'recovered: was missing'])
  })

  it('keeps what its probes note', () => {
    const stage = session().checked('a').probe('a', 'tcp-readiness', { kind: 'pass', note: '2.1.197' })
    assert.equal(stage.state('a', 'observing').health['tcp-readiness']?.note, '2.1.197')
  })

  it('puts what a probe tells into the journal, and changes nothing else', () => {
    const stage = session().checked('a')
    const before = stage.child('a')
    stage.tell('a', { kind: 'noted', event: 'version-changed', text: '1 -> 2' })
    assert.equal(stage.child('a'), before)
    assert.deepEqual(
      stage.done('record').map(({ event, text }) => [event, text]),
      [['version-changed', '1 -> 2']],
    )
  })
})
