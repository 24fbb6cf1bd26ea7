/** The way down: stop steps → SIGKILL → exit → sweep. */
import type { StopStep } from '../../schemas/service.ts'
import { CLEAN_MS } from './backoff.ts'
import type { ChildEvent } from './event.ts'
import { classify, describeExit } from './exits.ts'
import { within } from './intensity.ts'
import { processOf } from './rest.ts'
import { arm, enter, record, type Scope } from './scope.ts'
import type { Child, Counters, Ending, Exit, StartCause, StopCause, Then } from './state.ts'

/** After SIGKILL the exit is looked for again this often, and the signal repeated. */
const KILL_AGAIN_MS = 5_000
/** A sweep that has not answered by then is taken as over; stopping never hangs the supervisor. */
const SWEEP_MS = 30_000

/** Begins the stop steps. `then` says what follows; `now` goes straight to SIGKILL. */
export function beginStop(
  child: Child,
  scope: Scope,
  cause: StopCause,
  then: Then,
  reason: string,
  now: boolean,
): Child {
  const { state } = child
  if (state.kind !== 'starting' && state.kind !== 'running' && state.kind !== 'hung') return child
  const steps = now ? [] : cause === 'hung' ? (child.spec.hangStop ?? child.spec.stop) : child.spec.stop
  const readyAt = state.kind === 'starting' ? null : state.readyAt
  const waits = steps.reduce((sum, step) => sum + ('for' in step ? step.for : 0), 0)
  const stopping = enter({ ...child, pendingStop: null }, scope, {
    kind: 'stopping',
    process: state.process,
    steps,
    index: 0,
    cause,
    then,
    reason,
    readyAt,
    deadline: scope.at + waits,
    killed: false,
  })
  scope.effects.push({ kind: 'close-probes', service: child.name })
  return advance(record(stopping, scope, 'stopping', `stopping: ${reason}`, { cause, waitsMs: waits }), scope)
}

/** Runs stop steps until one has to wait; after the last one comes SIGKILL. */
function advance(child: Child, scope: Scope): Child {
  let current = child
  while (current.state.kind === 'stopping') {
    const { state } = current
    const step = state.steps[state.index]
    if (!step) return kill(current, scope)
    const next: Child = { ...current, state: { ...state, index: state.index + 1 } }
    if (step.step === 'wait-exit' || step.step === 'wait-log') return wait(current, scope, step, state.index)
    current = perform(next, scope, step)
  }
  return current
}

function wait(child: Child, scope: Scope, step: Extract<StopStep, { for: number }>, index: number): Child {
  if (step.step === 'wait-log') {
    scope.effects.push({
      kind: 'watch-log',
      service: child.name,
      generation: child.generation,
      index,
      pattern: step.pattern,
    })
  }
  return arm(child, scope, 'step', scope.at + step.for)
}

function perform(child: Child, scope: Scope, step: StopStep): Child {
  const process = processOf(child)
  if (step.step === 'close-stdin')
    scope.effects.push({ kind: 'close-stdin', service: child.name, generation: child.generation })
  if (step.step !== 'signal' || !process) return child
  scope.effects.push({
    kind: 'signal',
    service: child.name,
    generation: child.generation,
    process,
    signal: step.signal,
    to: step.to,
  })
  return step.signal === 'SIGKILL' ? { ...child, counters: countKill(child, scope) } : child
}

function countKill(child: Child, scope: Scope): Counters {
  const windowMs = child.spec.killLimit?.within ?? CLEAN_MS
  return { ...child.counters, kills: [...within(child.counters.kills, windowMs, scope.at), scope.at] }
}

function kill(child: Child, scope: Scope): Child {
  const { state } = child
  if (state.kind !== 'stopping') return child
  scope.effects.push({
    kind: 'signal',
    service: child.name,
    generation: child.generation,
    process: state.process,
    signal: 'SIGKILL',
    to: 'tree',
  })
  const killed: Child = { ...child, state: { ...state, killed: true, deadline: scope.at } }
  const told = state.killed
    ? killed
    : record(
        { ...killed, counters: countKill(child, scope) },
        scope,
        'killed',
        state.steps.length > 0 ? 'SIGKILL: it did not end in time' : 'SIGKILL at once',
      )
  return arm(told, scope, 'step', scope.at + KILL_AGAIN_MS)
}

