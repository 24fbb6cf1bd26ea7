/**
 * Scenarios six to ten of ten that other supervisors test themselves with, as far as the core decides them. One to five
 * are in peers.test.ts.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isUp } from '../../supervisor/core/scope.ts'
import { CODES, makeProbe, makeSpec } from '../sim/mesh.ts'
import { budget, kinds, lives, needs, settle, signalled, started, upAll } from './family.ts'
import { FAIL, PASS, Stage, UNKNOWN } from './stage.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const plain = (over = {}) => new Stage([makeSpec('a', over)])
/** What was told of a service since `forget`. */
const told = (stage: Stage) => stage.all.flatMap((effect) => (effect.kind === 'alert' ? [effect.event] : []))

describe('6. kubelet, prober/worker_test.go: TestFailureThreshold, TestSuccessThreshold, TestInitialDelay, TestOnHold', () => {
  const probes = [
    makeProbe('startup'),
    makeProbe('readiness', { successThreshold: 3 }),
    makeProbe('liveness'),
  ]
  const probed = () => plain({ probes }).up('a').forget()
  const isReady = (stage: Stage) => isUp(stage.child('a'))

  it('failure threshold: two failures leave it ready, the third flips', () => {
    const stage = probed().probe('a', 'tcp-readiness', FAIL, 2)
    assert.ok(isReady(stage))
    assert.ok(!isReady(stage.probe('a', 'tcp-readiness', FAIL)))
  })

  it('success threshold: two passes leave it not ready, the third flips, and a failure between counts anew', () => {
    const stage = probed().probe('a', 'tcp-readiness', FAIL, 3).probe('a', 'tcp-readiness', PASS, 2)
    assert.ok(!isReady(stage))
    stage.probe('a', 'tcp-readiness', FAIL).probe('a', 'tcp-readiness', PASS, 2)
    assert.ok(!isReady(stage))
    assert.ok(isReady(stage.probe('a', 'tcp-readiness', PASS)))
  })

  it('initial delay: before startup has passed liveness ends nothing and readiness is not given', () => {
    const stage = plain({ probes }).spawned('a').forget()
    stage.probe('a', 'tcp-liveness', FAIL, 20).probe('a', 'tcp-readiness', PASS, 20)
    assert.equal(stage.kind('a'), 'starting')
    assert.deepEqual(signalled(stage), [])
  })

  it('on hold: after a liveness failure its probes are closed, and success is ignored until the next life', () => {
    const stage = probed().probe('a', 'tcp-liveness', FAIL, 3)
    assert.equal(stage.state('a', 'stopping').cause, 'hung')
    assert.equal(stage.done('close-probes').length, 1)
    stage.forget().probe('a', 'tcp-liveness', PASS, 5)
    assert.equal(stage.kind('a'), 'stopping')
    assert.equal(stage.count('open-probes'), 0)
    stage.exited('a', null, 'SIGTERM').swept('a').recover('a')
    assert.deepEqual(kinds(stage, 'a'), ['running'])
    for (let i = 0; i < 5; i++)
      stage.tell('a', { kind: 'probe-reported', generation: 1, probe: 'tcp-liveness', outcome: FAIL })
    assert.deepEqual(kinds(stage, 'a'), ['running'])
  })

  it('crash of a probe: what cannot be told changes nothing, however often, and the next result counts', () => {
    const stage = probed().probe('a', 'tcp-liveness', FAIL, 2).probe('a', 'tcp-liveness', UNKNOWN, 50)
    stage.probe('a', 'tcp-readiness', UNKNOWN, 50)
    assert.equal(stage.kind('a'), 'running')
    assert.ok(isReady(stage))
    assert.equal(stage.probe('a', 'tcp-liveness', FAIL).kind('a'), 'stopping')
  })
})

