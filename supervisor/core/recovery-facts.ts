/** Conditions of steps over what is known, and what a run came to as a whole. */
import type { RunbookCondition } from '../../schemas/runbook.ts'
import type { Outcome, Run } from './recovery-state.ts'

/** Everything a condition may ask for: what the shell knows of the service, and what earlier steps came to. */
export function factsOf(run: Run, service: Readonly<Record<string, string>>): Record<string, string> {
  const own = { 'alert.rule': run.rule ?? '', 'run.repaired': run.isRepaired ? 'yes' : 'no' }
  const facts: Record<string, string> = { ...service, ...own }
  for (const [id, outcome] of Object.entries(run.outcomes)) {
    for (const [name, value] of Object.entries(outcome.facts)) facts[`steps.${id}.${name}`] = value
    facts[`steps.${id}.result`] = outcome.result
  }
  return facts
}

/** The first condition that does not hold, in words; null if all do. A fact that nobody knows is empty. */
export function unmet(
  conditions: readonly RunbookCondition[],
  facts: Readonly<Record<string, string>>,
): string | null {
  for (const { fact, in: wanted, notIn, matches } of conditions) {
    const value = facts[fact] ?? ''
    const holds =
      wanted !== undefined
        ? wanted.includes(value)
        : notIn !== undefined
          ? !notIn.includes(value)
          : new RegExp(matches ?? '').test(value)
    if (!holds) return `not needed: ${fact} is ${value === '' ? 'empty' : value}`
  }
  return null
}

/** What a run came to: repaired, or what its last step that mattered came to. */
export function grade(run: Run): Outcome {
  const ended = run.steps.flatMap(({ id, changes }) => {
    const outcome = run.outcomes[id]
    return outcome === undefined || outcome.result === 'skipped' ? [] : [{ outcome, changes }]
  })
  const last = ended.at(-1)?.outcome
  if (last === undefined) return { result: 'skipped', text: 'nothing to do', facts: {} }
  const telling = ended.findLast(({ outcome, changes }) => changes || outcome.result !== 'succeeded')?.outcome
  if (!run.isRepaired) return telling ?? { ...last, result: 'told' }
  const repaired = ended.findLast(({ outcome }) => outcome.result === 'succeeded')
  return { ...(repaired?.outcome ?? last), result: 'succeeded' }
}
