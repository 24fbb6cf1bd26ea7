import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceSpec } from '../../schemas/service.ts'
import { isSettled } from '../../supervisor/core/snapshot.ts'
import { CODES, makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, PASS, Stage } from './stage.ts'

const old = (over: Partial<ServiceSpec> = {}) => makeSpec('a', over)
const fresh = (over: Partial<ServiceSpec> = {}) => makeSpec('a', { command: ['other'], ...over })
const hashOf = (spec: ServiceSpec) => JSON.stringify(spec)
const texts = (stage: Stage, event: string) =>
  stage.all.flatMap((effect) => (effect.kind === 'record' && effect.event === event ? [effect.text] : []))

/** A service that has been stable under its declaration. */
const proven = (spec = old()) => new Stage([spec]).up('a').pass(10_000).fire('a', 'stable').forget()

/** The changed service has stopped, and its first start is under way. */
const onTrial = (spec = fresh(), stage = proven()) => stage.declare([spec]).ended('a', 0).checked('a')

describe('a changed service that does not get ready', () => {
  it('is rolled back at its third failed start, and the one before runs again', () => {
    const stage = onTrial()
    for (let i = 0; i < 2; i++) stage.spawned('a').ended('a', 1).fire('a', 'backoff').checked('a')
    stage.spawned('a').ended('a', 1)
    assert.deepEqual(stage.child('a').spec.command, ['program'])
    assert.match(texts(stage, 'rolled-back').join(), /does not work: exit code 1; the one before is back/)
    stage.checked('a').spawned('a')
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.child('a').rejected?.hash, hashOf(fresh()))
    const { n, ends, failedMs, fatalMs, trial } = stage.child('a').counters
    const paid = { n, ends, failedMs, fatalMs, trial }
    assert.deepEqual(
      paid,
      { n: 0, ends: [], failedMs: 0, fatalMs: 0, trial: 'none' },
      'the old one pays nothing',
    )
  })

  it('is rolled back at once by a fatal exit, a preflight, or a program that is not there', () => {
    assert.deepEqual(onTrial().spawned('a').ended('a', CODES.fatal).child('a').spec.command, ['program'])
    for (const outcome of ['fail', 'absent'] as const) {
      const stage = proven().declare([fresh()]).ended('a', 0).checked('a', outcome)
      assert.deepEqual(stage.child('a').spec.command, ['program'], outcome)
      assert.equal(stage.kind('a'), 'checking', outcome)
    }
  })

  it('is rolled back when its start budget is used up, also if only its readiness is missing', () => {
    const probes = [makeProbe('startup'), makeProbe('readiness')]
    const silent = onTrial(fresh({ probes })).spawned('a').pass(60_000).fire('a', 'budget').ended('a', 143)
    assert.deepEqual(silent.child('a').spec.command, ['program'])
    const unready = onTrial(fresh({ probes })).spawned('a').probe('a', 'tcp-startup', PASS)
    unready.probe('a', 'tcp-readiness', FAIL).pass(60_000).fire('a', 'budget')
    assert.equal(unready.kind('a'), 'starting', 'a period of the probe later it is judged')
    unready.pass(13_000).fire('a', 'budget').ended('a', 143)
    assert.deepEqual(unready.child('a').spec.command, ['program'])
  })

  it('is not rolled back once it has been stable', () => {
    const stage = onTrial().spawned('a').pass(10_000).fire('a', 'stable').ended('a', 1)
    assert.deepEqual(stage.child('a').spec.command, ['other'])
    assert.equal(stage.child('a').trial, null)
  })

  it('has nothing to go back to where nothing ever worked', () => {
    const stage = new Stage([old()]).up('a').declare([fresh()]).ended('a', 0).checked('a').spawned('a')
    stage.ended('a', CODES.fatal)
    assert.equal(stage.kind('a'), 'blocked')
    assert.deepEqual(stage.child('a').spec.command, ['other'])
  })

  it('is rolled back where what worked needs something that is there', () => {
    const kb = makeSpec('kb')
    const needs: ServiceSpec['needs'] = [{ service: 'kb', until: 'ready', restart: false }]
    const stage = new Stage([kb, old({ needs })])
    stage.up('kb').up('a').pass(10_000).fire('a', 'stable')
    stage
      .declare([kb, fresh({ needs })])
      .ended('a', 0)
      .checked('a')
      .spawned('a')
      .ended('a', CODES.fatal)
    assert.deepEqual(stage.child('a').spec.command, ['program'])
    assert.equal(stage.kind('a'), 'checking')
  })

  it('stays, and says so, where what worked needs something that is gone', () => {
    const kb = makeSpec('kb')
    const stage = new Stage([kb, old({ needs: [{ service: 'kb', until: 'ready', restart: false }] })])
    stage.up('kb').up('a').pass(10_000).fire('a', 'stable')
    stage.declare([fresh({ intensity: { max: 0, within: 600_000 } })])
    stage.ended('a', 0).ended('kb', 0).checked('a').spawned('a').ended('a', 1)
    assert.match(stage.state('a', 'failed').reason, /the one before needs kb, which is gone/)
  })

  it('survives the death of the supervisor in the middle of its trial', () => {
    const stage = onTrial().spawned('a').crash().identified('a', 'dead').declare([fresh()]).swept('a')
    stage.fire('a', 'backoff').checked('a').spawned('a').ended('a', CODES.fatal)
    assert.deepEqual(stage.child('a').spec.command, ['program'])
  })
})

