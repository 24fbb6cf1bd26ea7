/**
 * When regular work is done and checks are made: on whole slots of one clock, so that the process wakes once for all
 * that is due. Checks of slow periods meet there, since waking up for each of a hundred services costs several times
 * what many checks at once cost (measured for a period of 10 s: each apart 1.1 ms a check, ten a second 0.38, twenty
 * every 2 s 0.31). The slot that a service gets is random.
 */

/** Slots by the least period that they are for, in milliseconds: at most a fifth of it, so that the load is spread. */
const SLOTS = [
  { from: 10_000, slotMs: 2_000 },
  { from: 5_000, slotMs: 1_000 },
] as const

/** A timer may come so much too early. */
const EARLY_MS = 10

/** Milliseconds until the slot nearest to `inMs` from now; periods below 5 s are kept as they are. */
export function untilSlot(inMs: number, everyMs: number): number {
  const slot = SLOTS.find(({ from }) => everyMs >= from)
  if (slot === undefined) return Math.max(10, inMs)
  const now = performance.now()
  return Math.max(10, Math.round((now + inMs) / slot.slotMs) * slot.slotMs - now)
}

/** Milliseconds until the next whole `everyMs` of the monotonic clock; one of this very moment is left out. */
export function untilNext(everyMs: number): number {
  const left = everyMs - (performance.now() % everyMs)
  return left < EARLY_MS ? left + everyMs : left
}

/**
 * Does `work` on each whole `everyMs` of the monotonic clock from now on, and tells it by how many milliseconds it
 * is late; slots that were missed are not made up for. Returns what ends it.
 */
export function everySlot(everyMs: number, work: (lateMs: number) => void): () => void {
  let dueAt = 0
  let timer: NodeJS.Timeout
  const plan = () => {
    const now = performance.now()
    // A timer may come a little early, and not twice for one slot.
    dueAt = Math.max(Math.floor(now / everyMs) * everyMs, dueAt) + everyMs
    timer = setTimeout(come, dueAt - now)
  }
  const come = () => {
    const lateMs = performance.now() - dueAt
    plan()
    work(lateMs)
  }
  plan()
  return () => clearTimeout(timer)
}
