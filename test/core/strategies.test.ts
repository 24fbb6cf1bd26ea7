/** What a restart together with siblings promises: who is concerned, in which order, and who is left in peace. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CODES, makeProbe, makeSpec } from '../sim/mesh.ts'
import {
  budget,
  familyOf,
  kinds,
  lives,
  makeGroup,
  needs,
  reborn,
  recorded,
  settle,
  signalled,
  started,
  upAll,
} from './family.ts'
import { FAIL, Stage } from './stage.ts'

/** `a` alone, `kb` and what needs it. */
const tower = () =>
  upAll(
    familyOf('one_for_all', { a: {}, kb: {}, mid: { needs: needs('kb') }, app: { needs: needs('mid') } }),
    'a',
    'kb',
    'mid',
    'app',
  )

describe('whom a strategy concerns', () => {
  const middle = (strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one') => {
    const stage = upAll(familyOf(strategy, { a: {}, b: {}, c: {} }), 'a', 'b', 'c')
    return lives(settle(stage.ended('b')), 'a', 'b', 'c')
  }

  it('one_for_one: itself; one_for_all: everyone; rest_for_one: those after it', () => {
    assert.deepEqual(middle('one_for_one'), [1, 2, 1])
    assert.deepEqual(middle('one_for_all'), [2, 2, 2])
    assert.deepEqual(middle('rest_for_one'), [1, 2, 2])
  })

  it('nobody when its end was planned, asked for, fatal, or its last by its own budget', () => {
    const stage = () => upAll(familyOf('one_for_all', { a: { intensity: budget(0) }, b: {} }), 'a', 'b')
    const others = (after: Stage) => [after.kind('b'), lives(after, 'b')]
    assert.deepEqual(others(stage().pass(5_000).ended('a', CODES.planned)), ['running', [1]])
    assert.deepEqual(others(stage().restart('a').ended('a', 0).up('a')), ['running', [1]])
    assert.deepEqual(others(stage().stop('a').ended('a', 0)), ['running', [1]])
    assert.deepEqual(others(stage().ended('a', CODES.fatal)), ['running', [1]])
    assert.deepEqual(others(stage().ended('a', CODES.failure)), ['running', [1]])
  })

  it('a hung one and one that does not start in time concern the others like one that ends', () => {
    const probes = [makeProbe('startup'), makeProbe('liveness')]
    const hung = upAll(familyOf('one_for_all', { a: { probes }, b: {} }), 'a', 'b')
    hung.probe('a', 'tcp-liveness', FAIL, 3).exited('a', null, 'SIGTERM')
    assert.equal(hung.kind('b'), 'running')
    assert.equal(hung.swept('a').kind('b'), 'stopping')
    const late = familyOf('one_for_all', { a: { probes }, b: {} }).up('b').spawned('a').fire('a', 'budget')
    assert.equal(late.exited('a', 0).swept('a').kind('b'), 'stopping')
  })

  it('the journal names them, and what they do follows from it', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: {}, c: {} }), 'a', 'b', 'c').ended('a')
    assert.deepEqual(recorded(stage, 'together'), ['restarted with it: b, c'])
    const events = stage.done('record')
    const together = events.find(({ event }) => event === 'together')
    const stops = events.filter(({ event }) => event === 'stopping')
    assert.deepEqual(
      stops.map(({ subject, cause }) => [subject, cause]),
      [
        ['b', together?.id],
        ['c', together?.id],
      ],
    )
  })

  it('those who go along lose no budget and no backoff of their own', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: { intensity: budget(1) } }), 'a', 'b')
    for (let i = 0; i < 5; i++) settle(stage.ended('a'))
    const { n, ends, total } = stage.child('b').counters
    assert.deepEqual({ n, ends, total }, { n: 0, ends: [], total: 0 })
    assert.deepEqual(lives(stage, 'a', 'b'), [6, 6])
  })
})

