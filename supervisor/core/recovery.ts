/**
 * A runbook's steps as a machine. A run takes one step after the other: look (conditions, preconditions), ask where
 * the step's class says so, put the intent on record, act, verify, next. The shell looks, acts and verifies; every
 * change of this state is on record before the shell acts on it.
 *
 * | phase     | looked      | decided  | expired | resolved   | acted  | verified | undone | recovered    |
 * |-----------|-------------|----------|---------|------------|--------|----------|--------|--------------|
 * | looking   | act/ask/next| -        | -       | superseded | -      | -        | -      | look again   |
 * | asking    | -           | look/end | end     | superseded | -      | -        | -      | stay         |
 * | acting    | -           | -        | -       | -          | verify | -        | -      | verify first |
 * | verifying | -           | -        | -       | -          | -      | next/undo| -      | verify again |
 * | undoing   | -           | -        | -       | -          | -      | -        | next   | undo again   |
 */
import { declined, openApproval, settleApproval } from './approval.ts'
import { grade } from './recovery-facts.ts'
import type { Decided, Look, Outcome, Phase, Run, RunEvent, Work } from './recovery-state.ts'
import { countAct, countVerify, limitOf } from './repair-budget.ts'

/** An approval is asked for anew so often where what it was asked for has changed. */
const MAX_ASKS = 3
/** An act that nobody saw the end of is repeated so often at most. */
const MAX_ATTEMPTS = 3

type Cell<P extends Phase['kind'], E extends RunEvent['kind']> = (
  work: Work,
  run: Run<Extract<Phase, { kind: P }>>,
  event: Extract<RunEvent, { kind: E }>,
) => void
type Table = { readonly [P in Phase['kind']]: { readonly [E in RunEvent['kind']]: Cell<P, E> } }

const ignore = (): void => undefined
const supersede = (work: Work, run: Run) =>
  end(work, run, { result: 'superseded', text: 'the incident is over', facts: {} }, true)

const table: Table = {
  looking: {
    ...{ decided: ignore, expired: ignore, acted: ignore, verified: ignore, undone: ignore },
    looked: (work, run, { look: seen }) => judgeLook(work, run, seen),
    resolved: supersede,
    recovered: (work, run) => look(work, run, run.phase.approval, run.phase.asks),
  },
  asking: {
    ...{ looked: ignore, acted: ignore, verified: ignore, undone: ignore, recovered: ignore },
    decided: (work, run, event) => takeDecision(work, run, event),
    expired: (work, run, { approval }) => takeExpiry(work, run, approval),
    resolved: supersede,
  },
  acting: {
    ...{
      looked: ignore,
      decided: ignore,
      expired: ignore,
      resolved: ignore,
      verified: ignore,
      undone: ignore,
    },
    acted: (work, run, { ok, text, facts }) => judgeAct(work, run, { ok, text, facts }),
    recovered: (work, run) => {
      if (stepOf(run).verify !== null) return verify(work, run, true)
      // What only looks is done once more; if it ends the supervisor each time, it is left alone.
      const { approval, attempt } = run.phase
      if (attempt < MAX_ATTEMPTS) return act(work, run, approval, attempt + 1)
      finish(work, run, approval, {
        result: 'failed',
        text: `it did not end in ${attempt} attempts`,
        facts: {},
      })
    },
  },
  verifying: {
    ...{ looked: ignore, decided: ignore, expired: ignore, resolved: ignore, acted: ignore, undone: ignore },
    verified: (work, run, { ok, text }) => judgeVerify(work, run, ok, text),
    recovered: (work, run) => verify(work, run, run.phase.isDoubtful),
  },
  undoing: {
    ...{
      looked: ignore,
      decided: ignore,
      expired: ignore,
      resolved: ignore,
      acted: ignore,
      verified: ignore,
    },
    undone: (work, run, { ok, text }) => {
      const { approval, why } = run.phase
      const result = ok ? 'rolledBack' : 'verifyFailed'
      finish(work, run, approval, {
        result,
        text: `${why}; ${ok ? 'taken back' : 'not taken back'}: ${text}`,
        facts: {},
      })
    },
    recovered: (work, run) => go(work, run, run.phase, 'undo'),
  },
}

