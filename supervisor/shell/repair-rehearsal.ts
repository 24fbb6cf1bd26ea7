/** A dry run: every step is looked at, and only what looks itself and leaves no trace is done. */
import type { ActionId, Runbook, RunbookStep } from '../../schemas/runbook.ts'
import type { Look, Outcome, Run } from '../core/recovery-state.ts'
import type { remediesOver } from './remedies.ts'
import type { Stage } from './repair-stage.ts'

/** One step as a rehearsal saw it. */
export type RehearsedStep = {
  readonly id: string
  readonly action: string
  readonly class: string
  /** `does`: it would be done; `asks`: after an approval; `tells`, `skips` and `refuses` with the reason. */
  readonly would: 'does' | 'asks' | 'tells' | 'skips' | 'refuses'
  readonly text: string
  readonly shown: readonly string[]
}

/** They change nothing at all, and conditions of later steps ask for what they find. */
const LOOKING: ReadonlySet<ActionId> = new Set(['probe.run', 'port.find_holder'])

type Rehearsal = {
  readonly stage: Stage
  readonly runbook: Runbook
  readonly service: string
  readonly only: string | null
  readonly look: (run: Run, step: RunbookStep) => Promise<Look>
  readonly remedies: ReturnType<typeof remediesOver>
}

/** The steps in their order, with what a run would do with each now. */
export async function rehearse({
  stage,
  runbook,
  service,
  only,
  look,
  remedies,
}: Rehearsal): Promise<RehearsedStep[]> {
  const { id, version, auto } = runbook
  const steps = runbook.steps.filter((step) => only === null || step.id === only)
  const outcomes: Record<string, Outcome> = {}
  const run: Run = {
    ...{ id: 0, service, rule: null, incident: null, by: 'rehearsal', index: 0, turn: 0, outcomes, steps },
    ...{
      runbook: { id, version, stopOn: auto.stopOn, cooldown: auto.cooldown },
      isRepaired: false,
      hasLeave: false,
      startedAt: 0,
      startedWall: 0,
    },
    phase: { kind: 'looking', approval: null, asks: 0 },
  }
  const rehearsed: RehearsedStep[] = []
  for (const step of steps) {
    const about = { id: step.id, action: step.action, class: step.class }
    const seen = await look(run, step).catch(
      (error: Error): Look => ({ kind: 'refuse', text: error.message }),
    )
    if (seen.kind !== 'go') {
      const would = seen.kind === 'skip' ? 'skips' : 'refuses'
      outcomes[step.id] = { result: seen.kind === 'skip' ? 'skipped' : 'refused', text: seen.text, facts: {} }
      rehearsed.push({ ...about, would, text: stage.redact(seen.text), shown: [] })
      continue
    }
    if (step.class === 'never' || step.action === 'tell') {
      const text = step.action === 'tell' ? step.with.text : `${step.action}: for a person to do`
      rehearsed.push({ ...about, would: 'tells', text, shown: [] })
      continue
    }
    if (!LOOKING.has(step.action)) {
      // What would come of it is not known; later steps are looked at as if it had helped.
      outcomes[step.id] = { result: 'succeeded', text: '', facts: {} }
      rehearsed.push({ ...about, would: step.class === 'ask' ? 'asks' : 'does', text: '', shown: seen.shown })
      continue
    }
    const found = await remedies.act(run, step, AbortSignal.timeout(step.timeout)).then(
      ({ text, facts }): Outcome => ({ result: 'succeeded', text, facts }),
      (error: Error): Outcome => ({ result: 'failed', text: error.message, facts: {} }),
    )
    outcomes[step.id] = found
    rehearsed.push({ ...about, would: 'does', text: stage.redact(found.text), shown: [] })
  }
  return rehearsed
}