describe('bystanders of a restart together', () => {
  it('a transient one is stopped, which is no end of its own: it comes back', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: { restart: 'transient' } }), 'a', 'b')
    assert.deepEqual(lives(settle(stage.ended('a')), 'a', 'b'), [2, 2])
    assert.equal(stage.kind('b'), 'running')
  })

  it('a temporary one that is just being spawned ends too and does not come back', () => {
    const stage = familyOf('one_for_all', { a: {}, b: { restart: 'temporary' } })
      .up('a')
      .checked('b')
    settle(stage.ended('a'))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'idle'])
    assert.deepEqual(lives(stage, 'b'), [1])
  })

  it('one that ran to its end stays completed', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, once: { restart: 'transient' } }), 'a', 'once')
    settle(stage.ended('once', 0).ended('a'))
    assert.equal(stage.state('once', 'idle').why, 'completed')
    assert.deepEqual(lives(stage, 'a', 'once'), [2, 1])
  })

  it('one that the operator stopped stays stopped, also if its stop is not over yet', () => {
    const stopped = tower().stop('a').ended('a', 0)
    settle(stopped.ended('kb'))
    assert.deepEqual(kinds(stopped, 'a', 'app'), ['idle', 'running'])
    const stopping = tower().stop('a')
    settle(stopping.ended('kb'))
    assert.deepEqual([stopping.kind('a'), lives(stopping, 'a', 'kb')], ['idle', [1, 2]])
  })

  it('a stop of one in the middle of the restart holds, and the others come back', () => {
    const stage = tower().ended('kb').stop('a')
    settle(stage)
    assert.deepEqual(kinds(stage, 'a', 'kb', 'mid', 'app'), ['idle', 'running', 'running', 'running'])
    assert.equal(stage.child('a').desired.kind, 'stopped')
  })

  it('one that gave up, is blocked or is absent keeps its own time', () => {
    const specs = { a: {}, b: { intensity: budget(0) }, c: {}, d: {} }
    const stage = familyOf('one_for_all', specs).up('a').up('b').checked('c', 'fail').checked('d', 'absent')
    stage.ended('b')
    const timers = () => ['b', 'c', 'd'].map((name) => stage.child(name).timers.retry)
    const before = timers()
    assert.ok(before.every((timer) => timer !== undefined))
    settle(stage.ended('a'))
    assert.deepEqual(kinds(stage, 'b', 'c', 'd'), ['failed', 'blocked', 'absent'])
    assert.deepEqual(timers(), before)
  })

  it('one that cannot come back is in no restart together any more', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: {}, c: {} }), 'a', 'b', 'c')
    stage
      .ended('a')
      .ended('b', 0)
      .ended('c', 0)
      .fire('a', 'backoff')
      .checked('b', 'fail')
      .checked('c', 'absent')
    assert.deepEqual(kinds(stage, 'b', 'c'), ['blocked', 'missing'])
    assert.deepEqual([stage.child('b').joint, stage.child('c').joint], [null, null])
  })

  it('one that is only watched is left alone', () => {
    const stage = familyOf('one_for_all', { a: {}, seen: { command: null, kind: 'external' } }, budget(1))
    upAll(stage, 'a').ended('a')
    assert.equal(stage.kind('seen'), 'observing')
    assert.equal(stage.recover('a').ended('a').kind('seen'), 'observing')
    assert.equal(stage.kind('a'), 'failed')
  })
})

