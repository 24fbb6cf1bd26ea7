/** What is told of repairs: journal events for the operator, and events for alerts, buttons and metrics. */
import type { Approval } from '../core/approval.ts'
import type { Outcome, RecoveryEffect, Run } from '../core/recovery-state.ts'
import type { Tell } from './processes.ts'

/** What others hear of repairs. `verifyMs`: until its last safe step must have been verified. */
export type RepairEvent =
  | {
      readonly kind: 'repairBegun'
      readonly service: string
      readonly runbook: string
      readonly verifyMs: number
    }
  | {
      readonly kind: 'repairSucceeded' | 'repairFailed'
      readonly service: string
      readonly runbook: string
      readonly text: string
    }
  | { readonly kind: 'runEnded'; readonly run: Run; readonly outcome: Outcome }
  | { readonly kind: 'approvalAsked' | 'approvalSettled'; readonly approval: Approval }

type Announced = Extract<
  RecoveryEffect,
  { kind: 'begun' | 'stepped' | 'ended' | 'asked' | 'settled' | 'breaker' }
>

/** Tells both. */
export function announcer(tell: Tell, emit: (event: RepairEvent) => void) {
  return (effect: Announced): void => {
    const note = (service: string, text: string) => tell(service, { kind: 'noted', event: 'repair', text })
    switch (effect.kind) {
      case 'begun': {
        const { run } = effect
        note(
          run.service,
          `run ${run.id} of ${run.runbook.id} begins: ${run.by === null ? run.rule : `asked by ${run.by}`}`,
        )
        const verifyMs = safeMs(run)
        if (run.by === null && verifyMs > 0)
          emit({ kind: 'repairBegun', service: run.service, runbook: run.runbook.id, verifyMs })
        return
      }
      case 'stepped':
        return note(effect.run.service, `run ${effect.run.id}, ${effect.step.id}: ${wordOf(effect.outcome)}`)
      case 'ended': {
        const { run, outcome } = effect
        note(run.service, `run ${run.id} of ${run.runbook.id} is over: ${wordOf(outcome)}`)
        const kind = outcome.result === 'succeeded' ? 'repairSucceeded' : 'repairFailed'
        if (run.by === null && safeMs(run) > 0)
          emit({ kind, service: run.service, runbook: run.runbook.id, text: outcome.text })
        return emit({ kind: 'runEnded', run, outcome })
      }
      case 'asked':
      case 'settled': {
        const { approval } = effect
        const by = approval.by === null ? '' : ` by ${approval.by}`
        note(approval.service, `approval ${approval.id} of ${approval.step}: ${approval.status}${by}`)
        return emit({ kind: effect.kind === 'asked' ? 'approvalAsked' : 'approvalSettled', approval })
      }
      case 'breaker':
        return note(
          effect.service,
          effect.reason === null
            ? 'repairs by itself are allowed again'
            : `no more repairs by itself: ${effect.reason}`,
        )
    }
  }
}

/** How long the steps that need no person may take. */
const safeMs = ({ steps }: Run) =>
  steps
    .filter(({ class: of, verify }) => of === 'safe' && verify !== null)
    .reduce((sum, { timeout, verify }) => sum + timeout + (verify?.within ?? 0), 0)

function wordOf({ result, text }: Outcome): string {
  const words: Partial<Record<Outcome['result'], string>> = {
    verifyFailed: 'did not help',
    rolledBack: 'taken back',
  }
  return `${words[result] ?? result}${text === '' ? '' : `: ${text}`}`
}
