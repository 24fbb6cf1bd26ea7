/**
 * What an operator must hear of: a service that has come into trouble, into worse trouble, or out of it. A trouble
 * lasts until the service is up again or nobody wants it, so a crash that is followed by a restart is told once
 * and its recovery once, however many attempts lie between.
 */
import { failures, livenessFailure } from './health.ts'
import { isUp, type Scope } from './scope.ts'
import { labelOf } from './snapshot.ts'
import type { Child, Ending, Trouble } from './state.ts'

/** A planned end is no trouble unless the next life is; an end in peace is one for what is to run for ever. */
const isUnplanned = ({ spec }: Child, ending: Ending) =>
  ending.class !== 'planned' && (ending.class !== 'success' || spec.restart === 'permanent')

/** The trouble that a child's state is by itself; null where the state says nothing, such as a new start. */
function troubleIn(child: Child): { kind: Trouble; reason: string } | null {
  const { state, spec } = child
  switch (state.kind) {
    case 'failed':
      return { kind: 'gave-up', reason: state.reason }
    case 'blocked':
    case 'missing':
    case 'unknown':
      return { kind: state.kind, reason: state.reason }
    case 'hung':
    case 'backoff':
      return { kind: 'down', reason: state.reason }
    case 'stopping':
      return state.cause === 'hung' ? { kind: 'down', reason: state.reason } : null
    case 'sweeping':
      return state.then === 'retry' && isUnplanned(child, state.ending)
        ? { kind: 'down', reason: state.ending.reason }
        : null
    case 'idle':
      return state.why === 'ended' ? { kind: 'down', reason: state.reason ?? 'ended' } : null
    case 'running':
    case 'observing':
      if (labelOf(child) !== 'degraded') return null
      return { kind: 'degraded', reason: failures(spec, state.health, ['readiness', 'liveness']).join('; ') }
    default:
      return null
  }
}

/** True where nothing is left to tell: it is well, or nobody wants it. */
function isOver(child: Child, scope: Scope): boolean {
  const { state, spec } = child
  if (state.kind === 'running') return isUp(child) && state.readyAt !== null
  if (state.kind === 'observing') return isUp(child) && livenessFailure(spec, state.health) === null
  return (
    (state.kind === 'idle' && state.why !== 'ended') ||
    state.kind === 'absent' ||
    scope.mesh.wanted === 'down'
  )
}

/**
 * The child with what was told of it. `alert` effects are added to the scope: the trouble, when it begins or
 * becomes another one, and its end, which is told only where the service is well again.
 */
export function tellTrouble(child: Child, scope: Scope): Child {
  const told = child.trouble ?? null
  if (isOver(child, scope)) {
    if (told === null) return child
    const isWell = child.state.kind === 'running' || child.state.kind === 'observing'
    if (isWell) alert(child, scope, 'recovered', `was ${told}`)
    return { ...child, trouble: null }
  }
  const found = troubleIn(child)
  if (found === null || found.kind === told) return child
  // Ten attempts of a service that is degraded between its crashes are one trouble.
  if (found.kind === 'degraded' && told !== null) return child
  alert(child, scope, found.kind, found.reason)
  return { ...child, trouble: found.kind }
}

function alert(child: Child, scope: Scope, event: Trouble | 'recovered', reason: string): void {
  scope.effects.push({ kind: 'alert', service: child.name, event, reason, wall: scope.wall })
}