describe('7. process-compose, system_test.go: ConcurrentRestartRaceCondition, restart pending; dinit other4', () => {
  const pair = () => new Stage([makeSpec('kb'), makeSpec('a', { needs: needs('kb') })])

  it('twenty restarts at once: twenty answers, no error, one signal, one process', () => {
    const stage = plain().up('a').forget()
    for (let i = 0; i < 20; i++) stage.restart('a')
    settle(stage)
    assert.deepEqual([stage.count('reply'), stage.count('refuse')], [20, 0])
    assert.deepEqual([signalled(stage), started(stage)], [['a'], ['a']])
  })

  it('twenty restarts, each in another moment of the same restart, make one as well', () => {
    const stage = plain().up('a').forget()
    stage.restart('a').restart('a').exited('a', 0).restart('a').swept('a').restart('a').checked('a')
    stage.restart('a').restart('a').spawned('a')
    assert.deepEqual([signalled(stage), started(stage)], [['a'], ['a']])
  })

  it('a restart while it waits for its need stays pending, and later there is exactly one start', () => {
    const stage = pair().restart('a').restart('a')
    assert.equal(stage.kind('a'), 'waiting')
    settle(stage.up('kb'))
    assert.deepEqual(lives(stage, 'kb', 'a'), [1, 1])
  })

  it('differs on purpose: a further start is not rejected, it is answered and changes nothing', () => {
    const stage = settle(pair()).forget().start('a').start('a')
    assert.deepEqual([stage.count('reply'), stage.count('refuse')], [2, 0])
    assert.deepEqual([signalled(stage), started(stage)], [[], []])
  })

  it('a stop while its restart is pending means that it never starts', () => {
    const waiting = pair().restart('a').stop('a').up('kb')
    assert.deepEqual([waiting.kind('a'), waiting.child('a').generation], ['idle', 0])
    const delayed = plain().up('a').ended('a').forget().stop('a').pass(DAY).tell('a', { kind: 'wanted' })
    assert.deepEqual([delayed.kind('a'), started(delayed)], ['idle', []])
  })
})

// Real processes that do all of this: test/e2e/stop.test.ts.
describe('8. process-compose, TestProcShutDownWithConfiguredTimeOut, TerminatingWithOrphanedChildHoldingPipe; pm2, treekill; supervisord, test_stopasgroup', () => {
  const patient = () =>
    plain({
      stop: [
        { step: 'signal', signal: 'SIGTERM', to: 'group' },
        { step: 'wait-exit', for: 3_000 },
      ],
    })
      .up('a')
      .forget()

  it('a child that ignores SIGTERM is terminating until its 3 s are over, then killed, then completed', () => {
    const stage = patient().stop('a')
    const began = stage.at
    assert.equal(stage.state('a', 'stopping').deadline, began + 3_000)
    stage.fire('a', 'step')
    assert.equal(stage.at, began + 3_000)
    assert.deepEqual(
      stage.done('signal').map(({ signal, to }) => [signal, to]),
      [['SIGKILL', 'tree']],
    )
    stage.exited('a', null, 'SIGKILL')
    assert.equal(stage.kind('a'), 'sweeping')
    assert.equal(stage.swept('a').kind('a'), 'idle')
  })

  it('a grandchild in a session of its own does not hold up the end: it is swept after the exit, or named', () => {
    const stage = patient().stop('a').exited('a', 0)
    const [sweep] = stage.done('sweep')
    assert.equal(sweep?.process.run, stage.state('a', 'sweeping').process.run)
    stage.swept('a', ['pid 4711'])
    assert.equal(stage.kind('a'), 'idle')
    assert.deepEqual(stage.child('a').leftovers, ['pid 4711'])
  })

  it('a sweep without an answer is over after 30 s, and says so', () => {
    const stage = patient().stop('a').exited('a', 0)
    const began = stage.at
    stage.fire('a', 'sweep')
    assert.equal(stage.at - began, 30_000)
    assert.equal(stage.kind('a'), 'idle')
    assert.equal(stage.child('a').leftovers.length, 1)
  })

  it('the signal goes to the whole group, the SIGKILL to the tree, and the sweep after it is hard', () => {
    const stage = patient().stop('a')
    assert.equal(stage.done('signal')[0]?.to, 'group')
    stage.fire('a', 'step').exited('a', null, 'SIGKILL')
    assert.equal(stage.done('sweep')[0]?.hard, true)
  })

  it('a pid that is dead already is no error: a second stop and a second exit change nothing', () => {
    const stage = patient().stop('a').ended('a', 0).forget().stop('a').exited('a', 0).swept('a')
    assert.equal(stage.kind('a'), 'idle')
    assert.deepEqual([stage.count('refuse'), signalled(stage)], [0, []])
  })
})

