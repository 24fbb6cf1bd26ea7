/** What is told of repairs: journal events for the operator, and events for alerts, buttons and metrics. */

import type { RunbookStep } from '../../schemas/runbook.ts'
import type { Approval } from '../core/approval.ts'
import type { Outcome, RecoveryEffect, Run } from '../core/recovery-state.ts'
import type { Tell } from './processes.ts'

/** What others hear of repairs. `verifyMs`: until its last safe step must have been verified. */
export type RepairEvent =
  | {
      readonly kind: 'repairBegun'
      readonly run: number
      readonly service: string
      readonly runbook: string
      readonly verifyMs: number
    }
  | {
      readonly kind: 'repairSucceeded' | 'repairFailed'
      readonly run: number
      readonly service: string
      readonly runbook: string
      readonly text: string
    }
  | { readonly kind: 'runBegun'; readonly run: Run }
  | { readonly kind: 'runEnded'; readonly run: Run; readonly outcome: Outcome }
  | { readonly kind: 'approvalAsked' | 'approvalSettled'; readonly approval: Approval }

type Announced = Extract<
  RecoveryEffect,
  { kind: 'begun' | 'stepped' | 'ended' | 'asked' | 'settled' | 'breaker' }
>

/** Tells both. A repair has begun with the first of its safe steps that is done and verified, not with a look. */
export function announcer(tell: Tell, emit: (event: RepairEvent) => void) {
  const underWay = new Set<number>()
  const note = (service: string, text: string) => tell(service, { kind: 'noted', event: 'repair', text })
  return {
    isUnderWay: (run: number): boolean => underWay.has(run),
    /** A step is done, or was in the middle when an earlier supervisor ended. */
    working(run: Run, step: RunbookStep): void {
      if (run.by !== null || step.class !== 'safe' || step.verify === null || underWay.has(run.id)) return
      underWay.add(run.id)
      const { id, service, runbook } = run
      emit({ kind: 'repairBegun', run: id, service, runbook: runbook.id, verifyMs: safeMs(run) })
    },
    announce(effect: Announced): void {
      switch (effect.kind) {
        case 'begun': {
          const { run } = effect
          const why = run.by === null ? run.rule : `asked by ${run.by}`
          note(run.service, `run ${run.id} of ${run.runbook.id} begins: ${why}`)
          return emit({ kind: 'runBegun', run })
        }
        case 'stepped':
          return note(
            effect.run.service,
            `run ${effect.run.id}, ${effect.step.id}: ${wordOf(effect.outcome)}`,
          )
        case 'ended': {
          const { run, outcome } = effect
          note(run.service, `run ${run.id} of ${run.runbook.id} is over: ${wordOf(outcome)}`)
          const kind = outcome.result === 'succeeded' ? 'repairSucceeded' : 'repairFailed'
          if (underWay.delete(run.id))
            emit({ kind, run: run.id, service: run.service, runbook: run.runbook.id, text: outcome.text })
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
    },
  }
}

/** How long the steps from here on that need no person may take. */
const safeMs = ({ steps, index }: Run) =>
  steps
    .slice(index)
    .filter(({ class: of, verify }) => of === 'safe' && verify !== null)
    .reduce((sum, { timeout, verify }) => sum + timeout + (verify?.within ?? 0), 0)

function wordOf({ result, text }: Outcome): string {
  const words: Partial<Record<Outcome['result'], string>> = {
    verifyFailed: 'did not help',
    rolledBack: 'taken back',
  }
  return `${words[result] ?? result}${text === '' ? '' : `: ${text}`}`
}
