/**
 * What the strategies and the shared budgets of groups promise, followed from outside: who failed, who had to end
 * before it came back and in which order, who does not come back, and how often a group may fail.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Event } from '../../supervisor/core/event.ts'
import type { Breaker, Child, Group } from '../../supervisor/core/state.ts'
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
  /** Temporary services that a restart of siblings has stopped: they stay ended. */
  readonly #ended = new Set<string>()

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
    if (this.#ended.has(service)) this.#fail(`${service}: is temporary and comes back with its siblings`)
  }

  /** A new supervisor knows what the rows say; who fails from now on is followed anew. */
  begin(): void {
    this.#debts.clear()
    this.#ended.clear()
  }

  /** What a new supervisor would know of the groups is what this one knows. */
  saved(): void {
    const { mesh, breakers } = this.#world
    for (const name of new Set([...mesh.breakers.keys(), ...breakers.keys()])) {
      if (!isDeepStrictEqual(mesh.breakers.get(name), breakers.get(name)))
        this.#fail(`group ${name}: its breaker is not as recorded`)
    }
  }

  after({ at, ...event }: Event, { effects, changes }: Stepped): void {
    const { mesh } = this.#world
    if (event.kind === 'declared' || event.kind === 'operator-asked' || event.kind === 'recovered') {
      // Budgets may be forgiven, and what goes together may be others now.
      this.#failures.clear()
      this.begin()
    }
    if (event.kind === 'child' && event.event.kind === 'timer-fired' && event.event.timer === 'unstop')
      this.#ended.delete(event.service)
    const touched = effects.flatMap((effect) => (effect.kind === 'record-breaker' ? [effect] : []))
    const breakers = new Map(touched.map(({ group, breaker }) => [group, breaker]))
    for (const [name, before] of changes) {
      const child = mesh.children.get(name)
      if (!child || !before || child.counters.total === before.counters.total) continue
      // Its own budget is used up: it is not restarted, and nobody with it.
      if (child.state.kind !== 'failed' || child.state.by !== null) this.#follow(child, at, breakers)
    }
    for (const [name, before] of changes) {
      const child = mesh.children.get(name)
      if (child) this.#checkStopOrder(before, child)
      const isOutside = child?.joint && !mesh.members.get(child.joint.group)?.includes(name)
      // One that takes another declaration in this very step leaves the group with it.
      if (isOutside && child.spec === before?.spec)
        this.#fail(`${name}: still goes with the services of a group that it is not in`)
      const isBegun = child?.state.kind === 'stopping' && before?.state.kind !== 'stopping'
      if (isBegun && child.state.cause === 'sibling') this.#checkJointStop(child)
    }
    for (const { group, breaker } of touched) {
      if (breaker === null || breaker.open || breaker.ends.length === 0) this.#failures.delete(group)
    }
  }

  /** One failure: whom it takes along in the group, and in those above as long as budgets are used up by it. */
  #follow(child: Child, at: number, breakers: ReadonlyMap<string, Breaker | null>): void {
    const { groups } = this.#world.mesh
    const debts: Debt[] = []
    let node = child.name
    let group = groups.get(child.spec.group ?? '')
    while (group) {
      const breaker = breakers.get(group.name)
      debts.push(...this.#debtsOf(child, group, node))
      this.#count(group, at, breaker?.ends ?? [])
      const parent = groups.get(group.parent ?? '')
      const isUsedUp = breaker && breaker.ends.length === 0 && breaker.open === null
      if (!isUsedUp || !parent) break
      debts.push(...this.#debtsAmong(child, group.name, new Set(group.nodes)))
      node = group.name
      group = parent
    }
    this.#debts.set(child.name, debts)
  }

  /** A stop for good begins only when no dependent that goes down too still has its process. */
  #checkStopOrder(before: Child | undefined, child: Child): void {
    if (child.state.kind !== 'stopping' || child.state.then !== 'stop') return
    // One that hangs or never got ready serves nobody: it is ended at once, whoever goes down with it.
    if (child.state.cause === 'hung' || child.state.cause === 'start-timeout') return
    if (
      before === undefined ||
      (before.state.kind !== 'running' && before.state.kind !== 'starting' && before.state.kind !== 'hung')
    )
      return
    for (const other of this.#world.mesh.children.values()) {
      if (!other.spec.needs.some((need) => need.service === child.name)) continue
      if (isUnwanted(other, this.#world.mesh) && isBusy(other)) {
        this.#fail(
          `${child.name}: stopped before ${other.name} (${other.state.kind}), which needs it and goes down too`,
        )
      }
    }
  }

  /** A stop for the sake of a sibling comes after those of the services that need it and go down too. */
  #checkJointStop(child: Child): void {
    const { mesh } = this.#world
    for (const debts of this.#debts.values()) {
      if (!debts.some((debt) => this.#isOwedBy(debt, child))) continue
      if (child.spec.restart === 'temporary') this.#ended.add(child.name)
      for (const other of mesh.children.values()) {
        const isDependent = other.spec.needs.some((need) => need.service === child.name)
        if (isDependent && debts.some((debt) => this.#isOwedBy(debt, other)))
          this.#fail(`${child.name}: stopped before ${other.name}, which needs it and is restarted too`)
      }
    }
  }

  #isOwedBy({ service, run }: Debt, { name, state }: Child): boolean {
    return name === service && 'process' in state && state.process.run === run
  }

  #debtsOf(child: Child, { strategy, nodes, name }: Group, node: string): Debt[] {
    const at = nodes.indexOf(node)
    if (strategy === 'one_for_one' || at < 0) return []
    return this.#debtsAmong(child, name, new Set(nodes.slice(strategy === 'one_for_all' ? 0 : at + 1)))
  }

  /** The processes of these nodes of a group. */
  #debtsAmong(child: Child, name: string, reached: ReadonlySet<string>): Debt[] {
    const { mesh } = this.#world
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
