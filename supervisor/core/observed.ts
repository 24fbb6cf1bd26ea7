/**
 * What of the time that a service was watched counts how: the account behind the report's availability. Time asleep,
 * stopped by the operator or not installed is nobody's fault and counts neither way.
 */
import { labelOf } from './snapshot.ts'
import type { Child, Mesh } from './state.ts'

/** good: up and ready; bad: wanted and not up; excluded: not wanted, or not there to be had. */
export type Account = 'good' | 'bad' | 'excluded'

/** How a moment of this child counts now. */
export function accountOf(child: Child, mesh: Pick<Mesh, 'wanted'>): Account {
  if (mesh.wanted === 'down' || child.removed || !child.spec.enabled) return 'excluded'
  if (child.desired.kind === 'stopped') return 'excluded'
  switch (labelOf(child)) {
    case 'running':
      return 'good'
    case 'absent':
      return 'excluded'
    case 'stopped':
      // Completed, or not to be restarted: an end that its declaration allows.
      return child.state.kind === 'idle' && child.state.why === 'ended' ? 'bad' : 'excluded'
    case 'starting':
      // The first start has its budget; one after a failure is part of the outage.
      return child.counters.n > 0 ? 'bad' : 'excluded'
    default:
      return 'bad'
  }
}
