/**
 * What one child's change means for the others: who may start now, who may stop now, who is restarted with
 * it. Rules are level-triggered (they look at what is, not at what happened), so a lost edge cannot wedge the
 * tree.
 */

import { openBreaker, quarantineOf } from './breaker.ts'
import { stepChild } from './child.ts'
import type { ChildEvent } from './event.ts'
import { windowText } from './intensity.ts'
import { hasProcess } from './order.ts'
import { isExternal, isMeant, isUp, isWanted, record, type Scope } from './scope.ts'
import type { Child, Mesh, StopCause } from './state.ts'
import { hasJointDependents, isTakenAlong, presentJoint, type Reach, reachOf } from './strategy.ts'

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
    follow(scope, changes, before, after, queue)
  }
}

type Queue = { name: string; event: ChildEvent | null }[]

function follow(scope: Scope, changes: Changes, before: Child, stepped: Child, queue: Queue): void {
  const { mesh } = scope
  if (stepped.counters.total > before.counters.total) spread(scope, changes, stepped, queue)
  const after = followJoint(scope, changes, before, mesh.children.get(stepped.name) ?? stepped, queue)
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
  if (before === after) return
  if (before.state.kind !== after.state.kind || isUp(before) !== isUp(after)) {
    for (const dependent of mesh.dependents.get(after.name) ?? []) {
      if (mesh.children.get(dependent)?.state.kind === 'waiting')
        queue.push({ name: dependent, event: { kind: 'needs-changed' } })
    }
  }
  if (!isUp(before) && isUp(after)) propagateRestart(scope, after, queue)
}

/** What an unplanned restart means for others: nothing, a restart together, or the end of the group. */
function spread(scope: Scope, changes: Changes, child: Child, queue: Queue): void {
  // One that gave up by itself is not restarted, and so nobody is with it.
  if (child.state.kind === 'failed') return
  const reach = reachOf(scope, child)
  if (reach.kind === 'together') restartTogether(scope, changes, child, reach, queue)
  if (reach.kind === 'quarantine') quarantine(scope, changes, child, reach.group, queue)
}

function restartTogether(
  scope: Scope,
  changes: Changes,
  child: Child,
  { group, names }: Extract<Reach, { kind: 'together' }>,
  queue: Queue,
): void {
  const { mesh } = scope
  const along = names.flatMap((name) => {
    const other = mesh.children.get(name)
    const isAlong = other && isTakenAlong(other) && isWanted(other, scope) && !isExternal(other.spec)
    return isAlong ? [other] : []
  })
  if (along.length === 0) return
  const listed = along.map(({ name }) => name)
  const told = record(child, scope, 'together', `restarted with it: ${listed.join(', ')}`, {
    group,
    names: listed,
  })
  put(mesh, changes, { ...told, joint: { by: child.name, group, phase: 'start' } })
  for (const other of [child, ...along]) pokeJoint(mesh, other, queue)
  for (const other of along) {
    const phase = hasProcess(other) ? 'stop' : 'start'
    put(mesh, changes, { ...other, cause: told.cause, joint: { by: child.name, group, phase } })
    queue.push({ name: other.name, event: null })
  }
}

function quarantine(scope: Scope, changes: Changes, child: Child, group: string, queue: Queue): void {
  const { mesh } = scope
  const { max, within: windowMs } = mesh.groups.get(group)?.intensity ?? { max: 0, within: 0 }
  const last = `last ${child.name}: ${child.lastEnding?.reason ?? 'it could not be started'}`
  const reason = `group ${group} gave up: more than ${max} failures in ${windowText(windowMs)}, ${last}`
  openBreaker(scope, group, reason)
  const told = record(child, scope, 'group-failed', reason, { group })
  put(mesh, changes, told)
  for (const name of mesh.members.get(group) ?? []) {
    const other = mesh.children.get(name)
    if (other && other.name !== child.name && hasProcess(other))
      put(mesh, changes, { ...other, cause: told.cause })
    queue.push({ name, event: null })
  }
}

/** Whoever may wait for it looks again, in all groups around it: one may start now, another may end. */
function pokeJoint(mesh: Mesh, { name: own, joint }: Child, queue: Queue): void {
  if (joint === null) return
  let outermost = joint.group
  for (let group = mesh.groups.get(outermost); group?.parent; group = mesh.groups.get(group.parent)) {
    outermost = group.parent
  }
  for (const name of mesh.members.get(outermost) ?? []) {
    const other = mesh.children.get(name)
    if (name === own || !other) continue
    if (other.state.kind === 'waiting') queue.push({ name, event: { kind: 'needs-changed' } })
    else if (other.joint?.phase === 'stop' && ALIVE.has(other.state.kind)) queue.push({ name, event: null })
  }
}

/** A joint restart goes on: whoever may end now ends, whoever waited for this child looks again. */
function followJoint(scope: Scope, changes: Changes, before: Child, stepped: Child, queue: Queue): Child {
  const { mesh } = scope
  const joint = presentJoint(stepped, mesh)
  const after = joint === stepped.joint ? stepped : { ...stepped, joint }
  put(mesh, changes, after)
  if (stepped.joint !== null && joint === null && after.state.kind === 'waiting')
    queue.push({ name: after.name, event: { kind: 'needs-changed' } })
  if (before.state.kind !== after.state.kind || before.joint !== after.joint) {
    pokeJoint(mesh, before, queue)
    if (before.joint?.group !== after.joint?.group) pokeJoint(mesh, after, queue)
  }
  const isDue = after.joint?.phase === 'stop' && ALIVE.has(after.state.kind) && isWanted(after, scope)
  if (isDue && !hasJointDependents(after, mesh))
    queue.push({ name: after.name, event: { kind: 'restart-asked', cause: 'sibling', now: false } })
  return after
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
    // One that was restarted with it has known nothing else.
    if (dependent.state.process.startedAt >= after.state.process.startedAt) continue
    queue.push({ name, event: { kind: 'restart-asked', cause: 'dependency', now: false } })
  }
}

const ALIVE = new Set(['starting', 'running', 'hung'])
const RESTS = new Set(['idle', 'stopping', 'sweeping', 'spawning', 'adopting', 'unknown'])

/** The stop that is due for a child that is not wanted: now, later (dependents still run), or none. */
function dueStop(child: Child, scope: Scope): ChildEvent | 'later' | null {
  if (isWanted(child, scope)) return null
  const { kind } = child.state
  if (child.state.kind === 'failed' && child.state.by !== null && isMeant(child, scope)) return null
  // What ends with its siblings stays ended, whatever becomes of the group.
  const isEnding = child.state.kind === 'stopping' && child.state.then === 'end' && isMeant(child, scope)
  if (child.state.kind === 'stopping' && child.state.then !== 'stop' && !isEnding) {
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
  if (child.desired.kind === 'running' && quarantineOf(mesh, child) !== null) return 'group'
  return child.removed ? 'config' : 'operator'
}
