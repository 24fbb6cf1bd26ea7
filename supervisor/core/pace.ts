/**
 * How many processes may be started in a time, over all services. What ends together (the delays of many that crashed
 * together, a boot, a wake, the end of what many need) is not started in one turn: a bucket of starts fills at a steady
 * rate, who finds it empty queues, and the queue is served in its order.
 */
import type { Mesh } from './state.ts'

/** `burst` starts at once, and `perSecond` more in each second: at most their sum in any one second. */
export type StartLimit = { readonly burst: number; readonly perSecond: number }

/** What is left in the bucket since `at` (awake milliseconds), and who waits for a turn, by name. */
export type Pace = StartLimit & {
  readonly tokens: number
  readonly at: number
  readonly queue: readonly string[]
}

/**
 * A hundred at once: no mesh of a person's machine is larger, so that its bring-up is as fast as it can be, and a dead
 * service is replaced at once. Then 400 a second: a start takes the supervisor 1.2 ms or so (docs/performance.md), so
 * that in the worst storm half of its time is left for probes, ends, and who asks it something.
 */
export const START_LIMIT: StartLimit = { burst: 100, perSecond: 400 }

/** A bucket that is full. */
export const fullPace = (limit: StartLimit): Pace => ({ ...limit, tokens: limit.burst, at: 0, queue: [] })

/** Sums of fractions of a start may miss a whole one by this much. */
const ROUNDING = 1e-9

/**
 * Takes one start for a service: null if it may be started now, else the instant (awake milliseconds) at which it is to
 * ask again. Whoever came first has its start kept for it.
 */
export function takeTurn(mesh: Mesh, name: string, at: number): number | null {
  const { pace, children } = mesh
  const { burst, perSecond } = pace
  const tokens = Math.min(burst, pace.tokens + ((at - pace.at) * perSecond) / 1000)
  // Who was stopped, or looks at its needs again, has left the queue without a word.
  const queue = pace.queue.filter((other) => children.get(other)?.state.kind === 'queued')
  const place = queue.indexOf(name)
  const ahead = place < 0 ? queue.length : place
  const missing = ahead + 1 - tokens
  if (missing > ROUNDING) {
    mesh.pace = { ...pace, tokens, at, queue: place < 0 ? [...queue, name] : queue }
    return at + Math.ceil(((missing - ROUNDING) * 1000) / perSecond)
  }
  mesh.pace = { ...pace, tokens: tokens - 1, at, queue: queue.filter((other) => other !== name) }
  return null
}
