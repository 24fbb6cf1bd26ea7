/**
 * A person's leave for one step, as a life of its own: pending → approved, denied, expired or superseded; approved →
 * executing → done. It is bound to a digest of all that was shown; whatever changes meanwhile makes it void.
 */
import type { RunbookStep } from '../../schemas/runbook.ts'
import type { Look, Run, Work } from './recovery-state.ts'

/** How far an approval is. */
export type ApprovalStatus =
  | 'pending'
  | 'approved'
  | 'denied'
  | 'expired'
  | 'superseded'
  | 'executing'
  | 'done'

/** One approval. Times: awake milliseconds, except `askedWall` and `decidedWall` (Unix milliseconds). */
export type Approval = {
  readonly id: number
  readonly run: number
  readonly service: string
  readonly incident: string | null
  readonly runbook: string
  readonly step: string
  readonly action: string
  /** What was shown with it: the arguments, and what would change. */
  readonly shown: readonly string[]
  readonly digest: string
  readonly status: ApprovalStatus
  readonly askedAt: number
  readonly askedWall: number
  readonly expiresAt: number
  readonly by: string | null
  readonly decidedWall: number | null
  /** The trouble that it was asked for is over: what was said of it does not count for the next one. */
  readonly isOver: boolean
}

/** Which status may follow which; what is not here is over. */
const NEXT: Readonly<Record<ApprovalStatus, readonly ApprovalStatus[]>> = {
  pending: ['approved', 'denied', 'expired', 'superseded'],
  approved: ['executing', 'superseded'],
  executing: ['executing', 'done', 'superseded'],
  denied: [],
  expired: [],
  superseded: [],
  done: [],
}

/** Asks a person for one step, and says for how long. */
export function openApproval(
  work: Work,
  run: Run,
  step: RunbookStep,
  { digest, shown }: Extract<Look, { kind: 'go' }>,
): number {
  const approval: Approval = {
    id: work.nextApproval++,
    run: run.id,
    service: run.service,
    incident: run.incident,
    runbook: run.runbook.id,
    step: step.id,
    action: step.action,
    shown,
    digest,
    status: 'pending',
    askedAt: work.at,
    askedWall: work.wall,
    expiresAt: work.at + step.approval.expires,
    by: null,
    decidedWall: null,
    isOver: false,
  }
  work.approvals.set(approval.id, approval)
  work.effects.push({ kind: 'asked', approval })
  return approval.id
}

/** Moves an approval on; one that is over stays as it is. */
export function settleApproval(
  work: Work,
  id: number,
  status: ApprovalStatus,
  by: string | null = null,
): void {
  const approval = work.approvals.get(id)
  if (approval === undefined || !NEXT[approval.status].includes(status)) return
  const decided = by === null ? {} : { by, decidedWall: work.wall }
  const next: Approval = { ...approval, ...decided, status }
  work.approvals.set(id, next)
  if (approval.status !== status) work.effects.push({ kind: 'settled', approval: next })
}

/** What was said of a trouble that is over does not count any more. */
export function forgetDecisions(work: Work, service: string): void {
  for (const [id, approval] of work.approvals)
    if (approval.service === service && !approval.isOver)
      work.approvals.set(id, { ...approval, isOver: true })
}

/** Why a person is not asked again while the trouble lasts, null if nobody has said no. */
export function declined(work: Work, run: Run, step: string): string | null {
  if (run.by !== null) return null
  const earlier = [...work.approvals.values()].findLast(
    (one) =>
      !one.isOver &&
      one.service === run.service &&
      one.step === step &&
      one.runbook === run.runbook.id &&
      (one.status === 'denied' || one.status === 'expired'),
  )
  if (earlier === undefined) return null
  const what = earlier.status === 'denied' ? `denied by ${earlier.by}` : 'left to expire'
  return `not asked again: approval ${earlier.id} was ${what}; run it by hand`
}