describe('the order of a restart together', () => {
  it('stops in reverse order of the needs, each after the end of the one before, independent ones at once', () => {
    const stage = tower().ended('a')
    const states = () => kinds(stage, 'kb', 'mid', 'app')
    assert.deepEqual(states(), ['running', 'running', 'stopping'])
    stage.exited('app', 0)
    assert.deepEqual(states(), ['running', 'running', 'sweeping'])
    stage.swept('app')
    assert.deepEqual(states(), ['running', 'stopping', 'waiting'])
    stage.ended('mid', 0)
    assert.deepEqual(states(), ['stopping', 'waiting', 'waiting'])
    const wide = upAll(familyOf('one_for_all', { a: {}, b: {}, c: {} }), 'a', 'b', 'c').ended('a')
    assert.deepEqual(kinds(wide, 'b', 'c'), ['stopping', 'stopping'])
  })

  it('the one that failed waits for the others to end, however short its delay was', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: {}, c: {} }), 'a', 'b', 'c').pass(60_000)
    stage.ended('a')
    assert.equal(stage.state('a', 'backoff').delayMs, 0)
    stage.fire('a', 'backoff')
    assert.deepEqual(stage.state('a', 'waiting').for, ['b', 'c'])
    stage.ended('b', 0)
    assert.deepEqual(stage.state('a', 'waiting').for, ['c'])
    stage.exited('c', 0)
    assert.equal(stage.kind('a'), 'waiting')
    assert.equal(stage.swept('c').kind('a'), 'checking')
  })

  it('the others wait until the delay of the one that failed is over', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: {} }), 'a', 'b')
      .ended('a')
      .ended('b', 0)
    assert.deepEqual(stage.state('b', 'waiting').for, ['a'])
    assert.equal(stage.fire('a', 'backoff').kind('b'), 'checking')
  })

  it('the others come back at once when the operator stops the one that failed', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: {} }), 'a', 'b')
      .ended('a')
      .ended('b', 0)
    stage.stop('a')
    assert.deepEqual(kinds(stage, 'a', 'b'), ['idle', 'checking'])
  })

  it('nobody starts before its need is ready', () => {
    const stage = settle(tower().ended('app'))
    assert.deepEqual(
      started(stage).filter((name) => name !== 'a'),
      ['kb', 'mid', 'app'],
    )
    const rest = upAll(familyOf('rest_for_one', { a: {}, b: {}, c: {}, d: {} }), 'a', 'b', 'c', 'd')
    assert.deepEqual(started(settle(rest.ended('b'))), ['b', 'c', 'd'])
    assert.deepEqual(signalled(rest), ['d', 'c'])
  })

  it('one that is just being spawned ends once its process is there; one in its checks waits', () => {
    const stage = familyOf('one_for_all', { a: {}, b: {}, c: {} }).up('a').checked('b')
    stage.ended('a').checked('c')
    assert.deepEqual(stage.state('c', 'waiting').for, ['a', 'b'])
    assert.equal(stage.spawned('b').kind('b'), 'stopping')
    settle(stage)
    assert.deepEqual(lives(stage, 'a', 'b', 'c'), [2, 2, 1])
  })

  it('a second failure in the middle of it counts by itself and does not wedge it', () => {
    const stage = tower().ended('a').ended('mid')
    settle(stage)
    assert.deepEqual(kinds(stage, 'a', 'kb', 'mid', 'app'), ['running', 'running', 'running', 'running'])
    assert.equal(stage.child('mid').counters.total, 1)
    for (const name of ['a', 'kb', 'mid', 'app']) assert.equal(stage.child(name).joint, null)
  })

  it('a second failure takes over whom it concerns; the first one and the order of the stops still wait for them', () => {
    const specs = { a: {}, kb: {}, z: {}, app: { needs: needs('kb', 'z') } }
    const stage = upAll(familyOf('rest_for_one', specs), 'a', 'kb', 'z', 'app').ended('a').ended('z')
    assert.equal(stage.child('app').joint?.by, 'z')
    assert.deepEqual(kinds(stage, 'kb', 'app'), ['running', 'stopping'])
    stage.fire('a', 'backoff')
    assert.deepEqual(stage.state('a', 'waiting').for, ['kb', 'app'])
    assert.equal(stage.ended('app', 0).kind('kb'), 'stopping')
    assert.equal(stage.ended('kb', 0).kind('a'), 'checking')
    assert.deepEqual(lives(settle(stage), 'a', 'kb', 'z', 'app'), [2, 2, 2, 2])
  })

  it('a document that is declared again in the middle of it changes nothing', () => {
    const stage = tower().ended('a')
    stage.declare([...stage.mesh.children.values()].map(({ spec }) => spec))
    assert.deepEqual(kinds(stage, 'kb', 'mid', 'app'), ['running', 'running', 'stopping'])
    assert.deepEqual(lives(settle(stage), 'a', 'kb', 'mid', 'app'), [2, 2, 2, 2])
  })

  it('`down` in the middle of it stops all in order and ends', () => {
    const stage = tower().ended('a').ask({ kind: 'down' })
    const order: string[] = []
    for (const name of ['app', 'mid', 'kb']) {
      assert.equal(stage.kind(name), 'stopping')
      order.push(stage.ended(name, 0).kind(name))
    }
    assert.deepEqual(order, ['idle', 'idle', 'idle'])
    assert.equal(stage.done('end').length, 1)
  })
})

