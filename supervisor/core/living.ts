/** A process that has started: ready or not, live or hung, stable at last. */
import { CLEAN_MS } from './backoff.ts'
import { prove } from './change.ts'
import type { ChildEvent } from './event.ts'
import { failures, forgetLiveness, isReady, livenessFailure, observe, probeName } from './health.ts'
import { allowedAt } from './intensity.ts'
import { arm, enter, isUp, record, type Scope } from './scope.ts'
import type { Child } from './state.ts'
import { beginStop } from './stopping.ts'
import { noteWarning } from './warnings.ts'

/** One probe result of a process that has started. */
export function probeRunning(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'probe-reported' }>,
): Child {
  const { state, spec } = child
  const probe = spec.probes.find((candidate) => probeName(candidate) === event.probe)
  if (event.generation !== child.generation || !probe) return child
  if (state.kind !== 'running' && state.kind !== 'hung' && state.kind !== 'observing') return child
  if (probe.role === 'preflight') return noteWarning(child, scope, event)
  if (event.outcome.kind === 'fail' && scope.at < scope.mesh.graceUntil) return child
  const health = observe(state.health, probe, event.outcome)
  if (health === state.health) return child
  const next = { ...child, state: { ...state, health } } as Child
  return state.kind === 'observing' ? tellReadiness(child, next, scope) : judgeHealth(child, next, scope)
}

function judgeHealth(before: Child, child: Child, scope: Scope): Child {
  const { state, spec } = child
  if (state.kind !== 'running' && state.kind !== 'hung') return child
  const dead = livenessFailure(spec, state.health)
  if (state.kind === 'hung') {
    if (dead !== null) return child
    const { process, health, readyAt } = state
    const back = enter(child, scope, { kind: 'running', process, cause: 'hung', health, readyAt })
    const told = record(back, scope, 'recovered', 'answers again without a restart')
    return readyAt === null ? told : arm(told, scope, 'stable', scope.at + spec.stableAfter)
  }
  if (dead !== null && state.readyAt !== null) return endHung(child, scope, dead)
  if (state.readyAt === null && isReady(spec, state.health)) {
    const health = forgetLiveness(spec, state.health)
    const ready = { ...child, state: { ...state, health, readyAt: scope.at }, since: scope.wall }
    return arm(
      record(ready, scope, 'ready', 'ready, later than its budget'),
      scope,
      'stable',
      scope.at + spec.stableAfter,
    )
  }
  return tellReadiness(before, child, scope)
}

function tellReadiness(before: Child, child: Child, scope: Scope): Child {
  if (child.state.kind !== 'running' && child.state.kind !== 'observing') return child
  const roles =
    child.state.kind === 'observing'
      ? (['readiness', 'liveness', 'startup'] as const)
      : (['readiness'] as const)
  const well =
    isUp(child) &&
    (child.state.kind === 'running' || livenessFailure(child.spec, child.state.health) === null)
  const wasWell =
    isUp(before) &&
    (before.state.kind !== 'observing' || livenessFailure(before.spec, before.state.health) === null)
  if (well === wasWell) return child
  const at = { ...child, since: scope.wall }
  if (well) return record(at, scope, 'recovered', 'ready again')
  const reasons = failures(child.spec, child.state.health, roles).join('; ')
  return record({ ...at, cause: null }, scope, 'degraded', reasons || 'not ready')
}

/** Not live any more: end it, unless the limit on kills says to wait. */
export function endHung(child: Child, scope: Scope, reason: string): Child {
  const { state, spec } = child
  if (state.kind !== 'running' && state.kind !== 'hung') return child
  const { process, health, readyAt } = state
  const free = spec.killLimit
    ? allowedAt(child.counters.kills, spec.killLimit.max, spec.killLimit.within, scope.at)
    : scope.at
  if (free > scope.at) {
    const hung = enter(child, scope, { kind: 'hung', process, health, readyAt, reason })
    const text = `hung: ${reason}; not killed yet, ${spec.killLimit?.max} kills in the window are the limit`
    return arm(record({ ...hung, cause: null }, scope, 'hung', text), scope, 'retry', free)
  }
  const told = record({ ...child, cause: null }, scope, 'hung', `hung: ${reason}`)
  if (spec.hangEvidence) scope.effects.push({ kind: 'keep-evidence', service: child.name, process, reason })
  return beginStop(told, scope, 'hung', 'retry', `hung: ${reason}`, false)
}

/**
 * The life has been stable: half-open trials are over, and after ten clean minutes the backoff is forgotten.
 */
export function becomeStable(child: Child, scope: Scope): Child {
  if (child.state.kind !== 'running' || child.state.readyAt === null) return child
  const { counters } = child
  const clean = scope.at - child.state.readyAt >= CLEAN_MS
  const next = {
    ...counters,
    trial: 'none' as const,
    failedMs: 0,
    fatalMs: 0,
    n: clean ? 0 : counters.n,
  }
  const stable = prove({ ...child, counters: next })
  return clean || counters.n === 0 ? stable : arm(stable, scope, 'stable', child.state.readyAt + CLEAN_MS)
}
