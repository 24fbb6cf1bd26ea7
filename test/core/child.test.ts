import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isSettled } from '../../supervisor/core/snapshot.ts'
import type { TimerName } from '../../supervisor/core/state.ts'
import { CODES, makeProbe, makeSpec } from '../sim/mesh.ts'
import { FAIL, identityOf, PASS, Stage } from './stage.ts'

const plain = (over = {}) => new Stage([makeSpec('a', over)])
const gated = (over = {}) =>
  plain({ probes: [makeProbe('startup'), makeProbe('readiness'), makeProbe('liveness')], ...over })
const pair = () =>
  new Stage([makeSpec('kb'), makeSpec('a', { needs: [{ service: 'kb', until: 'ready', restart: false }] })])
/** In backoff after its second end in a row. */
const inBackoff = () => plain().up('a').ended('a')
const inFailed = () =>
  plain({ intensity: { max: 1, within: 600_000 } })
    .up('a')
    .ended('a')
    .recover('a')
    .ended('a')
const inHung = () => {
  const stage = gated({ killLimit: { max: 1, within: 600_000 } })
    .up('a')
    .probe('a', 'tcp-liveness', FAIL, 3)
  stage.fire('a', 'step').exited('a', null, 'SIGKILL').swept('a').recover('a')
  return stage.probe('a', 'tcp-liveness', FAIL, 3)
}

describe('row: idle', () => {
  it('starts when it is wanted', () => assert.equal(plain().kind('a'), 'checking'))

  it('stays when it is disabled or was stopped by the operator', () => {
    assert.equal(plain({ enabled: false }).kind('a'), 'idle')
    const stage = plain().up('a').stop('a').ended('a', 0)
    assert.deepEqual(stage.state('a', 'idle').why, 'operator')
    assert.equal(stage.tell('a', { kind: 'wanted' }).kind('a'), 'idle')
  })

  it('stays when it ran to its end, until it is asked to start', () => {
    const stage = plain({ restart: 'transient' }).up('a').ended('a', 0)
    assert.equal(stage.state('a', 'idle').why, 'completed')
    assert.equal(stage.tell('a', { kind: 'wanted' }).kind('a'), 'idle')
    assert.equal(stage.start('a').kind('a'), 'checking')
  })
})

describe('row: waiting', () => {
  it('waits for its need and starts when it is ready', () => {
    const stage = pair()
    assert.deepEqual(stage.state('a', 'waiting').for, ['kb'])
    assert.equal(stage.up('kb').kind('a'), 'checking')
  })

  it('a start that is asked for does not jump the queue, a stop ends the wait', () => {
    const stage = pair().start('a')
    assert.equal(stage.kind('a'), 'waiting')
    assert.equal(stage.stop('a').kind('a'), 'idle')
    assert.equal(stage.up('kb').kind('a'), 'idle')
  })
})

describe('row: checking', () => {
  it('goes on to the start when every preflight passed', () => {
    const stage = plain().checked('a')
    assert.equal(stage.kind('a'), 'spawning')
    assert.equal(stage.done('spawn')[0]?.generation, 1)
  })

  it('is blocked by a failed one and looks again in 30 s', () => {
    const stage = plain().checked('a', 'fail')
    assert.equal(stage.state('a', 'blocked').retryAt, stage.at + 30_000)
    assert.equal(stage.fire('a', 'retry').checked('a').kind('a'), 'spawning')
  })

  it('starts on an unknown one and says so', () => {
    const stage = plain().checked('a', 'unknown')
    assert.equal(stage.kind('a'), 'spawning')
    assert.ok(stage.done('record').some(({ event }) => event === 'preflight-unknown'))
  })

  it('starts when the preflights never answer', () =>
    assert.equal(plain().fire('a', 'preflight').kind('a'), 'spawning'))

  it('takes no answer of an earlier attempt', () => {
    const stage = plain()
    const before = stage.child('a')
    stage.tell('a', { kind: 'preflight-reported', attempt: 0, results: [] })
    assert.equal(stage.child('a'), before)
  })

  it('is settled where a blocked one is only looked at again, and not where somebody has asked for it', () => {
    const stage = plain().checked('a', 'fail')
    const settled = () => isSettled(stage.child('a'), stage.mesh.children, stage.at)
    stage.fire('a', 'retry')
    assert.deepEqual([stage.kind('a'), settled()], ['checking', true])
    stage.checked('a', 'fail').start('a')
    assert.deepEqual([stage.kind('a'), settled()], ['checking', false])
    stage.checked('a', 'fail')
    assert.deepEqual([stage.kind('a'), settled()], ['blocked', true])
  })

  it('a stop ends it, and the late answer starts nothing', () => {
    const stage = plain()
    const { attempt } = stage.state('a', 'checking')
    stage.stop('a').tell('a', { kind: 'preflight-reported', attempt, results: [] })
    assert.equal(stage.kind('a'), 'idle')
    assert.equal(stage.count('spawn'), 0)
  })

  it('waits again if a need went down meanwhile', () => {
    const stage = pair().up('kb').exited('kb')
    assert.equal(stage.checked('a').kind('a'), 'waiting')
    assert.equal(stage.count('spawn', 'a'), 0)
  })
})

