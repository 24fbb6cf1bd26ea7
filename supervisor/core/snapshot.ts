/** State → what the CLI, the API and the metrics show: the operator's words for a child. */
import type { ServiceState } from '../../schemas/states.ts'
import type { ProbeStatus, ServiceStatus } from '../../schemas/status.ts'
import { failures, type Health, hasGates, livenessFailure, notes, probeName } from './health.ts'
import { processOf } from './rest.ts'
import { isUp } from './scope.ts'
import type { Child } from './state.ts'

/** One of the thirteen words. */
export function labelOf(child: Child): ServiceState {
  const { state } = child
  switch (state.kind) {
    case 'idle':
      return 'stopped'
    case 'checking':
      return state.held?.kind ?? 'starting'
    case 'queued':
    case 'spawning':
    case 'adopting':
      return 'starting'
    case 'running':
      return isUp(child) ? 'running' : 'degraded'
    case 'observing':
      return labelObserved(child, state.health)
    case 'sweeping':
      return state.then === 'retry' ? 'backoff' : 'stopping'
    case 'stopping':
      return state.cause === 'hung' ? 'hung' : 'stopping'
    default:
      return state.kind
  }
}

function labelObserved(child: Child, health: Health): ServiceState {
  if (isUp(child) && livenessFailure(child.spec, health) === null) return 'running'
  return failures(child.spec, health, ['readiness', 'liveness']).length > 0 ? 'degraded' : 'starting'
}

/**
 * A life that no probe has found ready, or that comes after a failure or by a new declaration, must have lasted this
 * long: many programs fail at once.
 */
const FIRST_MS = 1_000

/**
 * False while the child is still on its way somewhere: starting, stopping, in backoff, in the first moments of a life
 * that may be the next failure, or waiting on such a one.
 */
export function isSettled(child: Child, children: ReadonlyMap<string, Child>, at: number): boolean {
  const label = labelOf(child)
  const { state, counters, trial } = child
  const isDoubtful = state.kind === 'running' && (trial !== null || counters.n > 0 || !hasGates(child.spec))
  // Whoever has asked for a start waits for its checks, even where it is called blocked meanwhile.
  if (state.kind === 'checking' && state.cause === 'manual') return false
  if (isDoubtful && state.readyAt !== null && at - state.readyAt < FIRST_MS) return false
  if (label === 'waiting' && child.state.kind === 'waiting') {
    return child.state.for.every((name) => {
      const need = children.get(name)
      return need === undefined || isSettled(need, children, at)
    })
  }
  return label !== 'starting' && label !== 'stopping' && label !== 'backoff' && label !== 'hung'
}

/** What a shown service depends on beside the child: the two clocks, its log file, its runbook and its incident. */
export type View = {
  readonly at: number
  readonly wall: number
  readonly logPath: string | null
  readonly runbook: string
  readonly incident: ServiceStatus['incident']
}

/** One service as `status` shows it. */
export function showService(child: Child, children: ReadonlyMap<string, Child>, view: View): ServiceStatus {
  const label = labelOf(child)
  const day = child.counters.walls.filter((wall) => wall > view.wall - 86_400_000).length
  const { desired, state, spec } = child
  return {
    name: child.name,
    preset: spec.preset,
    kind: spec.kind,
    group: spec.group,
    state: label,
    desired: desired.kind,
    stopped:
      desired.kind === 'stopped'
        ? { at: iso(desired.at), until: desired.until === null ? null : iso(desired.until) }
        : null,
    ready: isUp(child),
    settled: isSettled(child, children, view.at),
    ended: hasEnded(state),
    pid: processOf(child)?.identity.pid ?? null,
    generation: child.generation,
    since: iso(child.since),
    restarts: child.counters.total,
    restarts24h: day,
    restarts7d: child.counters.walls.length,
    reason: reasonOf(child, children, view),
    note: 'health' in state ? notes(spec, state.health) : null,
    next: nextOf(child, label) ?? (view.incident === null ? null : `paios runbook ${child.name}`),
    warnings: [
      ...Object.values(child.warnings).map((reason) => `would not start again: ${reason}`),
      ...(child.leftovers.length ? [`left over from an earlier life: ${child.leftovers.join(', ')}`] : []),
      ...downNeeds(child, children),
      ...(child.outdated
        ? [`${child.outdated} has changed on disk since it was started   paios restart ${child.name}`]
        : []),
      ...(child.rejected
        ? [`runs by the declaration before: the new one was not taken (${child.rejected.reason})`]
        : []),
    ],
    rejected: child.rejected?.reason ?? null,
    deadline: state.kind === 'stopping' ? iso(view.wall + Math.max(0, state.deadline - view.at)) : null,
    probes: showProbes(child),
    incident: view.incident,
    runbook: view.runbook,
    logPath: view.logPath,
  }
}

/**
 * Instants as text without the Date global: the shell gives Unix milliseconds, the core only formats them.
 */
function iso(wall: number): string {
  return Temporal.Instant.fromEpochMilliseconds(Math.round(wall)).toString({ smallestUnit: 'millisecond' })
}

