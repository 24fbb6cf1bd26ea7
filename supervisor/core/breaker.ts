/**
 * Shared budgets. A group that declares an intensity counts the failures of its nodes; once there are too many it is
 * quarantined: its services are stopped, and tried again half-open after 15 min, doubling to 6 h.
 */
import { nextHalfOpenMs } from './backoff.ts'
import { isExceeded, within } from './intensity.ts'
import type { Scope } from './scope.ts'
import type { Breaker, Child, Group, Mesh } from './state.ts'

const CLOSED: Breaker = { ends: [], failedMs: 0, triedAt: null, open: null }

/** The groups around a service, inner first. */
export function groupsAround(mesh: Mesh, child: Child): Group[] {
  const found: Group[] = []
  let next = mesh.groups.get(child.spec.group ?? '')
  while (next && !found.includes(next)) {
    found.push(next)
    next = mesh.groups.get(next.parent ?? '')
  }
  return found
}

/** The outermost quarantined group around a service, null if none is. */
export function quarantineOf(
  mesh: Mesh,
  child: Child,
): { readonly group: string; readonly open: NonNullable<Breaker['open']> } | null {
  if (mesh.breakers.size === 0) return null
  const open = groupsAround(mesh, child).flatMap(({ name }) => {
    const breaker = mesh.breakers.get(name)
    return breaker?.open ? [{ group: name, open: breaker.open }] : []
  })
  return open.at(-1) ?? null
}

/** Counts one failure of a node; true if that is one too many, and then the count begins anew. */
export function countFailure(scope: Scope, { name, intensity }: Group): boolean {
  if (intensity === null) return false
  const { mesh, at } = scope
  const breaker = mesh.breakers.get(name) ?? CLOSED
  const isTrial = breaker.triedAt !== null && at - breaker.triedAt < intensity.within
  const ends = [...within(breaker.ends, intensity.within, at), at]
  const isUsedUp = isTrial || isExceeded(ends, intensity.max)
  const kept = isTrial ? breaker : { ...breaker, failedMs: 0, triedAt: null }
  setBreaker(scope, name, { ...kept, ends: isUsedUp ? [] : ends })
  return isUsedUp
}

/** Quarantines a group. */
export function openBreaker(scope: Scope, group: string, reason: string): void {
  const breaker = scope.mesh.breakers.get(group) ?? CLOSED
  const failedMs = nextHalfOpenMs(breaker.failedMs)
  const open = { reason, retryAt: scope.at + failedMs }
  setBreaker(scope, group, { ends: [], failedMs, triedAt: null, open })
}

/** Lets a quarantined group try once more: one failure within its window opens the breaker again. */
export function tryBreaker(scope: Scope, group: string): void {
  const breaker = scope.mesh.breakers.get(group)
  if (breaker?.open) setBreaker(scope, group, { ...breaker, triedAt: scope.at, open: null })
}

/** The operator vouches for a service: the groups around it forget their failures. Names those that were open. */
export function closeBreakers(scope: Scope, child: Child): string[] {
  const { mesh } = scope
  const known = groupsAround(mesh, child).filter(({ name }) => mesh.breakers.has(name))
  const open = known.filter(({ name }) => mesh.breakers.get(name)?.open)
  for (const { name } of known) setBreaker(scope, name, null)
  return open.map(({ name }) => name)
}

/** Changes a breaker, for the record too; null forgets it. */
export function setBreaker(scope: Scope, group: string, breaker: Breaker | null): void {
  if (breaker === null) scope.mesh.breakers.delete(group)
  else scope.mesh.breakers.set(group, breaker)
  scope.effects.push({ kind: 'record-breaker', group, breaker })
}