describe('the timers', () => {
  const dueIn = (stage: Stage, timer: TimerName) => (stage.child('a').timers[timer]?.at ?? 0) - stage.at

  it('are set for as long as their states may last', () => {
    assert.equal(dueIn(plain(), 'preflight'), 120_000)
    assert.equal(dueIn(gated().spawned('a'), 'budget'), 60_000)
    assert.equal(dueIn(plain().up('a'), 'stable'), 10_000)
    assert.equal(dueIn(plain().up('a').stop('a'), 'step'), 10_000)
    assert.equal(dueIn(plain().up('a').stop('a').fire('a', 'step'), 'step'), 5_000)
    assert.equal(dueIn(plain().up('a').exited('a'), 'sweep'), 30_000)
    assert.equal(dueIn(plain().checked('a', 'fail'), 'retry'), 30_000)
    assert.equal(dueIn(plain().checked('a', 'absent'), 'retry'), 30_000)
    assert.equal(dueIn(plain().up('a').ended('a', CODES.fatal), 'retry'), 900_000)
    assert.equal(dueIn(plain().up('a').stop('a', { forMs: 7_000 }), 'unstop'), 7_000)
    const adopted = plain().up('a').pass(3_600_000).crash().identified('a', 'same')
    assert.equal(dueIn(adopted, 'stable'), 10_000)
    const lost = plain().up('a').crash().identified('a', 'unknown')
    assert.equal(dueIn(lost, 'retry'), 30_000)
    assert.equal(dueIn(lost.fire('a', 'retry'), 'retry'), 30_000)
    assert.equal(dueIn(plain().up('a').crash().identified('a', 'dead'), 'sweep'), 30_000)
  })
})

describe('row: spawning', () => {
  it('holds the process once it is there', () => {
    const stage = gated().spawned('a')
    assert.deepEqual(stage.state('a', 'starting').process.identity, identityOf(1))
    assert.deepEqual(stage.done('open-probes')[0]?.roles, ['startup', 'preflight'])
  })

  it('takes no process of an earlier generation', () => {
    const stage = plain().up('a').ended('a').fire('a', 'backoff').checked('a')
    const before = stage.child('a')
    for (const generation of [0, 1, 3])
      stage.tell('a', { kind: 'spawned', generation, identity: identityOf(generation), logOffset: 0 })
    assert.equal(stage.child('a'), before)
    assert.equal(stage.spawned('a').kind('a'), 'running')
  })

  it('without probes it is ready at once', () => assert.equal(plain().spawned('a').kind('a'), 'running'))

  it('a stop that comes in between begins when the process is there', () => {
    const stage = plain().checked('a').stop('a')
    assert.equal(stage.kind('a'), 'spawning')
    assert.equal(stage.spawned('a').kind('a'), 'stopping')
    assert.equal(stage.done('signal')[0]?.signal, 'SIGTERM')
  })

  it('a start that failed is an unplanned end; one that cannot succeed is blocked', () => {
    const fail = (permanent: boolean) => {
      const stage = plain().checked('a')
      return stage.tell('a', { kind: 'spawn-failed', generation: 1, reason: 'EAGAIN', permanent })
    }
    assert.equal(fail(false).kind('a'), 'backoff')
    const blocked = fail(true)
    const { retryAt, source } = blocked.state('a', 'blocked')
    assert.deepEqual([retryAt - blocked.at, source], [30_000, 'preflight'])
    assert.equal(blocked.child('a').timers.retry?.at, retryAt)
  })
})

