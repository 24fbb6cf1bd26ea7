/** What is wrong with a service, for messages: the reason without anything that counts down. */
import { failures } from './health.ts'
import type { Child } from './state.ts'

/** In words that stay the same while it lasts; null where nothing is. */
export function faultOf({ state, spec, warnings, counters, lastEnding }: Child): string | null {
  switch (state.kind) {
    case 'hung':
    case 'backoff':
    case 'blocked':
    case 'failed':
    case 'missing':
    case 'unknown':
      return state.reason
    case 'sweeping':
      return state.ending.reason
    case 'starting':
    case 'running':
    case 'observing': {
      const failing = failures(spec, state.health, ['startup', 'readiness', 'liveness'])
      const standing = Object.values(warnings).map((reason) => `would not start again: ${reason}`)
      if (failing.length + standing.length > 0) return [...failing, ...standing].join('; ')
    }
  }
  // It is being tried again, after this.
  return counters.n > 0 ? (lastEnding?.reason ?? null) : null
}
