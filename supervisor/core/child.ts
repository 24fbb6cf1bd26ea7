/**
 * One child's life, as a total table: state × event. A cell says what the event means in that state; `stay`
 * means that it changes nothing there. Stale facts never reach a cell: generations, tokens and attempts are
 * compared by the transitions themselves.
 *
 *            wanted     start-asked  stop-asked  restart-asked  exited   timer
 * idle       start      start        rest        start          -        -
 * waiting    start?     start        rest        start          -        -
 * checking   -          -            rest        check again *  -        start anyway
 * queued     -          -            rest        check again *  -        start, or queue on
 * spawning   -          -            note it     -              -        -
 * starting   -          -            stop        stop, start    sweep    fail the start
 * running    -          -            stop        stop, start    sweep    stable
 * hung       -          -            stop        stop, start    sweep    kill
 * stopping   -          then start   then rest   then start     sweep    next step
 * sweeping   -          then start   then rest   then start     -        go on
 * backoff    -          start        rest        start          -        start
 * blocked    -          start        rest        start          -        start
 * failed     -          start        rest        start          -        start
 * absent     -          start        rest        start          -        start
 * missing    -          start        rest        start          -        start
 * adopting   -          -            note it     -              -        -
 * unknown    -          -            note it     -              -        identify
 * observing  -          -            rest        observe anew * -        -         (its program gone: check)
 *
 * `*` only if its declaration changed.
 */
import { identifyAgain, takeIdentity, takeSpawnFailure } from './adopting.ts'
import { tryBreaker } from './breaker.ts'
import type { ChildEvent } from './event.ts'
import { becomeStable, endHung, probeRunning } from './living.ts'
import { isOver, settleIdle } from './rest.ts'
import { afterSweep } from './restarting.ts'
import { isUp, isWanted, record, type Scope } from './scope.ts'
import {
  askTurn,
  endBudget,
  judgePreflight,
  probeStarting,
  skipPreflight,
  takeProcess,
  tryStart,
} from './starting.ts'
import type { Child, ChildState, Counters, StopCause } from './state.ts'
import { amendStop, beginStop, endStep, passLogStep, takeExit } from './stopping.ts'

type Of<K extends ChildEvent['kind']> = Extract<ChildEvent, { kind: K }>
type Cell<K extends ChildEvent['kind']> = (child: Child, scope: Scope, event: Of<K>) => Child
type TableRow = { readonly [K in ChildEvent['kind']]: Cell<K> }
type Table = { readonly [S in ChildState['kind']]: TableRow }

const stay = (child: Child) => child
const start = (child: Child, scope: Scope) => tryStart(child, scope, 'boot')
const startAgain = (child: Child, scope: Scope) => tryStart(child, scope, causeOf(child))
const startAsked = (child: Child, scope: Scope) => tryStart(forgive(child), scope, 'manual')
const rest = (child: Child, scope: Scope) => {
  if (child.state.kind === 'observing') scope.effects.push({ kind: 'close-probes', service: child.name })
  return settleIdle(child, scope)
}
const note = (child: Child, _: Scope, event: Of<'stop-asked'>) => ({
  ...child,
  pendingStop: { cause: event.cause, now: event.now },
})
const STOP_WORDS: Partial<Record<StopCause, string>> = {
  down: 'the mesh goes down',
  group: 'its group gave up',
}
const stop = (child: Child, scope: Scope, event: Of<'stop-asked'>) =>
  beginStop(child, scope, event.cause, 'stop', STOP_WORDS[event.cause] ?? 'asked to stop', event.now)
const restart = (child: Child, scope: Scope, event: Of<'restart-asked'>) => {
  const cause = event.cause === 'manual' ? 'operator' : event.cause
  const why = {
    manual: 'asked to restart',
    config: 'its declaration changed',
    dependency: 'what it needs was restarted',
    sibling: 'a sibling is restarted',
  }
  const isEnd = event.cause === 'sibling' && child.spec.restart === 'temporary'
  const calm = event.cause === 'manual' ? forgive(child) : child
  return beginStop(calm, scope, cause, isEnd ? 'end' : 'restart', why[event.cause], event.now)
}
const thenStart = (child: Child, scope: Scope) => amendStop(child, scope, 'restart', false)
/** A sibling's restart that finds it going down already changes nothing: what follows its end is decided. */
const thenRestart = (child: Child, scope: Scope, event: Of<'restart-asked'>) =>
  event.cause === 'sibling' ? child : amendStop(child, scope, 'restart', event.now)
