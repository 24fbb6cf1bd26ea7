import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createClock, TICK_MS } from '../../supervisor/shell/clock.ts'

const CLOCKED = resolve(import.meta.dirname, '../fixtures/clocked.mjs')
const START_MS = 1_000
/** Longer than a tick and the longest delay that still counts as load, by half a second. */
const LONG_MS = 6_500

type Seen = { gaps: number[]; reads: number[]; passedMs: number }

function start(t: TestContext, stalls: readonly number[]) {
  const child = spawn(process.execPath, [CLOCKED, ...stalls.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** What a process saw whose main thread stood still for these times. */
const stalled = async (t: TestContext, ...stalls: number[]) =>
  JSON.parse(await text(start(t, stalls).stdout)) as Seen

function assertNeverBack({ reads }: Seen): void {
  assert.deepEqual(
    reads,
    reads.toSorted((one, other) => one - other),
  )
}

describe('the awake clock', { concurrency: true, timeout: 45_000 }, () => {
  it('goes on from where it was left, as fast as time does', () => {
    const outerFrom = performance.now()
    const clock = createClock(START_MS, () => assert.fail('there was no gap'))
    const innerFrom = performance.now()
    for (let last = clock.awake(); clock.awake() < START_MS + 20; ) {
      clock.tick()
      const now = clock.awake()
      assert.ok(now >= last)
      last = now
    }
    const innerTo = performance.now()
    const awake = clock.awake() - START_MS
    const outerTo = performance.now()
    assert.ok(awake >= innerTo - innerFrom, 'not slower')
    assert.ok(awake <= outerTo - outerFrom, 'not faster')
  })

  it('tells people the time of the wall', () => {
    const before = Date.now()
    const wall = createClock(START_MS, () => undefined).wall()
    assert.ok(wall >= before && wall <= Date.now())
  })

  it('counts a delay that is only load', async (t) => {
    const seen = await stalled(t, 2_000)
    assert.deepEqual(seen.gaps, [])
    assert.ok(seen.reads.at(-1)! - START_MS >= 2_000)
  })

  it('says once how long a gap was, and counts no more than a tick of it', async (t) => {
    const seen = await stalled(t, LONG_MS)
    const [gapMs, ...more] = seen.gaps
    assert.deepEqual(more, [])
    assert.ok(gapMs! >= LONG_MS - TICK_MS && gapMs! <= seen.passedMs, String(gapMs))
    const awake = seen.reads.at(-1)! - START_MS
    assert.ok(awake >= TICK_MS && awake <= seen.passedMs - (LONG_MS - TICK_MS), String(awake))
    assertNeverBack(seen)
  })

  it('does not take back what it said in the middle of a gap', async (t) => {
    const seen = await stalled(t, 5_500, 1_500)
    assertNeverBack(seen)
    assert.equal(seen.gaps.length, 1)
    const awake = seen.reads.at(-1)! - START_MS
    assert.ok(awake >= 5_500 && awake <= seen.passedMs - 1_500, String(awake))
  })

  it('sees at its tick that the process was stopped', async (t) => {
    const child = start(t, [])
    assert.equal(String(await once(child.stdout, 'data')), 'ready\n')
    child.kill('SIGSTOP')
    await wait(LONG_MS + TICK_MS)
    child.kill('SIGCONT')
    const seen = JSON.parse(await text(child.stdout)) as Seen
    assert.equal(seen.gaps.length, 1)
    const awake = seen.reads.at(-1)! - START_MS
    assert.ok(awake <= seen.passedMs - (LONG_MS - TICK_MS), String(awake))
    assertNeverBack(seen)
  })
})