describe('nested groups', () => {
  const nested = (inner: 'one_for_one' | 'one_for_all', outer: 'one_for_all' | 'rest_for_one') => {
    const specs = [
      makeSpec('x', { group: 'outer' }),
      makeSpec('a', { group: 'inner' }),
      makeSpec('b', { group: 'inner' }),
      makeSpec('y', { group: 'outer' }),
    ]
    const groups = [
      makeGroup('outer', outer, ['x', 'inner', 'y']),
      makeGroup('inner', inner, ['a', 'b'], { parent: 'outer' }),
    ]
    return upAll(new Stage(specs, groups), 'x', 'a', 'b', 'y')
  }
  const after = (stage: Stage, name: string) => lives(settle(stage.ended(name)), 'x', 'a', 'b', 'y')

  it('an inner failure is the business of the inner strategy alone', () => {
    assert.deepEqual(after(nested('one_for_one', 'one_for_all'), 'a'), [1, 2, 1, 1])
    assert.deepEqual(after(nested('one_for_all', 'rest_for_one'), 'b'), [1, 2, 2, 1])
  })

  it('an outer failure takes whole inner groups along', () => {
    assert.deepEqual(after(nested('one_for_one', 'one_for_all'), 'y'), [2, 2, 2, 2])
    assert.deepEqual(after(nested('one_for_one', 'rest_for_one'), 'x'), [2, 2, 2, 2])
    assert.deepEqual(after(nested('one_for_one', 'rest_for_one'), 'y'), [1, 1, 1, 2])
  })
})

describe('a supervisor that dies in the middle of a restart together', () => {
  const all = ['a', 'kb', 'mid', 'app']
  const moments: Record<string, (stage: Stage) => Stage> = {
    'when it begins': (stage) => stage,
    'with some stopped': (stage) => stage.ended('app', 0),
    'with one ended and not swept': (stage) => stage.ended('app', 0).exited('mid', 0),
    'with the failed one waiting': (stage) => stage.fire('a', 'backoff').ended('app', 0),
    'with all of them down': (stage) => stage.ended('app', 0).ended('mid', 0).ended('kb', 0),
    'with the first back': (stage) => stage.ended('app', 0).ended('mid', 0).ended('kb', 0).recover('a'),
  }
  for (const [moment, play] of Object.entries(moments)) {
    it(`is followed by one that finishes it: ${moment}`, () => {
      const stage = reborn(play(tower().ended('a')).forget())
      if (stage.kind('mid') === 'sweeping') assert.equal(stage.kind('a'), 'backoff')
      settle(stage)
      assert.deepEqual(kinds(stage, ...all), ['running', 'running', 'running', 'running'])
      assert.deepEqual(lives(stage, ...all), [2, 2, 2, 2])
      for (const name of all) assert.equal(stage.child(name).joint, null)
    })
  }

  it('starts the one that failed only when what was to end has ended', () => {
    const stage = reborn(tower().ended('a').fire('a', 'backoff'))
    assert.equal(stage.kind('a'), 'waiting')
    for (const name of ['app', 'mid', 'kb']) {
      assert.equal(stage.kind('a'), 'waiting')
      stage.ended(name, 0)
    }
    assert.equal(stage.kind('a'), 'checking')
  })

  it('a temporary one stays ended', () => {
    const stage = upAll(familyOf('one_for_all', { a: {}, b: { restart: 'temporary' } }), 'a', 'b').ended('a')
    settle(reborn(stage))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'idle'])
  })
})

describe('a document that takes the group away', () => {
  const loose = () => ['a', 'kb', 'mid', 'app'].map((name) => makeSpec(name))

  it('in the middle of a restart together ends it: nobody waits for siblings that are none any more, and nobody else ends', () => {
    const stage = tower().ended('a').fire('a', 'backoff')
    assert.equal(stage.kind('a'), 'waiting')
    const specs = [...stage.mesh.children.values()].map(({ spec }) => ({ ...spec, group: null }))
    settle(stage.declare(specs, { groups: [] }))
    assert.deepEqual(kinds(stage, 'a', 'kb', 'mid', 'app'), ['running', 'running', 'running', 'running'])
    assert.deepEqual(lives(stage, 'a', 'kb', 'mid', 'app'), [2, 1, 1, 2])
    for (const { joint } of stage.mesh.children.values()) assert.equal(joint, null)
  })

  it('lets what fails later be restarted alone', () => {
    const stage = settle(tower().declare(loose(), { groups: [] }))
    const before = lives(stage, 'kb', 'mid', 'app')
    settle(stage.ended('a'))
    assert.deepEqual(lives(stage, 'kb', 'mid', 'app'), before)
  })
})
