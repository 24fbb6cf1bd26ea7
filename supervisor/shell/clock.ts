/**
 * The awake clock. Every timeout, window and budget of the core counts awake milliseconds: time in which this
 * process could run. A gap (sleep, SIGSTOP, a stall) is seen as soon as anybody reads the clock and is not
 * counted.
 */
import { uptime } from 'node:os'

/** How often the clock is looked at in any case. */
export const TICK_MS = 1_000
/** A tick later than this beyond its second is a gap, not load. */
export const GAP_MS = 5_000

export type Clock = {
  /** Awake milliseconds; never goes back, freezes over gaps. */
  awake(): number
  /** Unix milliseconds, for people and the journal only. */
  wall(): number
  /** The regular look at the clock. */
  tick(): void
}

/**
 * A clock that goes on from `startMs`. `onGap` hears the length of each gap in milliseconds, within a read.
 */
export function createClock(startMs: number, onGap: (gapMs: number) => void): Clock {
  const origin = performance.now()
  let skippedMs = 0
  let lastMono = origin
  let lastRead = origin
  let lastUptime = uptime() * 1000
  const look = (isTick: boolean): number => {
    const mono = performance.now()
    const passed = mono - lastMono
    if (!isTick && passed < TICK_MS + GAP_MS) return mono
    const up = uptime() * 1000
    const gap = Math.max(passed, up - lastUptime) - TICK_MS
    const counted = Math.max(lastMono + TICK_MS, lastRead)
    lastMono = mono
    lastUptime = up
    if (gap <= GAP_MS) return mono
    // What was read in the middle of the gap was said, and is not taken back.
    skippedMs += Math.max(0, mono - counted)
    onGap(gap)
    // Whoever hears of the gap may have read the clock.
    return performance.now()
  }
  return {
    awake() {
      lastRead = look(false)
      return startMs + lastRead - origin - skippedMs
    },
    wall: () => Date.now(),
    tick: () => {
      look(true)
    },
  }
}
