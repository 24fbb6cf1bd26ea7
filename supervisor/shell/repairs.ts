/**
 * Drives repairs: puts facts to the core, has every change on record before it acts on it, and carries out what the
 * core wants, one run at a time for a service. It decides nothing.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { ActionId, Runbook, RunbookStep } from '../../schemas/runbook.ts'
import type { Approval } from '../core/approval.ts'
import { factsOf, unmet } from '../core/recovery-facts.ts'
import type {
  Held,
  Look,
  RecoveryEffect,
  RecoveryEvent,
  RecoveryState,
  Run,
  RunEvent,
  RunRequest,
} from '../core/recovery-state.ts'
import { stepRecovery } from '../core/recovery-step.ts'
import { PaiosError } from '../errors.ts'
import { openConfigRestore } from './config-restore.ts'
import type { Journal } from './journal.ts'
import { sha256 } from './last-good.ts'
import type { Tell } from './processes.ts'
import { remediesOver } from './remedies.ts'
import { type Checked, checksOver } from './repair-checks.ts'
import { announcer, type RepairEvent } from './repair-event.ts'
import type { RehearsedStep } from './repair-rehearsal.ts'
import { childOf, type Stage, serviceFacts } from './repair-stage.ts'

/** Between two looks of a verification. */
const VERIFY_POLL_MS = 500
/** How long one check may take. */
const CHECK_MS = 30_000

/** A state of rest after one of these is what came of it; after anything else it may be that of before. */
const STARTING: ReadonlySet<ActionId> = new Set(['service.await', 'service.restart', 'service.start'])

/** A fault for which a runbook may have steps. `incident`: approvals and refusals belong to it. */
export type Fault = {
  readonly service: string
  /** Without the prefix `Paios`. */
  readonly rule: string
  readonly incident: string | null
  readonly held: readonly Held[]
}

/** What somebody asks for by hand. */
export type Asked = {
  readonly service: string
  /** The id of a runbook, null for the service's own. */
  readonly runbook: Runbook
  readonly step: string | null
  readonly by: string
}

/** Whether a run has begun. `text` says why not. */
export type Considered = { readonly ok: boolean; readonly text: string; readonly run: number | null }

export type RepairsOptions = {
  readonly stage: Stage
  readonly journal: Pick<Journal, 'keepRepairs' | 'repairs' | 'problem'>
  readonly clock: { awake(): number; wall(): number }
  readonly tell: Tell
  /** The runbook with steps for a fault, null if there is none. */
  readonly choose: (wanted: { service: string; preset: string; rule: string }) => Promise<Runbook | null>
}

export type Repairs = ReturnType<typeof openRepairs>