/**
 * A stop step's wait is over: an exit that does not come calls for the next step, a missing line for SIGKILL.
 */
export function endStep(child: Child, scope: Scope): Child {
  const { state } = child
  if (state.kind !== 'stopping') return child
  const step = state.steps[state.index]
  if (!step || step.step === 'wait-log') return kill(child, scope)
  return advance({ ...child, state: { ...state, index: state.index + 1 } }, scope)
}

/** The line that a stop step waited for was written. */
export function passLogStep(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'log-seen' }>,
): Child {
  const { state } = child
  if (state.kind !== 'stopping' || event.generation !== child.generation || event.index !== state.index)
    return child
  return advance({ ...child, state: { ...state, index: state.index + 1 } }, scope)
}

/** A stop that is under way is asked for again: the last word wins, and `now` cuts the drain. */
export function amendStop(child: Child, scope: Scope, then: Then, now: boolean): Child {
  const { state } = child
  if (state.kind !== 'stopping') return child
  const next: Child = { ...child, state: { ...state, then }, pendingStop: null }
  return now && !state.killed ? kill(next, scope) : next
}

/** The process is gone: class the exit, then sweep what it left, before anything else. */
export function takeExit(child: Child, scope: Scope, event: Extract<ChildEvent, { kind: 'exited' }>): Child {
  const { state } = child
  if (event.generation !== child.generation) return child
  if (
    state.kind !== 'starting' &&
    state.kind !== 'running' &&
    state.kind !== 'hung' &&
    state.kind !== 'stopping'
  )
    return child
  return beginSweep(child, scope, event.exit, event.logTail)
}

/** Signatures explain an end that nobody asked for; of one that was asked for, only the exit itself is told. */
function endingOf({ spec, state }: Child, exit: Exit, logTail: string): Ending {
  const plain = classify(spec, exit, logTail)
  if (state.kind !== 'stopping') return plain
  if (state.then === 'retry') return { exit, class: 'failure', reason: state.reason }
  return { ...plain, reason: describeExit(exit) }
}

/** Why the next life begins where the last one was stopped; any other stop is somebody's wish. */
const NEXT_CAUSE: Partial<Record<StopCause, StartCause>> = {
  hung: 'hung',
  config: 'config',
  dependency: 'dependency',
  sibling: 'sibling',
}

function beginSweep(child: Child, scope: Scope, exit: Exit, logTail: string): Child {
  const { state } = child
  if (
    state.kind !== 'starting' &&
    state.kind !== 'running' &&
    state.kind !== 'hung' &&
    state.kind !== 'stopping'
  )
    return child
  const asked = state.kind === 'stopping'
  const readyAt = state.kind === 'starting' ? null : state.readyAt
  const ending = endingOf(child, exit, logTail)
  const then: Then = asked ? state.then : 'retry'
  const cause: StartCause = asked ? (NEXT_CAUSE[state.cause] ?? 'manual') : 'crash'
  scope.effects.push({ kind: 'close-probes', service: child.name })
  scope.effects.push({
    kind: 'sweep',
    service: child.name,
    generation: child.generation,
    process: state.process,
    hard: asked && state.killed,
  })
  const lifeMs = readyAt === null ? 0 : scope.at - readyAt
  const sweeping = enter({ ...child, lastEnding: ending }, scope, {
    kind: 'sweeping',
    process: state.process,
    ending,
    cause,
    then,
    lifeMs,
  })
  const chain = asked ? sweeping : { ...sweeping, cause: null }
  const told = record(chain, scope, 'exited', ending.reason, {
    code: exit.code,
    signal: exit.signal,
    class: ending.class,
    asked,
    isFinal: child.spec.restart !== 'permanent',
    isFailure: then === 'retry',
  })
  return arm(told, scope, 'sweep', scope.at + SWEEP_MS)
}