const thenRest = (child: Child, scope: Scope, event: Of<'stop-asked'>) =>
  amendStop(child, scope, 'stop', event.now)
/** Wanted again while it goes down for good: it comes back. An unplanned end stays one. */
const comeBack = (child: Child, scope: Scope) => {
  const { state } = child
  if ((state.kind !== 'stopping' && state.kind !== 'sweeping') || state.then !== 'stop') return child
  return isWanted(child, scope) ? { ...child, state: { ...state, then: 'restart' as const } } : child
}
const sweepThen = (then: 'stop' | 'restart') => (child: Child) =>
  child.state.kind === 'sweeping' ? { ...child, pendingStop: null, state: { ...child.state, then } } : child
/** On its way to a start already: only another declaration changes that. */
const checkAgain = (child: Child, scope: Scope, event: Of<'restart-asked'>) =>
  event.cause === 'config' ? tryStart(child, scope, 'config') : child

/**
 * Its program is another one on disk: noted, and with `restartOn: binary` a planned restart once it is ready, unless it
 * could not start again.
 */
function noteProgram(child: Child, scope: Scope, event: Of<'program-changed'>): Child {
  if (event.generation !== child.generation) return child
  const outdated = { ...child, outdated: event.file, cause: null }
  const told = record(outdated, scope, 'program-changed', `${event.file} has changed since it was started`)
  const isDue = child.spec.restartOn === 'binary' && isUp(child) && Object.keys(child.warnings).length === 0
  return isDue ? beginStop(told, scope, 'config', 'restart', 'its program changed on disk', false) : told
}

/** The operator vouches for it: failures are forgotten, a breaker closes. */
function forgive(child: Child): Child {
  const counters: Counters = { ...child.counters, n: 0, ends: [], failedMs: 0, fatalMs: 0, trial: 'none' }
  return { ...child, counters }
}

/** A start after its own exit replaces a dead process; one that was held back by something else does not. */
function causeOf({ state }: Child) {
  if (state.kind === 'backoff') return state.cause
  const isReplacement = state.kind === 'failed' || (state.kind === 'blocked' && state.source === 'fatal')
  return isReplacement ? ('crash' as const) : ('boot' as const)
}

/** Into the journal, as the start of no chain: what a probe tells neither follows from nor leads to a step. */
const tellNote = (child: Child, scope: Scope, event: Of<'noted'>) => {
  record({ ...child, cause: null }, scope, event.event, event.text)
  return child
}

/** Only timers that belong to the state can be armed in it, so one word per state is enough. */
const nothing: TableRow = {
  wanted: stay,
  'needs-changed': stay,
  'start-asked': stay,
  'stop-asked': stay,
  'restart-asked': stay,
  'preflight-reported': stay,
  spawned: stay,
  'spawn-failed': stay,
  exited: stay,
  swept: stay,
  'probe-reported': stay,
  'timer-fired': stay,
  'log-seen': stay,
  identified: stay,
  'program-gone': stay,
  'program-changed': stay,
  noted: tellNote,
  'input-changed': stay,
}
const down: TableRow = {
  ...nothing,
  'start-asked': startAsked,
  'stop-asked': rest,
  'restart-asked': startAsked,
  'timer-fired': startAgain,
}
const alive: TableRow = {
  ...nothing,
  'stop-asked': stop,
  'restart-asked': restart,
  exited: takeExit,
  'program-changed': noteProgram,
}

