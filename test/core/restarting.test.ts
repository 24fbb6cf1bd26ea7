import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CODES, makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, Stage } from './stage.ts'

const plain = (over = {}) => new Stage([makeSpec('a', over)])
const delayOf = (stage: Stage) => stage.state('a', 'backoff').delayMs

describe('restart', () => {
  it('the first end of a stable life is restarted at once, that of a short one is not', () => {
    assert.equal(plain().up('a').pass(10_000).ended('a').kind('a'), 'checking')
    assert.equal(plain().up('a').pass(9_999).ended('a').kind('a'), 'backoff')
  })

  it('delays double with every unplanned restart and end at a minute', () => {
    const stage = plain({ intensity: { max: 1000, within: 600_000 } }).up('a')
    for (const expected of [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000]) {
      const delay = delayOf(stage.ended('a'))
      assert.ok(delay >= expected * 0.8 && delay <= expected * 1.2, `${delay} for ${expected}`)
      stage.recover('a')
    }
  })

  it('ten clean minutes forget the delay, less does not', () => {
    const again = (ms: number) => {
      const stage = plain().up('a').ended('a').recover('a').ended('a').recover('a').pass(ms).ended('a')
      return stage.child('a').counters.n
    }
    assert.equal(again(599_999), 3)
    assert.equal(again(600_000), 1)
  })

  it('the clean run is counted while it lasts', () => {
    const stage = plain().up('a').ended('a').recover('a').fire('a', 'stable')
    assert.equal(stage.child('a').counters.n, 1)
    assert.equal(stage.fire('a', 'stable').child('a').counters.n, 0)
  })

  it('the restart type and the class of the exit decide', () => {
    const after = (restart: 'permanent' | 'transient' | 'temporary', code: number) => {
      const stage = plain({ restart }).up('a').pass(20_000).ended('a', code)
      const { state } = stage.child('a')
      return state.kind === 'idle' ? state.why : state.kind
    }
    assert.equal(after('permanent', CODES.success), 'checking')
    assert.equal(after('permanent', CODES.failure), 'checking')
    assert.equal(after('transient', CODES.success), 'completed')
    assert.equal(after('transient', CODES.failure), 'checking')
    assert.equal(after('temporary', CODES.success), 'completed')
    assert.equal(after('temporary', CODES.failure), 'ended')
    assert.equal(after('transient', CODES.fatal), 'blocked')
    assert.equal(after('temporary', CODES.planned), 'checking')
  })

  it('the restarts of a week are kept, with their dates', () => {
    const week = 7 * 86_400_000
    const stage = plain({ intensity: { max: 1_000, within: 1_000 } })
      .up('a')
      .ended('a')
      .recover('a')
    const [first = 0] = stage.child('a').counters.walls
    const kept = (ms: number) => {
      stage
        .pass(first + ms - stage.wall)
        .ended('a')
        .recover('a')
      return stage.child('a').counters.walls.map((wall) => wall - first)
    }
    assert.deepEqual(kept(week - 60_000), [0, week - 60_000])
    assert.deepEqual(kept(week), [week - 60_000, week])
  })

  it('what does not come back says whether it is done or why it ended', () => {
    const said = (code: number) =>
      plain({ restart: 'temporary' })
        .up('a')
        .ended('a', code)
        .done('record')
        .map(({ text }) => text)
    assert.deepEqual(said(CODES.success), ['completed'])
    assert.deepEqual(said(CODES.failure), ['ended and is not restarted: exit code 1'])
  })

  it('a planned end costs neither delay nor budget', () => {
    const stage = plain({ intensity: { max: 1, within: 600_000 } }).up('a')
    for (let i = 0; i < 20; i++) stage.pass(1_000).ended('a', CODES.planned).up('a')
    assert.deepEqual(stage.child('a').counters.ends, [])
    assert.equal(stage.child('a').counters.n, 0)
  })

  it('a planned end right after the start is a failure, so that it cannot become a loop without a brake', () => {
    const stage = plain({ intensity: { max: 3, within: 600_000 } }).up('a')
    for (let i = 0; i < 3; i++) stage.ended('a', CODES.planned).recover('a')
    assert.equal(stage.ended('a', CODES.planned).kind('a'), 'failed')
  })

  it('an operator restart costs neither', () => {
    const stage = plain({ intensity: { max: 1, within: 600_000 } }).up('a')
    for (let i = 0; i < 20; i++) stage.restart('a').ended('a', 1).up('a')
    assert.equal(stage.child('a').counters.total, 0)
  })
})

