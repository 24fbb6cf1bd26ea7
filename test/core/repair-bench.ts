/** A bench for the machine of repairs: a runbook in YAML, a state, and the effects that were asked for. */
import assert from 'node:assert/strict'
import { parse } from 'yaml'
import { type Runbook, runbookHead } from '../../schemas/runbook.ts'
import type { Approval } from '../../supervisor/core/approval.ts'
import {
  type Look,
  NO_REPAIRS,
  type Outcome,
  type RecoveryEffect,
  type RecoveryEvent,
  type RecoveryState,
  type Run,
  type RunEvent,
  type RunRequest,
} from '../../supervisor/core/recovery-state.ts'
import { stepRecovery } from '../../supervisor/core/recovery-step.ts'

const HEAD = 'id: test\ntitle: A test\nversion: 1\nreviewed: 2026-11-21\n'
const READY = 'verify: { checks: [{ check: service.ready }] }'

/** A runbook of these steps; each is a line of YAML in braces, `R` in it stands for a verification. */
export function runbookOf(steps: readonly string[], more = ''): Runbook {
  const lines = steps.map((step) => `  - ${step.replace(/\bR\b/, READY)}\n`).join('')
  return runbookHead.parse(parse(`${HEAD}${more}steps:\n${lines}`))
}

export const GO: Look = { kind: 'go', digest: 'a', shown: ['this'] }

type Given<T> = T extends unknown ? Omit<T, 'at' | 'wall'> : never

/** One machine. Nothing is answered unless a test does. */
export class Bench {
  state: RecoveryState = NO_REPAIRS
  at = 1_000_000
  readonly effects: RecoveryEffect[] = []

  post(fact: Given<RecoveryEvent>): readonly RecoveryEffect[] {
    const event = { ...fact, at: this.at, wall: this.at } as RecoveryEvent
    const frozen = JSON.stringify(this.state)
    const before = this.state
    const stepped = stepRecovery(before, event)
    assert.equal(JSON.stringify(before), frozen, 'the state that was given was changed')
    this.state = stepped.state
    this.effects.push(...stepped.effects)
    return stepped.effects
  }

  consider(runbook: Runbook, more: Partial<RunRequest> = {}): Extract<RecoveryEffect, { kind: 'answer' }> {
    const { id, version, auto, steps } = runbook
    const request: RunRequest = {
      ...{ service: 'kb', rule: 'ServiceDown', incident: 'i1', by: null, held: [] },
      runbook: { id, version, stopOn: auto.stopOn, cooldown: auto.cooldown },
      auto,
      steps,
      ...more,
    }
    const answer = this.post({ kind: 'considered', request }).find((effect) => effect.kind === 'answer')
    assert.ok(answer)
    return answer
  }

  get run(): Run {
    const [run] = this.state.runs
    assert.ok(run, 'no run')
    return run
  }

  /** Answers what the run waits for. */
  tell(event: RunEvent, run = this.run): readonly RecoveryEffect[] {
    return this.post({ kind: 'run', run: run.id, turn: run.turn, event })
  }

  look = (look: Look = GO) => this.tell({ kind: 'looked', look })
  acted = (ok = true, facts: Record<string, string> = {}) =>
    this.tell({ kind: 'acted', ok, text: 'did', facts })
  verified = (ok = true) => this.tell({ kind: 'verified', ok, text: ok ? 'well' : 'still bad' })

  get approval(): Approval {
    const found = this.state.approvals.at(-1)
    assert.ok(found, 'no approval')
    return found
  }

  decide(verdict: 'approved' | 'denied', id = this.approval.id) {
    const answer = this.post({ kind: 'decided', approval: id, verdict, by: 'me' })
    return answer.find((effect) => effect.kind === 'answer')
  }

  /** What the last run came to. */
  get ended(): Outcome {
    const found = this.effects.findLast((effect) => effect.kind === 'ended')
    assert.ok(found?.kind === 'ended', 'no run has ended')
    return found.outcome
  }

  count = (kind: RecoveryEffect['kind']) => this.effects.filter((effect) => effect.kind === kind).length
}
