import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceSpec } from '../../schemas/service.ts'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { makeGroup } from './family.ts'
import { FAIL, PASS, Stage } from './stage.ts'

const needs = (service: string, over = {}) => ({ service, until: 'ready' as const, restart: false, ...over })
const base = (over: Partial<ServiceSpec> = {}) => makeSpec('kb', over)
const top = (over = {}) => makeSpec('app', { needs: [needs('kb', over)] })
const chain = () => [
  base(),
  makeSpec('mid', { needs: [needs('kb')] }),
  makeSpec('app', { needs: [needs('mid')] }),
]
const upAll = (stage: Stage, ...names: string[]) => {
  for (const name of names) stage.up(name)
  return stage
}

describe('needs', () => {
  it('`ready` waits for readiness, `started` for the process, `completed` for the end', () => {
    const probes = [makeProbe('readiness')]
    const ready = new Stage([base({ probes }), top()]).spawned('kb')
    assert.equal(ready.kind('app'), 'waiting')
    assert.equal(ready.probe('kb', 'tcp-readiness', PASS).kind('app'), 'checking')
    assert.equal(
      new Stage([base({ probes }), top({ until: 'started' })]).spawned('kb').kind('app'),
      'checking',
    )
    const early = new Stage([base({ probes }), top({ until: 'started' })])
    assert.equal(early.checked('kb').kind('app'), 'waiting', 'a start that is under way is no process yet')
    const gone = new Stage([base({ probes }), top({ until: 'started' })]).spawned('kb').ended('kb')
    assert.equal(gone.checked('app').kind('app'), 'waiting', 'looked at again after the preflights')
    const once = new Stage([base({ restart: 'transient' }), top({ until: 'completed' })]).up('kb')
    assert.equal(once.kind('app'), 'waiting')
    assert.equal(once.ended('kb', 0).kind('app'), 'checking')
  })

  it('a need that runs already and gets ready again lets go who waits for it', () => {
    const stage = new Stage([base({ probes: [makeProbe('readiness')] }), top()])
    stage.up('kb').probe('kb', 'tcp-readiness', FAIL, 3).checked('app')
    assert.deepEqual([stage.kind('kb'), stage.kind('app')], ['running', 'waiting'])
    assert.equal(stage.probe('kb', 'tcp-readiness', PASS).kind('app'), 'checking')
  })

  it('a chain starts in order, independent ones at once', () => {
    const stage = new Stage([...chain(), makeSpec('other')])
    assert.deepEqual(
      ['kb', 'mid', 'app', 'other'].map((name) => stage.kind(name)),
      ['checking', 'waiting', 'waiting', 'checking'],
    )
    assert.equal(stage.up('kb').kind('mid'), 'checking')
    assert.equal(stage.up('mid').kind('app'), 'checking')
  })

  it('a dependent that runs keeps running when its need goes down', () => {
    const stage = upAll(new Stage([base(), top()]), 'kb', 'app')
      .forget()
      .ended('kb')
    assert.equal(stage.kind('app'), 'running')
    assert.equal(stage.count('signal'), 0)
  })

  it('a need that nobody declares is never met', () => {
    assert.equal(new Stage([top()]).kind('app'), 'waiting')
  })

  it('`restart: true` restarts the dependent after an unplanned restart of the need, and only then', () => {
    const stage = upAll(new Stage([base(), top({ restart: true })]), 'kb', 'app')
    stage.restart('kb').ended('kb', 0).up('kb')
    assert.equal(stage.kind('app'), 'running')
    stage.ended('kb').recover('kb')
    const { then, cause, killed } = stage.state('app', 'stopping')
    assert.deepEqual([then, cause, killed], ['restart', 'dependency', false])
  })

  it('`restart: true` also holds for a need that is ready only after its budget', () => {
    const probes = [makeProbe('readiness')]
    const stage = upAll(new Stage([base({ probes }), top({ restart: true })]), 'kb', 'app')
    stage
      .ended('kb')
      .fire('kb', 'backoff')
      .spawned('kb')
      .fire('kb', 'budget')
      .probe('kb', 'tcp-readiness', PASS)
    assert.equal(stage.kind('app'), 'stopping')
  })

  it('`restart: true` follows from the first ready alone, not from what comes later in the same life', () => {
    const probes = [makeProbe('readiness')]
    const app = makeSpec('app', { probes, needs: [needs('kb', { restart: true })] })
    const stage = new Stage([base({ probes }), app]).up('kb').spawned('app').ended('kb').recover('kb')
    assert.deepEqual([stage.kind('kb'), stage.up('app').kind('app')], ['running', 'running'])
    stage.tell('kb', { kind: 'program-changed', generation: 2, file: '/bin/kb' })
    stage.pass(1_000).probe('kb', 'tcp-readiness', FAIL, 3).probe('kb', 'tcp-readiness', PASS)
    assert.equal(stage.kind('app'), 'running')
  })

  it('`restart: true` does not reach a dependent that was started together with the new need', () => {
    const probes = [makeProbe('readiness')]
    const app = makeSpec('app', { group: 'g', needs: [needs('kb', { until: 'started', restart: true })] })
    const group = makeGroup('g', 'one_for_all', ['kb', 'app'])
    const stage = upAll(new Stage([base({ probes, group: 'g' }), app], [group]), 'kb', 'app')
    stage.ended('kb').ended('app', 0).fire('kb', 'backoff').spawned('kb').spawned('app')
    assert.equal(stage.child('app').generation, 2)
    assert.equal(stage.probe('kb', 'tcp-readiness', PASS).kind('kb'), 'running')
    assert.equal(stage.kind('app'), 'running', 'it has known no other')
  })

  it('`restart: true` does not reach a dependent that is about to be stopped', () => {
    const specs = [
      base(),
      makeSpec('mid', { needs: [needs('kb', { restart: true })] }),
      makeSpec('app', { needs: [needs('mid')] }),
    ]
    const stage = upAll(new Stage(specs), 'kb', 'mid', 'app').stop('mid', { withDependents: true })
    stage.ended('kb').recover('kb')
    assert.deepEqual([stage.kind('mid'), stage.kind('app')], ['running', 'stopping'])
  })

  it('a need that only recovers from degraded restarts nobody', () => {
    const stage = upAll(
      new Stage([base({ probes: [makeProbe('readiness')] }), top({ restart: true })]),
      'kb',
      'app',
    )
    stage.probe('kb', 'tcp-readiness', FAIL, 3).probe('kb', 'tcp-readiness', PASS)
    assert.equal(stage.kind('app'), 'running')
  })
})

