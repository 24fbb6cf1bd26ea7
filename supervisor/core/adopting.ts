/**
 * After the supervisor's own death: is a recorded process still the one that was recorded? Same identity is
 * adopted with "was ready" restored; anything else is never signalled; what cannot be told is held as
 * unknown.
 */
import { HALF_OPEN_MAX_MS, JITTER, MAX_MS } from './backoff.ts'
import { failTrial } from './change.ts'
import type { ChildEvent } from './event.ts'
import { forgetLiveness } from './health.ts'
import { settleIdle } from './rest.ts'
import { restartOrGiveUp } from './restarting.ts'
import { arm, enter, record, type Scope } from './scope.ts'
import { openStartup, RECHECK_MS, tryStart } from './starting.ts'
import type { Child, ChildState, Identity, Process } from './state.ts'
import { beginStop } from './stopping.ts'

/** No wait is longer than this, whatever the clock of an earlier boot said. */
const LONGEST_MS = { backoff: MAX_MS * (1 + JITTER), retry: HALF_OPEN_MAX_MS } as const

/** A recovered child at the first moment of a new supervisor: what had a process must be identified first. */
export function recover(child: Child, scope: Scope): Child {
  const bare: Child = { ...child, timers: {}, cause: null, nextSpec: null, pendingStop: null }
  const { desired } = child
  const timed = desired.kind === 'stopped' && desired.until !== null
  const fresh = timed
    ? arm(bare, scope, 'unstop', scope.at + Math.max(0, (desired.until ?? 0) - scope.wall))
    : bare
  const { state } = child
  const owner = livingPart(state)
  if (owner) return identify(fresh, scope, owner.run, owner.identity, owner.was)
  return rearm(fresh, child, scope)
}

function livingPart(state: ChildState): { run: string; identity: Identity | null; was: ChildState } | null {
  if (state.kind === 'spawning') return { run: state.run, identity: null, was: state }
  if (state.kind === 'adopting' || state.kind === 'unknown')
    return { run: state.run, identity: state.identity, was: state.was }
  if (state.kind === 'sweeping')
    return { run: state.process.run, identity: state.process.identity, was: state }
  if ('process' in state) return { run: state.process.run, identity: state.process.identity, was: state }
  return null
}

/** What leads to a start, or to a watch, begins again. */
const BEFORE_START = new Set<ChildState['kind']>(['checking', 'queued', 'waiting', 'observing'])

/** States without a process keep what they waited for; a check that was under way begins again. */
function rearm(fresh: Child, child: Child, scope: Scope): Child {
  const { state } = child
  if (BEFORE_START.has(state.kind)) {
    return { ...fresh, state: { kind: 'idle', why: 'new', reason: null } }
  }
  let next = fresh
  for (const timer of ['backoff', 'retry'] as const) {
    const set = child.timers[timer]
    if (set) next = arm(next, scope, timer, Math.min(set.at, scope.at + LONGEST_MS[timer]))
  }
  return next
}

function identify(
  child: Child,
  scope: Scope,
  run: string,
  identity: Identity | null,
  was: ChildState,
): Child {
  scope.effects.push({ kind: 'identify', service: child.name, run, identity })
  return { ...child, state: { kind: 'adopting', run, identity, was } }
}

/** The shell's answer on a recorded process. */
export function takeIdentity(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'identified' }>,
): Child {
  const { state } = child
  if ((state.kind !== 'adopting' && state.kind !== 'unknown') || event.run !== state.run) return child
  const { verdict } = event
  // A life that was being swept has ended: what still answers to its record is one that it left behind.
  const isOver = state.was.kind === 'sweeping'
  if (verdict.kind === 'same' && !isOver) return adopt(child, scope, state.was, state.run, verdict)
  if (verdict.kind === 'unknown') return hold(child, scope, state, verdict.reason)
  const told =
    verdict.kind === 'foreign'
      ? record(child, scope, 'foreign', `pid ${verdict.pid} now belongs to another program: not signalled`, {
          pid: verdict.pid,
        })
      : child
  return takeDeath(told, scope, state.was, state.run, verdict.kind === 'orphaned' ? verdict.identity : null)
}

function hold(
  child: Child,
  scope: Scope,
  state: Extract<ChildState, { run: string; was: ChildState }>,
  reason: string,
): Child {
  const { run, identity, was } = state
  const text = `cannot tell whether its process still is ours: ${reason}; nothing is signalled, nothing started`
  const told = child.state.kind === 'unknown' ? child : record(child, scope, 'unknown', text)
  return arm(
    enter(told, scope, { kind: 'unknown', reason: text, run, identity, was }),
    scope,
    'retry',
    scope.at + RECHECK_MS,
  )
}

/** Looks again at a process that could not be identified. */
export function identifyAgain(child: Child, scope: Scope): Child {
  const { state } = child
  if (state.kind !== 'unknown') return child
  scope.effects.push({ kind: 'identify', service: child.name, run: state.run, identity: state.identity })
  return arm(child, scope, 'retry', scope.at + RECHECK_MS)
}

type Same = Extract<Extract<ChildEvent, { kind: 'identified' }>['verdict'], { kind: 'same' }>

