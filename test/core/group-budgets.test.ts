/** What a budget that services share promises: who counts, who gives up together, and how they come back. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
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

const MINUTE = 60_000
/** A group of two whose second failure is one too many, and one service outside. */
const pair = () => {
  const specs = [makeSpec('a', { group: 'g' }), makeSpec('b', { group: 'g' }), makeSpec('other')]
  const groups = [makeGroup('g', 'one_for_one', ['a', 'b'], { intensity: budget(1) })]
  return upAll(new Stage(specs, groups), 'a', 'b', 'other')
}
const failTwice = (stage: Stage) => stage.ended('a').recover('a').ended('b')
const quarantined = () => settle(failTwice(pair()))
const open = (stage: Stage, group = 'g') => stage.mesh.breakers.get(group)?.open ?? null

/** `x`, the inner group of `a` and `b`, and `y`, in this order in the outer one. */
function nested(
  strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one',
  { inner, outer }: { inner: number | null; outer: number | null },
  root: Partial<Parameters<typeof makeGroup>[3]> = {},
): Stage {
  const after = (...names: string[]) => (strategy === 'rest_for_one' ? needs(...names) : [])
  const specs = [
    makeSpec('x', { group: 'outer' }),
    makeSpec('a', { group: 'inner', needs: after('x') }),
    makeSpec('b', { group: 'inner', needs: after('x') }),
    makeSpec('y', { group: 'outer', needs: after('a', 'b') }),
  ]
  const intensityOf = (max: number | null) => (max === null ? null : budget(max))
  const groups = [
    makeGroup('outer', strategy, ['x', 'inner', 'y'], { intensity: intensityOf(outer), ...root }),
    makeGroup('inner', 'one_for_one', ['a', 'b'], { parent: 'outer', intensity: intensityOf(inner) }),
  ]
  return upAll(new Stage(specs, groups), 'x', 'a', 'b', 'y')
}
const all = ['x', 'a', 'b', 'y']