describe('row: starting', () => {
  it('is ready when startup and readiness have passed', () => {
    const stage = gated().spawned('a').probe('a', 'tcp-startup', PASS)
    assert.equal(stage.kind('a'), 'starting')
    assert.deepEqual(stage.done('open-probes')[0]?.roles, ['readiness', 'liveness', 'preflight'])
    assert.equal(stage.probe('a', 'tcp-readiness', PASS).kind('a'), 'running')
  })

  it('a startup budget that is used up is a failed start', () => {
    const stage = gated().spawned('a').fire('a', 'budget')
    assert.equal(stage.state('a', 'stopping').cause, 'start-timeout')
    assert.equal(stage.ended('a', 0).kind('a'), 'backoff')
    assert.match(stage.child('a').lastEnding?.reason ?? '', /not ready after 60 s/)
  })

  it('progress extends the budget up to its maximum and not beyond', () => {
    const stage = gated({ startTimeoutMax: 300_000 }).spawned('a')
    const began = stage.at
    stage.probe('a', 'tcp-startup', { kind: 'fail', reason: 'starting', progress: true })
    stage.fire('a', 'budget')
    assert.equal(stage.at, began + 60_000)
    while (stage.kind('a') === 'starting') stage.fire('a', 'budget')
    assert.equal(stage.at, began + 300_000)
    assert.equal(stage.state('a', 'stopping').cause, 'start-timeout')
  })

  it('progress that ends does so within a second', () => {
    const stage = gated({ startTimeoutMax: 300_000 }).spawned('a')
    const began = stage.at
    stage.probe('a', 'tcp-startup', { kind: 'fail', reason: 'starting', progress: true }).fire('a', 'budget')
    stage.probe('a', 'tcp-startup', FAIL).fire('a', 'budget')
    assert.equal(stage.at, began + 61_000)
    assert.equal(stage.kind('a'), 'stopping')
  })

  it('only startup ends it: without readiness it goes on as degraded', () => {
    const stage = gated().spawned('a').probe('a', 'tcp-startup', PASS).fire('a', 'budget')
    assert.equal(stage.state('a', 'running').readyAt, null)
    assert.equal(stage.count('signal'), 0)
  })

  it('an exit is an unplanned end, a stop ends it', () => {
    assert.equal(gated().spawned('a').ended('a').kind('a'), 'backoff')
    assert.equal(gated().spawned('a').stop('a').kind('a'), 'stopping')
  })
})

describe('row: running', () => {
  it('an exit is swept before anything else', () => {
    const stage = plain().up('a').exited('a')
    assert.equal(stage.kind('a'), 'sweeping')
    assert.equal(stage.done('sweep').length, 1)
    assert.equal(stage.count('spawn'), 1)
    assert.equal(stage.swept('a').kind('a'), 'backoff')
  })

  it('the exit of an earlier generation is not its own', () => {
    const stage = plain().up('a')
    stage.tell('a', { kind: 'exited', generation: 0, exit: { code: 1, signal: null }, logTail: '' })
    assert.equal(stage.kind('a'), 'running')
  })

  it('a start that is asked for changes nothing', () => {
    const stage = plain().up('a').forget().start('a')
    assert.equal(stage.kind('a'), 'running')
    assert.equal(stage.count('spawn') + stage.count('signal'), 0)
  })

  it('a stale timer changes nothing', () => {
    const stage = plain().up('a')
    const before = stage.child('a')
    for (const timer of [
      'stable',
      'budget',
      'backoff',
      'retry',
      'step',
      'sweep',
      'preflight',
      'unstop',
    ] as const) {
      stage.tell('a', { kind: 'timer-fired', timer, token: 0 })
    }
    assert.equal(stage.child('a'), before)
  })
})

describe('row: hung', () => {
  it('is entered when the limit on kills says to wait, and ended when it allows', () => {
    const stage = inHung()
    assert.equal(stage.kind('a'), 'hung')
    assert.equal(stage.done('signal').length, 0)
    const killed = stage.child('a').counters.kills[0] ?? 0
    assert.equal(stage.fire('a', 'retry').kind('a'), 'stopping')
    assert.equal(stage.at, killed + 600_000)
  })

  it('a process that answers again is running again, and becomes stable', () => {
    const stage = inHung().probe('a', 'tcp-liveness', PASS)
    assert.equal(stage.kind('a'), 'running')
    assert.ok(stage.child('a').counters.n > 0)
    stage.fire('a', 'stable').pass(600_000).fire('a', 'stable')
    assert.equal(stage.child('a').counters.n, 0)
  })

  it('an operator may end it at once', () => assert.equal(inHung().restart('a').kind('a'), 'stopping'))
})