describe('a declaration that was rejected', () => {
  const rejected = () => onTrial().spawned('a').ended('a', CODES.fatal).checked('a').spawned('a').forget()

  it('is not tried again by the same document, nor by the next supervisor', () => {
    const stage = rejected().declare([fresh()])
    assert.equal(stage.kind('a'), 'running')
    stage.crash().identified('a', 'same').declare([fresh()])
    assert.equal(stage.count('spawn', 'a'), 0)
    assert.equal(stage.child('a').rejected?.hash, hashOf(fresh()))
  })

  it('is tried again when it is asked for, and when it is another one', () => {
    assert.equal(rejected().declare([fresh()], { retry: true }).kind('a'), 'stopping')
    assert.equal(
      rejected()
        .declare([fresh({ cwd: '/srv' })])
        .kind('a'),
      'stopping',
    )
  })

  it('is forgotten when another one is taken while the process runs on', () => {
    const stage = rejected().declare([old({ startTimeout: 5_000 })])
    assert.deepEqual([stage.kind('a'), stage.child('a').rejected], ['running', null])
  })

  it('is forgotten when the document is back at what runs', () => {
    const stage = rejected().declare([old()])
    assert.equal(stage.child('a').rejected, null)
    assert.equal(stage.kind('a'), 'running')
  })

  it('is not even tried where it could not start: what runs runs on', () => {
    const results = [{ check: 'config', outcome: 'fail' as const, reason: 'config: broken' }]
    const stage = proven().declare([fresh()], { preflight: { a: results } })
    assert.equal(stage.kind('a'), 'running')
    assert.deepEqual(texts(stage, 'rejected'), ['its new declaration is not taken: config: broken'])
    assert.equal(stage.child('a').rejected?.reason, 'config: broken')
    const absent = [{ check: 'program', outcome: 'absent' as const, reason: 'not installed' }]
    assert.equal(
      proven()
        .declare([fresh()], { preflight: { a: absent } })
        .kind('a'),
      'running',
    )
  })

  it('is taken where its checks pass, or cannot tell', () => {
    const results = (['pass', 'unknown'] as const).map((outcome) => ({
      check: 'x',
      outcome,
      reason: outcome,
    }))
    assert.equal(
      proven()
        .declare([fresh()], { preflight: { a: results } })
        .kind('a'),
      'stopping',
    )
  })
})

describe('a change of what the supervisor does, and not of the process', () => {
  const liveness = makeProbe('liveness')

  it('is taken while the process runs on', () => {
    const stage = proven().declare([old({ probes: [liveness], startTimeout: 5_000 })])
    assert.equal(stage.kind('a'), 'running')
    assert.deepEqual(stage.done('open-probes')[0]?.roles, ['readiness', 'liveness', 'preflight'])
    const probing = stage.effects.flatMap(({ kind }) => (kind.endsWith('-probes') ? [kind] : []))
    assert.deepEqual(probing, ['close-probes', 'open-probes'])
    assert.deepEqual([stage.count('signal'), stage.count('spawn')], [0, 0])
    assert.equal(stage.child('a').spec.startTimeout, 5_000)
  })

  it('keeps what is known of probes that stay, and counts new ones as passed until they say otherwise', () => {
    const known = makeProbe('readiness', { name: 'known' })
    const stage = new Stage([old({ probes: [known] })]).up('a').probe('a', 'known', PASS)
    stage.declare([old({ probes: [known, makeProbe('readiness', { name: 'new' })] })])
    const { health } = stage.state('a', 'running')
    assert.deepEqual([health['known']?.verdict, health['new']?.verdict], ['pass', 'pass'])
    stage.probe('a', 'new', FAIL, 2)
    assert.equal(stage.state('a', 'running').health['new']?.verdict, 'pass', 'no failure was counted before')
    stage.probe('a', 'new', FAIL)
    assert.equal(stage.state('a', 'running').health['new']?.verdict, 'fail')
  })

  it('waits for the next start where the process is not ready yet', () => {
    const stage = new Stage([old({ probes: [makeProbe('readiness')] })]).checked('a').spawned('a')
    assert.equal(stage.declare([old()]).kind('a'), 'stopping')
  })
})

