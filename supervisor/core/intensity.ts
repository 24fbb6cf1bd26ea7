/** Restart intensity: at most `max` events within a window, OTP's rule. */

/** The instants of `events` that still are inside the window that ends at `at`. */
export function within(events: readonly number[], windowMs: number, at: number): readonly number[] {
  return events.every((event) => event > at - windowMs)
    ? events
    : events.filter((event) => event > at - windowMs)
}

/** True if these events (already cut to the window) are more than the limit allows. */
export function isExceeded(events: readonly number[], max: number): boolean {
  return events.length > max
}

/** The earliest instant at which one more event is allowed under `max` in `windowMs`, `at` if now. */
export function allowedAt(events: readonly number[], max: number, windowMs: number, at: number): number {
  const inside = within(events, windowMs, at)
  return inside.length < max ? at : (inside[inside.length - max] ?? at) + windowMs
}

/** A window in words: `30 s`, `10 min`. */
export function windowText(windowMs: number): string {
  return windowMs < 60_000 ? `${Math.round(windowMs / 1000)} s` : `${Math.round(windowMs / 60_000)} min`
}
