/**
 * Scenarios one to five of ten that other supervisors test themselves with, replayed on this core: what it does as they
 * do, and where it differs on purpose. Six to ten are in peers-process.test.ts.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CODES, makeSpec } from '../sim/mesh.ts'
import {
  budget,
  familyOf,
  kinds,
  lives,
  makeGroup,
  needs,
  recorded,
  settle,
  signalled,
  started,
  upAll,
} from './family.ts'
import { Stage } from './stage.ts'

const MINUTE = 60_000

describe('1. OTP, supervisor_SUITE: one_for_one, multiple_restarts', () => {
  const three = (max: number, within = 10 * MINUTE) => {
    const own = { intensity: budget(1_000) }
    const stage = familyOf('one_for_one', { a: own, b: own, c: own }, { max, within })
    return upAll(stage, 'a', 'b', 'c')
  }

  it('two failures of two children are within an intensity of two: both come back, the third keeps its pid', () => {
    const stage = three(2).ended('a').recover('a').ended('b').recover('b')
    assert.deepEqual(kinds(stage, 'a', 'b', 'c'), ['running', 'running', 'running'])
    assert.deepEqual(lives(stage, 'a', 'b', 'c'), [2, 2, 1])
    assert.deepEqual(signalled(stage), [])
  })

  it('the third failure ends the supervisor and all of its children', () => {
    const stage = three(2).ended('a').recover('a').ended('b').recover('b').ended('c')
    assert.deepEqual(kinds(stage, 'a', 'b', 'c'), ['stopping', 'stopping', 'failed'])
    settle(stage)
    assert.deepEqual(kinds(stage, 'a', 'b', 'c'), ['failed', 'failed', 'failed'])
    assert.equal(started(stage).length, 2)
    assert.match(
      stage.state('a', 'failed').reason,
      /^group g gave up: more than 2 failures in 10 min, last c: /,
    )
  })

  it('a failure leaves the window when it is exactly as old as the window is long', () => {
    const after = (ms: number) => {
      const stage = three(1, 2_000).ended('a')
      const failed = stage.at
      stage.recover('a').pass(failed + ms - stage.at)
      return stage.ended('a').kind('a')
    }
    assert.equal(after(1_999), 'failed')
    assert.equal(after(2_000), 'backoff')
  })

  it('with an intensity of one in a second, failures at least 2.1 s apart go on for ever', () => {
    const stage = three(1, 1_000)
    for (let i = 0; i < 50; i++) {
      const began = stage.at
      stage.ended('a')
      assert.equal(stage.kind('a'), 'backoff', `failure ${i + 1}`)
      stage.recover('a').pass(Math.max(0, began + 2_100 - stage.at))
    }
    assert.deepEqual(lives(stage, 'a', 'b', 'c'), [51, 1, 1])
  })

  it('here the root is what OTP has not: it has no budget, so services outside of the group live on', () => {
    const group = makeGroup('g', 'one_for_one', ['a'], { intensity: budget(1) })
    const stage = new Stage([makeSpec('a', { group: 'g' }), makeSpec('other')], [group])
    upAll(stage, 'a', 'other').ended('a').recover('a').ended('a')
    assert.deepEqual(kinds(stage, 'a', 'other'), ['failed', 'running'])
  })
})

describe('2. OTP, supervisor_SUITE: rest_for_one_other_child_fails_restart, one_for_all_other_child_fails_restart', () => {
  const three = (strategy: 'rest_for_one' | 'one_for_all') =>
    upAll(familyOf(strategy, { a: {}, b: {}, c: {} }), 'a', 'b', 'c')

  it('rest_for_one: the end of the middle one keeps the first and renews the other two, in order', () => {
    const stage = settle(three('rest_for_one').ended('b'))
    assert.deepEqual(lives(stage, 'a', 'b', 'c'), [1, 2, 2])
    assert.deepEqual(started(stage), ['b', 'c'])
    assert.deepEqual(signalled(stage), ['c'])
  })

  it('rest_for_one: the second fails at its restart and is tried again without touching the new first', () => {
    const stage = three('rest_for_one').ended('a').ended('c', 0).ended('b', 0).recover('a').checked('b')
    stage.tell('b', { kind: 'spawn-failed', generation: 2, reason: 'EAGAIN', permanent: false })
    assert.deepEqual(kinds(stage, 'a', 'b', 'c'), ['running', 'backoff', 'waiting'])
    settle(stage)
    assert.deepEqual(lives(stage, 'a', 'b', 'c'), [2, 3, 2])
    assert.deepEqual(signalled(stage), ['c', 'b'])
  })

  it('one_for_all: the second fails at its restart, the new first is stopped, then all are started', () => {
    const stage = three('one_for_all').ended('a').ended('b', 0).ended('c', 0).recover('a').checked('b')
    stage.tell('b', { kind: 'spawn-failed', generation: 2, reason: 'EAGAIN', permanent: false })
    assert.deepEqual(kinds(stage, 'a', 'b'), ['stopping', 'backoff'])
    stage.forget().fire('b', 'backoff')
    assert.deepEqual(stage.state('b', 'waiting').for, ['a'])
    settle(stage)
    assert.deepEqual(started(stage).sort(), ['a', 'b', 'c'])
    assert.deepEqual(lives(stage, 'a', 'b', 'c'), [3, 3, 2])
  })
})

describe('3. OTP, supervisor_SUITE: transient_shutdown, temporary_bystander, sup_stop_timeout, child_unlink', () => {
  it('a transient child that ends in peace stays down, and stays listed', () => {
    const stage = upAll(familyOf('one_for_one', { a: { restart: 'transient' }, b: {} }, budget(1)), 'a', 'b')
    for (let i = 0; i < 3; i++) stage.ended('a', CODES.success).start('a').up('a')
    stage.ended('a', CODES.success)
    assert.equal(stage.state('a', 'idle').why, 'completed')
    assert.ok(stage.mesh.children.has('a'))
    assert.equal(stage.count('record-breaker'), 0)
  })

  it('a temporary bystander that a restart of its sibling stops is not restarted and costs no budget', () => {
    for (const strategy of ['one_for_all', 'rest_for_one'] as const) {
      const stage = upAll(familyOf(strategy, { a: {}, b: { restart: 'temporary' } }, budget(1)), 'a', 'b')
      settle(stage.ended('a'))
      assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'idle'])
      assert.equal(stage.state('b', 'idle').why, 'ended')
      assert.deepEqual(stage.child('b').counters.ends, [])
      assert.equal(stage.mesh.breakers.get('g')?.ends.length, 1)
    }
  })

  it('of two children that are stopped the polite one shuts down, the sleeping one is killed at its deadline', () => {
    const stage = upAll(familyOf('one_for_one', { polite: {}, sleeping: {} }), 'polite', 'sleeping')
    stage.stop('g').exited('polite', null, 'SIGTERM').swept('polite')
    const began = stage.at
    stage.fire('sleeping', 'step')
    assert.equal(stage.at - began, 10_000)
    assert.equal(stage.done('signal')[0]?.signal, 'SIGKILL')
    stage.exited('sleeping', null, 'SIGKILL').swept('sleeping')
    assert.match(stage.child('polite').lastEnding?.reason ?? '', /SIGTERM/)
    assert.match(stage.child('sleeping').lastEnding?.reason ?? '', /SIGKILL/)
    assert.deepEqual(kinds(stage, 'polite', 'sleeping'), ['idle', 'idle'])
  })

  it('one that refuses even SIGKILL hangs nobody: it is told again every 5 s, and others are served', () => {
    const stage = upAll(familyOf('one_for_one', { mule: {}, b: {} }), 'mule', 'b').stop('mule')
    for (let i = 0; i < 20; i++) {
      stage.fire('mule', 'step')
      assert.equal(stage.done('signal')[0]?.signal, 'SIGKILL')
    }
    settle(stage.restart('b').ended('b', 0).stop('b').ended('b', 0).start('b').up('b').ended('b'), 'mule')
    assert.deepEqual(kinds(stage, 'mule', 'b'), ['stopping', 'running'])
  })
})

describe('4. suture, v4/suture_test.go: TestFailures', () => {
  const trusting = { intensity: { max: 3, within: MINUTE } }
  const pair = () => upAll(new Stage([makeSpec('a', trusting), makeSpec('sibling')]), 'a', 'sibling')

  it('differs on purpose: failures are not halved with time, they leave a window whole', () => {
    const stage = pair().ended('a').recover('a').ended('a').recover('a').pass(MINUTE)
    for (const counted of [1, 2, 3]) {
      stage.ended('a')
      assert.equal(stage.child('a').counters.ends.length, counted)
      stage.recover('a')
    }
  })

  it('one failure too many is not restarted while its sibling serves on', () => {
    const stage = pair()
    for (let i = 0; i < 3; i++) stage.ended('a').recover('a')
    stage.forget().ended('a')
    assert.deepEqual(kinds(stage, 'a', 'sibling'), ['failed', 'running'])
    assert.equal(stage.count('spawn'), 0)
    assert.deepEqual(recorded(stage, 'failed').length, 1)
  })

  it('after the wait it is started, and once it is stable its count is as if it had never failed', () => {
    const stage = pair()
    for (let i = 0; i < 3; i++) stage.ended('a').recover('a')
    stage.ended('a').recover('a').fire('a', 'stable').fire('a', 'stable')
    const { n, ends, failedMs, trial } = stage.child('a').counters
    assert.deepEqual({ n, ends, failedMs, trial }, { n: 0, ends: [], failedMs: 0, trial: 'none' })
    for (let i = 0; i < 3; i++) stage.ended('a').recover('a')
    assert.equal(stage.kind('a'), 'running')
  })

  it('differs on purpose: the first failure after the wait is one too many, and the next wait is twice as long', () => {
    const stage = pair()
    for (let i = 0; i < 3; i++) stage.ended('a').recover('a')
    stage.ended('a').recover('a').ended('a')
    assert.equal(stage.state('a', 'failed').retryAt - stage.at, 30 * MINUTE)
  })
})

describe('5. dinit, proctests.cc: test_proc_term_restart_fail, smooth_recovery4; tests.cc: test_restart_stop1 to 4', () => {
  /** `hard` stands and falls with `db`; `soft` only needs it. */
  const exhausted = () => {
    const db = { intensity: budget(10) }
    const specs = [
      makeSpec('db', { group: 'g', ...db }),
      makeSpec('hard', { group: 'g', needs: needs('db') }),
      makeSpec('soft', { needs: needs('db') }),
    ]
    const groups = [makeGroup('g', 'one_for_one', ['db', 'hard'], { intensity: budget(3) })]
    const stage = upAll(new Stage(specs, groups), 'db', 'hard', 'soft')
    for (let i = 0; i < 3; i++) stage.ended('db').recover('db')
    assert.deepEqual(kinds(stage, 'db', 'hard', 'soft'), ['running', 'running', 'running'])
    return stage.forget().ended('db')
  }

  it('three restarts are allowed; the fourth end takes the hard dependent along and leaves the soft one', () => {
    const stage = exhausted()
    assert.deepEqual(kinds(stage, 'db', 'hard', 'soft'), ['failed', 'stopping', 'running'])
    settle(stage)
    assert.deepEqual(kinds(stage, 'db', 'hard', 'soft'), ['failed', 'failed', 'running'])
    assert.deepEqual(started(stage), [])
  })

  it('differs on purpose: one timer stays armed, the half-open one, unless the operator stops it', () => {
    const stage = settle(exhausted())
    assert.deepEqual(Object.keys(stage.child('db').timers), ['retry'])
    stage.stop('soft').ended('soft', 0).stop('g')
    assert.deepEqual(kinds(stage, 'db', 'hard'), ['idle', 'idle'])
    assert.deepEqual([stage.child('db').timers, stage.child('hard').timers], [{}, {}])
  })

  it('a stop while the restart timer runs: the timer is cancelled, no signal is sent, there is no new pid', () => {
    const stage = upAll(new Stage([makeSpec('a')]), 'a').ended('a')
    const timer = stage.child('a').timers.backoff
    assert.ok(timer)
    stage.forget().stop('a')
    assert.equal(stage.count('cancel-timer', 'a'), 1)
    stage.pass(MINUTE).tell('a', { kind: 'timer-fired', timer: 'backoff', token: timer.token })
    assert.equal(stage.kind('a'), 'idle')
    assert.deepEqual([signalled(stage), started(stage)], [[], []])
  })

  it('a stop during a restart ends as a stop, a start during a stop as a restart: the last word wins', () => {
    const stage = () => upAll(new Stage([makeSpec('a')]), 'a')
    assert.equal(stage().restart('a').stop('a').ended('a', 0).kind('a'), 'idle')
    assert.equal(stage().stop('a').start('a').ended('a', 0).kind('a'), 'checking')
    assert.equal(stage().restart('a').exited('a', 0).stop('a').swept('a').kind('a'), 'idle')
    assert.equal(stage().stop('a').exited('a', 0).restart('a').swept('a').kind('a'), 'checking')
  })

  it('a dependent that ends while its need has given up waits for it, with no timer of its own', () => {
    const stage = settle(exhausted()).ended('soft')
    stage.fire('soft', 'backoff')
    assert.deepEqual(stage.state('soft', 'waiting').for, ['db'])
    assert.deepEqual(stage.child('soft').timers, {})
  })
})
