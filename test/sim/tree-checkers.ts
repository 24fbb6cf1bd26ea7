/**
 * What the strategies and the shared budgets of groups promise, followed from outside: who failed, who had to end
 * before it came back, and how often a group may fail.
 */
import type { Event } from '../../supervisor/core/event.ts'
import type { Child, Group } from '../../supervisor/core/state.ts'
import type { Stepped } from '../../supervisor/core/step.ts'
import { isBusy, isUnwanted } from './rules.ts'
import type { World } from './world.ts'

/** Processes that must be gone before the one that failed is started again. */
type Debt = { readonly service: string; readonly run: string }

export class TreeCheckers {
  readonly #world: World
  readonly #fail: (text: string) => never
  readonly #debts = new Map<string, readonly Debt[]>()
  readonly #failures = new Map<string, number[]>()

  constructor(world: World, fail: (text: string) => never) {
    this.#world = world
    this.#fail = fail
  }

  /** Before anything else is known of a step: nobody comes back before its siblings have ended. */
  spawned(service: string): void {
    for (const { service: sibling, run } of this.#debts.get(service) ?? []) {
      const lives = [...this.#world.processes.of(sibling)].some((proc) => proc.isLeader && proc.run === run)
      if (lives) this.#fail(`${service}: started again while ${sibling}, which goes down with it, still runs`)
    }
    this.#debts.delete(service)
  }

  /** A new supervisor knows what the rows say; who fails from now on is followed anew. */
  begin(): void {
    this.#debts.clear()
  }

  after({ at, ...event }: Event, { effects, changes }: Stepped): void {
    const { mesh } = this.#world
    if (event.kind === 'declared' || event.kind === 'operator-asked' || event.kind === 'recovered') {
      // Budgets may be forgiven, and what goes together may be others now.
      this.#failures.clear()
      this.#debts.clear()
    }
    const touched = effects.flatMap((effect) => (effect.kind === 'record-breaker' ? [effect] : []))
    for (const [name, before] of changes) {
      const child = mesh.children.get(name)
      if (!child || !before || child.counters.total === before.counters.total) continue
      const group = mesh.groups.get(child.spec.group ?? '')
      // Its own budget is used up: it is not restarted, and nobody with it.
      const isAlone = child.state.kind === 'failed' && child.state.by === null
      if (!group || isAlone) continue
      this.#debts.set(name, this.#debtsOf(child, group))
      this.#count(group, at, touched.findLast((effect) => effect.group === group.name)?.breaker?.ends ?? [])
    }
    for (const { group, breaker } of touched) {
      if (breaker === null || breaker.open || breaker.ends.length === 0) this.#failures.delete(group)
    }
  }

  #debtsOf(child: Child, { strategy, nodes, name }: Group): Debt[] {
    const at = nodes.indexOf(child.name)
    if (strategy === 'one_for_one' || at < 0) return []
    const { mesh } = this.#world
    const from = strategy === 'one_for_all' ? 0 : at + 1
    const reached = new Set(nodes.slice(from))
    return [...mesh.children.values()].flatMap((other): Debt[] => {
      if (other === child || !this.#path(other, name).some((node) => reached.has(node))) return []
      if (isUnwanted(other, mesh) || other.spec.command === null || !isBusy(other)) return []
      return 'process' in other.state ? [{ service: other.name, run: other.state.process.run }] : []
    })
  }

  /** The service and the groups around it, as far as they are inside this group. */
  #path(child: Child, top: string): string[] {
    const path = [child.name]
    for (let group = child.spec.group; group !== null && group !== top; ) {
      path.push(group)
      group = this.#world.mesh.groups.get(group)?.parent ?? null
      if (group === null) return []
    }
    return child.spec.group === null ? [] : path
  }

  /** Never more failures in the window than the group's budget allows, unless it was used up in this very step. */
  #count({ name, intensity }: Group, at: number, ends: readonly number[]): void {
    if (intensity === null) return
    const failures = [...(this.#failures.get(name) ?? []), at].filter((end) => end > at - intensity.within)
    this.#failures.set(name, failures)
    if (failures.length > intensity.max && ends.length > 0)
      this.#fail(
        `group ${name}: ${failures.length} failures in ${intensity.within} ms, the limit is ${intensity.max}`,
      )
  }
}
