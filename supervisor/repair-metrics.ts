/** What the metrics count and show of repairs. */
import type { Result } from './core/recovery-state.ts'
import { budgetLeft } from './core/repair-budget.ts'
import type { Metrics } from './shell/metrics.ts'
import type { Repairs } from './shell/repairs.ts'
import type { Supervisor } from './shell/supervisor.ts'

/** What a run came to, as the label of its metric. */
const LABELS: Readonly<Record<Result, Parameters<Metrics['remedied']>[1]>> = {
  ...{ succeeded: 'succeeded', failed: 'failed', verifyFailed: 'verify_failed', rolledBack: 'rolled_back' },
  ...{ denied: 'denied', expired: 'expired', refused: 'refused' },
  ...{ told: 'told', skipped: 'skipped', superseded: 'superseded' },
}

/** Lets the metrics count each run and decision from now on, and show what waits and what may still be done. */
export function measureRepairs(
  repairs: Pick<Repairs, 'subscribe' | 'approvals' | 'state'>,
  { mesh, clock }: Pick<Supervisor, 'mesh' | 'clock'>,
  metrics: Pick<Metrics, 'declareRunbook' | 'remedied' | 'decided' | 'provide'>,
): void {
  for (const { runbook } of repairs.state().runs) metrics.declareRunbook(runbook.id)
  repairs.subscribe((event) => {
    if (event.kind === 'runBegun') metrics.declareRunbook(event.run.runbook.id)
    else if (event.kind === 'runEnded') metrics.remedied(event.run.runbook.id, LABELS[event.outcome.result])
    else if (event.kind === 'approvalSettled') {
      const { status } = event.approval
      if (status === 'approved' || status === 'denied' || status === 'expired') metrics.decided(status)
    }
  })
  metrics.provide({
    approvals() {
      const waiting = repairs.approvals().filter(({ status }) => status === 'pending')
      return { pending: waiting.length, oldestWall: waiting[0]?.askedWall ?? null }
    },
    budgets() {
      const of = { ledgers: repairs.state().ledgers, at: clock.awake() }
      return [...mesh.children.keys()].map((service) => ({ service, left: budgetLeft(of, service) }))
    },
  })
}
