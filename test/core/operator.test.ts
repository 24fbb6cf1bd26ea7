import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { makeGroup, needs, upAll } from './family.ts'
import { FAIL, Stage } from './stage.ts'

const HOUR = 3_600_000
const plain = (over = {}) => new Stage([makeSpec('a', over)])

describe('commands', () => {
  it('twenty simultaneous restarts make one', () => {
    const stage = plain().up('a').forget()
    for (let i = 0; i < 20; i++) stage.restart('a')
    assert.equal(stage.count('reply'), 20)
    assert.equal(stage.count('signal'), 1)
    stage.ended('a', 0)
    for (let i = 0; i < 20; i++) stage.restart('a')
    stage.spawned('a')
    assert.equal(stage.count('spawn'), 1)
    assert.equal(stage.kind('a'), 'running')
  })

  it('a restart while it waits for its need leads to one start later', () => {
    const stage = new Stage([
      makeSpec('kb'),
      makeSpec('a', { needs: [{ service: 'kb', until: 'ready', restart: false }] }),
    ])
    stage.restart('a').restart('a')
    assert.equal(stage.kind('a'), 'waiting')
    stage.up('kb').up('a')
    assert.equal(stage.count('spawn', 'a'), 1)
  })

  it('a restart that could not start again is refused, and the process keeps running', () => {
    const stage = plain().up('a').forget()
    const preflight = { a: [{ check: 'config', outcome: 'fail', reason: 'line 3: unknown key' }] } as const
    stage.ask({ kind: 'restart', name: 'a', now: false, preflight })
    assert.match(stage.done('refuse')[0]?.message ?? '', /line 3/)
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.count('signal'), 0)
  })

  it('a stop of a group is no stop of what others need, where these are in it; each is named once, and so is `down`', () => {
    const chain = ['kb', 'mid', 'app', 'web'].map((name, index, names) =>
      makeSpec(name, { group: name === 'web' ? null : 'g', needs: needs(...names.slice(0, index)) }),
    )
    const group = makeGroup('g', 'one_for_one', ['kb', 'mid', 'app'])
    const inside = upAll(new Stage(chain.slice(0, 3), [group]), 'kb', 'mid', 'app').stop('g')
    assert.deepEqual(inside.done('reply')[0]?.names, ['kb', 'mid', 'app'])
    const refused = upAll(new Stage(chain, [group]), 'kb', 'mid', 'app', 'web').stop('g')
    assert.match(refused.done('refuse')[0]?.message ?? '', /^kb, mid, app is needed by web; /)
    refused.stop('kb', { withDependents: true })
    assert.deepEqual(refused.done('reply')[0]?.names, ['kb', 'mid', 'app', 'web'])
    const down = upAll(new Stage(chain, [group]), 'kb', 'mid', 'app', 'web').ask({ kind: 'down' })
    assert.deepEqual(down.done('reply')[0]?.names, ['web', 'app', 'mid', 'kb'])
  })

  it('a disabled service is not started', () => {
    assert.match(plain({ enabled: false }).start('a').done('refuse')[0]?.message ?? '', /enabled/)
  })

  it('a stop for a time ends by itself, a plain stop does not', () => {
    const stage = plain()
      .up('a')
      .stop('a', { forMs: 2 * HOUR })
      .ended('a', 0)
    const began = stage.at
    stage.fire('a', 'unstop')
    assert.equal(stage.at - began, 2 * HOUR)
    assert.equal(stage.kind('a'), 'checking')
    assert.deepEqual(stage.child('a').desired, { kind: 'running' })
    assert.deepEqual(plain().up('a').stop('a').ended('a', 0).child('a').timers, {})
  })

  it('a stop for a time ends by the clock on the wall, which sleep does not stop', () => {
    const stage = plain()
      .up('a')
      .stop('a', { forMs: 2 * HOUR })
      .ended('a', 0)
    stage.wall += HOUR
    stage.fact({ kind: 'host-woke', gapMs: HOUR })
    assert.equal((stage.child('a').timers.unstop?.at ?? 0) - stage.at, HOUR)
  })

  it('a start or restart of what cannot be identified is refused with the reason', () => {
    const stage = plain().up('a').crash().identified('a', 'unknown')
    for (const refused of [stage.start('a'), stage.restart('a')]) {
      assert.match(refused.done('refuse')[0]?.message ?? '', /nobody can tell/)
    }
  })

  it('a stop for good replaces a stop for a time, and a start ends both', () => {
    const stage = plain().up('a').stop('a', { forMs: HOUR }).stop('a').ended('a', 0)
    assert.equal(stage.child('a').timers.unstop, undefined)
    stage.stop('a', { forMs: HOUR }).start('a')
    assert.equal(stage.child('a').timers.unstop, undefined)
    assert.equal(stage.kind('a'), 'checking')
  })

  it('a timed stop that is over while its dependents still end lets it run on', () => {
    const app = makeSpec('app', { needs: [{ service: 'a', until: 'ready', restart: false }] })
    const stage = new Stage([makeSpec('a'), app])
      .up('a')
      .up('app')
      .stop('a', { forMs: 1_000, withDependents: true })
    stage.fire('a', 'unstop')
    assert.equal(stage.child('a').pendingStop, null)
    stage.fire('app', 'unstop').ended('app', 0).up('app')
    assert.deepEqual([stage.kind('a'), stage.kind('app')], ['running', 'running'])
    assert.equal(stage.child('a').generation, 1)
  })

  it('every command gets exactly one answer, whatever came before', () => {
    const command = fc.constantFrom('start', 'stop', 'stop now', 'stop for', 'restart', 'nobody')
    fc.assert(
      fc.property(fc.array(command, { maxLength: 20 }), (commands) => {
        const stage = plain()
        for (const word of commands) {
          if (word === 'start') stage.start('a')
          else if (word === 'restart') stage.restart('a')
          else if (word === 'nobody') stage.start('nobody')
          else stage.stop('a', { now: word === 'stop now', ...(word === 'stop for' ? { forMs: 1_000 } : {}) })
          assert.equal(stage.done('reply').length + stage.done('refuse').length, 1)
          const last =
            word === 'start' || word === 'restart' ? 'running' : word === 'nobody' ? null : 'stopped'
          if (last) assert.equal(stage.child('a').desired.kind, last)
        }
      }),
    )
  })
})

