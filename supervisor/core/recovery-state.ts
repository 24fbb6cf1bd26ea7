/** What the supervisor knows of repairs, the facts that it is told, and what it wants done. Plain data. */
import type { Runbook, RunbookStep } from '../../schemas/runbook.ts'
import type { Approval } from './approval.ts'
import type { Ledger } from './repair-budget.ts'

/** What became of a step, or of a whole run. `told`: a person has to act, and the text says how. */
export type Result =
  | 'succeeded'
  | 'skipped'
  | 'told'
  | 'refused'
  | 'failed'
  | 'verifyFailed'
  | 'rolledBack'
  | 'denied'
  | 'expired'
  | 'superseded'

/** `facts` is what later steps may ask for as `steps.ID.NAME`. */
export type Outcome = {
  readonly result: Result
  readonly text: string
  readonly facts: Readonly<Record<string, string>>
}

/** Where a step stands. `asks`: how often an approval was asked for. */
export type Phase =
  | { readonly kind: 'looking'; readonly approval: number | null; readonly asks: number }
  | { readonly kind: 'asking'; readonly approval: number; readonly asks: number }
  | { readonly kind: 'acting'; readonly approval: number | null; readonly attempt: number }
  | {
      readonly kind: 'verifying'
      readonly approval: number | null
      readonly attempt: number
      /** The supervisor ended meanwhile: nobody saw whether the act had ended, or begun. */
      readonly isDoubtful: boolean
    }
  | { readonly kind: 'undoing'; readonly approval: number | null; readonly why: string }

/** The part of a runbook that a run carries with it, so that an edit does not change what is under way. */
export type RunbookRef = Pick<Runbook, 'id' | 'version'> & Pick<Runbook['auto'], 'stopOn' | 'cooldown'>

/** One run. `by`: the person who asked for it, null if a fault did. Times: awake ms; `startedWall` Unix ms. */
export type Run<P extends Phase = Phase> = {
  readonly id: number
  readonly service: string
  readonly rule: string | null
  readonly incident: string | null
  readonly by: string | null
  readonly runbook: RunbookRef
  readonly steps: readonly RunbookStep[]
  readonly index: number
  /** Grows with each phase; answers to an earlier one are ignored. */
  readonly turn: number
  readonly outcomes: Readonly<Record<string, Outcome>>
  /** The last verification passed. */
  readonly isRepaired: boolean
  /** A person has approved one of its steps: what is safe in it does not count as automatic any more. */
  readonly hasLeave: boolean
  readonly startedAt: number
  readonly startedWall: number
  readonly phase: P
}

/** Everything; `runs` are those that are not over. */
export type RecoveryState = {
  readonly runs: readonly Run[]
  readonly approvals: readonly Approval[]
  readonly ledgers: Readonly<Record<string, Ledger>>
  readonly nextRun: number
  readonly nextApproval: number
}

/** The state before the first fault. */
export const NO_REPAIRS: RecoveryState = { runs: [], approvals: [], ledgers: {}, nextRun: 1, nextApproval: 1 }

/** What speaks against doing something by itself; `quiet`: 23:00 to 08:00, for runbooks that mind. */
export type Held = 'maintenance' | 'flapping' | 'battery' | 'quiet'

/** What a run is asked for. */
export type RunRequest = {
  readonly service: string
  readonly rule: string | null
  readonly incident: string | null
  readonly by: string | null
  readonly runbook: RunbookRef
  readonly auto: Pick<Runbook['auto'], 'enabled' | 'maxRuns' | 'window' | 'cooldown' | 'quietHours'>
  readonly steps: readonly RunbookStep[]
  readonly held: readonly Held[]
}

/** What the shell found before a step. The digest names runbook version, step, arguments and what is shown. */
export type Look =
  | { readonly kind: 'skip'; readonly text: string }
  | { readonly kind: 'refuse'; readonly text: string }
  | { readonly kind: 'go'; readonly digest: string; readonly shown: readonly string[] }

/** A person's word. */
export type Decided = {
  readonly approval: number
  readonly verdict: 'approved' | 'denied'
  readonly by: string
}

/** Facts about one run. */
export type RunEvent =
  | { readonly kind: 'looked'; readonly look: Look }
  | {
      readonly kind: 'acted'
      readonly ok: boolean
      readonly text: string
      readonly facts: Readonly<Record<string, string>>
    }
  | { readonly kind: 'verified'; readonly ok: boolean; readonly text: string }
  | { readonly kind: 'undone'; readonly ok: boolean; readonly text: string }
  | ({ readonly kind: 'decided' } & Decided)
  | { readonly kind: 'expired'; readonly approval: number }
  | { readonly kind: 'resolved' }
  | { readonly kind: 'recovered' }

/** Every fact. `at`: awake milliseconds; `wall`: Unix milliseconds. */
export type RecoveryEvent = { readonly at: number; readonly wall: number } & (
  | { readonly kind: 'considered'; readonly request: RunRequest }
  | ({ readonly kind: 'decided' } & Decided)
  | { readonly kind: 'ticked' }
  /** The trouble is over; with no incident, all of the service's. */
  | { readonly kind: 'resolved'; readonly service: string; readonly incident: string | null }
  /** A new supervisor took over what an earlier one left. */
  | { readonly kind: 'recovered' }
  | { readonly kind: 'run'; readonly run: number; readonly turn: number; readonly event: RunEvent }
)

/** What is to be done. `look`, `act`, `verify` and `undo` come back as a `run` event of the run's turn. */
export type RecoveryEffect =
  | { readonly kind: 'look' | 'act' | 'verify' | 'undo'; readonly run: Run; readonly step: RunbookStep }
  | { readonly kind: 'begun'; readonly run: Run }
  | { readonly kind: 'stepped'; readonly run: Run; readonly step: RunbookStep; readonly outcome: Outcome }
  | { readonly kind: 'ended'; readonly run: Run; readonly outcome: Outcome }
  | { readonly kind: 'asked' | 'settled'; readonly approval: Approval }
  | { readonly kind: 'breaker'; readonly service: string; readonly reason: string | null }
  | { readonly kind: 'answer'; readonly ok: boolean; readonly text: string; readonly run: number | null }

/** One step's working place. Made by `stepRecovery`, never kept. */
export type Work = {
  readonly at: number
  readonly wall: number
  readonly effects: RecoveryEffect[]
  readonly runs: Map<number, Run>
  readonly approvals: Map<number, Approval>
  readonly ledgers: Record<string, Ledger>
  nextRun: number
  nextApproval: number
}
