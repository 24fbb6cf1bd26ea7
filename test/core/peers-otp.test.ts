/** More of OTP's own suite (stdlib, supervisor_SUITE.erl), each case under its name there. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceSpec } from '../../schemas/service.ts'
import { CODES, makeSpec } from '../sim/mesh.ts'
import { budget, familyOf, kinds, lives, makeGroup, settle, signalled, started, upAll } from './family.ts'
import { Stage } from './stage.ts'

/** Its next spawn fails. */
const failSpawn = (stage: Stage, name: string): Stage => {
  if (stage.kind(name) === 'backoff') stage.fire(name, 'backoff')
  if (stage.kind(name) === 'checking') stage.checked(name)
  const { generation } = stage.child(name)
  return stage.tell(name, { kind: 'spawn-failed', generation, reason: 'EAGAIN', permanent: false })
}

describe('permanent_normal, permanent_abnormal, transient_normal, transient_abnormal, temporary_normal, temporary_abnormal', () => {
  const after = (restart: ServiceSpec['restart'], code: number) =>
    upAll(new Stage([makeSpec('a', { restart })]), 'a')
      .ended('a', code)
      .kind('a')
  const cases = [
    ['permanent', CODES.success, 'backoff'],
    ['permanent', CODES.failure, 'backoff'],
    ['transient', CODES.success, 'idle'],
    ['transient', CODES.failure, 'backoff'],
    ['temporary', CODES.success, 'idle'],
    ['temporary', CODES.failure, 'idle'],
  ] as const
  for (const [restart, code, kind] of cases)
    it(`${restart}, exit code ${code}: ${kind === 'idle' ? 'not restarted' : 'restarted'}`, () =>
      assert.equal(after(restart, code), kind))

  it('the abnormal end of a temporary child concerns no sibling and no budget, whatever the strategy', () => {
    for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'] as const) {
      const stage = upAll(familyOf(strategy, { a: { restart: 'temporary' }, b: {} }, budget(1)), 'a', 'b')
      for (let i = 0; i < 3; i++) settle(stage.ended('a').start('a'))
      assert.deepEqual(lives(stage, 'a', 'b'), [4, 1])
      assert.equal(stage.count('record-breaker'), 0)
    }
  })
})

describe('one_for_one_escalation, one_for_all_escalation, rest_for_one_escalation', () => {
  /** The middle one ends and cannot be started any more. */
  const escalated = (strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one') => {
    const stage = upAll(familyOf(strategy, { a: {}, b: {}, c: {} }, budget(4)), 'a', 'b', 'c').ended('b')
    for (let failed = 1; failed <= 4; failed++) {
      settle(stage, 'b')
      assert.equal(stage.state('b', 'backoff').kind, 'backoff', `failure ${failed} is within the budget`)
      failSpawn(stage, 'b')
    }
    return stage
  }

  for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'] as const)
    it(`${strategy}: a start in vain counts like an end, and one too many ends the group`, () => {
      const stage = settle(escalated(strategy))
      assert.deepEqual(kinds(stage, 'a', 'b', 'c'), ['failed', 'failed', 'failed'])
      assert.ok(stage.state('a', 'failed').by === 'g' && stage.state('b', 'failed').by === 'g')
      assert.match(stage.state('c', 'failed').reason, /more than 4 failures .* last b: EAGAIN/)
    })

  it('rest_for_one: the first, which no restart had touched, goes down with the group', () => {
    const stage = escalated('rest_for_one')
    assert.deepEqual(lives(stage, 'a', 'c'), [1, 1], 'c waits for b and has had no other life')
    assert.deepEqual(signalled(stage), ['c', 'a'])
  })
})

describe('rest_for_one, one_for_all: the order in which a restart stops and starts', () => {
  const four = (strategy: 'one_for_all' | 'rest_for_one') => {
    const chained = (service: string) => ({ needs: [{ service, until: 'ready' as const, restart: false }] })
    const specs = { a: {}, b: chained('a'), c: chained('b'), d: chained('c') }
    return settle(upAll(familyOf(strategy, specs), 'a', 'b', 'c', 'd').ended('b'))
  }

  it('stops who needs before who is needed and starts them the other way round, and only those whom it concerns', () => {
    const rest = four('rest_for_one')
    assert.deepEqual(
      [signalled(rest), started(rest)],
      [
        ['d', 'c'],
        ['b', 'c', 'd'],
      ],
    )
    const all = four('one_for_all')
    // OTP would stop the first one last; here it need not wait, since what needs it has ended already.
    assert.deepEqual(signalled(all), ['a', 'd', 'c'])
    assert.deepEqual(started(all), ['a', 'b', 'c', 'd'])
  })
})

