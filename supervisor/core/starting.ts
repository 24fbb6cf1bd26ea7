/** The way up: needs → preflight → turn → spawn → startup probes → ready. */
import { failTrial, takeSpec } from './change.ts'
import type { ChildEvent } from './event.ts'
import {
  failures,
  forgetLiveness,
  type Health,
  hasGates,
  hasStarted,
  isProgressing,
  isReady,
  observe,
  probeName,
  readinessMs,
} from './health.ts'
import { allowedAt } from './intensity.ts'
import { takeTurn } from './pace.ts'
import { ulid } from './random.ts'
import { settleIdle } from './rest.ts'
import { arm, draw, enter, isExternal, isWanted, record, type Scope, unmetNeeds } from './scope.ts'
import type { Child, ChildState, Held, Process, StartCause } from './state.ts'
import { beginStop } from './stopping.ts'
import { jointObstacles } from './strategy.ts'
import { noteWarning } from './warnings.ts'

/** A service that cannot start now is looked at again this often. */
export const RECHECK_MS = 30_000
/** A preflight that has not answered by then counts as unknown, and the start goes on. */
const PREFLIGHT_MS = 120_000
/** A start budget is looked at again this often while a startup probe reports progress. */
const PROGRESS_MS = 1_000

/** Starts the child if it is wanted and its needs are met; otherwise says what it waits for. */
export function tryStart(child: Child, scope: Scope, cause: StartCause): Child {
  if (!isWanted(child, scope)) return settleIdle(child, scope)
  const next = takeNextSpec(child, scope)
  const names = obstacles(next, scope)
  if (names.length > 0) {
    const same = next.state.kind === 'waiting' && next.state.for.join() === names.join()
    if (same) return next
    const chained = { ...next, cause: scope.mesh.children.get(names[0] ?? '')?.cause ?? next.cause }
    const waiting = enter(chained, scope, { kind: 'waiting', for: names })
    return record(waiting, scope, 'waiting', `waiting for ${names.join(', ')}`, { for: names })
  }
  if (isExternal(next.spec) && !next.spec.program) return beginObserving(next, scope)
  const attempt = ++scope.mesh.token
  scope.effects.push({ kind: 'run-preflight', service: next.name, attempt })
  const held = heldBy(next)
  const checking = enter(next, scope, { kind: 'checking', attempt, cause, held })
  return arm(
    held ? { ...checking, since: next.since } : checking,
    scope,
    'preflight',
    scope.at + PREFLIGHT_MS,
  )
}

/** Whom a start has to wait for: needs, and siblings that it is restarted with. */
function obstacles(child: Child, scope: Scope): string[] {
  const needs = unmetNeeds(child, scope).map((need) => need.service)
  return [...new Set([...needs, ...jointObstacles(child, scope.mesh)])]
}

function heldBy({ state }: Child): Held | null {
  if (state.kind !== 'blocked' && state.kind !== 'absent' && state.kind !== 'missing') return null
  return { kind: state.kind, reason: state.reason }
}

/** Back to what held it, with the time it began and without telling it twice, if nothing has changed. */
function hold<S extends Extract<ChildState, Held>>(child: Child, scope: Scope, state: S): Child {
  const { state: before } = child
  const held = before.kind === 'checking' ? before.held : null
  const entered = enter(child, scope, state)
  if (held?.kind === state.kind && held.reason === state.reason) return { ...entered, since: child.since }
  return record(entered, scope, state.kind, state.reason)
}

const takeNextSpec = (child: Child, scope: Scope): Child =>
  child.nextSpec ? takeSpec(child, child.nextSpec.spec, child.nextSpec.hash, scope.at) : child

function beginObserving(child: Child, scope: Scope): Child {
  const observing = enter({ ...child, generation: child.generation + 1 }, scope, {
    kind: 'observing',
    health: {},
  })
  scope.effects.push({
    kind: 'open-probes',
    service: child.name,
    generation: observing.generation,
    roles: ['startup', 'readiness', 'liveness'],
  })
  return record(observing, scope, 'observing', 'watched only: it is not started from here')
}