describe('stopping with dependents', () => {
  it('is refused while a dependent runs, and names it', () => {
    const stage = upAll(new Stage(chain()), 'kb', 'mid', 'app').stop('kb')
    const [refusal] = stage.done('refuse')
    assert.equal(refusal?.code, 'refused-dependents')
    assert.match(refusal?.message ?? '', /mid, app/)
    assert.deepEqual(
      ['kb', 'mid', 'app'].map((name) => stage.kind(name)),
      ['running', 'running', 'running'],
    )
    assert.equal(stage.child('kb').desired.kind, 'running')
  })

  it('goes in reverse order, each after the exit of the one before', () => {
    const stage = upAll(new Stage(chain()), 'kb', 'mid', 'app').stop('kb', { withDependents: true })
    const kinds = () => ['kb', 'mid', 'app'].map((name) => stage.kind(name))
    assert.deepEqual(kinds(), ['running', 'running', 'stopping'])
    stage.exited('app', 0)
    assert.deepEqual(kinds(), ['running', 'running', 'sweeping'])
    stage.swept('app')
    assert.deepEqual(kinds(), ['running', 'stopping', 'idle'])
    stage.ended('mid', 0)
    assert.deepEqual(kinds(), ['stopping', 'idle', 'idle'])
  })

  it('a dependent that is wanted again lets the stop of its need go on', () => {
    const stage = upAll(new Stage([base(), top()]), 'kb', 'app').stop('kb', { withDependents: true })
    assert.equal(stage.kind('kb'), 'running')
    stage.start('app')
    assert.equal(stage.kind('kb'), 'stopping')
    stage.ended('app', 0)
    assert.equal(stage.kind('app'), 'waiting')
  })

  it('`down` stops everything in reverse and then ends', () => {
    const stage = upAll(new Stage(chain()), 'kb', 'mid', 'app').ask({ kind: 'down' })
    assert.equal(stage.done('record-wanted')[0]?.wanted, 'down')
    assert.equal(stage.done('end').length, 0)
    for (const name of ['app', 'mid', 'kb']) stage.ended(name, 0)
    assert.equal(stage.done('end').length, 1)
    assert.equal(stage.start('kb').done('refuse').length, 1)
  })

  it('`down` keeps the order even for a need that is just being started again', () => {
    const stage = upAll(new Stage([base(), top()]), 'kb', 'app')
      .ended('kb')
      .fire('kb', 'backoff')
      .checked('kb')
    stage.ask({ kind: 'down' }).spawned('kb')
    assert.deepEqual([stage.kind('kb'), stage.kind('app')], ['running', 'stopping'])
    stage.ended('app', 0)
    assert.equal(stage.kind('kb'), 'stopping')
    assert.equal(stage.ended('kb', 0).done('end').length, 1)
  })

  it('`down` and at once `up` brings everything back', () => {
    const stage = upAll(new Stage([base(), top()]), 'kb', 'app')
      .ask({ kind: 'down' })
      .declare([base(), top()])
    assert.equal(stage.kind('kb'), 'running')
    assert.equal(stage.ended('app', 0).kind('app'), 'checking')
    assert.equal(stage.done('end').length, 0)
  })
})