function downNeeds(child: Child, children: ReadonlyMap<string, Child>): string[] {
  if (child.state.kind !== 'running') return []
  const down = child.spec.needs.filter((need) => {
    const target = children.get(need.service)
    return need.until === 'ready' && target !== undefined && !isUp(target)
  })
  return down.length ? [`needs ${down.map((need) => need.service).join(', ')}, which is not ready`] : []
}

function inSeconds(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

function reasonOf(child: Child, children: ReadonlyMap<string, Child>, view: View): string | null {
  const { state, spec } = child
  switch (state.kind) {
    case 'idle':
      if (state.why === 'completed') return 'completed'
      if (!spec.enabled) return '`enabled: false` in the document'
      if (state.why === 'operator') return 'stopped by the operator'
      return state.reason ?? (state.why === 'down' ? 'the mesh is down' : null)
    case 'waiting':
      return `waiting for ${state.for.map((name) => `${name} (${stateWord(children.get(name))})`).join(', ')}`
    case 'starting':
      return failures(spec, state.health, ['startup', 'readiness']).join('; ') || null
    case 'running':
    case 'observing':
      return failures(spec, state.health, ['readiness', 'liveness']).join('; ') || null
    case 'hung':
      return `${state.reason}; ${sparedOf(child, view)}`
    case 'stopping':
    case 'absent':
    case 'missing':
    case 'unknown':
      return state.reason
    case 'sweeping':
      return state.ending.reason
    case 'backoff':
      return `${state.reason}; next start in ${inSeconds((child.timers.backoff?.at ?? view.at) - view.at)}`
    case 'blocked':
    case 'failed':
      return `${state.reason}; looked at again in ${inSeconds(state.retryAt - view.at)}`
    case 'adopting':
      return 'looking for its process'
    case 'checking':
      return state.held?.reason ?? null
    case 'queued':
      return 'many others are started before it'
    case 'spawning':
      return null
  }
}

/** Why a hung process lives on, and for how long. */
function sparedOf({ spec, timers }: Child, view: View): string {
  const { max, within } = spec.killLimit ?? { max: 0, within: 0 }
  const left = inSeconds((timers.retry?.at ?? view.at) - view.at)
  return `not killed for another ${left}: ${max} kills in ${inSeconds(within)} are the limit`
}

const stateWord = (child: Child | undefined) => (child ? labelOf(child) : 'not declared')

const hasEnded = (state: Child['state']) => state.kind === 'idle' && state.why === 'ended'

function nextOf(child: Child, label: ServiceState): string | null {
  if (label === 'stopped' && child.desired.kind === 'stopped') return `paios start ${child.name}`
  if (hasEnded(child.state)) return `paios logs ${child.name}`
  if (label === 'failed') return `paios logs ${child.name}; then paios start ${child.name}`
  if (label === 'blocked') return nextOfBlocked(child)
  // What is only watched writes no log here.
  if (label === 'degraded' && child.spec.command === null) return `paios probe ${child.name}`
  if (label === 'degraded' || label === 'hung' || label === 'backoff') return `paios logs ${child.name}`
  if (label === 'unknown') return `paios events --service ${child.name}`
  if (child.rejected !== null) return 'mend paios.yaml, then paios up; or paios up --retry'
  if (Object.keys(child.warnings).length > 0) return `paios status ${child.name}`
  // Only a document that observes what could be started here makes this kind.
  if (label === 'running' && child.spec.kind === 'external') return `paios takeover ${child.name}`
  if ((label === 'absent' || label === 'missing') && child.spec.install) return child.spec.install
  return null
}

/** How the probes name a holder that systemd or launchd has started. */
const HELD_BY_INIT = /is held by pid \d+ \(.*, (?:systemd|launchd)\)/

/**
 * What refused its own start said why in its log; the other causes are in the reason, and the runbook's path
 * is in `status NAME`.
 */
function nextOfBlocked({ name, state }: Child): string {
  if (state.kind === 'blocked' && HELD_BY_INIT.test(state.reason)) return `paios takeover ${name}`
  return state.kind === 'blocked' && state.source === 'fatal' ? `paios logs ${name}` : `paios status ${name}`
}

function showProbes(child: Child): ProbeStatus[] {
  const health = 'health' in child.state ? child.state.health : {}
  return child.spec.probes.map((probe) => {
    const name = probeName(probe)
    const judged = health[name]
    const warned = probe.role === 'preflight' ? (child.warnings[name] ?? null) : null
    // It let the process start, and nothing has spoken against the next start since.
    const silent = probe.role === 'preflight' && processOf(child) ? 'pass' : null
    return {
      name,
      kind: probe.kind,
      role: probe.role,
      verdict: warned ? 'fail' : judged?.unknown ? 'unknown' : (judged?.verdict ?? silent),
      reason: warned ?? judged?.unknown ?? judged?.reason ?? null,
      note: judged?.note ?? null,
      failures: judged?.failures ?? 0,
      threshold: probe.failureThreshold,
    }
  })
}
