/**
 * The one entry of the core: a mesh and a fact become the changed mesh and a list of intentions. No clock, no
 * I/O, no randomness of its own; the same function runs in production, in tests and in the simulator. `step`
 * consumes its mesh (the map of children is changed in place, each child is immutable and replaced), so the
 * cost of an event does not grow with the number of services.
 */
import { recover } from './adopting.ts'
import { closeBreakers, quarantineOf, setBreaker } from './breaker.ts'
import { changeOf, refusalOf, refuse, takeSpec, update } from './change.ts'
import { newChild } from './child.ts'
import type { Effect } from './effect.ts'
import type { Event, Fact } from './event.ts'
import { obey } from './operator.ts'
import { dependentsOf, hasProcess, membersByGroup, startOrder } from './order.ts'
import { fullPace, START_LIMIT } from './pace.ts'
import type { RandomState } from './random.ts'
import { arm, isUp, type Scope } from './scope.ts'
import type { Child, Mesh } from './state.ts'
import { type Changes, put, tell } from './tree.ts'
import { tellTrouble } from './trouble.ts'

/** After a wake, probe failures do not count for this long; every further gap extends it. */
export const GRACE_MS = 60_000

/**
 * What one step did: intentions in order, and every child that changed as it was before (undefined = new).
 */
export type Stepped = { readonly effects: readonly Effect[]; readonly changes: Changes }

/** An empty mesh. `nextEventId` continues the journal; `random` must not be all zero. */
export function emptyMesh(nextEventId: number, random: RandomState, limit = START_LIMIT): Mesh {
  return {
    children: new Map(),
    groups: new Map(),
    members: new Map(),
    breakers: new Map(),
    dependents: new Map(),
    order: [],
    wanted: 'up',
    pace: fullPace(limit),
    graceUntil: 0,
    token: 0,
    nextEventId,
    random,
  }
}

/** One fact. */
export function step(mesh: Mesh, event: Event): Stepped {
  const scope: Scope = { at: event.at, wall: event.wall, mesh, effects: [] }
  const changes: Changes = new Map()
  apply(scope, changes, event)
  for (const name of [...changes.keys()]) {
    const child = mesh.children.get(name)
    if (child) put(mesh, changes, tellTrouble(child, scope))
  }
  forgetRemoved(scope, changes)
  followSpecs(mesh, changes)
  if (mesh.wanted === 'down' && ![...mesh.children.values()].some(hasProcess))
    scope.effects.push({ kind: 'end' })
  return { effects: scope.effects, changes }
}

function apply(scope: Scope, changes: Changes, fact: Fact): void {
  switch (fact.kind) {
    case 'child':
      return tell(scope, changes, fact.service, fact.event)
    case 'operator-asked':
      return obey(scope, changes, fact.request, fact.command)
    case 'recovered':
      return restore(scope, changes, fact)
    case 'declared':
      return reconcile(scope, changes, fact)
    case 'noted':
      return recordMesh(scope, fact.event, fact.text, {})
    case 'host-woke':
      return wake(scope, changes, fact.gapMs)
  }
}

function wake(scope: Scope, changes: Changes, gapMs: number): void {
  scope.mesh.graceUntil = scope.at + GRACE_MS
  // A timed stop ends by the clock on the wall, which a gap does not stop.
  for (const child of scope.mesh.children.values()) {
    if (child.desired.kind !== 'stopped' || child.desired.until === null) continue
    put(
      scope.mesh,
      changes,
      arm(child, scope, 'unstop', scope.at + Math.max(0, child.desired.until - scope.wall)),
    )
  }
  recordMesh(
    scope,
    'gap',
    `no time was counted for ${Math.round(gapMs / 1000)} s (sleep or a stall): failures do not count for 60 s`,
    { gapMs },
  )
}

/** A journal event about the mesh itself. */
function recordMesh(scope: Scope, event: string, text: string, data: Record<string, unknown>): void {
  const id = scope.mesh.nextEventId++
  scope.effects.push({
    kind: 'record',
    id,
    subject: 'paios',
    generation: null,
    event,
    text,
    data,
    cause: null,
  })
}

function restore(scope: Scope, changes: Changes, fact: Extract<Fact, { kind: 'recovered' }>): void {
  const { mesh } = scope
  mesh.wanted = fact.wanted
  for (const [group, breaker] of Object.entries(fact.breakers)) mesh.breakers.set(group, breaker)
  for (const { child } of fact.rows) put(mesh, changes, child)
  refreshTree(mesh)
  for (const { child } of fact.rows) put(mesh, changes, recover(child, scope))
}