/** Tells a run what concerns it; one that is over is not told. */
export function tell(work: Work, id: number, event: RunEvent): void {
  const run = work.runs.get(id)
  if (run) table[run.phase.kind][event.kind](work, run as never, event as never)
}

const stepOf = (run: Run) => run.steps[run.index]!

/** Puts the run into a phase and asks the shell for what the phase waits for. */
function go(work: Work, run: Run, phase: Phase, kind: 'look' | 'act' | 'verify' | 'undo' | null): void {
  const next: Run = { ...run, phase, turn: run.turn + 1 }
  work.runs.set(run.id, next)
  if (kind !== null) work.effects.push({ kind, run: next, step: stepOf(next) })
}

/** Begins a step: nothing is decided before the shell has looked. */
export function look(work: Work, run: Run, approval: number | null, asks: number): void {
  go(work, run, { kind: 'looking', approval, asks }, 'look')
}

function act(work: Work, run: Run, approval: number | null, attempt: number): void {
  if (approval !== null) settleApproval(work, approval, 'executing')
  go(work, run, { kind: 'acting', approval, attempt }, 'act')
}

const approvalOf = ({ phase }: Run) => ('approval' in phase ? phase.approval : null)

function verify(work: Work, run: Run, isDoubtful: boolean): void {
  const attempt = 'attempt' in run.phase ? run.phase.attempt : 1
  go(work, run, { kind: 'verifying', approval: approvalOf(run), attempt, isDoubtful }, 'verify')
}

function judgeLook(work: Work, run: Run<Extract<Phase, { kind: 'looking' }>>, seen: Look): void {
  const step = stepOf(run)
  const { approval, asks } = run.phase
  const done = (result: Outcome['result'], text: string) =>
    finish(work, run, approval, { result, text, facts: {} })
  // A step without conditions is for a fault that stands.
  if (
    seen.kind === 'skip' ||
    (step.when.length === 0 && run.isRepaired && step.action !== 'diagnostics.collect')
  )
    return done('skipped', seen.kind === 'skip' ? seen.text : 'repaired already')
  if (step.action === 'tell') return done('told', step.with.text)
  if (step.class === 'never') return done('told', `${step.action}: for a person to do`)
  if (seen.kind === 'refuse') return done('refused', seen.text)
  if (step.class === 'ask' && approval === null) return ask(work, run, seen, asks)
  if (approval !== null && work.approvals.get(approval)?.digest !== seen.digest) {
    settleApproval(work, approval, 'superseded')
    return ask(work, run, seen, asks)
  }
  const isAutomatic = run.by === null && !run.hasLeave && step.changes
  const limit = isAutomatic ? limitOf(work, run) : null
  if (limit !== null) return done('refused', limit)
  if (isAutomatic) countAct(work, run)
  act(work, run, approval, 1)
}

function ask(work: Work, run: Run, seen: Extract<Look, { kind: 'go' }>, asks: number): void {
  const step = stepOf(run)
  const refuse = (text: string) => finish(work, run, null, { result: 'refused', text, facts: {} })
  if (asks >= MAX_ASKS) return refuse(`what it was asked for has changed ${asks} times`)
  const before = declined(work, run, step.id)
  if (before !== null) return refuse(before)
  const approval = openApproval(work, run, step, seen)
  go(work, run, { kind: 'asking', approval, asks: asks + 1 }, null)
}

function takeDecision(
  work: Work,
  run: Run<Extract<Phase, { kind: 'asking' }>>,
  { verdict, by }: Decided,
): void {
  const { approval, asks } = run.phase
  settleApproval(work, approval, verdict, by)
  if (verdict === 'approved') return look(work, { ...run, hasLeave: true }, approval, asks)
  finish(work, run, null, { result: 'denied', text: `denied by ${by}`, facts: {} })
}

