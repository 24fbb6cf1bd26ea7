/**
 * What of the time that a service was watched counts how: the account behind the report's availability. Time asleep,
 * in maintenance, stopped by the operator or not installed is nobody's fault and counts neither way.
 */
import { labelOf } from './snapshot.ts'
import type { Child, Mesh } from './state.ts'

/** good: up and ready; bad: wanted and not up; excluded: not wanted, or not there to be had. */
export type Account = 'good' | 'bad' | 'excluded'

/** How each service counts, and since when; awake milliseconds. */
export type Ledger = Map<string, { readonly account: Account; readonly since: number }>

/** Time that has passed for a service, and how it counts. */
export type Spent = { readonly subject: string; readonly account: Account; readonly ms: number }

/**
 * A service counts as `account` from now on, or no longer at all (null); what has passed until now is returned. Called
 * with each change and now and then between, every millisecond is returned once, however short its account was.
 */
export function turnOver(ledger: Ledger, subject: string, account: Account | null, at: number): Spent | null {
  const old = ledger.get(subject)
  if (account === null) ledger.delete(subject)
  else ledger.set(subject, { account, since: at })
  return old && at > old.since ? { subject, account: old.account, ms: at - old.since } : null
}

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