function refreshTree(mesh: Mesh): void {
  mesh.dependents = dependentsOf(mesh.children)
  mesh.order = startOrder(mesh.children)
  mesh.members = membersByGroup(mesh)
}

/**
 * The document as it now is: new services start, changed ones restart, removed ones stop, the others are left
 * alone.
 */
function reconcile(scope: Scope, changes: Changes, fact: Extract<Fact, { kind: 'declared' }>): void {
  const { mesh } = scope
  mesh.groups = new Map(fact.groups.map((group) => [group.name, group]))
  for (const name of [...mesh.breakers.keys()]) {
    if (!mesh.groups.get(name)?.intensity) setBreaker(scope, name, null)
  }
  mesh.wanted = 'up'
  scope.effects.push({ kind: 'record-wanted', wanted: 'up' })
  const declared = new Set(fact.specs.map(({ spec }) => spec.name))
  const changed: string[] = []
  for (const { spec, hash } of fact.specs) {
    const old = mesh.children.get(spec.name)
    if (!old) {
      put(mesh, changes, newChild(spec.name, spec, hash, scope.wall))
      continue
    }
    const taken = redeclare(scope, old, spec, hash, fact)
    put(mesh, changes, taken)
    if (taken.specHash !== old.specHash || taken.nextSpec !== old.nextSpec) changed.push(spec.name)
  }
  for (const child of mesh.children.values()) {
    if (!declared.has(child.name) && !child.removed) put(mesh, changes, { ...child, removed: true })
  }
  refreshTree(mesh)
  for (const name of changed) {
    const child = mesh.children.get(name)
    if (child) closeBreakers(scope, child)
  }
  for (const name of changed) {
    const child = mesh.children.get(name)
    // What was taken in place runs on; one that goes down in its turn takes the new declaration with its next start.
    if (child?.state.kind === 'running' && child.nextSpec === null) continue
    if (!child?.pendingStop) tell(scope, changes, name, eventOfChange(child))
  }
  for (const name of mesh.order) {
    const child = mesh.children.get(name)
    tell(scope, changes, name, { kind: child && isReleased(child, mesh) ? 'start-asked' : 'wanted' })
  }
}

/** True for a service that failed with a group which is quarantined no longer. */
const isReleased = (child: Child, mesh: Mesh) =>
  child.state.kind === 'failed' && child.state.by !== null && quarantineOf(mesh, child) === null

/** One service that is there already, under the document as it now is. */
function redeclare(
  scope: Scope,
  old: Child,
  spec: Child['spec'],
  hash: string,
  { retry, preflight }: Extract<Fact, { kind: 'declared' }>,
): Child {
  const kept = wantAgain(old)
  switch (changeOf(old, spec, hash, retry)) {
    case 'unchanged':
      // The document is back at what runs: nothing is rejected any more.
      return kept.rejected === null ? kept : { ...kept, rejected: null }
    case 'pinned':
      return kept
    case 'update':
      return update(kept, scope, spec, hash)
    case 'restart': {
      const refusal = refusalOf(preflight[old.name])
      if (refusal !== null && isUp(old)) return refuse(kept, scope, hash, refusal)
      return { ...kept, nextSpec: { spec, hash } }
    }
    case 'start':
      return old.state.kind === 'unknown'
        ? { ...kept, nextSpec: { spec, hash } }
        : takeSpec(kept, spec, hash, scope.at)
  }
}

function wantAgain(old: Child): Child {
  return old.removed || old.pendingStop ? { ...old, removed: false, pendingStop: keptStop(old) } : old
}

/** An operator's stop goes on in its order, whatever is declared meanwhile. */
const keptStop = ({ desired, pendingStop }: Child) => (desired.kind === 'stopped' ? pendingStop : null)

/** States that a change of the declaration reaches as a restart; in the others it is like a start. */
const eventOfChange = (child: Child | undefined) =>
  child && (hasProcess(child) || ['checking', 'queued', 'observing'].includes(child.state.kind))
    ? ({ kind: 'restart-asked', cause: 'config', now: false } as const)
    : ({ kind: 'start-asked' } as const)

/** A new spec has come into force: who needs whom may be different. */
function followSpecs(mesh: Mesh, changes: Changes): void {
  for (const [name, before] of changes) {
    if (before && before.spec !== mesh.children.get(name)?.spec) return refreshTree(mesh)
  }
}

/** A removed service whose process is gone leaves the tree. */
function forgetRemoved(scope: Scope, changes: Changes): void {
  for (const name of [...changes.keys()]) {
    const child = scope.mesh.children.get(name)
    if (!child?.removed || child.state.kind !== 'idle') continue
    scope.mesh.children.delete(name)
    scope.effects.push({ kind: 'forget', service: name })
    refreshTree(scope.mesh)
  }
}