describe('a quarantine', () => {
  it('directly under the root stops the group alone and says why, at each of its services', () => {
    const stage = failTwice(pair())
    assert.match(
      recorded(stage, 'group-failed')[0] ?? '',
      /^group g gave up: more than 1 failures in 10 min, last b: /,
    )
    assert.equal(stage.state('a', 'stopping').cause, 'group')
    settle(stage)
    assert.deepEqual(kinds(stage, 'a', 'b', 'other'), ['failed', 'failed', 'running'])
    for (const name of ['a', 'b']) {
      const { by, reason, retryAt } = stage.state(name, 'failed')
      assert.deepEqual({ by, reason, retryAt }, { by: 'g', ...open(stage) })
    }
    assert.deepEqual(stage.child('a').desired, { kind: 'running' })
  })

  it('stops in reverse order of the needs', () => {
    const specs = { kb: {}, mid: { needs: needs('kb') }, app: { needs: needs('mid') }, a: {} }
    const stage = upAll(familyOf('one_for_one', specs, budget(0)), 'kb', 'mid', 'app', 'a').ended('a')
    assert.deepEqual(kinds(stage, 'kb', 'mid', 'app'), ['running', 'running', 'stopping'])
    assert.deepEqual(kinds(stage.ended('app', 0), 'kb', 'mid', 'app'), ['running', 'stopping', 'failed'])
    assert.deepEqual(kinds(stage.ended('mid', 0), 'kb', 'mid', 'app'), ['stopping', 'failed', 'failed'])
  })

  it('leaves what is stopped by the operator, completed or ended as it is', () => {
    const once = { restart: 'transient' } as const
    const specs = { a: {}, once, flash: { restart: 'temporary' as const }, off: {} }
    const stage = upAll(familyOf('one_for_one', specs, budget(0)), 'a', 'once', 'flash', 'off')
    settle(stage.ended('once', 0).ended('flash', 1).stop('off').ended('off', 0).ended('a'))
    const whys = () => ['once', 'flash', 'off'].map((name) => stage.state(name, 'idle').why)
    assert.deepEqual(whys(), ['completed', 'ended', 'operator'])
    settle(stage.recover('a'))
    assert.deepEqual(whys(), ['completed', 'ended', 'operator'])
    assert.equal(stage.kind('a'), 'running')
  })

  it('finds one whose end is just being swept: it gives up with the group, and its end is not counted any more', () => {
    const stage = familyOf('one_for_one', { a: {}, b: {} }, budget(0))
    upAll(stage, 'a', 'b').exited('b').ended('a')
    assert.equal(stage.kind('b'), 'sweeping')
    stage.swept('b')
    assert.equal(stage.state('b', 'failed').by, 'g')
    assert.equal(stage.child('b').counters.total, 0)
    assert.deepEqual(stage.mesh.breakers.get('g')?.ends, [])
  })

  it('leaves ended what was just going down for good with its siblings', () => {
    const flash = { restart: 'temporary' as const, needs: needs('b') }
    const stage = upAll(familyOf('one_for_all', { a: {}, b: {}, flash }, budget(1)), 'a', 'b', 'flash')
    stage.ended('a').ended('b')
    assert.equal(stage.state('flash', 'stopping').then, 'end')
    settle(stage)
    assert.deepEqual(kinds(stage, 'a', 'b', 'flash'), ['failed', 'failed', 'idle'])
    settle(stage.recover('a').recover('b'))
    assert.deepEqual(kinds(stage, 'a', 'b', 'flash'), ['running', 'running', 'idle'])
  })

  it('takes along what is waiting, blocked, in backoff, or just being checked or spawned', () => {
    const specs = { a: {}, kb: {}, waits: { needs: needs('kb') }, held: {}, checks: {}, spawns: {}, slow: {} }
    const stage = familyOf('one_for_one', specs, budget(1)).up('a').up('slow').checked('held', 'fail')
    stage.checked('kb', 'fail').checked('spawns').ended('slow')
    assert.deepEqual(kinds(stage, 'waits', 'held', 'slow'), ['waiting', 'blocked', 'backoff'])
    stage.forget().ended('a')
    stage.spawned('spawns')
    settle(stage)
    for (const name of Object.keys(specs)) assert.equal(stage.kind(name), 'failed', name)
    assert.deepEqual(started(stage), [])
    assert.deepEqual(signalled(stage), ['spawns'])
  })

  it('is told once for each of its services, and their return once', () => {
    const stage = failTwice(pair())
    settle(stage)
    const told = () =>
      stage.all.flatMap((effect) => (effect.kind === 'alert' ? [`${effect.service} ${effect.event}`] : []))
    assert.deepEqual(
      told()
        .filter((text) => /gave-up/.test(text))
        .sort(),
      ['a gave-up', 'b gave-up'],
    )
    stage.forget().recover('a').recover('b')
    assert.deepEqual(told(), ['a recovered', 'b recovered'])
  })

  it('stays what it is when the document is declared again', () => {
    const stage = quarantined().forget()
    stage.declare([...stage.mesh.children.values()].map(({ spec }) => spec))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['failed', 'failed'])
    assert.notEqual(open(stage), null)
  })

  it('of a service that gave up by itself is none: the others serve on', () => {
    const specs = { a: { intensity: budget(0) }, b: {} }
    const stage = upAll(familyOf('one_for_all', specs, budget(1)), 'a', 'b').ended('a')
    assert.equal(stage.state('a', 'failed').by, null)
    assert.equal(stage.kind('b'), 'running')
    assert.equal(stage.mesh.breakers.size, 0)
  })
})

