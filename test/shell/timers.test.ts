import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createClock } from '../../supervisor/shell/clock.ts'
import { createTimers } from '../../supervisor/shell/timers.ts'

const START_MS = 1_000

/** Timers on the real clock; `last` resolves with all that fired once `z last` did. */
function open(t: TestContext) {
  const clock = createClock(START_MS, () => undefined)
  const fired: { name: string; token: number; at: number }[] = []
  const { promise: last, resolve } = Promise.withResolvers<string[]>()
  const timers = createTimers(clock, (service, timer, token) => {
    fired.push({ name: `${service} ${timer}`, token, at: clock.awake() })
    if (service === 'z') resolve(fired.map((one) => `${one.name} ${one.token}`))
  })
  t.after(() => timers.close())
  return { clock, timers, fired, last, at: (ms: number) => clock.awake() + ms }
}

describe("the core's timers", { timeout: 30_000 }, () => {
  it('fire with their token, in the order of their times and not before them', async (t) => {
    const { timers, fired, last, at } = open(t)
    const early = at(20)
    timers.set('a', 'budget', 2, at(60))
    timers.set('b', 'budget', 1, early)
    timers.set('z', 'retry', 3, at(100))
    assert.deepEqual(await last, ['b budget 1', 'a budget 2', 'z retry 3'])
    assert.ok(fired[0]!.at >= early - 1)
  })

  it('fire soon where their time has passed, but not within the call that sets them', async (t) => {
    const { timers, fired, last, at } = open(t)
    timers.set('z', 'retry', 1, at(-5_000))
    assert.deepEqual(fired, [])
    assert.deepEqual(await last, ['z retry 1'])
  })

  it('are one per service and name: set again, the older one does not fire', async (t) => {
    const { timers, last, at } = open(t)
    timers.set('a', 'budget', 1, at(10))
    timers.set('a', 'step', 2, at(20))
    timers.set('b', 'budget', 3, at(30))
    timers.set('a', 'budget', 4, at(40))
    timers.set('z', 'retry', 5, at(80))
    assert.deepEqual(await last, ['a step 2', 'b budget 3', 'a budget 4', 'z retry 5'])
  })

  it('do not fire once they are cancelled; what was never set can be cancelled, too', async (t) => {
    const { timers, last, at } = open(t)
    timers.set('a', 'budget', 1, at(10))
    timers.set('a', 'step', 2, at(20))
    timers.cancel('a', 'budget')
    timers.cancel('nobody', 'budget')
    timers.set('z', 'retry', 3, at(60))
    assert.deepEqual(await last, ['a step 2', 'z retry 3'])
  })

  it('do not fire once all of them are closed', async (t) => {
    const { timers, fired, at } = open(t)
    const other = open(t)
    timers.set('a', 'budget', 1, at(10))
    timers.set('b', 'budget', 2, at(10))
    timers.close()
    other.timers.set('z', 'retry', 1, other.at(60))
    await other.last
    assert.deepEqual(fired, [])
  })

  it('may lie further ahead than a timeout of Node can', async (t) => {
    const { timers, last, at } = open(t)
    timers.set('a', 'unstop', 1, at(10 ** 12))
    timers.set('z', 'retry', 2, at(60))
    assert.deepEqual(await last, ['z retry 2'])
  })

  it('wait for their time on the awake clock after a gap', async (t) => {
    const { timers, fired, last, at } = open(t)
    const time = at(1_500)
    timers.set('z', 'retry', 1, time)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_500)
    await last
    assert.ok(fired[0]!.at >= time - 1, `${fired[0]!.at} of ${time}`)
  })
})
