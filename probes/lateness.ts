/**
 * The prober's own lateness. When this process could not run for a while (its loop was blocked, the machine
 * slept), a deadline that passed says nothing of the service: the answer may lie unread in the socket.
 */

/** A block of the loop this long makes a missed deadline worthless; deadlines are 3 s by default. */
const LATE_MS = 1000
const TICK_MS = 250

/** A watch over one check. `isLate` counts the gap that is still open, whichever timer came first. */
export function watchLateness(): { isLate(): boolean; stop(): void } {
  let last = performance.now()
  let worstMs = 0
  const look = () => {
    const now = performance.now()
    worstMs = Math.max(worstMs, now - last - TICK_MS)
    last = now
  }
  const timer = setInterval(look, TICK_MS)
  timer.unref()
  return {
    isLate() {
      look()
      return worstMs > LATE_MS
    },
    stop: () => clearInterval(timer),
  }
}

/** The reason of a result that was thrown away because the prober was late. */
export const LATE = 'the prober itself was late'
