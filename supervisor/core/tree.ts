/**
 * What one child's change means for the others: who may start now, who may stop now, who is restarted with
 * it. Rules are level-triggered (they look at what is, not at what happened), so a lost edge cannot wedge the
 * tree.
 */
import { stepChild } from './child.ts'
import type { ChildEvent } from './event.ts'
import { isUp, isWanted, type Scope } from './scope.ts'
import type { Child, Mesh, StopCause } from './state.ts'

const HAS_PROCESS = new Set(['spawning', 'starting', 'running', 'hung', 'stopping', 'sweeping', 'adopting'])

/** True if the child has, or may have, a process of ours. */
export function hasProcess(child: Child): boolean {
  return HAS_PROCESS.has(child.state.kind)
}

/** The names of every service in a group, nested ones included; the name itself if it is a service. */
export function membersOf(mesh: Mesh, name: string): string[] {
  if (mesh.children.has(name)) return [name]
  const inside = new Set([name])
  for (let grew = true; grew; ) {
    grew = false
    for (const group of mesh.groups.values()) {
      if (group.parent !== null && inside.has(group.parent) && !inside.has(group.name)) {
        inside.add(group.name)
        grew = true
      }
    }
  }
  return mesh.order.filter((member) => {
    const group = mesh.children.get(member)?.spec.group
    return group !== null && group !== undefined && inside.has(group)
  })
}

/**
 * Needs before dependents; among equals the given order. A cycle cannot come here: the document refuses it.
 */
export function startOrder(children: ReadonlyMap<string, Child>): string[] {
  const order: string[] = []
  const seen = new Set<string>()
  const visit = (name: string) => {
    if (seen.has(name)) return
    seen.add(name)
    for (const need of specOf(children.get(name))?.needs ?? [])
      if (children.has(need.service)) visit(need.service)
    order.push(name)
  }
  for (const name of children.keys()) visit(name)
  return order
}

const specOf = (child: Child | undefined) => child?.nextSpec?.spec ?? child?.spec

/** Who needs a service, by its name. */
export function dependentsOf(children: ReadonlyMap<string, Child>): Map<string, string[]> {
  const dependents = new Map<string, string[]>()
  for (const child of children.values()) {
    for (const need of child.spec.needs) {
      const list = dependents.get(need.service)
      if (list) list.push(child.name)
      else dependents.set(need.service, [child.name])
    }
  }
  return dependents
}

/** Dependents of these services, direct and indirect, that are not among them and have a process. */
export function liveDependents(mesh: Mesh, names: readonly string[]): string[] {
  const found = new Set<string>()
  const queue = [...names]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    for (const dependent of mesh.dependents.get(name) ?? []) {
      const child = mesh.children.get(dependent)
      if (!child || found.has(dependent) || names.includes(dependent)) continue
      if (!hasProcess(child)) continue
      found.add(dependent)
      queue.push(dependent)
    }
  }
  return mesh.order.filter((name) => found.has(name))
}

/** What changed in one step: the children as they were before, undefined for new ones. */
export type Changes = Map<string, Child | undefined>

/** Replaces one child and remembers what it was. */
export function put(mesh: Mesh, changes: Changes, child: Child): void {
  const before = mesh.children.get(child.name)
  if (before === child) return
  if (!changes.has(child.name)) changes.set(child.name, before)
  mesh.children.set(child.name, child)
}

/** A fact that moves the tree more often than this has met a fault of ours; dying is better than a loop. */
const MAX_ROUNDS = 100_000

/** Tells one child one fact, then lets the tree follow until nothing moves. */
export function tell(scope: Scope, changes: Changes, name: string, event: ChildEvent): void {
  const queue: { name: string; event: ChildEvent | null }[] = [{ name, event }]
  for (let item = queue.shift(), rounds = 0; item; item = queue.shift(), rounds++) {
    if (rounds > MAX_ROUNDS) throw new Error(`the tree does not come to rest after ${event.kind} of ${name}`)
    const before = scope.mesh.children.get(item.name)
    if (!before) continue
    const after = item.event ? stepChild(before, item.event, scope) : before
    put(scope.mesh, changes, after)
    follow(scope, changes, before, after, item.event === null, queue)
  }
}