describe('row: stopping', () => {
  it('goes from SIGTERM to SIGKILL of the tree, and repeats that until the exit', () => {
    const stage = plain().up('a').stop('a')
    assert.equal(stage.done('signal')[0]?.signal, 'SIGTERM')
    stage.fire('a', 'step')
    assert.deepEqual(
      stage.done('signal').map(({ signal, to }) => [signal, to]),
      [['SIGKILL', 'tree']],
    )
    stage.fire('a', 'step')
    assert.equal(stage.done('signal')[0]?.signal, 'SIGKILL')
    assert.equal(stage.child('a').counters.kills.length, 1)
    assert.equal(stage.ended('a', null).kind('a'), 'idle')
  })

  it('`now` cuts the drain, also of a stop that is under way', () => {
    assert.equal(plain().up('a').stop('a', { now: true }).done('signal')[0]?.signal, 'SIGKILL')
    assert.equal(plain().up('a').stop('a').stop('a', { now: true }).done('signal')[0]?.signal, 'SIGKILL')
  })

  it('walks through its steps: stdin, a log line, a signal', () => {
    const stop = [
      { step: 'close-stdin' },
      { step: 'wait-exit', for: 1_000 },
      { step: 'signal', signal: 'SIGUSR1', to: 'process' },
      { step: 'wait-log', pattern: 'drained', for: 5_000 },
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
      { step: 'wait-exit', for: 2_000 },
    ] as const
    const stage = plain({ stop }).up('a').stop('a')
    assert.equal(stage.done('close-stdin').length, 1)
    assert.equal(stage.done('signal').length, 0)
    stage.fire('a', 'step')
    assert.equal(stage.done('signal')[0]?.signal, 'SIGUSR1')
    const { index = -1, generation = -1 } = stage.done('watch-log')[0] ?? {}
    stage.tell('a', { kind: 'log-seen', generation, index })
    assert.equal(stage.done('signal')[0]?.signal, 'SIGTERM')
    assert.equal(stage.fire('a', 'step').done('signal')[0]?.signal, 'SIGKILL')
  })

  it('a line that does not come in time leads to SIGKILL at once', () => {
    const stop = [
      { step: 'wait-log', pattern: 'drained', for: 5_000 },
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
    ] as const
    assert.equal(plain({ stop }).up('a').stop('a').fire('a', 'step').done('signal')[0]?.signal, 'SIGKILL')
  })

  it('the last word wins: stop, start, stop again', () => {
    const stage = plain().up('a').stop('a').start('a')
    assert.equal(stage.state('a', 'stopping').then, 'restart')
    assert.equal(stage.stop('a').state('a', 'stopping').then, 'stop')
    assert.equal(stage.start('a').ended('a', 0).kind('a'), 'checking')
  })
})

describe('row: sweeping', () => {
  it('names what is left and goes on', () => {
    const stage = plain().up('a').exited('a').swept('a', ['pid 7 (helper)'])
    assert.deepEqual(stage.child('a').leftovers, ['pid 7 (helper)'])
    assert.equal(stage.kind('a'), 'backoff')
  })

  it('a sweep that never answers is over after 30 s, and says so', () => {
    const stage = plain().up('a').exited('a')
    const began = stage.at
    stage.fire('a', 'sweep')
    assert.equal(stage.at - began, 30_000)
    assert.equal(stage.kind('a'), 'backoff')
    assert.equal(stage.child('a').leftovers.length, 1)
  })

  it('a stop and a start that come meanwhile decide what follows', () => {
    assert.equal(plain().up('a').exited('a').stop('a').swept('a').kind('a'), 'idle')
    assert.equal(plain().up('a').exited('a').stop('a').start('a').swept('a').kind('a'), 'checking')
  })

  it('starts nothing before the answer', () => {
    const stage = plain().up('a').exited('a').forget().restart('a').start('a')
    assert.equal(stage.count('run-preflight') + stage.count('spawn'), 0)
  })
})

describe('row: backoff', () => {
  it('starts when its time is over', () =>
    assert.equal(inBackoff().fire('a', 'backoff').kind('a'), 'checking'))

  it('a stop wins over the pending restart: no timer, no signal, no process', () => {
    const stage = inBackoff()
    const token = stage.child('a').timers.backoff?.token ?? 0
    stage.forget().stop('a')
    assert.equal(stage.kind('a'), 'idle')
    assert.deepEqual(stage.child('a').timers, {})
    assert.equal(stage.count('cancel-timer'), 1)
    stage.pass(60_000).tell('a', { kind: 'timer-fired', timer: 'backoff', token })
    assert.equal(stage.kind('a'), 'idle')
    assert.equal(stage.count('signal') + stage.count('run-preflight') + stage.count('spawn'), 0)
  })

  it('a start that is asked for does not wait and forgives', () => {
    const stage = inBackoff().start('a')
    assert.equal(stage.kind('a'), 'checking')
    assert.equal(stage.child('a').counters.n, 0)
  })
})