describe('a half-open try', () => {
  it('comes after 15 min for all of them, in the order of the needs', () => {
    const specs = { kb: {}, app: { needs: needs('kb') } }
    const stage = upAll(familyOf('one_for_one', specs, budget(0)), 'kb', 'app').ended('kb')
    const began = stage.at
    settle(stage).forget().fire('app', 'retry')
    assert.equal(stage.at - began, 15 * MINUTE)
    assert.equal(open(stage), null)
    assert.deepEqual(stage.state('app', 'waiting').for, ['kb'])
    settle(stage.fire('kb', 'retry'))
    assert.deepEqual(started(stage), ['kb', 'app'])
  })

  it('that fails once opens again, with twice the wait, up to 6 h', () => {
    const stage = quarantined()
    for (const minutes of [15, 30, 60, 120, 240, 360, 360]) {
      assert.equal((open(stage)?.retryAt ?? 0) - stage.at, minutes * MINUTE)
      settle(stage.recover('a').recover('b').ended('b'))
      assert.deepEqual(kinds(stage, 'a', 'b'), ['failed', 'failed'])
    }
  })

  it('that lasts the whole window closes: it may fail again as often as before, and the wait begins anew', () => {
    const stage = quarantined()
      .recover('a')
      .recover('b')
      .pass(10 * MINUTE)
    stage.ended('a')
    assert.equal(stage.kind('a'), 'backoff')
    const failed = stage.at
    stage.recover('a').ended('a')
    assert.ok(stage.at - failed < 10 * MINUTE)
    assert.equal((open(stage)?.retryAt ?? 0) - stage.at, 15 * MINUTE)
  })

  it('one failure a moment before the window is over is one within it', () => {
    const stage = quarantined().recover('a')
    const tried = stage.at
    stage.recover('b').pass(tried + 10 * MINUTE - 1 - stage.at)
    assert.equal(stage.ended('a').kind('a'), 'failed')
  })
})

describe('the way out of a quarantine', () => {
  const others = { a: 'b', b: 'a' } as const
  for (const [name, other] of Object.entries(others)) {
    it(`a start of ${name} closes it and starts ${other}, which gave up with it`, () => {
      const stage = settle(quarantined().forget().start(name))
      assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'running'])
      assert.deepEqual(started(stage).sort(), ['a', 'b'])
      assert.equal(stage.mesh.breakers.size, 0)
      settle(stage.ended('a'))
      assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'running'])
    })
  }

  it('a restart of one, and a start of the group, do so too', () => {
    for (const play of [(s: Stage) => s.restart('a'), (s: Stage) => s.start('g')])
      assert.deepEqual(kinds(settle(play(quarantined())), 'a', 'b'), ['running', 'running'])
  })

  it('a start of a service outside of the group does not', () => {
    assert.deepEqual(kinds(settle(quarantined().start('other')), 'a', 'b'), ['failed', 'failed'])
  })

  it('a start does not wake the one that the operator stopped', () => {
    const stage = settle(quarantined().stop('b').start('a'))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'idle'])
  })

  it('a stop of the group is a stop: nothing is tried again', () => {
    const stage = quarantined().stop('g')
    assert.deepEqual(kinds(stage, 'a', 'b'), ['idle', 'idle'])
    assert.deepEqual([stage.child('a').timers, stage.child('b').timers], [{}, {}])
  })

  it('a change of the document at one of them closes it, at another service it does not', () => {
    const specs = (over: object, other: object = {}) => [
      makeSpec('a', { group: 'g', ...over }),
      makeSpec('b', { group: 'g' }),
      makeSpec('other', other),
    ]
    const stage = settle(quarantined().declare(specs({}, { command: ['new'] })))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['failed', 'failed'])
    settle(stage.declare(specs({ command: ['new'] })))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'running'])
    assert.equal(stage.mesh.breakers.size, 0)
  })

  it('a document without the group, or without its budget, starts what gave up with it', () => {
    const loose = quarantined().declare(
      ['a', 'b', 'other'].map((name) => makeSpec(name)),
      { groups: [] },
    )
    assert.deepEqual(kinds(settle(loose), 'a', 'b'), ['running', 'running'])
    const plain = quarantined()
    const specs = [...plain.mesh.children.values()].map(({ spec }) => spec)
    plain.declare(specs, { groups: [makeGroup('g', 'one_for_one', ['a', 'b'])] })
    assert.deepEqual(kinds(settle(plain), 'a', 'b'), ['running', 'running'])
    assert.equal(plain.mesh.breakers.size, 0)
  })

  it('a document without the group while it still stops brings it back as well', () => {
    const stage = failTwice(pair()).declare(
      ['a', 'b', 'other'].map((name) => makeSpec(name)),
      { groups: [] },
    )
    assert.deepEqual(kinds(settle(stage), 'a', 'b'), ['running', 'running'])
  })

  it('a start while it still stops brings back both', () => {
    assert.deepEqual(kinds(settle(failTwice(pair()).start('b')), 'a', 'b'), ['running', 'running'])
  })
})