describe('an edit in the middle of an ordered stop', () => {
  it('waits for its turn: the need stops after its dependent, and starts later with the new declaration', () => {
    const needs = [{ service: 'kb', until: 'ready' as const, restart: false }]
    const web = makeSpec('web', { needs })
    const stage = new Stage([makeSpec('kb'), web]).up('kb').up('web')
    stage.stop('kb', { withDependents: true })
    assert.deepEqual([stage.kind('web'), stage.kind('kb')], ['stopping', 'running'])
    stage.declare([makeSpec('kb', { cwd: '/elsewhere' }), web])
    assert.deepEqual([stage.kind('web'), stage.kind('kb')], ['stopping', 'running'])
    stage.ended('web', 0)
    assert.equal(stage.kind('kb'), 'stopping')
    stage.ended('kb', 0).start('kb')
    assert.equal(stage.child('kb').spec.cwd, '/elsewhere')
  })
})

describe('time', () => {
  const guarded = () => plain({ probes: [makeProbe('liveness'), makeProbe('readiness')] }).up('a')

  it('failures within a minute after a wake do not count, later ones do', () => {
    const stage = guarded().fact({ kind: 'host-woke', gapMs: 8 * HOUR })
    stage.probe('a', 'tcp-liveness', FAIL, 10).pass(59_999).probe('a', 'tcp-liveness', FAIL, 10)
    assert.equal(stage.kind('a'), 'running')
    stage.pass(1).probe('a', 'tcp-liveness', FAIL, 2)
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.probe('a', 'tcp-liveness', FAIL).kind('a'), 'stopping')
  })

  it('a further gap extends the grace', () => {
    const stage = guarded()
      .fact({ kind: 'host-woke', gapMs: 10_000 })
      .pass(50_000)
      .fact({ kind: 'host-woke', gapMs: 10_000 })
    stage.pass(50_000).probe('a', 'tcp-liveness', FAIL, 10)
    assert.equal(stage.kind('a'), 'running')
  })

  it('an exit is taken as one even then', () => {
    const stage = guarded().fact({ kind: 'host-woke', gapMs: 10_000 }).exited('a')
    assert.equal(stage.kind('a'), 'sweeping')
  })

  it('a wall clock that is set back or forth changes no delay, budget or life', () => {
    for (const jump of [-30 * 24 * HOUR, 30 * 24 * HOUR]) {
      const stage = plain({ intensity: { max: 1, within: 600_000 } }).up('a')
      stage.pass(20_000).wall += jump
      assert.equal(stage.ended('a').kind('a'), 'checking')
      stage.up('a').wall -= jump
      assert.equal(stage.ended('a').kind('a'), 'failed')
      assert.equal(stage.state('a', 'failed').retryAt - stage.at, 900_000)
    }
  })
})