/** What the preflights found decides: absent, missing, blocked, or on with the start. */
export function judgePreflight(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'preflight-reported' }>,
): Child {
  const { state } = child
  if (state.kind !== 'checking' || event.attempt !== state.attempt) return child
  const gone = event.results.find((result) => result.outcome === 'absent')
  if (gone) return backFrom(child, scope, gone.reason) ?? settleGone(child, scope, gone.reason)
  // What was a warning while it ran is now the reason, or it is over.
  const present = { ...child, seen: true, warnings: {} }
  const bad = event.results.filter((result) => result.outcome === 'fail')
  if (bad.length > 0) {
    const reason = bad.map((result) => result.reason).join('; ')
    return backFrom(present, scope, reason) ?? block(present, scope, reason)
  }
  const unsure = event.results.filter((result) => result.outcome === 'unknown')
  const told = unsure.length
    ? record(
        present,
        scope,
        'preflight-unknown',
        `starting although not all could be checked: ${unsure.map((r) => r.reason).join('; ')}`,
      )
    : present
  return spawn(told, scope, state.cause)
}

/** A declaration on trial that cannot start gives way to the last one that worked; null if none is. */
function backFrom(child: Child, scope: Scope, reason: string): Child | null {
  const back = failTrial(child, scope, reason, true)
  return back === child ? null : tryStart(back, scope, 'config')
}

/** The preflights never answered: start, and say so. */
export function skipPreflight(child: Child, scope: Scope): Child {
  if (child.state.kind !== 'checking') return child
  const told = record(
    child,
    scope,
    'preflight-unknown',
    'starting although the checks before it did not answer',
  )
  return spawn(told, scope, child.state.cause)
}

function settleGone(child: Child, scope: Scope, reason: string): Child {
  const kind = child.seen ? 'missing' : 'absent'
  return arm(hold(child, scope, { kind, reason }), scope, 'retry', scope.at + RECHECK_MS)
}

/** Starting now is known to be useless: look again in 30 s and when an input changes. */
function block(child: Child, scope: Scope, reason: string): Child {
  const retryAt = scope.at + RECHECK_MS
  const blocked = hold(child, scope, { kind: 'blocked', reason, source: 'preflight', retryAt })
  return arm(blocked, scope, 'retry', retryAt)
}

/** A place in the queue of starts has come to its turn, or the queue has become shorter or longer. */
export const askTurn = (child: Child, scope: Scope): Child =>
  child.state.kind === 'queued' ? spawn(child, scope, child.state.cause) : child

/** The needs are looked at once more: one may have gone down while the preflights ran, or while it queued. */
function spawn(child: Child, scope: Scope, cause: StartCause): Child {
  if (obstacles(child, scope).length > 0) return tryStart(child, scope, cause)
  if (isExternal(child.spec)) return beginObserving(child, scope)
  const turnAt = takeTurn(scope.mesh, child.name, scope.at)
  if (turnAt !== null) return arm(enter(child, scope, { kind: 'queued', cause }), scope, 'turn', turnAt)
  const generation = child.generation + 1
  const run = ulid(scope.wall, () => draw(scope))
  scope.effects.push({ kind: 'spawn', service: child.name, generation, run })
  const spawning = enter({ ...child, generation }, scope, { kind: 'spawning', run, cause, wall: scope.wall })
  return record(spawning, scope, 'starting', 'starting', { run, cause })
}

/** The process exists. A stop that came in between follows from the tree, in its order. */
export function takeProcess(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'spawned' }>,
): Child {
  const { state } = child
  if (state.kind !== 'spawning' || event.generation !== child.generation) return child
  const process: Process = {
    identity: event.identity,
    run: state.run,
    startedAt: scope.at,
    startedWall: scope.wall,
    logOffset: event.logOffset,
    adopted: false,
  }
  const started = enter({ ...child, outdated: null }, scope, {
    kind: 'starting',
    process,
    cause: state.cause,
    health: {},
  })
  const told = record(started, scope, 'started', `started as pid ${event.identity.pid}`, {
    pid: event.identity.pid,
  })
  return openStartup(told, scope, process)
}

