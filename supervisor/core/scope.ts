/**
 * What a transition may use: the two times of its event, chance, the rest of the tree, and a place for
 * effects.
 */
import type { Need, ServiceSpec } from '../../schemas/service.ts'
import { quarantineOf } from './breaker.ts'
import type { Effect } from './effect.ts'
import { probeName } from './health.ts'
import { nextRandom } from './random.ts'
import type { Child, ChildState, Mesh, TimerName } from './state.ts'

/** One event's working place. Made by `step`, never kept. */
export type Scope = {
  readonly at: number
  readonly wall: number
  readonly mesh: Mesh
  readonly effects: Effect[]
}

/** The next number in [0, 1); advances the mesh's randomness. */
export function draw(scope: Scope): number {
  const { value, state } = nextRandom(scope.mesh.random)
  scope.mesh.random = state
  return value
}

/** True if this child is to have a process. */
export function isWanted(child: Child, scope: Scope): boolean {
  return isMeant(child, scope) && (isExternal(child.spec) || quarantineOf(scope.mesh, child) === null)
}

/** True if nobody wants it otherwise: it runs unless a group around it is quarantined. */
export function isMeant(child: Child, scope: Scope): boolean {
  return (
    scope.mesh.wanted === 'up' &&
    child.desired.kind === 'running' &&
    child.spec.enabled &&
    !child.removed &&
    child.pendingStop === null
  )
}

/** The needs that are not met now; an unknown name counts as unmet. */
export function unmetNeeds(child: Child, scope: Scope): Need[] {
  return child.spec.needs.filter((need) => !isNeedMet(need, scope.mesh.children.get(need.service)))
}

function isNeedMet(need: Need, target: Child | undefined): boolean {
  if (!target) return false
  const state = target.state
  if (need.until === 'completed') return state.kind === 'idle' && state.why === 'completed'
  if (need.until === 'started')
    return state.kind === 'starting' || state.kind === 'running' || state.kind === 'observing'
  return isUp(target)
}

/** True if the child is up and ready: what `until: ready` waits for. */
export function isUp(child: Child): boolean {
  const { state, spec } = child
  if (state.kind !== 'running' && state.kind !== 'observing') return false
  return spec.probes.every(
    (probe) => probe.role !== 'readiness' || state.health[probeName(probe)]?.verdict === 'pass',
  )
}

/** Adds a journal event about the child; it follows from the child's last one. */
export function record(
  child: Child,
  scope: Scope,
  event: string,
  text: string,
  data: Record<string, unknown> = {},
): Child {
  const id = scope.mesh.nextEventId++
  scope.effects.push({
    kind: 'record',
    id,
    subject: child.name,
    generation: child.generation || null,
    event,
    text,
    data,
    cause: child.cause,
  })
  return { ...child, cause: id }
}

/** Moves the child to another state: all its timers but `unstop` end. */
export function enter<S extends ChildState>(child: Child, scope: Scope, state: S): Child<S> {
  const timers: Record<string, { token: number; at: number }> = {}
  for (const [timer, set] of Object.entries(child.timers)) {
    if (timer === 'unstop') timers[timer] = set
    else scope.effects.push({ kind: 'cancel-timer', service: child.name, timer: timer as TimerName })
  }
  return { ...child, state, timers, since: scope.wall }
}

/** Sets one of the child's timers; it comes back as an event that carries this token. */
export function arm<C extends Child>(child: C, scope: Scope, timer: TimerName, at: number): C {
  const token = ++scope.mesh.token
  scope.effects.push({ kind: 'set-timer', service: child.name, timer, token, at })
  return { ...child, timers: { ...child.timers, [timer]: { token, at } } }
}

/** Ends one of the child's timers. */
export function disarm<C extends Child>(child: C, scope: Scope, timer: TimerName): C {
  if (!child.timers[timer]) return child
  scope.effects.push({ kind: 'cancel-timer', service: child.name, timer })
  const { [timer]: _, ...timers } = child.timers
  return { ...child, timers }
}

/** True for a service whose process is another's: it is probed and never started or signalled. */
export function isExternal(spec: ServiceSpec): boolean {
  return spec.command === null
}
