/** The bottom of every life: no process, and none wanted. */
import { quarantineOf } from './breaker.ts'
import { arm, enter, isMeant, record, type Scope } from './scope.ts'
import type { Child, Process } from './state.ts'

/** No process, and none is wanted: rest, or give up with a group around it. */
export function settleIdle(child: Child, scope: Scope): Child {
  const quarantine = isMeant({ ...child, pendingStop: null }, scope) ? quarantineOf(scope.mesh, child) : null
  if (quarantine !== null && !isOver(child))
    return giveUpWith({ ...child, pendingStop: null }, scope, quarantine)
  const why =
    scope.mesh.wanted === 'down'
      ? 'down'
      : child.desired.kind === 'stopped' || !child.spec.enabled
        ? 'operator'
        : 'new'
  const settled = { ...child, pendingStop: null }
  if (child.state.kind === 'idle')
    return isOver(child) ? settled : { ...settled, state: { ...child.state, why } }
  return record(enter(settled, scope, { kind: 'idle', why, reason: null }), scope, 'stopped', 'stopped')
}

/** True for a service that ran to its end and is not restarted by its type. */
export function isOver({ state }: Child): boolean {
  return state.kind === 'idle' && (state.why === 'completed' || state.why === 'ended')
}

type Quarantine = NonNullable<ReturnType<typeof quarantineOf>>

function giveUpWith(child: Child, scope: Scope, { group, open }: Quarantine): Child {
  const { reason, retryAt } = open
  if (child.state.kind === 'failed' && child.state.by === group && child.state.retryAt === retryAt)
    return child
  const failed = enter(child, scope, { kind: 'failed', reason, retryAt, by: group })
  return arm(record(failed, scope, 'failed', reason, { group }), scope, 'retry', retryAt)
}

/** The process of a child that has one; null otherwise. */
export function processOf(child: Child): Process | null {
  const { state } = child
  return 'process' in state ? state.process : null
}