describe('row: blocked', () => {
  it('looks again when a watched input changes', () => {
    const stage = plain().checked('a', 'fail').tell('a', { kind: 'input-changed' })
    assert.equal(stage.checked('a').kind('a'), 'spawning')
  })

  it('a start that was held back counts as a first start, one after a fatal exit as a replacement', () => {
    const held = plain().checked('a', 'fail').fire('a', 'retry').checked('a')
    assert.equal(held.state('a', 'spawning').cause, 'boot')
    const fatal = plain().up('a').ended('a', CODES.fatal).fire('a', 'retry').checked('a')
    assert.equal(fatal.state('a', 'spawning').cause, 'crash')
  })

  it('a fatal exit is not restarted for 15 min', () => {
    const stage = plain().up('a').ended('a', CODES.fatal)
    assert.equal(stage.state('a', 'blocked').retryAt - stage.at, 900_000)
    assert.equal(stage.start('a').kind('a'), 'checking')
  })

  it('a stop ends it', () => assert.equal(plain().checked('a', 'fail').stop('a').kind('a'), 'idle'))
})

describe('row: failed', () => {
  it('is tried again once, half-open, and closed at once by a start', () => {
    const stage = inFailed()
    assert.equal(stage.state('a', 'failed').retryAt - stage.at, 900_000)
    assert.equal(stage.start('a').kind('a'), 'checking')
    assert.equal(stage.child('a').counters.trial, 'none')
  })

  it('a stop ends it for good', () => {
    const stage = inFailed().stop('a')
    assert.equal(stage.kind('a'), 'idle')
    assert.deepEqual(stage.child('a').timers, {})
  })
})

describe('row: absent, row: missing', () => {
  it('a program never seen is absent, one that was here is missing', () => {
    assert.equal(plain().checked('a', 'absent').kind('a'), 'absent')
    assert.equal(plain().up('a').ended('a').fire('a', 'backoff').checked('a', 'absent').kind('a'), 'missing')
  })

  it('it starts once the program is there', () => {
    const stage = plain().checked('a', 'absent').fire('a', 'retry')
    assert.equal(stage.checked('a').kind('a'), 'spawning')
    assert.equal(plain().checked('a', 'absent').tell('a', { kind: 'input-changed' }).kind('a'), 'checking')
  })
})

describe('row: observing', () => {
  const watched = () => plain({ kind: 'external', command: null, probes: [makeProbe('readiness')] })

  it('is probed and never started or signalled', () => {
    const stage = watched()
    assert.equal(stage.kind('a'), 'observing')
    stage.probe('a', 'tcp-readiness', PASS).probe('a', 'tcp-readiness', FAIL, 5).restart('a').start('a')
    assert.equal(stage.kind('a'), 'observing')
    assert.equal(stage.count('spawn') + stage.count('signal') + stage.count('run-preflight'), 0)
  })

  it('a stop closes its probes', () => {
    const stage = watched().stop('a')
    assert.equal(stage.kind('a'), 'idle')
    assert.equal(stage.done('close-probes').length, 1)
  })

  it('tells once that it is not live, and once that it is again', () => {
    const stage = plain({ kind: 'external', command: null, probes: [makeProbe('liveness')] }).forget()
    const told = () =>
      stage.all.flatMap((effect) =>
        effect.kind === 'record' && /degraded|recovered/.test(effect.event) ? [effect.event] : [],
      )
    stage.probe('a', 'tcp-liveness', FAIL, 5)
    assert.deepEqual(told(), ['degraded'])
    stage.probe('a', 'tcp-liveness', PASS, 3)
    assert.deepEqual(told(), ['degraded', 'recovered'])
  })

  it('a changed declaration is observed anew, or started if it is ours now', () => {
    const stage = watched()
    const other = makeSpec('a', {
      kind: 'external',
      command: null,
      probes: [makeProbe('readiness', { name: 'b' })],
    })
    stage.declare([other])
    assert.equal(stage.done('open-probes').length, 1)
    assert.equal(stage.child('a').generation, 2, 'what is said of the one before is stale')
    assert.equal(stage.probe('a', 'b', PASS).state('a', 'observing').health['b']?.verdict, 'pass')
    assert.equal(stage.declare([makeSpec('a')]).kind('a'), 'checking')
  })
})
