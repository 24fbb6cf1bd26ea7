/**
 * Collects the supervisor's garbage by the clock. V8 lets it lie until it needs the room, which here may be for hours.
 * The keeper's flag makes that possible (docs/decisions/0011-lean-probes.md).
 */

/** Garbage is collected this often, if V8 has not done so by itself: some 70 ms of CPU each time. */
const COLLECT_MS = 120_000

/** Begins now; returns what ends it. */
export function collectByClock(collect: (() => void) | undefined = globalThis.gc, everyMs = COLLECT_MS) {
  // What nobody holds is there until the next full collection.
  let witness = new WeakRef({})
  const timer = setInterval(() => {
    if (witness.deref() !== undefined) collect?.()
    witness = new WeakRef({})
  }, everyMs)
  return () => clearInterval(timer)
}
