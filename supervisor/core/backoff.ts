/** The arithmetic of restarts: how long to wait, and when to give up. */

/** First delay; dinit's restart-delay. */
export const BASE_MS = 200
/** Longest delay between two restarts. */
export const MAX_MS = 60_000
/** Half-width of the jitter. */
export const JITTER = 0.2
/** A clean run this long forgets earlier failures; kubelet resets its backoff after the same 10 minutes. */
export const CLEAN_MS = 600_000
/** First wait of a half-open retry, after giving up or after a fatal exit. */
export const HALF_OPEN_MS = 900_000
/** Longest wait of a half-open retry. */
export const HALF_OPEN_MAX_MS = 21_600_000

/** Delay before the n-th unplanned restart (n ≥ 1): min(60 s, 200 ms · 2ⁿ⁻¹) ± 20 %. `dice` is in [0, 1). */
export function backoffMs(n: number, dice: number): number {
  const plain = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(n - 1, 30))
  return Math.round(plain * (1 - JITTER + 2 * JITTER * dice))
}

/** The next half-open wait: 15 min, doubling to 6 h. 0 stands for "none yet". */
export function nextHalfOpenMs(previousMs: number): number {
  return previousMs === 0 ? HALF_OPEN_MS : Math.min(HALF_OPEN_MAX_MS, previousMs * 2)
}