/** Opens the probes of a process that is not ready yet, and starts its budget. */
export function openStartup(child: Child, scope: Scope, process: Process): Child {
  if (!hasGates(child.spec)) return becomeReady(child, scope, {})
  const startup = child.spec.probes.some((probe) => probe.role === 'startup')
  scope.effects.push({
    kind: 'open-probes',
    service: child.name,
    generation: child.generation,
    roles: startup ? ['startup', 'preflight'] : ['readiness', 'liveness', 'preflight'],
  })
  return arm(child, scope, 'budget', process.startedAt + child.spec.startTimeout)
}

/** One probe result while the process is not ready yet. */
export function probeStarting(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'probe-reported' }>,
): Child {
  const { state, spec } = child
  const probe = spec.probes.find((candidate) => probeName(candidate) === event.probe)
  if (state.kind !== 'starting' || event.generation !== child.generation || !probe) return child
  if (probe.role === 'preflight') return noteWarning(child, scope, event)
  const health = observe(state.health, probe, event.outcome)
  if (health === state.health) return child
  const before = hasStarted(spec, state.health)
  const next: Child = { ...child, state: { ...state, health } }
  if (!hasStarted(spec, health)) return next
  if (!before) {
    scope.effects.push({ kind: 'close-probes', service: child.name })
    scope.effects.push({
      kind: 'open-probes',
      service: child.name,
      generation: child.generation,
      roles: ['readiness', 'liveness', 'preflight'],
    })
  }
  return isReady(spec, health) ? becomeReady(next, scope, health) : next
}

function becomeReady(child: Child, scope: Scope, health: Health): Child {
  const { state } = child
  if (state.kind !== 'starting') return child
  const { process, cause } = state
  const judged = forgetLiveness(child.spec, health)
  const running = enter(child, scope, { kind: 'running', process, cause, health: judged, readyAt: scope.at })
  const told = record(running, scope, 'ready', 'ready', { afterMs: Math.round(scope.at - process.startedAt) })
  if (!hasGates(child.spec)) {
    scope.effects.push({
      kind: 'open-probes',
      service: child.name,
      generation: child.generation,
      roles: ['liveness', 'preflight'],
    })
  }
  return arm(told, scope, 'stable', scope.at + child.spec.stableAfter)
}

/** The start budget is used up: a failed start, unless the program says that it still is starting. */
export function endBudget(child: Child, scope: Scope): Child {
  const { state, spec } = child
  if (state.kind !== 'starting') return child
  if (hasStarted(spec, state.health) && child.trial === null) {
    const { process, cause, health } = state
    const running = enter(child, scope, { kind: 'running', process, cause, health, readyAt: null })
    const reasons = failures(spec, health, ['readiness', 'liveness']).join('; ') || 'no readiness result yet'
    return record(running, scope, 'degraded', `started but not ready: ${reasons}`)
  }
  const started = state.process.startedAt
  const patience = started + spec.startTimeout + readinessMs(spec)
  if (hasStarted(spec, state.health) && scope.at < patience) return arm(child, scope, 'budget', patience)
  const limit = started + Math.max(spec.startTimeoutMax, spec.startTimeout)
  if (isProgressing(spec, state.health) && scope.at < limit) {
    return arm(child, scope, 'budget', Math.min(limit, scope.at + PROGRESS_MS))
  }
  if (spec.killLimit) {
    const free = allowedAt(child.counters.kills, spec.killLimit.max, spec.killLimit.within, scope.at)
    if (free > scope.at) return arm(child, scope, 'budget', free)
  }
  const roles = ['startup', 'readiness'] as const
  const reasons =
    failures(spec, state.health, roles).join('; ') ||
    `no ${hasStarted(spec, state.health) ? 'readiness result' : 'startup result'} yet`
  const seconds = Math.round((scope.at - state.process.startedAt) / 1000)
  const reason = `not ready after ${seconds} s: ${reasons}`
  return beginStop(
    record(child, scope, 'start-failed', reason),
    scope,
    'start-timeout',
    'retry',
    reason,
    false,
  )
}
