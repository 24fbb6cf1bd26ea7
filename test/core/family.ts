/** Groups on the stage, and words for what a whole family of services does. */
import type { ServiceSpec } from '../../schemas/service.ts'
import type { Group } from '../../supervisor/core/state.ts'
import { makeSpec } from '../sim/mesh.ts'
import { Stage } from './stage.ts'

const MINUTE = 60_000

/** A group directly under the root, without a shared budget. */
export function makeGroup(
  name: string,
  strategy: Group['strategy'],
  nodes: readonly string[],
  over: Partial<Group> = {},
): Group {
  return { name, parent: null, strategy, intensity: null, nodes, ...over }
}

/** A need until ready. */
export const needs = (...names: string[]): ServiceSpec['needs'] =>
  names.map((service) => ({ service, until: 'ready', restart: false }))

/** One group `g` of these services; in `rest_for_one` each needs the one before it, as the document makes it. */
export function familyOf(
  strategy: Group['strategy'],
  specs: Readonly<Record<string, Partial<ServiceSpec>>>,
  intensity: Group['intensity'] = null,
): Stage {
  const names = Object.keys(specs)
  const before = (index: number) =>
    strategy === 'rest_for_one' ? needs(...names.slice(index - 1, index)) : []
  const made = names.map((name, index) =>
    makeSpec(name, { group: 'g', needs: index > 0 ? before(index) : [], ...specs[name] }),
  )
  return new Stage(made, [makeGroup('g', strategy, names, { intensity })])
}

/** A budget of so many failures in ten minutes. */
export const budget = (max: number) => ({ max, within: 10 * MINUTE })

/** All of them ready, in this order. */
export function upAll(stage: Stage, ...names: string[]): Stage {
  for (const name of names) stage.up(name)
  return stage.forget()
}

/** The states of these services. */
export const kinds = (stage: Stage, ...names: string[]) => names.map((name) => stage.kind(name))

/** The lives that these services have had. */
export const lives = (stage: Stage, ...names: string[]) => names.map((name) => stage.child(name).generation)

/** Who was started since `forget`, in order. */
export const started = (stage: Stage) =>
  stage.all.flatMap((effect) => (effect.kind === 'spawn' ? [effect.service] : []))

/** Who was signalled since `forget`, in order. */
export const signalled = (stage: Stage) =>
  stage.all.flatMap((effect) => (effect.kind === 'signal' ? [effect.service] : []))

/** The texts of this journal event since `forget`. */
export const recorded = (stage: Stage, event: string) =>
  stage.all.flatMap((effect) => (effect.kind === 'record' && effect.event === event ? [effect.text] : []))

/**
 * The world does what the core asks for until nothing is under way: processes end when signalled, delays pass, programs
 * become ready. `but`: these do nothing.
 */
export function settle(stage: Stage, ...but: string[]): Stage {
  for (let rounds = 0; rounds < 1_000; rounds++) {
    const busy = [...stage.mesh.children.values()].find(
      ({ name, state }) => UNDER_WAY.has(state.kind) && !but.includes(name),
    )
    if (!busy) return stage
    const { name, state } = busy
    if (state.kind === 'stopping') stage.exited(name, 0)
    else if (state.kind === 'sweeping') stage.swept(name)
    else if (state.kind === 'backoff') stage.recover(name)
    else stage.up(name)
  }
  throw new Error('the family does not come to rest')
}

/** The supervisor dies; the next one reads rows, breakers and document, and finds every process as it was. */
export function reborn(stage: Stage): Stage {
  const specs = [...stage.mesh.children.values()].map(({ spec }) => spec)
  stage.crash().declare(specs)
  for (const { name, state } of [...stage.mesh.children.values()])
    if (state.kind === 'adopting') stage.identified(name, 'same')
  return stage
}

const UNDER_WAY = new Set(['checking', 'spawning', 'starting', 'stopping', 'sweeping', 'backoff'])