type Queue = { name: string; event: ChildEvent | null }[]

function follow(
  scope: Scope,
  changes: Changes,
  before: Child,
  after: Child,
  forced: boolean,
  queue: Queue,
): void {
  const { mesh } = scope
  const stop = dueStop(after, scope)
  if (stop === 'later') {
    if (after.pendingStop === null) {
      put(mesh, changes, { ...after, pendingStop: { cause: stopCause(after, mesh), now: false } })
    }
  } else if (stop) queue.push({ name: after.name, event: stop })
  else if (after.nextSpec && ALIVE.has(after.state.kind)) {
    queue.push({ name: after.name, event: { kind: 'restart-asked', cause: 'config', now: false } })
  }
  if (!hasProcess(after) || isWanted(after, scope)) pokeNeeds(mesh, after, queue)
  if (before === after && !forced) return
  if (before.state.kind !== after.state.kind || isUp(before) !== isUp(after)) {
    for (const dependent of mesh.dependents.get(after.name) ?? []) {
      if (mesh.children.get(dependent)?.state.kind === 'waiting')
        queue.push({ name: dependent, event: { kind: 'needs-changed' } })
    }
  }
  if (!isUp(before) && isUp(after)) propagateRestart(scope, after, queue)
}

/** A need whose stop waited for this child, which is gone or stays: it looks again. */
function pokeNeeds(mesh: Mesh, child: Child, queue: Queue): void {
  for (const need of child.spec.needs) {
    const target = mesh.children.get(need.service)
    if (target?.pendingStop && ALIVE.has(target.state.kind)) queue.push({ name: need.service, event: null })
  }
}

/**
 * `restart: true` on a need: a dependent is restarted when an unplanned restart of what it needs is first
 * ready.
 */
function propagateRestart(scope: Scope, after: Child, queue: Queue): void {
  const { mesh, at } = scope
  if (after.state.kind !== 'running' || after.state.readyAt !== at) return
  if (after.state.cause !== 'crash' && after.state.cause !== 'hung') return
  for (const name of mesh.dependents.get(after.name) ?? []) {
    const dependent = mesh.children.get(name)
    const need = dependent?.spec.needs.find((candidate) => candidate.service === after.name)
    if (!dependent || !need?.restart || dependent.state.kind !== 'running' || !isWanted(dependent, scope))
      continue
    queue.push({ name, event: { kind: 'restart-asked', cause: 'dependency', now: false } })
  }
}

const ALIVE = new Set(['starting', 'running', 'hung'])
const RESTS = new Set(['idle', 'stopping', 'sweeping', 'spawning', 'adopting', 'unknown'])

/** The stop that is due for a child that is not wanted: now, later (dependents still run), or none. */
function dueStop(child: Child, scope: Scope): ChildEvent | 'later' | null {
  if (isWanted(child, scope)) return null
  const { kind } = child.state
  if (kind === 'stopping' && child.state.kind === 'stopping' && child.state.then !== 'stop') {
    return { kind: 'stop-asked', cause: stopCause(child, scope.mesh), now: false }
  }
  if (RESTS.has(kind)) return null
  const cause = child.pendingStop?.cause ?? stopCause(child, scope.mesh)
  const now = child.pendingStop?.now ?? false
  if (hasProcess(child) && hasUnwantedDependents(child, scope)) return 'later'
  return { kind: 'stop-asked', cause, now }
}

/** True while a dependent that is to go down too still has its process. */
function hasUnwantedDependents(child: Child, scope: Scope): boolean {
  return (scope.mesh.dependents.get(child.name) ?? []).some((name) => {
    const dependent = scope.mesh.children.get(name)
    return dependent !== undefined && hasProcess(dependent) && !isWanted(dependent, scope)
  })
}

function stopCause(child: Child, mesh: Mesh): StopCause {
  if (mesh.wanted === 'down') return 'down'
  return child.removed ? 'config' : 'operator'
}
