/**
 * Whom an unplanned restart concerns, by the strategies of the groups around it (OTP's): one_for_one nobody else,
 * one_for_all all nodes of the group, rest_for_one those after it. A group whose shared budget is used up counts as one
 * failed node of its parent, which restarts it whole; a parent without a budget cannot count, so the group is
 * quarantined there, and so is one directly under the root, which never gives up.
 */
import { countFailure, groupsAround } from './breaker.ts'
import { hasProcess, membersOf } from './order.ts'
import type { Scope } from './scope.ts'
import type { Child, Group, Joint, Mesh } from './state.ts'

/** `together`: these services and the one that failed, up to `group`. `quarantine`: the whole group stops. */
export type Reach =
  | { readonly kind: 'alone' }
  | { readonly kind: 'together'; readonly group: string; readonly names: readonly string[] }
  | { readonly kind: 'quarantine'; readonly group: string }

/** True if an unplanned restart of this service may concern others, or a shared budget. */
export function isJoined({ spec }: Child, mesh: Mesh): boolean {
  const group = mesh.groups.get(spec.group ?? '')
  return group !== undefined && (group.strategy !== 'one_for_one' || group.intensity !== null)
}

/** Counts one failure in the groups around the service, and says how far it reaches. */
export function reachOf(scope: Scope, child: Child): Reach {
  const { mesh } = scope
  const names = new Set<string>()
  let outermost: string | null = null
  let node = child.name
  let group = mesh.groups.get(child.spec.group ?? '')
  while (group) {
    const affected = affectedIn(mesh, group, node)
    for (const name of affected) names.add(name)
    if (affected.length > 0) outermost = group.name
    if (!countFailure(scope, group)) break
    const parent = mesh.groups.get(group.parent ?? '')
    if (!parent || parent.intensity === null) return { kind: 'quarantine', group: group.name }
    for (const name of membersOf(mesh, group.name)) names.add(name)
    outermost = group.name
    node = group.name
    group = parent
  }
  names.delete(child.name)
  return outermost === null || names.size === 0
    ? { kind: 'alone' }
    : { kind: 'together', group: outermost, names: [...names] }
}

/**
 * The services that the strategy of one group reaches from one of its nodes. The nodes are those of the document; who
 * is inside now may differ, since a service takes a new declaration with its next start, or goes back to the last one.
 */
function affectedIn(mesh: Mesh, { name: group, strategy, nodes }: Group, node: string): string[] {
  const at = nodes.indexOf(node)
  if (strategy === 'one_for_one' || at < 0) return []
  const inside = mesh.members.get(group) ?? []
  const reached = strategy === 'one_for_all' ? nodes.filter((name) => name !== node) : nodes.slice(at + 1)
  return reached.flatMap((name) => membersOf(mesh, name)).filter((name) => inside.includes(name))
}

/** What a service that is restarted with siblings waits for: those that still end, and the one that failed. */
export function jointObstacles({ name, joint }: Child, mesh: Mesh): string[] {
  if (joint === null) return []
  return (mesh.members.get(joint.group) ?? []).filter((other) => {
    const sibling = mesh.children.get(other)
    if (other === name || !sibling?.joint) return false
    // Also one that a later failure has taken along: it was to end before this one starts.
    const isEnding = sibling.joint.phase === 'stop' && hasProcess(sibling)
    return (
      isEnding || (other === joint.by && sibling.joint.by === joint.by && sibling.state.kind === 'backoff')
    )
  })
}

/** True while a dependent that is to end before this one still has its process, whoever's failure ends it. */
export function hasJointDependents({ name, joint }: Child, mesh: Mesh): boolean {
  if (joint === null) return false
  const inside = mesh.members.get(joint.group) ?? []
  return (mesh.dependents.get(name) ?? []).some((other) => {
    const dependent = mesh.children.get(other)
    return dependent?.joint?.phase === 'stop' && hasProcess(dependent) && inside.includes(other)
  })
}

const COMING = new Set(['waiting', 'checking', 'queued', 'backoff'])

/** True for a service that a joint restart takes along: one that runs, or is about to. */
export const isTakenAlong = (child: Child): boolean => hasProcess(child) || COMING.has(child.state.kind)

/**
 * The joint as it is in the child's present state: it is over once the next life has begun or none will, and where the
 * document has taken the child out of the group.
 */
export function presentJoint(child: Child, mesh: Mesh): Joint | null {
  const { joint } = child
  if (joint === null || !isInside(mesh, child, joint.group)) return null
  if (hasProcess(child)) return joint.phase === 'stop' ? joint : null
  if (!COMING.has(child.state.kind)) return null
  return joint.phase === 'start' ? joint : { ...joint, phase: 'start' }
}

/** True if the service is in the group by the declaration that is in force now. */
const isInside = (mesh: Mesh, child: Child, group: string): boolean =>
  groupsAround(mesh, child).some(({ name }) => name === group)