describe('escalation', () => {
  it('a used up inner budget is one failure of the outer group, and its strategy says who goes along', () => {
    const after = (strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one') => {
      const stage = nested(strategy, { inner: 0, outer: 5 }).ended('a')
      assert.equal(stage.child('a').joint?.group, strategy === 'one_for_one' ? 'inner' : 'outer')
      assert.doesNotMatch(recorded(stage, 'together').join(), /\ba\b/, 'it goes along with nobody')
      assert.equal(stage.mesh.breakers.get('outer')?.ends.length, 1)
      assert.deepEqual(stage.mesh.breakers.get('inner')?.ends, [])
      const result = lives(settle(stage), ...all)
      assert.deepEqual(kinds(stage, ...all), ['running', 'running', 'running', 'running'])
      return result
    }
    assert.deepEqual(after('one_for_one'), [1, 2, 2, 1])
    assert.deepEqual(after('rest_for_one'), [1, 2, 2, 2])
    assert.deepEqual(after('one_for_all'), [2, 2, 2, 2])
  })

  it('the inner count begins anew after it, so the outer one counts whole rounds', () => {
    const stage = nested('one_for_one', { inner: 1, outer: 1 })
    settle(stage.ended('a'))
    assert.equal(stage.mesh.breakers.get('outer'), undefined)
    settle(stage.ended('b'))
    assert.equal(stage.mesh.breakers.get('outer')?.ends.length, 1)
    settle(stage.ended('a'))
    assert.deepEqual(kinds(stage, ...all), ['running', 'running', 'running', 'running'])
    settle(stage.ended('a'))
    assert.deepEqual(kinds(stage, ...all), ['failed', 'failed', 'failed', 'failed'])
    assert.equal(stage.state('y', 'failed').by, 'outer')
  })

  it('under a parent without a budget nobody counts it: the inner group is quarantined there', () => {
    const stage = settle(nested('one_for_all', { inner: 0, outer: null }).ended('a'))
    assert.deepEqual(kinds(stage, ...all), ['running', 'failed', 'failed', 'running'])
    assert.equal(stage.state('b', 'failed').by, 'inner')
    assert.deepEqual(lives(stage, 'x', 'y'), [1, 1])
  })

  it('an inner group without a budget never fails, so the outer one counts only its own services', () => {
    const stage = nested('one_for_one', { inner: null, outer: 0 })
    for (let i = 0; i < 3; i++) settle(stage.ended('a'))
    assert.deepEqual(kinds(stage, ...all), ['running', 'running', 'running', 'running'])
    settle(stage.ended('x'))
    assert.deepEqual(kinds(stage, ...all), ['failed', 'failed', 'failed', 'failed'])
  })

  it('both budgets used up by one failure: the outer group gives up, and its try is one of the inner too', () => {
    const stage = settle(nested('one_for_one', { inner: 0, outer: 0 }).ended('a'))
    assert.equal(open(stage, 'inner'), null)
    assert.deepEqual(
      all.map((name) => stage.state(name, 'failed').by),
      ['outer', 'outer', 'outer', 'outer'],
    )
    for (const name of all) stage.recover(name)
    assert.deepEqual(kinds(stage, ...all), ['running', 'running', 'running', 'running'])
  })

  it('an inner quarantine holds while the outer group goes down and comes back', () => {
    const specs = [makeSpec('a', { group: 'inner' }), makeSpec('x', { group: 'outer' })]
    const groups = [
      makeGroup('top', 'one_for_one', ['outer'], { intensity: null }),
      makeGroup('outer', 'one_for_all', ['inner', 'x'], { parent: 'top' }),
      makeGroup('inner', 'one_for_one', ['a'], { parent: 'outer', intensity: budget(0) }),
    ]
    const stage = upAll(new Stage(specs, groups), 'a', 'x').ended('a')
    assert.equal(stage.kind('a'), 'failed')
    settle(stage.ended('x'))
    assert.deepEqual(kinds(stage, 'a', 'x'), ['failed', 'running'])
    assert.deepEqual(lives(stage, 'a', 'x'), [1, 2])
  })

  it('a start of an inner service closes every breaker around it', () => {
    const stage = settle(nested('one_for_one', { inner: 0, outer: 0 }).ended('a'))
    settle(stage.start('b'))
    assert.deepEqual(kinds(stage, ...all), ['running', 'running', 'running', 'running'])
    assert.equal(stage.mesh.breakers.size, 0)
  })
})

