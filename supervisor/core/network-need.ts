/** Which probes cannot pass without a network, and which services are not ready for want of it. */
import type { ProbeSpec } from '../../schemas/service.ts'
import { probeName } from './health.ts'
import { isLive } from './liveness.ts'
import type { Child } from './state.ts'

const LOOPBACK = /^(localhost|127\.[\d.]+|::1|\[::1\])$/i

/** True for a probe that says so, or that connects to another machine. */
export function needsNetwork(probe: ProbeSpec): boolean {
  return probe.network ?? (probe.kind === 'tcp' && !LOOPBACK.test(probe.host))
}

/** True if the service lives, is not ready, and every probe that keeps it from that needs the network. */
export function awaitsNetwork(child: Child): boolean {
  const { state, spec } = child
  if (!('health' in state) || !isLive(child)) return false
  const failing = (role: ProbeSpec['role']) =>
    spec.probes.filter((probe) => probe.role === role && state.health[probeName(probe)]?.verdict !== 'pass')
  const isStarting = state.kind === 'starting' && failing('startup').length > 0
  const reasons = failing(isStarting ? 'startup' : 'readiness')
  return reasons.length > 0 && reasons.every(needsNetwork)
}