function takeExpiry(work: Work, run: Run<Extract<Phase, { kind: 'asking' }>>, id: number): void {
  if (id !== run.phase.approval) return
  settleApproval(work, id, 'expired')
  finish(work, run, null, { result: 'expired', text: 'nobody decided in time', facts: {} })
}

function judgeAct(
  work: Work,
  run: Run<Extract<Phase, { kind: 'acting' }>>,
  { ok, text, facts }: Acted,
): void {
  const step = stepOf(run)
  const noted: Run = {
    ...run,
    outcomes: { ...run.outcomes, [step.id]: { result: 'succeeded', text, facts } },
  }
  if (!ok) return undo(work, run, `${step.action} failed: ${text}`, 'failed')
  if (step.verify !== null) return verify(work, noted, false)
  finish(work, run, run.phase.approval, { result: 'succeeded', text, facts })
}

type Acted = { readonly ok: boolean; readonly text: string; readonly facts: Readonly<Record<string, string>> }

function judgeVerify(
  work: Work,
  run: Run<Extract<Phase, { kind: 'verifying' }>>,
  ok: boolean,
  text: string,
): void {
  const step = stepOf(run)
  const { approval, attempt, isDoubtful } = run.phase
  if (!ok && isDoubtful && step.idempotent && attempt < MAX_ATTEMPTS)
    return act(work, run, approval, attempt + 1)
  if (step.changes || hasActed(run)) countVerify(work, run, ok)
  if (!ok) return undo(work, run, text, 'verifyFailed')
  const said = run.outcomes[step.id]
  const facts = said?.facts ?? {}
  finish(work, { ...run, isRepaired: true }, approval, {
    result: 'succeeded',
    text: said === undefined || said.text === '' ? text : `${said.text}; ${text}`,
    facts,
  })
}

/** Something was changed in this run, so that a service which is not well after it was not helped. */
const hasActed = ({ steps, outcomes }: Run) =>
  steps.some(({ id, changes }) => changes && outcomes[id]?.result === 'succeeded')

/** It did not help: what can be taken back is, before anything else is tried. */
function undo(work: Work, run: Run, text: string, result: 'failed' | 'verifyFailed'): void {
  const approval = approvalOf(run)
  const broken: Run = { ...run, isRepaired: false }
  if (stepOf(run).rollback === null) return finish(work, broken, approval, { result, text, facts: {} })
  go(work, broken, { kind: 'undoing', approval, why: text }, 'undo')
}

/** The step is over: what it came to, then the next step or the end. */
function finish(work: Work, run: Run, approval: number | null, outcome: Outcome): void {
  const step = stepOf(run)
  if (approval !== null)
    settleApproval(work, approval, outcome.result === 'succeeded' ? 'done' : 'superseded')
  const next: Run = { ...run, outcomes: { ...run.outcomes, [step.id]: outcome } }
  work.effects.push({ kind: 'stepped', run: next, step, outcome })
  const isLast = run.index + 1 >= run.steps.length
  const isStopped =
    outcome.result === 'told' ||
    (outcome.result === 'expired'
      ? step.approval.onExpire === 'stop'
      : isBad(outcome) && step.onFailure === 'stop') ||
    (run.runbook.stopOn as readonly string[]).includes(outcome.result)
  if (isLast || isStopped) return end(work, next, grade(next), false)
  look(work, { ...next, index: run.index + 1 }, null, 0)
}

const isBad = ({ result }: Outcome) => result !== 'succeeded' && result !== 'skipped' && result !== 'told'

function end(work: Work, run: Run, outcome: Outcome, isCut: boolean): void {
  const approval = approvalOf(run)
  if (isCut && approval !== null) settleApproval(work, approval, 'superseded')
  work.runs.delete(run.id)
  work.effects.push({ kind: 'ended', run, outcome })
}