describe('a supervisor that dies with a quarantine', () => {
  it('in the middle of its stops is followed by one that finishes them', () => {
    for (const play of [(s: Stage) => s, (s: Stage) => s.exited('a', 0)]) {
      const stage = reborn(play(failTwice(pair())).forget())
      settle(stage)
      assert.deepEqual(kinds(stage, 'a', 'b', 'other'), ['failed', 'failed', 'running'])
      assert.deepEqual(started(stage), [])
    }
  })

  it('is followed by one that tries again at the same instant, and with the same patience', () => {
    const stage = quarantined()
    const until = open(stage)?.retryAt
    reborn(stage)
    assert.equal(open(stage)?.retryAt, until)
    assert.equal(stage.recover('a').at, until)
    reborn(stage.recover('b'))
    settle(stage.ended('b'))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['failed', 'failed'])
    assert.equal((open(stage)?.retryAt ?? 0) - stage.at, 30 * MINUTE)
  })

  it('between two tries of one instant starts the rest of the group as well', () => {
    const stage = quarantined().fire('a', 'retry')
    assert.deepEqual(kinds(stage, 'a', 'b'), ['checking', 'failed'])
    settle(reborn(stage))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'running'])
  })

  it('forgets no failure that was counted before', () => {
    const stage = reborn(pair().ended('a').recover('a'))
    settle(stage.ended('b'))
    assert.deepEqual(kinds(stage, 'a', 'b'), ['failed', 'failed'])
  })

  it('while the operator had closed it: it stays closed', () => {
    const stage = reborn(quarantined().start('a'))
    settle(stage)
    assert.deepEqual(kinds(stage, 'a', 'b'), ['running', 'running'])
    assert.equal(stage.mesh.breakers.size, 0)
  })
})

describe('what counts as a failure of a group', () => {
  const probes = [makeProbe('startup'), makeProbe('liveness')]
  const probed = () => upAll(familyOf('one_for_all', { a: { probes }, b: {} }, budget(20)), 'a', 'b')
  const counted = (stage: Stage) => stage.mesh.breakers.get('g')?.ends.length ?? 0

  it('an end, a hang, a start in vain and a failed spawn, each once, and none of the siblings that go along', () => {
    const stage = settle(probed().ended('b'))
    assert.equal(counted(stage), 1)
    settle(stage.probe('a', 'tcp-liveness', FAIL, 3))
    assert.equal(counted(stage), 2)
    settle(stage.ended('a').ended('b', 0).fire('a', 'backoff').spawned('a').fire('a', 'budget'))
    assert.equal(counted(stage), 4)
    stage.ended('a').ended('b', 0).fire('a', 'backoff').checked('a')
    const { generation } = stage.child('a')
    stage.tell('a', { kind: 'spawn-failed', generation, reason: 'EAGAIN', permanent: false })
    assert.equal(counted(stage), 6)
  })

  it('no stop and no restart that was asked for', () => {
    const stage = settle(probed().restart('a'))
    settle(stage.stop('b'))
    assert.equal(counted(stage), 0)
    assert.equal(recorded(stage, 'together').length, 0)
  })
})