describe('hanging_restart_loop, hanging_restart_loop_rest_for_one', () => {
  const looping = (strategy: 'one_for_one' | 'rest_for_one') => {
    const stage = upAll(familyOf(strategy, { a: {}, b: {}, c: {} }, budget(100)), 'a', 'b', 'c').ended('b')
    for (let i = 0; i < 5; i++) failSpawn(settle(stage, 'b'), 'b')
    return settle(stage, 'b').forget()
  }

  it('while a child is restarted in vain again and again, every command is answered at once', () => {
    for (const strategy of ['one_for_one', 'rest_for_one'] as const) {
      const stage = looping(strategy)
      for (const name of ['a', 'b', 'c', 'g']) assert.equal(stage.start(name).done('reply').length, 1, name)
      assert.equal(settle(stage.restart('a').ended('a', 0), 'b').kind('a'), 'running')
    }
  })

  it('a child that is terminated in the loop is out of it, and one that is deleted is forgotten', () => {
    const stage = looping('one_for_one').stop('b')
    assert.equal(stage.kind('b'), 'idle')
    assert.deepEqual(stage.child('b').timers, {})
    stage.declare([makeSpec('a', { group: 'g' }), makeSpec('c', { group: 'g' })])
    assert.deepEqual([...stage.mesh.children.keys()], ['a', 'c'])
    assert.deepEqual([lives(stage, 'a', 'c'), started(stage)], [[1, 1], []])
  })

  it('the supervisor can be ended in the middle of it', () => {
    const stage = looping('rest_for_one').ask({ kind: 'down' })
    settle(stage)
    assert.equal(stage.count('end'), 1)
    assert.deepEqual(started(stage), [])
  })
})

describe('sup_start_fail, sup_start_error_return', () => {
  it('differs on purpose: a child that cannot be started at first ends nobody; it is tried again by its own budget', () => {
    const stage = new Stage(
      [makeSpec('a'), makeSpec('b', { intensity: budget(1) }), makeSpec('c')].map((spec) => ({
        ...spec,
        group: 'g',
      })),
      [makeGroup('g', 'one_for_all', ['a', 'b', 'c'])],
    )
    stage.up('a')
    stage.checked('b').tell('b', { kind: 'spawn-failed', generation: 1, reason: 'ENOENT', permanent: true })
    assert.equal(settle(stage).kind('b'), 'blocked')
    assert.deepEqual(kinds(stage, 'a', 'c'), ['running', 'running'])
    assert.deepEqual(signalled(stage), [])
  })
})

describe('sup_stop_brutal_kill', () => {
  it('a child without stop steps is killed at once, and so is one that is stopped with `now`', () => {
    const signals = (stage: Stage) =>
      stage.all.flatMap((effect) => (effect.kind === 'signal' ? [effect.signal] : []))
    assert.deepEqual(signals(upAll(new Stage([makeSpec('a', { stop: [] })]), 'a').stop('a')), ['SIGKILL'])
    assert.deepEqual(signals(upAll(new Stage([makeSpec('a')]), 'a').stop('a', { now: true })), ['SIGKILL'])
  })
})

describe('code_change: a supervisor whose flags change while its children run', () => {
  const names = ['a', 'b', 'c'] as const
  const specs = names.map((name) => makeSpec(name, { group: 'g' }))

  it('keeps every child, and the next failure goes by the new strategy and the new intensity', () => {
    const stage = upAll(familyOf('one_for_one', { a: {}, b: {}, c: {} }, budget(5)), ...names)
    for (let i = 0; i < 2; i++) stage.ended('b').recover('b')
    stage
      .forget()
      .declare(specs, { groups: [makeGroup('g', 'one_for_all', names, { intensity: budget(2) })] })
    assert.deepEqual([lives(stage, ...names), signalled(stage)], [[1, 3, 1], []])
    stage.ended('a')
    assert.equal(
      stage.state('a', 'failed').by,
      'g',
      'two failures were counted before, the third is too many',
    )
    assert.deepEqual(signalled(stage), ['b', 'c'])
  })

  it('that had given up does so no more once its intensity is gone', () => {
    const stage = settle(
      upAll(familyOf('one_for_one', { a: {}, b: {}, c: {} }, budget(1)), ...names).ended('a'),
    )
    settle(stage.ended('a'))
    assert.deepEqual(kinds(stage, ...names), ['failed', 'failed', 'failed'])
    settle(stage.declare(specs, { groups: [makeGroup('g', 'one_for_one', names)] }))
    assert.deepEqual(kinds(stage, ...names), ['running', 'running', 'running'])
  })
})