/** THE table. */
export const table: Table = {
  idle: {
    ...down,
    wanted: (child, scope) => (isOver(child) ? child : start(child, scope)),
    'timer-fired': stay,
  },
  waiting: { ...down, wanted: start, 'needs-changed': start, 'timer-fired': stay },
  checking: {
    ...nothing,
    'stop-asked': rest,
    'restart-asked': checkAgain,
    'preflight-reported': judgePreflight,
    'timer-fired': skipPreflight,
  },
  queued: {
    ...nothing,
    'stop-asked': rest,
    'restart-asked': checkAgain,
    'timer-fired': askTurn,
  },
  spawning: { ...nothing, 'stop-asked': note, spawned: takeProcess, 'spawn-failed': takeSpawnFailure },
  starting: { ...alive, 'probe-reported': probeStarting, 'timer-fired': endBudget },
  running: { ...alive, 'probe-reported': probeRunning, 'timer-fired': becomeStable },
  hung: {
    ...alive,
    'probe-reported': probeRunning,
    'timer-fired': (child, scope) =>
      child.state.kind === 'hung' ? endHung(child, scope, child.state.reason) : child,
  },
  stopping: {
    ...nothing,
    wanted: comeBack,
    'start-asked': thenStart,
    'stop-asked': thenRest,
    'restart-asked': thenRestart,
    exited: takeExit,
    'timer-fired': endStep,
    'log-seen': passLogStep,
  },
  sweeping: {
    ...nothing,
    wanted: comeBack,
    'start-asked': sweepThen('restart'),
    'stop-asked': sweepThen('stop'),
    'restart-asked': sweepThen('restart'),
    swept: (child, scope, event) =>
      event.generation === child.generation ? afterSweep(child, scope, event.left) : child,
    'timer-fired': (child, scope) => afterSweep(child, scope, ['a sweep that did not end']),
  },
  backoff: down,
  blocked: { ...down, 'input-changed': recheck },
  failed: {
    ...down,
    'timer-fired': (child, scope) => {
      if (child.state.kind === 'failed' && child.state.by !== null) tryBreaker(scope, child.state.by)
      return tryStart(record(child, scope, 'half-open', 'tried again, once'), scope, 'crash')
    },
  },
  absent: { ...down, 'input-changed': recheck },
  missing: { ...down, 'input-changed': recheck },
  adopting: { ...nothing, 'stop-asked': note, identified: takeIdentity },
  unknown: { ...nothing, 'stop-asked': note, identified: takeIdentity, 'timer-fired': identifyAgain },
  observing: {
    ...nothing,
    'stop-asked': rest,
    'restart-asked': (child, scope, event) => (event.cause === 'config' ? observeAgain(child, scope) : child),
    'program-gone': observeAgain,
    'probe-reported': probeRunning,
  },
}

/**
 * What is only watched was declared anew, or its program may be gone: its preflight decides whether it is absent,
 * missing, ours to start now, or watched again.
 */
function observeAgain(child: Child, scope: Scope): Child {
  scope.effects.push({ kind: 'close-probes', service: child.name })
  return tryStart(child, scope, 'config')
}

/** A watched input changed: look at once, whatever the timer says. */
function recheck(child: Child, scope: Scope): Child {
  return tryStart(child, scope, 'config')
}

/** One event of one child. */
export function stepChild(child: Child, event: ChildEvent, scope: Scope): Child {
  if (event.kind === 'timer-fired') {
    if (child.timers[event.timer]?.token !== event.token) return child
    const { [event.timer]: _, ...timers } = child.timers
    const rung = { ...child, timers }
    if (event.timer === 'unstop') return endTimedStop(rung, scope)
    return table[child.state.kind]['timer-fired'](rung, scope, event)
  }
  const cell = table[child.state.kind][event.kind] as Cell<typeof event.kind>
  return cell(child, scope, event as never)
}

/** `stop --for` is over: it is wanted again. */
function endTimedStop(child: Child, scope: Scope): Child {
  const wanted: Child = { ...child, desired: { kind: 'running' }, pendingStop: null, cause: null }
  const told = record(wanted, scope, 'start-asked', 'its timed stop is over')
  return stepChild(told, { kind: 'start-asked' }, scope)
}

/** A child that was never seen before. */
export function newChild(name: string, spec: Child['spec'], hash: string, wall: number): Child {
  return {
    name,
    spec,
    specHash: hash,
    nextSpec: null,
    proven: false,
    trial: null,
    rejected: null,
    removed: false,
    desired: { kind: 'running' },
    generation: 0,
    counters: { n: 0, ends: [], kills: [], total: 0, walls: [], failedMs: 0, fatalMs: 0, trial: 'none' },
    seen: false,
    state: { kind: 'idle', why: 'new', reason: null },
    since: wall,
    timers: {},
    pendingStop: null,
    joint: null,
    warnings: {},
    outdated: null,
    trouble: null,
    lastEnding: null,
    leftovers: [],
    cause: null,
  }
}