function adopt(child: Child, scope: Scope, was: ChildState, run: string, verdict: Same): Child {
  const known = 'process' in was ? was.process : null
  const process: Process = {
    identity: verdict.identity,
    run,
    startedAt: known?.startedAt ?? scope.at,
    startedWall: known?.startedWall ?? verdict.startedWall,
    logOffset: known?.logOffset ?? 0,
    adopted: true,
  }
  const cause =
    'cause' in was && (was.kind === 'starting' || was.kind === 'running' || was.kind === 'spawning')
      ? was.cause
      : 'boot'
  scope.effects.push({ kind: 'adopt', service: child.name, generation: child.generation, process })
  const pid = verdict.identity.pid
  const told = record(child, scope, 'adopted', `still runs as pid ${pid}: adopted`, { pid })
  const { since } = child
  if (child.spec.stdio === 'pipes') return endPipes(told, scope, process)
  if (was.kind === 'running' || was.kind === 'hung') {
    const health = forgetLiveness(child.spec, was.health)
    const running = enter(told, scope, { kind: 'running', process, cause, health, readyAt: was.readyAt })
    scope.effects.push({
      kind: 'open-probes',
      service: child.name,
      generation: child.generation,
      roles: ['readiness', 'liveness', 'preflight'],
    })
    return arm({ ...running, since }, scope, 'stable', scope.at + child.spec.stableAfter)
  }
  const starting: Child = { ...enter(told, scope, { kind: 'starting', process, cause, health: {} }), since }
  if (was.kind === 'stopping') return beginStop(starting, scope, was.cause, was.then, was.reason, was.killed)
  return openStartup(starting, scope, { ...process, startedAt: scope.at })
}

/**
 * Owned pipes died with the last supervisor: this life cannot be reached any more and is replaced, planned.
 */
function endPipes(child: Child, scope: Scope, process: Process): Child {
  const state = { kind: 'starting' as const, process, cause: 'boot' as const, health: {} }
  return beginStop(
    { ...child, state },
    scope,
    'supervisor-restart',
    'restart',
    'its pipes ended with the last supervisor',
    false,
  )
}

/**
 * It ended while nobody looked. A stop that was under way is done; anything else counts as an unplanned end.
 * `orphan`: one of those that it left, where the process itself was never recorded.
 */
function takeDeath(child: Child, scope: Scope, was: ChildState, run: string, orphan: Identity | null): Child {
  const process = 'process' in was ? was.process : orphan && lost(scope, run, orphan)
  const exit = { code: null, signal: null }
  if (!process) {
    const idle = enter(child, scope, { kind: 'idle', why: 'new', reason: null })
    return tryStart(
      record(idle, scope, 'not-started', `the start of run ${run} never happened`),
      scope,
      'boot',
    )
  }
  const ending = { exit, class: 'failure' as const, reason: 'ended while the supervisor was away' }
  const wasSeen = was.kind === 'stopping' || was.kind === 'sweeping'
  const then = wasSeen ? was.then : 'retry'
  const pipes = child.spec.stdio === 'pipes' && then === 'retry' && !wasSeen
  const readyAt = was.kind === 'running' || was.kind === 'hung' ? was.readyAt : null
  // Nobody saw its end, so its pid and group may be another's by now: the sweep takes it as only adopted.
  scope.effects.push({
    kind: 'sweep',
    service: child.name,
    generation: child.generation,
    process: { ...process, adopted: true },
    hard: false,
  })
  const sweeping = enter({ ...child, lastEnding: ending }, scope, {
    kind: 'sweeping',
    process,
    ending: was.kind === 'sweeping' ? was.ending : ending,
    cause: 'crash',
    then: pipes ? 'restart' : then,
    lifeMs: was.kind === 'sweeping' ? was.lifeMs : readyAt === null ? 0 : scope.at - readyAt,
  })
  return arm(
    record(sweeping, scope, 'exited', ending.reason, { code: null, signal: null, asked: then !== 'retry' }),
    scope,
    'sweep',
    scope.at + RECHECK_MS,
  )
}

/** A process of which only the run is known, by one that it started. */
function lost(scope: Scope, run: string, identity: Identity): Process {
  return { identity, run, startedAt: scope.at, startedWall: scope.wall, logOffset: 0, adopted: true }
}

/** The program could not be started at all. */
export function takeSpawnFailure(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'spawn-failed' }>,
): Child {
  const { state } = child
  if (state.kind !== 'spawning' || event.generation !== child.generation) return child
  const exit = { code: null, signal: null }
  const ending = { exit, class: 'failure' as const, reason: event.reason }
  const told = record({ ...child, lastEnding: ending }, scope, 'spawn-failed', event.reason)
  if (child.pendingStop || child.desired.kind === 'stopped' || scope.mesh.wanted === 'down')
    return settleIdle(told, scope)
  const tried = failTrial(told, scope, event.reason, event.permanent)
  if (tried.specHash !== child.specHash) return tryStart(tried, scope, 'config')
  if (event.permanent) {
    const blocked = enter(told, scope, {
      kind: 'blocked',
      reason: event.reason,
      source: 'preflight',
      retryAt: scope.at + RECHECK_MS,
    })
    return arm(record(blocked, scope, 'blocked', event.reason), scope, 'retry', scope.at + RECHECK_MS)
  }
  return restartOrGiveUp(tried, scope, event.reason, 'crash', 0)
}
