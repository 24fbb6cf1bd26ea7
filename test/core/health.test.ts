import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import {
  failures,
  forgetLiveness,
  type Health,
  hasStarted,
  isProgressing,
  isReady,
  type Judgement,
  judge,
  livenessFailure,
  observe,
} from '../../supervisor/core/health.ts'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, PASS, Stage, UNKNOWN } from './stage.ts'

const outcomes = fc.array(fc.constantFrom(PASS, FAIL, UNKNOWN), { maxLength: 60 })
const threshold = fc.integer({ min: 1, max: 5 })

describe('health', () => {
  it('a verdict is what the last threshold of results in a row said, unknown ones left out', () => {
    fc.assert(
      fc.property(outcomes, threshold, threshold, (list, failureThreshold, successThreshold) => {
        const probe = makeProbe('readiness', { failureThreshold, successThreshold })
        let judged: Judgement | undefined
        let verdict: 'pass' | 'fail' | null = null
        let run = 0
        let last = ''
        for (const outcome of list) {
          judged = judge(judged, probe, outcome)
          if (outcome.kind !== 'unknown') {
            run = outcome.kind === last ? run + 1 : 1
            last = outcome.kind
            if (outcome.kind === 'pass' && run >= successThreshold) verdict = 'pass'
            if (outcome.kind === 'fail' && run >= failureThreshold) verdict = 'fail'
          }
          assert.equal(judged.verdict, verdict)
        }
      }),
    )
  })

  it('keeps what the last results said in words, and is the same object exactly if nothing of it changed', () => {
    const words = fc.constantFrom('one', 'other')
    const told = fc.oneof(
      fc.record({ kind: fc.constant('pass' as const), note: fc.option(words) }),
      fc.record({ kind: fc.constant('fail' as const), reason: words, progress: fc.boolean() }),
      fc.record({ kind: fc.constant('unknown' as const), reason: words }),
    )
    fc.assert(
      fc.property(fc.array(told, { maxLength: 30 }), threshold, threshold, (list, failing, passing) => {
        const probe = makeProbe('readiness', { failureThreshold: failing, successThreshold: passing })
        let judged: Judgement | undefined
        let expected = { failures: 0, passes: 0, unknown: null as string | null, note: null as string | null }
        let reason: string | null = null
        let progress = false
        for (const outcome of list) {
          const before = judged
          judged = judge(judged, probe, outcome)
          if (outcome.kind === 'unknown') expected = { ...expected, unknown: outcome.reason }
          if (outcome.kind === 'pass') {
            const passes = Math.min(passing, expected.passes + 1)
            expected = { failures: 0, passes, unknown: null, note: outcome.note }
            if (judged.verdict === 'pass') reason = null
            progress = false
          }
          if (outcome.kind === 'fail') {
            const failures = Math.min(failing, expected.failures + 1)
            expected = { ...expected, failures, passes: 0, unknown: null }
            reason = outcome.reason
            progress = outcome.progress
          }
          assert.deepEqual(judged, { ...expected, verdict: judged.verdict, reason, progress })
          if (before) assert.equal(before === judged, isDeepStrictEqual(before, judged))
        }
      }),
    )
  })

  it('what fails is told by role, each reason once, and what cannot be checked says so', () => {
    const spec = makeSpec('a', {
      probes: [
        makeProbe('readiness'),
        makeProbe('readiness', { name: 'b' }),
        makeProbe('liveness'),
        makeProbe('startup'),
      ],
    })
    const failing = (reason: string) =>
      judge(undefined, makeProbe('readiness'), { ...FAIL, reason } as typeof FAIL)
    const health: Health = {
      'tcp-readiness': failing('no answer'),
      b: failing('no answer'),
      'tcp-liveness': failing('hangs'),
      'tcp-startup': judge(undefined, makeProbe('startup'), UNKNOWN),
    }
    assert.deepEqual(failures(spec, health, ['readiness']), ['no answer'])
    assert.deepEqual(failures(spec, health, ['liveness', 'readiness']), ['no answer', 'hangs'])
    assert.deepEqual(failures(spec, health, ['startup']), ['cannot be checked: the prober was late'])
  })

  it('gives back the same object when nothing changed', () => {
    const probe = makeProbe('readiness')
    const health = observe({}, probe, PASS)
    assert.equal(observe(health, probe, PASS), health)
  })

  it('two failures of three leave success, the third flips; two passes of three leave failure', () => {
    const probe = makeProbe('readiness', { failureThreshold: 3, successThreshold: 3 })
    const after = (list: (typeof PASS)[]) =>
      list.reduce<Judgement | undefined>((old, one) => judge(old, probe, one), undefined)?.verdict
    const up = [PASS, PASS, PASS]
    assert.equal(after([PASS, PASS]), null)
    assert.equal(after([...up, FAIL, FAIL]), 'pass')
    assert.equal(after([...up, FAIL, FAIL, FAIL]), 'fail')
    assert.equal(after([...up, FAIL, FAIL, FAIL, PASS, PASS]), 'fail')
    assert.equal(after([...up, FAIL, FAIL, FAIL, PASS, PASS, PASS]), 'pass')
    assert.equal(after([...up, FAIL, FAIL, UNKNOWN, FAIL]), 'fail')
    assert.equal(after([...up, FAIL, FAIL, PASS, FAIL]), 'pass')
  })

  it('readiness and startup need every probe to have passed, liveness only to not have failed', () => {
    const spec = makeSpec('a', {
      probes: [
        makeProbe('startup'),
        makeProbe('readiness'),
        makeProbe('readiness', { name: 'b' }),
        makeProbe('liveness'),
      ],
    })
    const pass: Judgement = judge(undefined, makeProbe('readiness'), PASS)
    let health: Health = {}
    assert.deepEqual(
      [hasStarted(spec, health), isReady(spec, health), livenessFailure(spec, health)],
      [false, false, null],
    )
    health = { 'tcp-startup': pass, 'tcp-readiness': pass }
    assert.deepEqual([hasStarted(spec, health), isReady(spec, health)], [true, false])
    assert.equal(isReady(spec, { ...health, b: pass }), true)
    const failed = [FAIL, FAIL, FAIL].reduce<Health>(
      (old, one) => observe(old, makeProbe('liveness'), one),
      health,
    )
    assert.equal(livenessFailure(spec, failed), 'no answer')
    assert.deepEqual(forgetLiveness(spec, failed), health)
    assert.deepEqual(forgetLiveness(spec, observe(health, makeProbe('liveness'), FAIL)), health)
    assert.equal(forgetLiveness(spec, health), health)
  })

  it('a start goes on only while the last startup result says so', () => {
    const spec = makeSpec('a', { probes: [makeProbe('startup')] })
    const starting = observe({}, makeProbe('startup'), { kind: 'fail', reason: 'starting', progress: true })
    assert.equal(isProgressing(spec, starting), true)
    assert.equal(isProgressing(spec, observe(starting, makeProbe('startup'), FAIL)), false)
    const two = { ...spec, probes: [...spec.probes, makeProbe('startup', { name: 'other' })] }
    assert.equal(isProgressing(two, starting), true, 'one of two is enough')
  })
})