/** Opens repairs over what an earlier supervisor has left; `recover` goes on with that. */
export function openRepairs({ stage, journal, clock, tell, choose }: RepairsOptions) {
  const restore = openConfigRestore(stage)
  const check = checksOver(stage, restore)
  const remedies = remediesOver(stage, restore)
  const listeners = new Set<(event: RepairEvent) => void>()
  const closing = new AbortController()
  const refused = new Map<string, string>()
  let state: RecoveryState = journal.repairs()
  const teller = announcer(tell, (event) => {
    for (const listener of listeners) listener(event)
  })

  /** One fact. Answers with the core's own answer where it gives one. */
  function post(fact: WithoutTime<RecoveryEvent>): Considered {
    const before = state
    const stepped = stepRecovery(before, { ...fact, at: clock.awake(), wall: clock.wall() } as RecoveryEvent)
    state = stepped.state
    const ended = stepped.effects.filter((effect) => effect.kind === 'ended')
    const isKept = isSame(before, state) || journal.keepRepairs(state, ended)
    let answer: Considered = { ok: true, text: '', run: null }
    for (const effect of stepped.effects) {
      if (effect.kind === 'answer') answer = effect
      else perform(effect, isKept)
    }
    return answer
  }

  function perform(effect: Exclude<RecoveryEffect, { kind: 'answer' }>, isKept: boolean): void {
    switch (effect.kind) {
      case 'look':
        return answerLater(effect.run, async () => ({
          kind: 'looked',
          look: await look(effect.run, effect.step),
        }))
      case 'act':
        teller.working(effect.run, effect.step)
        return answerLater(effect.run, () => act(effect.run, effect.step, isKept))
      case 'verify':
        teller.working(effect.run, effect.step)
        return answerLater(effect.run, () => verify(effect.run, effect.step))
      case 'undo':
        return answerLater(effect.run, async () => ({
          kind: 'undone',
          ...(await remedies.undo(effect.run, effect.step)),
        }))
      default:
        return teller.announce(effect)
    }
  }

  /** Whatever goes wrong on the way is the step's failure, never the supervisor's. */
  function answerLater(run: Run, work: () => Promise<RunEvent>): void {
    const reply = (event: RunEvent) => {
      if (!closing.signal.aborted) post({ kind: 'run', run: run.id, turn: run.turn, event })
    }
    const failed = (error: Error) => reply(failureOf(run, stage.redact(error.message)))
    // Not in the turn that asked for it, so that a post never happens inside of another.
    void Promise.resolve().then(work).then(reply, failed)
  }

  async function look(run: Run, step: RunbookStep): Promise<Look> {
    if (stage.child(run.service) === null)
      return { kind: 'refuse', text: `${run.service} is gone from the mesh` }
    const missing = unmet(step.when, factsOf(run, serviceFacts(stage, run.service)))
    if (missing !== null) return { kind: 'skip', text: missing }
    if (step.class === 'never') return { kind: 'go', digest: '', shown: [] }
    for (const one of step.pre) {
      const { ok, text } = await check(run.service, one, AbortSignal.timeout(CHECK_MS))
      if (!ok) return { kind: 'refuse', text: `${one.check}: ${stage.redact(text)}` }
    }
    const shown = step.class === 'ask' ? await remedies.show(run, step) : []
    const { id, version } = run.runbook
    return {
      kind: 'go',
      digest: sha256(JSON.stringify([id, version, step.id, step.action, step.with, shown])),
      shown,
    }
  }

  async function act(run: Run, step: RunbookStep, isKept: boolean): Promise<RunEvent> {
    const problem = isKept ? null : (journal.problem() ?? 'the journal cannot be written')
    if (problem !== null && step.changes)
      return { kind: 'acted', ok: false, text: `the intent is not on record: ${problem}`, facts: {} }
    const limit = AbortSignal.timeout(step.timeout)
    const signal = AbortSignal.any([limit, closing.signal])
    const tooLate = new Promise<never>((_, reject) =>
      limit.addEventListener('abort', () => reject(new Error(`no end within ${step.timeout / 1000} s`)), {
        once: true,
      }),
    )
    const { text, facts } = await Promise.race([remedies.act(run, step, signal), tooLate])
    return { kind: 'acted', ok: true, text: stage.redact(text), facts }
  }

  async function verify(run: Run, step: RunbookStep): Promise<RunEvent> {
    if (step.verify === null) return { kind: 'verified', ok: true, text: '' }
    const { checks, within } = step.verify
    const deadline = performance.now() + within
    for (;;) {
      const found: Checked[] = []
      for (const one of checks) {
        found.push(await check(run.service, one, AbortSignal.timeout(CHECK_MS)))
        if (!found.at(-1)?.ok) break
      }
      const last = found.at(-1)
      const text = stage.redact(last?.ok ? found.map((one) => one.text).join('; ') : (last?.text ?? ''))
      if (last?.ok) return { kind: 'verified', ok: true, text }
      if (last?.isFinal && STARTING.has(step.action)) return { kind: 'verified', ok: false, text }
      if (performance.now() > deadline)
        return { kind: 'verified', ok: false, text: `after ${within / 1000} s: ${text}` }
      await wait(VERIFY_POLL_MS, undefined, { signal: closing.signal })
    }
  }

  const begin = (
    runbook: Runbook,
    request: Omit<RunRequest, 'runbook' | 'auto' | 'steps'>,
    only: string | null,
  ) => {
    const { id, version, auto } = runbook
    const steps = only === null ? runbook.steps : runbook.steps.filter((step) => step.id === only)
    if (steps.length === 0)
      throw new PaiosError('usage', `${id} has no step${only === null ? 's' : ` ${only}`}`)
    return post({
      kind: 'considered',
      request: { ...request, runbook: { id, version, ...limitsOf(auto) }, auto, steps },
    })
  }
  const decide = (id: number, verdict: 'approved' | 'denied', by: string) =>
    post({ kind: 'decided', approval: id, verdict, by })

  return {
    /** A fault is there: begins a run if a runbook has steps for it and nothing speaks against it. */
    async consider({ service, rule, incident, held }: Fault): Promise<Considered> {
      const child = stage.child(service)
      if (child === null) return { ok: false, text: `${service} is no service of the mesh`, run: null }
      const runbook = await choose({ service, preset: child.spec.preset, rule })
      if (runbook === null)
        return { ok: false, text: `no runbook has steps for ${rule} of ${service}`, run: null }
      const answer = begin(runbook, { service, rule, incident, by: null, held }, null)
      const isTold = answer.ok || answer.run !== null || answer.text.startsWith('tried ')
      const refusal = isTold ? '' : answer.text
      // Considered again and again while the fault lasts: said once.
      if (refusal !== '' && refusal !== refused.get(service))
        tell(service, { kind: 'noted', event: 'repair', text: `not repaired by itself: ${answer.text}` })
      refused.set(service, refusal)
      return answer
    },
    /** Begins a run that a person asks for. Throws PaiosError `refused` where another one is not over. */
    run({ service, runbook, step, by }: Asked): number {
      childOf(stage, service)
      const { ok, text, run } = begin(runbook, { service, rule: null, incident: null, by, held: [] }, step)
      if (!ok || run === null) throw new PaiosError('refused', text)
      return run
    },
    /** The trouble is over: what waits for a person is withdrawn. */
    resolved: (service: string, incident: string | null) =>
      void post({ kind: 'resolved', service, incident }),
    state: (): RecoveryState => state,
    /** Resolves once a run repairs something, waits for a person, or is over. */
    known: (id: number): Promise<void> =>
      new Promise((resolve) => {
        if (teller.isUnderWay(id) || !state.runs.some((run) => run.id === id)) return resolve()
        const listener = (event: RepairEvent) => {
          if (runOf(event) !== id || event.kind === 'runBegun') return
          listeners.delete(listener)
          resolve()
        }
        listeners.add(listener)
      }),
    approvals: (): readonly Approval[] => state.approvals,
    approve: (id: number, by: string): Considered => decide(id, 'approved', by),
    deny: (id: number, by: string): Considered => decide(id, 'denied', by),
    /** Calls back for each event from now on; answers with the way to end that. */
    subscribe(listener: (event: RepairEvent) => void): () => void {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    /** Once a second: approvals expire. */
    tick(): void {
      if (state.approvals.some(({ status }) => status === 'pending')) post({ kind: 'ticked' })
    },
    /** Goes on with what an earlier supervisor has left in the middle. */
    recover(): void {
      if (state.runs.length > 0) post({ kind: 'recovered' })
    },
    /** What a run would do now, and why not. Nothing is changed, not even the record. */
    async rehearse(service: string, runbook: Runbook, only: string | null): Promise<RehearsedStep[]> {
      const { rehearse } = await import('./repair-rehearsal.ts')
      return rehearse({ stage, runbook, service, only, look, remedies })
    },
    close: () => closing.abort(),
  }
}

type WithoutTime<T> = T extends unknown ? Omit<T, 'at' | 'wall'> : never
const limitsOf = ({ stopOn, cooldown }: Runbook['auto']) => ({ stopOn, cooldown })

function runOf(event: RepairEvent): number {
  if (event.kind === 'runBegun' || event.kind === 'runEnded') return event.run.id
  return 'approval' in event ? event.approval.run : event.run
}

/** Nothing but answers came of it. */
const isSame = (before: RecoveryState, after: RecoveryState) =>
  before.nextRun === after.nextRun &&
  before.nextApproval === after.nextApproval &&
  before.runs.length === after.runs.length &&
  before.runs.every((run, index) => run === after.runs[index]) &&
  before.approvals.every((approval, index) => approval === after.approvals[index])

function failureOf(run: Run, text: string): RunEvent {
  switch (run.phase.kind) {
    case 'verifying':
      return { kind: 'verified', ok: false, text }
    case 'undoing':
      return { kind: 'undone', ok: false, text }
    case 'acting':
      return { kind: 'acted', ok: false, text, facts: {} }
    default:
      return { kind: 'looked', look: { kind: 'refuse', text } }
  }
}