describe('groups', () => {
  const groups = [
    { name: 'outer', parent: null, strategy: 'one_for_one', intensity: null, nodes: ['inner', 'b'] },
    { name: 'inner', parent: 'outer', strategy: 'one_for_one', intensity: null, nodes: ['a'] },
  ] as const
  const specs = () => [makeSpec('a', { group: 'inner' }), makeSpec('b', { group: 'outer' }), makeSpec('c')]

  it('a command on a group reaches the services of its inner groups too', () => {
    const stage = upAll(new Stage(specs(), groups), 'a', 'b', 'c').stop('outer')
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => stage.kind(name)),
      ['stopping', 'stopping', 'running'],
    )
    assert.deepEqual(stage.done('reply')[0]?.names, ['a', 'b'])
  })

  it('a name that nobody has is refused', () => {
    assert.equal(new Stage(specs(), groups).start('nobody').done('refuse')[0]?.code, 'unknown-service')
  })
})

describe('a changed document', () => {
  it('restarts what changed, once, starts the new and leaves the rest alone', () => {
    const stage = upAll(new Stage([base(), makeSpec('b')]), 'kb', 'b').forget()
    stage.declare([base(), makeSpec('b', { command: ['other'] }), makeSpec('c')])
    assert.deepEqual(
      ['kb', 'b', 'c'].map((name) => stage.kind(name)),
      ['running', 'stopping', 'checking'],
    )
    stage
      .ended('b', 0)
      .up('b')
      .declare([base(), makeSpec('b', { command: ['other'] }), makeSpec('c')])
    assert.equal(stage.kind('b'), 'running')
    assert.equal(stage.count('spawn', 'b'), 1)
  })

  it('stops and forgets what is gone', () => {
    const stage = upAll(new Stage([base(), makeSpec('b')]), 'kb', 'b').declare([base()])
    assert.equal(stage.kind('b'), 'stopping')
    stage.ended('b', 0)
    assert.deepEqual(stage.done('forget'), [{ kind: 'forget', service: 'b' }])
    assert.equal(stage.mesh.children.has('b'), false)
  })

  it('takes force even if it came while the process was just being started', () => {
    const stage = new Stage([base()]).checked('kb').declare([base({ command: ['other'] })])
    assert.equal(stage.spawned('kb').kind('kb'), 'stopping')
    stage.ended('kb', 0)
    assert.deepEqual(stage.child('kb').spec.command, ['other'])
  })

  it('is checked before the start if it came during the checks', () => {
    const stage = new Stage([base()])
    const { attempt } = stage.state('kb', 'checking')
    stage
      .declare([base({ command: ['other'] })])
      .tell('kb', { kind: 'preflight-reported', attempt, results: [] })
    assert.equal(stage.kind('kb'), 'checking')
    assert.equal(stage.checked('kb').kind('kb'), 'spawning')
  })

  it('a need that is new in it wakes the service that waits for it', () => {
    const stage = upAll(new Stage([base(), makeSpec('app')]), 'kb', 'app').ended('kb')
    stage.declare([base(), { ...top(), command: ['other'] }])
    stage.ended('app', 0)
    assert.equal(stage.kind('app'), 'waiting')
    assert.equal(stage.recover('kb').kind('app'), 'checking')
  })
})