describe('health of a service', () => {
  const liveness = () => makeProbe('liveness', { failureThreshold: 3 })
  const guarded = () => new Stage([makeSpec('a', { probes: [makeProbe('readiness'), liveness()] })])

  it('the third liveness failure in a row ends the process, the first two do nothing', () => {
    const stage = guarded().up('a').forget()
    stage.probe('a', 'tcp-liveness', FAIL, 2)
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.count('signal'), 0)
    stage.probe('a', 'tcp-liveness', FAIL)
    assert.equal(stage.state('a', 'stopping').cause, 'hung')
  })

  it('after a liveness failure nothing is judged until the next generation', () => {
    const stage = guarded().up('a').probe('a', 'tcp-liveness', FAIL, 3)
    assert.equal(stage.done('close-probes').length, 1)
    stage.forget().probe('a', 'tcp-liveness', PASS, 5).probe('a', 'tcp-readiness', PASS, 5)
    assert.equal(stage.kind('a'), 'stopping')
    assert.equal(stage.all.length, 0)
  })

  it('liveness never ends a process before its first ready, and counts anew from there', () => {
    const stage = guarded().spawned('a').probe('a', 'tcp-liveness', FAIL, 10)
    assert.equal(stage.kind('a'), 'starting')
    stage.probe('a', 'tcp-readiness', PASS)
    assert.equal(stage.kind('a'), 'running')
    stage.probe('a', 'tcp-liveness', FAIL, 2)
    assert.equal(stage.kind('a'), 'running')
    stage.probe('a', 'tcp-liveness', FAIL)
    assert.equal(stage.kind('a'), 'stopping')
  })

  it('liveness that failed before a late ready neither ends the process at once nor is forgotten for good', () => {
    const stage = guarded().spawned('a').fire('a', 'budget').probe('a', 'tcp-liveness', FAIL, 10)
    stage.probe('a', 'tcp-readiness', PASS)
    assert.equal(stage.kind('a'), 'running')
    stage.probe('a', 'tcp-liveness', FAIL, 3)
    assert.equal(stage.kind('a'), 'stopping')
  })

  it('readiness makes degraded and ready again without touching the process', () => {
    const stage = guarded().up('a').forget().probe('a', 'tcp-readiness', FAIL, 3)
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.done('record')[0]?.event, 'degraded')
    stage.probe('a', 'tcp-readiness', PASS)
    assert.equal(stage.done('record')[0]?.event, 'recovered')
    assert.equal(stage.count('signal'), 0)
  })

  it('an unknown result never changes health', () => {
    const stage = guarded().up('a').forget()
    stage.probe('a', 'tcp-liveness', UNKNOWN, 20).probe('a', 'tcp-readiness', UNKNOWN, 20)
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.count('record'), 0)
  })

  it('a result of an earlier generation changes nothing', () => {
    const stage = guarded().up('a').forget()
    const before = stage.child('a')
    stage.tell('a', { kind: 'probe-reported', generation: 0, probe: 'tcp-liveness', outcome: FAIL })
    assert.equal(stage.child('a'), before)
  })
})