describe('the restart budget', () => {
  const crashing = (max: number, within = 600_000) => plain({ intensity: { max, within } }).up('a')

  it('allows exactly its number of restarts in the window', () => {
    const stage = crashing(3)
    for (let i = 0; i < 3; i++) stage.ended('a').recover('a')
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.ended('a').kind('a'), 'failed')
    assert.match(stage.state('a', 'failed').reason, /more than 3 failures in 10 min/)
  })

  it('one failure per window goes on for ever', () => {
    const stage = crashing(1, 60_000)
    for (let i = 0; i < 50; i++) stage.pass(60_000).ended('a').recover('a')
    assert.equal(stage.kind('a'), 'running')
  })

  it('half-open: one failure gives up again and waits twice as long, up to 6 h', () => {
    const stage = crashing(1).ended('a').recover('a').ended('a')
    for (const minutes of [15, 30, 60, 120, 240, 360, 360]) {
      assert.equal(stage.state('a', 'failed').retryAt - stage.at, minutes * 60_000)
      stage.recover('a').ended('a')
    }
  })

  it('a half-open life that becomes stable closes the breaker', () => {
    const stage = crashing(1).ended('a').recover('a').ended('a').recover('a').fire('a', 'stable')
    assert.equal(stage.child('a').counters.trial, 'none')
    stage.ended('a').recover('a').ended('a')
    assert.equal(stage.state('a', 'failed').retryAt - stage.at, 15 * 60_000)
  })

  it('a life that never was ready closes nothing', () => {
    const probes = [makeProbe('readiness')]
    const stage = plain({ probes, intensity: { max: 1, within: 600_000 } })
      .up('a')
      .ended('a')
      .recover('a')
      .ended('a')
    stage
      .fire('a', 'retry')
      .spawned('a')
      .fire('a', 'budget')
      .crash()
      .identified('a', 'same')
      .fire('a', 'stable')
    assert.equal(stage.child('a').counters.trial, 'failed')
  })

  it('a fatal exit is retried half-open in 15 min, then 30', () => {
    const stage = plain().up('a')
    for (const minutes of [15, 30, 60]) {
      stage.ended('a', CODES.fatal)
      assert.equal(stage.state('a', 'blocked').retryAt - stage.at, minutes * 60_000)
      stage.recover('a')
    }
    stage.fire('a', 'stable').ended('a', CODES.fatal)
    assert.equal(stage.state('a', 'blocked').retryAt - stage.at, 15 * 60_000)
  })

  it('a half-open trial after a fatal exit does not give back what the window has spent', () => {
    const stage = crashing(3).ended('a').recover('a').ended('a').recover('a').ended('a', CODES.fatal)
    stage.tell('a', { kind: 'input-changed' }).up('a').fire('a', 'stable')
    assert.equal(stage.ended('a').recover('a').ended('a').kind('a'), 'failed')
  })

  it('a failure never changes what the operator wants', () => {
    const stage = crashing(1).ended('a').recover('a').ended('a')
    assert.deepEqual(stage.child('a').desired, { kind: 'running' })
  })
})

describe('the limit on kills', () => {
  const stubborn = () =>
    plain({
      probes: [makeProbe('startup'), makeProbe('liveness')],
      killLimit: { max: 2, within: 300_000 },
      hangStop: [
        { step: 'signal', signal: 'SIGKILL', to: 'group' },
        { step: 'wait-exit', for: 5_000 },
      ],
    })
  const hang = (stage: Stage) => stage.probe('a', 'tcp-liveness', FAIL, 3)

  it('spares the third hung process until the window allows', () => {
    const stage = stubborn().up('a')
    for (let i = 0; i < 2; i++) hang(stage).exited('a', null, 'SIGKILL').swept('a').recover('a')
    const [first = 0] = stage.child('a').counters.kills
    assert.equal(hang(stage).kind('a'), 'hung')
    stage.fire('a', 'retry')
    assert.equal(stage.at, first + 300_000)
    assert.equal(stage.done('signal')[0]?.signal, 'SIGKILL')
  })

  it('spares a failed start likewise', () => {
    const stage = stubborn().up('a')
    for (let i = 0; i < 2; i++) hang(stage).exited('a', null, 'SIGKILL').swept('a').recover('a')
    hang(stage).exited('a', 1).swept('a').fire('a', 'backoff').spawned('a')
    const [first = 0] = stage.child('a').counters.kills
    stage.fire('a', 'budget')
    assert.equal(stage.kind('a'), 'starting')
    assert.equal(stage.child('a').timers.budget?.at, first + 300_000)
  })

  it('does not bind the operator', () => {
    const stage = stubborn().up('a')
    for (let i = 0; i < 2; i++) hang(stage).exited('a', null, 'SIGKILL').swept('a').recover('a')
    assert.equal(stage.stop('a', { now: true }).done('signal')[0]?.signal, 'SIGKILL')
  })
})