// Cron over the change of the clocks and jobs that never end come with the jobs.
describe('9. supervisord, test_finish_running_state_exited_too_quickly_due_to_clock_rollback, test_transition_backoff_to_starting_delay_in_future; pm2, exp_backoff_restart_delay', () => {
  it('a clock that is set back while it runs makes no false crash: its life is counted by the other clock', () => {
    const stage = plain().up('a').pass(DAY)
    stage.wall -= 30 * DAY
    stage.ended('a', CODES.failure)
    assert.equal(stage.kind('a'), 'checking')
    assert.equal(stage.child('a').counters.n, 1)
  })

  it('a delay that lies in the far future after a jump is cut to the longest delay there is', () => {
    const stage = plain().up('a').ended('a')
    for (const at of [stage.at + DAY, stage.at + 365 * DAY]) {
      const child = stage.child('a')
      stage.mesh.children.set('a', { ...child, timers: { backoff: { token: 0, at } } })
      stage.crash()
      assert.equal(stage.child('a').timers.backoff?.at, stage.at + 72_000)
    }
    stage.fire('a', 'backoff')
    assert.equal(stage.kind('a'), 'checking')
  })

  it('the delay grows while it crashes and is none again after a stable time', () => {
    const stage = plain({ intensity: budget(100) }).up('a')
    const delay = () => stage.ended('a').state('a', 'backoff').delayMs
    let last = 0
    for (let i = 0; i < 8; i++) {
      const next = delay()
      assert.ok(next > last, `${next} after ${last}`)
      last = next
      stage.recover('a')
    }
    stage.fire('a', 'stable').fire('a', 'stable')
    assert.equal(stage.ended('a').kind('a'), 'checking')
  })
})

// A document that is not valid changes nothing: test/e2e/bad-input.test.ts. What an alert's receiver gets: telling.test.ts.
describe('10. dinit, igr-tests reload1; process-compose, TestUpdateProject; gatus, watchdog/alerting_test.go', () => {
  it('a service that newly needs one which is not up keeps its promise: it starts only after that one', () => {
    const stage = upAll(new Stage([makeSpec('a')]), 'a')
    const wanting = makeSpec('a', { command: ['other'], needs: needs('kb') })
    stage.declare([makeSpec('kb'), wanting]).ended('a', 0)
    assert.deepEqual(stage.state('a', 'waiting').for, ['kb'])
    settle(stage)
    assert.deepEqual(started(stage), ['kb', 'a'])
  })

  it('an unchanged service keeps its pid, a changed one restarts once, a removed one stops, a new one starts', () => {
    const names = ['same', 'changed', 'removed']
    const stage = upAll(new Stage(names.map((name) => makeSpec(name))), ...names)
    stage.declare([makeSpec('same'), makeSpec('changed', { command: ['other'] }), makeSpec('new')])
    settle(stage)
    assert.deepEqual(lives(stage, 'same', 'changed', 'new'), [1, 2, 1])
    assert.ok(!stage.mesh.children.has('removed'))
    assert.deepEqual(signalled(stage).sort(), ['changed', 'removed'])
  })

  it('the same document once more changes nothing, and the last service may leave it', () => {
    const stage = upAll(plain(), 'a').declare([makeSpec('a')])
    assert.deepEqual([signalled(stage), started(stage)], [[], []])
    settle(stage.declare([]))
    assert.equal(stage.mesh.children.size, 0)
    assert.equal(stage.count('end'), 0)
  })

  it('three failures are one alert; one success of two and a failure are no second one and count anew', () => {
    const probes = [makeProbe('readiness', { failureThreshold: 3, successThreshold: 2 })]
    const stage = plain({ probes }).up('a').forget()
    const probe = (...outcomes: (typeof PASS)[]) => {
      for (const outcome of outcomes) stage.probe('a', 'tcp-readiness', outcome)
      return told(stage)
    }
    assert.deepEqual(probe(FAIL, FAIL), [])
    assert.deepEqual(probe(FAIL), ['degraded'])
    assert.deepEqual(probe(PASS, FAIL, FAIL, FAIL), ['degraded'])
    assert.deepEqual(probe(PASS), ['degraded'])
    assert.deepEqual(probe(PASS), ['degraded', 'recovered'])
    assert.deepEqual(probe(PASS, PASS), ['degraded', 'recovered'])
  })
})
