/** The bottom of every life: no process, and none wanted. */
import { enter, record, type Scope } from './scope.ts'
import type { Child, Process } from './state.ts'

/** No process, and none is wanted: rest. */
export function settleIdle(child: Child, scope: Scope): Child {
  const why =
    scope.mesh.wanted === 'down'
      ? 'down'
      : child.desired.kind === 'stopped' || !child.spec.enabled
        ? 'operator'
        : 'new'
  const settled = { ...child, pendingStop: null }
  if (child.state.kind === 'idle')
    return child.state.why === 'completed' || child.state.why === 'ended'
      ? settled
      : { ...settled, state: { ...child.state, why } }
  return record(enter(settled, scope, { kind: 'idle', why, reason: null }), scope, 'stopped', 'stopped')
}

/** The process of a child that has one; null otherwise. */
export function processOf(child: Child): Process | null {
  const { state } = child
  return 'process' in state ? state.process : null
}
