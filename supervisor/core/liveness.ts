/** Whether a service lives, whatever it is good for, and which of its probes look at it. */
import type { ProbeSpec } from '../../schemas/service.ts'
import { livenessFailure } from './health.ts'
import type { Child } from './state.ts'

/**
 * True if there is a process and no liveness probe speaks against it. What is only watched lives unless such a probe
 * fails; what stops because it hangs does not live.
 */
export function isLive({ state, spec }: Child): boolean {
  switch (state.kind) {
    case 'starting':
      return true
    case 'running':
    case 'observing':
      return livenessFailure(spec, state.health) === null
    case 'stopping':
      return state.cause !== 'hung'
    case 'adopting':
      return 'process' in state.was
    default:
      return false
  }
}

/** True if the probe runs again and again in the child's present state. */
export function isOpen({ state }: Child, { role }: ProbeSpec): boolean {
  if (state.kind === 'observing') return role !== 'preflight'
  return state.kind === 'running' && role !== 'startup'
}
