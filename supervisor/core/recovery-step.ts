/** The one entry to repairs: state and fact in, state and intentions out. Every run's own life is in recovery.ts. */
import { type Approval, forgetDecisions } from './approval.ts'
import { look, tell } from './recovery.ts'
import type { Decided, RecoveryEffect, RecoveryEvent, RecoveryState, Run, Work } from './recovery-state.ts'
import { noteTried, refusalOf } from './repair-budget.ts'

/** The next state and what is to be done. The state that is given is not changed. */
export function stepRecovery(
  state: RecoveryState,
  event: RecoveryEvent,
): { readonly state: RecoveryState; readonly effects: readonly RecoveryEffect[] } {
  const work: Work = {
    at: event.at,
    wall: event.wall,
    effects: [],
    runs: new Map(state.runs.map((run) => [run.id, run])),
    approvals: new Map(state.approvals.map((approval) => [approval.id, approval])),
    ledgers: { ...state.ledgers },
    nextRun: state.nextRun,
    nextApproval: state.nextApproval,
  }
  route(work, event)
  return {
    state: {
      runs: [...work.runs.values()],
      approvals: keptOf(work),
      ledgers: work.ledgers,
      nextRun: work.nextRun,
      nextApproval: work.nextApproval,
    },
    effects: work.effects,
  }
}

/** Settled approvals are shown for a while; those that wait are always kept. */
const KEPT_APPROVALS = 50

function keptOf({ approvals }: Work): readonly Approval[] {
  const all = [...approvals.values()]
  const settled = all.filter(({ status }) => !isOpen(status)).slice(-KEPT_APPROVALS)
  return all.filter((approval) => isOpen(approval.status) || settled.includes(approval))
}

const isOpen = (status: Approval['status']) =>
  status === 'pending' || status === 'approved' || status === 'executing'

function route(work: Work, event: RecoveryEvent): void {
  switch (event.kind) {
    case 'considered':
      return consider(work, event)
    case 'decided':
      return decide(work, event)
    case 'ticked':
      for (const { id, run, expiresAt, status } of [...work.approvals.values()])
        if (status === 'pending' && expiresAt <= work.at) tell(work, run, { kind: 'expired', approval: id })
      return
    case 'resolved':
      for (const run of [...work.runs.values()])
        if (run.service === event.service && (event.incident === null || run.incident === event.incident))
          tell(work, run.id, { kind: 'resolved' })
      return forgetDecisions(work, event.service)
    case 'recovered':
      for (const id of [...work.runs.keys()]) tell(work, id, { kind: 'recovered' })
      return
    case 'run': {
      const run = work.runs.get(event.run)
      // What an earlier turn asked for is answered too late.
      if (run && run.turn === event.turn) tell(work, event.run, event.event)
    }
  }
}

/** A fault, or a person, asks for a run. Answered in every case. */
function consider(work: Work, event: Extract<RecoveryEvent, { kind: 'considered' }>): void {
  const { request } = event
  const answer = (ok: boolean, text: string, run: number | null): void =>
    void work.effects.push({ kind: 'answer', ok, text, run })
  const other = [...work.runs.values()].find(({ service }) => service === request.service)
  if (other)
    return answer(false, `${request.service}: run ${other.id} of ${other.runbook.id} is not over`, other.id)
  const refusal = request.by === null ? refusalOf(work, request) : null
  if (refusal !== null) return answer(false, refusal, null)
  const id = work.nextRun++
  const run: Run = {
    id,
    service: request.service,
    rule: request.rule,
    incident: request.incident,
    by: request.by,
    runbook: request.runbook,
    steps: request.steps,
    index: 0,
    turn: 0,
    outcomes: {},
    isRepaired: false,
    hasLeave: false,
    startedAt: work.at,
    startedWall: work.wall,
    phase: { kind: 'looking', approval: null, asks: 0 },
  }
  noteTried(work, request)
  work.effects.push({ kind: 'begun', run })
  answer(true, `run ${id} of ${request.runbook.id} for ${request.service}`, id)
  look(work, run, null, 0)
}

/** A person's word on an approval. Answered in every case: whoever presses second hears that it is decided. */
function decide(work: Work, { approval: id, verdict, by }: Decided & { kind: 'decided' }): void {
  const approval = work.approvals.get(id)
  const answer = (ok: boolean, text: string): void =>
    void work.effects.push({ kind: 'answer', ok, text, run: approval?.run ?? null })
  if (approval === undefined) return answer(false, `there is no approval ${id}`)
  if (approval.status !== 'pending') return answer(false, `approval ${id} is ${approval.status} already`)
  if (approval.expiresAt <= work.at) {
    tell(work, approval.run, { kind: 'expired', approval: id })
    return answer(false, `approval ${id} has expired`)
  }
  answer(true, `approval ${id} ${verdict}: ${approval.step} of ${approval.runbook} for ${approval.service}`)
  tell(work, approval.run, { kind: 'decided', approval: id, verdict, by })
}
