import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { START_LIMIT, takeTurn } from '../../supervisor/core/pace.ts'
import { isSettled, labelOf, showService } from '../../supervisor/core/snapshot.ts'
import { emptyMesh } from '../../supervisor/core/step.ts'
import { makeSpec } from '../sim/mesh.ts'
import { Stage } from './stage.ts'

const { burst, perSecond } = START_LIMIT
const names = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`)
const specs = (count: number) => names(count).map((name) => makeSpec(name))

/** A mesh of this size whose preflights have all passed at the same instant. */
function crowd(count: number): Stage {
  const stage = new Stage(specs(count))
  for (const name of names(count)) stage.checked(name)
  return stage
}

const queuedIn = (stage: Stage) =>
  names(stage.mesh.children.size).filter((name) => stage.kind(name) === 'queued')

describe('row: queued', () => {
  /** The last of them finds the bucket empty. */
  const last = `s${burst}`
  const queued = () => crowd(burst + 1)

  it('is where a start waits that finds the bucket empty; it counts as starting and is not settled', () => {
    const stage = queued()
    assert.deepEqual(queuedIn(stage), [last])
    assert.equal(stage.count('spawn'), burst)
    const child = stage.child(last)
    assert.equal(labelOf(child), 'starting')
    assert.equal(isSettled(child, stage.mesh.children, stage.at), false)
    const view = { at: stage.at, wall: stage.wall, logPath: null, runbook: '', incident: null }
    assert.match(showService(child, stage.mesh.children, view).reason ?? '', /many others/)
  })

  it('starts once the bucket has a start for it, which is at once where nobody else waits', () => {
    const stage = queued()
    const before = stage.at
    stage.fire(last, 'turn')
    assert.equal(stage.kind(last), 'spawning')
    assert.equal(stage.at - before, Math.ceil(1000 / perSecond))
    assert.equal(stage.state(last, 'spawning').cause, 'boot')
  })

  it('rests when it is to stop, and leaves its place to who comes after', () => {
    const stage = crowd(burst + 2).stop(last)
    assert.equal(stage.kind(last), 'idle')
    assert.deepEqual(stage.child(last).timers, {})
    const before = stage.at
    stage
      .pass(Math.ceil(1000 / perSecond))
      .start(last)
      .checked(last)
    assert.equal(stage.kind(last), 'queued', 'it comes after the one that waited on')
    stage.pass(before - stage.at + Math.ceil(2000 / perSecond))
    assert.equal(stage.fire(`s${burst + 1}`, 'turn').kind(`s${burst + 1}`), 'spawning')
    assert.equal(stage.fire(last, 'turn').kind(last), 'spawning')
  })

  it('rests with the whole mesh, which needs no turn to go down', () => {
    const stage = queued().ask({ kind: 'down' })
    assert.equal(stage.kind(last), 'idle')
  })

  it('is not hurried by an operator, nor by a need that changes', () => {
    const stage = queued().forget()
    for (const event of [{ kind: 'start-asked' }, { kind: 'wanted' }, { kind: 'needs-changed' }] as const)
      assert.equal(stage.tell(last, event).kind(last), 'queued', event.kind)
    assert.equal(stage.restart(last).kind(last), 'queued')
    assert.equal(stage.count('spawn'), 0)
  })

  it('is checked again by another declaration', () => {
    const stage = queued()
    stage.declare(specs(burst + 1).map((spec) => (spec.name === last ? { ...spec, env: { A: '1' } } : spec)))
    assert.equal(stage.kind(last), 'checking')
    assert.equal(stage.checked(last).kind(last), 'queued')
    assert.equal(stage.fire(last, 'turn').kind(last), 'spawning')
  })

  it('waits for a need that goes down meanwhile', () => {
    const all = [
      ...specs(burst),
      makeSpec(last, { needs: [{ service: 's0', until: 'ready', restart: false }] }),
    ]
    const stage = new Stage(all)
    for (const name of names(burst)) stage.up(name)
    stage.checked(last).exited('s0').fire(last, 'turn')
    assert.equal(stage.kind(last), 'waiting')
  })

  it('begins anew under the next supervisor, whose bucket is full', () => {
    const stage = queued().crash()
    assert.equal(stage.kind(last), 'idle')
    stage.declare(specs(burst + 1)).checked(last)
    assert.equal(stage.kind(last), 'spawning')
  })
})

describe('the pace of starts', () => {
  it('brings a mesh of a hundred up at once, and never delays the restart of one', () => {
    const stage = crowd(burst)
    assert.deepEqual([stage.count('spawn'), queuedIn(stage)], [burst, []])
    for (const name of names(burst)) stage.spawned(name)
    stage.pass(60_000).exited('s7').swept('s7').checked('s7')
    assert.equal(stage.kind('s7'), 'spawning')
  })

  it('starts no more in any second, in the order in which they came, and each in its turn', () => {
    const count = 1_000
    const stage = crowd(count)
    const order: string[] = []
    const ringMs = 37
    const times: number[] = names(burst).map(() => stage.at)
    for (let waiting = queuedIn(stage); waiting.length > 0; waiting = queuedIn(stage)) {
      // The timers ring together now and then, as after a turn that took long.
      stage.pass(ringMs)
      for (const name of waiting.toReversed()) {
        const turn = stage.child(name).timers.turn
        if (!turn || turn.at > stage.at) continue
        stage.tell(name, { kind: 'timer-fired', timer: 'turn', token: turn.token })
        if (stage.kind(name) !== 'spawning') continue
        order.push(name)
        times.push(stage.at)
      }
    }
    assert.equal(times.length, count)
    for (const [index, at] of times.entries()) {
      const inside = times.slice(index).filter((other) => other - at < 1_000).length
      assert.ok(inside <= burst + perSecond, `${inside} in the second from ${at}`)
    }
    const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000
    assert.ok(seconds < (count - burst) / perSecond + 0.1, `took ${seconds} s`)
    const number = (name: string) => Number(name.slice(1))
    // Within one ring they may change places, never over more than it let through.
    for (const [index, name] of order.entries())
      assert.ok(
        Math.abs(number(name) - burst - index) <= (ringMs * perSecond) / 1000 + 1,
        `${name} is number ${index}`,
      )
  })

  it('holds for crashes after a wake as for a boot', () => {
    const count = 300
    const stage = crowd(count)
    while (queuedIn(stage).length > 0) stage.fire(queuedIn(stage)[0] ?? '', 'turn')
    for (const name of names(count)) stage.spawned(name)
    stage.pass(3_600_000).fact({ kind: 'host-woke', gapMs: 3_600_000 }).forget()
    for (const name of names(count)) stage.ended(name).checked(name)
    assert.equal(stage.count('spawn'), burst)
    assert.equal(queuedIn(stage).length, count - burst)
  })

  it('saves nothing up beyond the burst, however long nothing is started', () => {
    const mesh = emptyMesh(1, [1, 2, 3, 4], { burst: 2, perSecond: 1 })
    const turns = (at: number) => names(4).map((name) => takeTurn(mesh, name, at))
    // Nobody is queued on a mesh without children, so each sees only the bucket.
    assert.deepEqual(turns(1_000), [null, null, 2_000, 2_000])
    assert.deepEqual(turns(1_999), [2_000, 2_000, 2_000, 2_000])
    assert.deepEqual(turns(1_000_000), [null, null, 1_001_000, 1_001_000])
  })
})
