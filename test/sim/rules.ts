/** The rules of the semantics, said a second time and apart from the core, for the checkers. */
import type { Child, Mesh } from '../../supervisor/core/state.ts'

/** Timers that may be armed in a state; `unstop` may be armed in any. */
export const TIMERS: Record<Child['state']['kind'], readonly string[]> = {
  idle: [],
  waiting: [],
  checking: ['preflight'],
  queued: ['turn'],
  spawning: [],
  starting: ['budget'],
  running: ['stable'],
  hung: ['retry'],
  stopping: ['step'],
  sweeping: ['sweep'],
  backoff: ['backoff'],
  blocked: ['retry'],
  failed: ['retry'],
  absent: ['retry'],
  missing: ['retry'],
  adopting: [],
  unknown: ['retry'],
  observing: [],
}
/** States that nothing but their timer leads out of. */
export const NEEDS_TIMER = new Set([
  'checking',
  'queued',
  'hung',
  'stopping',
  'sweeping',
  'backoff',
  'blocked',
  'failed',
  'absent',
  'missing',
  'unknown',
])

/** True if the child has, may have, or is just getting a process. */
export function isBusy({ state }: Child): boolean {
  return 'process' in state || state.kind === 'spawning' || state.kind === 'adopting'
}

/** True if the child is not to run: its operator, the mesh or the document says so, or a group around it gave up. */
export function isUnwanted(child: Child, mesh: Mesh): boolean {
  return isRefused(child, mesh) || isQuarantined(child, mesh)
}

/** True if somebody wants it not to run. */
export function isRefused(child: Child, mesh: Mesh): boolean {
  return mesh.wanted === 'down' || child.desired.kind === 'stopped' || child.removed || !child.spec.enabled
}

/** True if the shared budget of a group around it is used up. */
export function isQuarantined(child: Child, mesh: Mesh): boolean {
  if (child.spec.command === null) return false
  let group = child.spec.group
  while (group !== null) {
    if (mesh.breakers.get(group)?.open) return true
    group = mesh.groups.get(group)?.parent ?? null
  }
  return false
}

/** The siblings that a service which is restarted with them has to wait for. */
export function awaited(child: Child, mesh: Mesh): string[] {
  const { joint } = child
  return [...mesh.children.values()].flatMap((other) => {
    if (
      other === child ||
      joint === null ||
      !other.joint ||
      !mesh.members.get(joint.group)?.includes(other.name)
    )
      return []
    const isEnding = other.joint.phase === 'stop' && isBusy(other)
    const isFirst = other.name === joint.by && other.joint.by === joint.by && other.state.kind === 'backoff'
    return isEnding || isFirst ? [other.name] : []
  })
}

/** True if the child runs and every readiness probe's verdict is pass. */
export function isReadyNow(child: Child): boolean {
  const { state } = child
  if (state.kind !== 'running' && state.kind !== 'observing') return false
  for (const probe of child.spec.probes) {
    if (
      probe.role === 'readiness' &&
      state.health[probe.name ?? `${probe.kind}-readiness`]?.verdict !== 'pass'
    )
      return false
  }
  return true
}

/** The names of the needs that are not met. */
export function unmet(child: Child, mesh: Mesh): string[] {
  const names: string[] = []
  for (const { service, until } of child.spec.needs) {
    const target = mesh.children.get(service)
    const kind = target?.state.kind
    const isMet =
      until === 'ready'
        ? target !== undefined && isReadyNow(target)
        : until === 'started'
          ? kind === 'starting' || kind === 'running' || kind === 'observing'
          : target?.state.kind === 'idle' && target.state.why === 'completed'
    if (!isMet) names.push(service)
  }
  return names
}

/** True if nothing that goes down before the child still runs, so that its own stop is due. */
export function owesNothing(child: Child, mesh: Mesh): boolean {
  for (const other of mesh.children.values()) {
    if (other === child || !other.spec.needs.some((need) => need.service === child.name)) continue
    if (isBusy(other) && (isUnwanted(other, mesh) || other.pendingStop !== null)) return false
  }
  return true
}

/** True if the child has run to its end and is not restarted by its type. */
export function isOver({ state }: Child): boolean {
  return state.kind === 'idle' && (state.why === 'completed' || state.why === 'ended')
}

/** True if the child waits, and rightly so. */
export function isHeld(child: Child, mesh: Mesh): boolean {
  return child.state.kind === 'waiting' && unmet(child, mesh).length > 0
}