describe('a change of a service without a process', () => {
  it('is taken at once, whatever it waited for', () => {
    const waits: [string, Stage][] = [
      ['backoff', new Stage([old()]).up('a').ended('a', 1)],
      ['blocked', new Stage([old()]).checked('a', 'fail')],
      ['failed', new Stage([old({ intensity: { max: 0, within: 1_000 } })]).up('a').ended('a', 1)],
      ['absent', new Stage([old()]).checked('a', 'absent')],
    ]
    for (const [kind, stage] of waits) {
      assert.equal(stage.kind('a'), kind)
      stage.declare([fresh()])
      assert.equal(stage.kind('a'), 'checking', kind)
      assert.equal(stage.child('a').specHash, hashOf(fresh()), kind)
      assert.equal(stage.child('a').nextSpec, null, kind)
    }
  })
})

describe('a program that has changed on disk', () => {
  const changed = { kind: 'program-changed', generation: 1, file: '/bin/kb' } as const

  it('is noted, and restarted only where that is declared and it could start again', () => {
    const noted = new Stage([old()]).up('a').tell('a', changed)
    assert.deepEqual([noted.kind('a'), noted.child('a').outdated], ['running', '/bin/kb'])
    const declared = old({ restartOn: 'binary' })
    assert.equal(new Stage([declared]).up('a').tell('a', changed).kind('a'), 'stopping')
    const broken = new Stage([{ ...declared, probes: [makeProbe('preflight')] }]).up('a')
    assert.equal(broken.probe('a', 'tcp-preflight', FAIL).tell('a', changed).kind('a'), 'running')
  })

  it('is not outdated any more after a restart, which costs no budget', () => {
    const stage = new Stage([old({ restartOn: 'binary' })]).up('a').tell('a', changed).ended('a', 143).up('a')
    assert.equal(stage.child('a').outdated, null)
    assert.equal(stage.child('a').counters.total, 0)
    assert.equal(stage.tell('a', changed).kind('a'), 'running', 'of an earlier life')
  })
})

describe('a life that may be the next failure', () => {
  const settled = (stage: Stage) => isSettled(stage.child('a'), stage.mesh.children, stage.at)

  it('is settled a second after it is ready, and one without a doubt at once', () => {
    for (const role of ['startup', 'readiness'] as const)
      assert.equal(settled(new Stage([old({ probes: [makeProbe(role)] })]).up('a')), true, role)
    const tried = onTrial().spawned('a')
    assert.deepEqual([tried.kind('a'), settled(tried), settled(tried.pass(1_000))], ['running', false, true])
    const again = new Stage([old()]).up('a').ended('a', 1).fire('a', 'backoff').checked('a').spawned('a')
    assert.deepEqual([again.kind('a'), settled(again), settled(again.pass(1_000))], ['running', false, true])
  })

  it('is a first one too, if no probe has found it ready: a program may end as soon as it is started', () => {
    for (const probes of [[], [makeProbe('liveness')]]) {
      const stage = new Stage([old({ probes })]).up('a').pass(999)
      assert.deepEqual([stage.kind('a'), settled(stage), settled(stage.pass(1))], ['running', false, true])
    }
    const waits = makeSpec('b', { needs: [{ service: 'a', until: 'completed', restart: false }] })
    const stage = new Stage([old(), waits]).up('a')
    const isDone = () => isSettled(stage.child('b'), stage.mesh.children, stage.at)
    assert.deepEqual([stage.kind('b'), isDone(), stage.pass(1_000) && isDone()], ['waiting', false, true])
  })
})
