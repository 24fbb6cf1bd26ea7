/** After the sweep: rest, start again, wait, or give up. */
import { backoffMs, CLEAN_MS, nextHalfOpenMs } from './backoff.ts'
import { failTrial, stuckTrial } from './change.ts'
import { isExceeded, windowText, within } from './intensity.ts'
import { settleIdle } from './rest.ts'
import { arm, draw, enter, isMeant, isWanted, record, type Scope } from './scope.ts'
import { tryStart } from './starting.ts'
import type { Child, Counters, StartCause } from './state.ts'
import { isJoined } from './strategy.ts'

/**
 * An end that comes sooner after first ready is no plan, whatever its exit says: it would be a loop without a
 * brake.
 */
const PLANNED_MS = 1_000
/** Restarts are shown for a week. */
const WEEK_MS = 604_800_000

/**
 * The tree of the last life is gone, or what is left is named. Now the next life may begin, if one is wanted
 * now: a stop that was taken back meanwhile ends as a restart.
 */
export function afterSweep(child: Child, scope: Scope, left: readonly string[]): Child {
  const { state } = child
  if (state.kind !== 'sweeping') return child
  const told = left.length
    ? record(child, scope, 'left-over', `could not end: ${left.join(', ')}`, { left })
    : child
  const swept = { ...told, leftovers: left }
  if (state.then === 'end' && isMeant(swept, scope))
    return rest({ ...swept, pendingStop: null }, scope, 'ended', 'stopped with its siblings')
  if (!isWanted(swept, scope)) return settleIdle(swept, scope)
  if (state.then === 'retry') return decideRestart(swept, scope, state)
  return tryStart(swept, scope, state.cause)
}

type Ended = Extract<Child['state'], { kind: 'sweeping' }>

/** Restart type, exit class, budget and backoff decide what follows an end that nobody asked for. */
function decideRestart(child: Child, scope: Scope, { ending, cause, lifeMs }: Ended): Child {
  const { restart } = child.spec
  if (ending.class === 'planned' && lifeMs >= PLANNED_MS) return tryStart(child, scope, 'config')
  if (ending.class === 'success' && restart !== 'permanent') return rest(child, scope, 'completed', null)
  if (restart === 'temporary' && child.trial === null) return rest(child, scope, 'ended', ending.reason)
  const tried = failTrial(child, scope, ending.reason, ending.class === 'fatal')
  if (tried.specHash !== child.specHash) return tryStart(tried, scope, 'config')
  if (ending.class === 'fatal') return blockFatal(tried, scope, ending.reason)
  return restartOrGiveUp(tried, scope, ending.reason, cause, lifeMs)
}

function rest(child: Child, scope: Scope, why: 'completed' | 'ended', reason: string | null): Child {
  const idle = enter(child, scope, { kind: 'idle', why, reason })
  return record(idle, scope, why, why === 'completed' ? 'completed' : `ended and is not restarted: ${reason}`)
}

/** A fatal exit: a restart cannot help. Tried again half-open after 15 min, doubling to 6 h. */
export function blockFatal(child: Child, scope: Scope, reason: string): Child {
  const fatalMs = nextHalfOpenMs(child.counters.fatalMs)
  const retryAt = scope.at + fatalMs
  const blocked = enter({ ...child, counters: { ...child.counters, fatalMs, trial: 'fatal' } }, scope, {
    kind: 'blocked',
    reason,
    source: 'fatal',
    retryAt,
  })
  return arm(record(blocked, scope, 'blocked', reason, { retryMs: fatalMs }), scope, 'retry', retryAt)
}

/** An unplanned end: wait and restart while the budget lasts, then give up, half-open. */
export function restartOrGiveUp(
  child: Child,
  scope: Scope,
  reason: string,
  cause: StartCause,
  lifeMs: number,
): Child {
  const { spec, counters } = child
  const before = lifeMs >= CLEAN_MS ? 0 : counters.n
  const ends = [...within(counters.ends, spec.intensity.within, scope.at), scope.at]
  const counted: Counters = {
    ...counters,
    n: before + 1,
    ends,
    total: counters.total + 1,
    walls: [...counters.walls.filter((wall) => wall > scope.wall - WEEK_MS), scope.wall].slice(-500),
  }
  if (counters.trial === 'failed' || isExceeded(ends, spec.intensity.max))
    return giveUp({ ...child, counters: counted }, scope, reason)
  const isInstant = before === 0 && lifeMs >= spec.stableAfter
  const delayMs = isInstant ? 0 : backoffMs(counted.n, draw(scope))
  // Siblings that go down with it do so first: its own start waits for the tree to tell them.
  if (delayMs === 0 && !isJoined(child, scope.mesh))
    return tryStart({ ...child, counters: counted }, scope, cause)
  const waiting = enter({ ...child, counters: counted }, scope, { kind: 'backoff', cause, delayMs, reason })
  return arm(
    record(waiting, scope, 'backoff', `next start in ${delayMs} ms`, { delayMs, n: counted.n }),
    scope,
    'backoff',
    scope.at + delayMs,
  )
}

function giveUp(child: Child, scope: Scope, reason: string): Child {
  const failedMs = nextHalfOpenMs(child.counters.failedMs)
  const retryAt = scope.at + failedMs
  const counters: Counters = { ...child.counters, failedMs, trial: 'failed', ends: [] }
  const { max, within: windowMs } = child.spec.intensity
  const why =
    child.counters.trial === 'failed'
      ? 'gave up again: the half-open try failed'
      : `gave up: more than ${max} failures in ${windowText(windowMs)}, last`
  const stuck = stuckTrial(child, scope.mesh)
  const text = `${why}: ${reason}${stuck === null ? '' : `; ${stuck}`}`
  const failed = enter({ ...child, counters }, scope, { kind: 'failed', reason: text, retryAt, by: null })
  return arm(record(failed, scope, 'failed', text, { retryMs: failedMs }), scope, 'retry', retryAt)
}
