/**
 * A new declaration of one service: what it asks for, and whether it works. One that only changes how a process is
 * watched is taken while the process runs on. Any other is on trial until its life has been stable; if it does not get
 * ready, the declaration that last worked comes back, and the rejected one is not tried again until it is another one
 * or somebody asks for it.
 */
import type { ServiceSpec } from '../../schemas/service.ts'
import type { PreflightResult } from './event.ts'
import { type Health, probeName } from './health.ts'
import { hasProcess } from './order.ts'
import { isUp, record, type Scope } from './scope.ts'
import type { Child, Mesh } from './state.ts'

/** A trial is over at this many failed starts, or when the start budget is used up, whichever comes first. */
const TRIALS = 3

/** What a declaration means for a service as it is. `pinned`: it was rejected before. */
export type Change = 'unchanged' | 'pinned' | 'update' | 'restart' | 'start'

/** Says what declaring `spec` would do; pure, also for `up --dry-run`. */
export function changeOf(child: Child, spec: ServiceSpec, hash: string, isRetry: boolean): Change {
  if ((child.nextSpec?.hash ?? child.specHash) === hash) return 'unchanged'
  if (!isRetry && child.rejected?.hash === hash) return 'pinned'
  if (!hasProcess(child)) return 'start'
  const { state } = child
  const isReady = state.kind === 'running' && state.readyAt !== null && child.nextSpec === null
  return isReady && isSameProcess(child.spec, spec) ? 'update' : 'restart'
}

/** True if both declarations start the same process: the rest is for the supervisor. */
function isSameProcess(a: ServiceSpec, b: ServiceSpec): boolean {
  const process = ({ kind, command, cwd, env, stdio }: ServiceSpec) =>
    JSON.stringify([kind, command, cwd, Object.entries(env).sort(), stdio])
  return process(a) === process(b)
}

/** The new declaration of a process that runs on: its probes are opened anew, what is known of the same ones stays. */
export function update(child: Child, scope: Scope, spec: ServiceSpec, hash: string): Child {
  const { state } = child
  if (state.kind !== 'running') return child
  const health = carryOver(child, state.health, spec)
  const { name: service, generation } = child
  scope.effects.push({ kind: 'close-probes', service })
  const roles = ['readiness', 'liveness', 'preflight'] as const
  scope.effects.push({ kind: 'open-probes', service, generation, roles })
  const updated = {
    ...child,
    spec,
    specHash: hash,
    warnings: {},
    rejected: null,
    state: { ...state, health },
  }
  const told = 'its declaration changed, its process does not: it runs on'
  return record({ ...updated, cause: null }, scope, 'updated', told)
}

/** A probe that is new to a service which is ready counts as passed until it says otherwise. */
function carryOver(child: Child, health: Health, spec: ServiceSpec): Health {
  const before = new Map(child.spec.probes.map((probe) => [probeName(probe), JSON.stringify(probe)]))
  const wasUp = isUp(child)
  const passed = {
    failures: 0,
    verdict: 'pass',
    unknown: null,
    reason: null,
    note: null,
    progress: false,
  } as const
  return Object.fromEntries(
    spec.probes.flatMap((probe) => {
      const name = probeName(probe)
      const known = health[name]
      if (known && before.get(name) === JSON.stringify(probe)) return [[name, known]]
      return wasUp && probe.role === 'readiness'
        ? [[name, { ...passed, passes: probe.successThreshold }]]
        : []
    }),
  )
}

/** The declaration takes force with the next start: from now on it has to prove itself against the last that worked. */
export function takeSpec(child: Child, spec: ServiceSpec, hash: string, at: number): Child {
  const { trial } = child
  const last = child.proven ? { spec: child.spec, hash: child.specHash } : trial
  const isLast = last?.hash === hash
  return {
    ...child,
    spec,
    specHash: hash,
    nextSpec: null,
    warnings: {},
    rejected: null,
    proven: isLast,
    trial: last && !isLast ? { spec: last.spec, hash: last.hash, since: at, failures: 0 } : null,
  }
}

/** The life has been stable: this declaration works. */
export function prove(child: Child): Child {
  return child.proven && child.trial === null ? child : { ...child, proven: true, trial: null }
}

/** What forbids a start, in words; null if nothing does. */
export function refusalOf(results: readonly PreflightResult[] = []): string | null {
  const bad = results.filter(({ outcome }) => outcome === 'fail' || outcome === 'absent')
  return bad.length > 0 ? bad.map(({ reason }) => reason).join('; ') : null
}

/** A declaration that could not start is not taken: what runs runs on. */
export function refuse(child: Child, scope: Scope, hash: string, reason: string): Child {
  const refused = { ...child, rejected: { hash, reason }, cause: null }
  return record(refused, scope, 'rejected', `its new declaration is not taken: ${reason}`)
}

/**
 * A start of a declaration on trial has failed: once it is over, the last one that worked is back in force, with
 * `trial` null. `isFinal`: trying again cannot help. The same child where nothing is on trial, or what worked cannot
 * work any more.
 */
export function failTrial(child: Child, scope: Scope, reason: string, isFinal: boolean): Child {
  const { trial } = child
  if (trial === null || missingNeeds(child, scope.mesh).length > 0) return child
  const failures = trial.failures + 1
  const isOver = isFinal || failures >= TRIALS || scope.at - trial.since >= child.spec.startTimeout
  if (!isOver) return { ...child, trial: { ...trial, failures } }
  const back: Child = {
    ...child,
    spec: trial.spec,
    specHash: trial.hash,
    proven: true,
    trial: null,
    warnings: {},
    rejected: { hash: child.specHash, reason },
    counters: { ...child.counters, n: 0, ends: [], failedMs: 0, fatalMs: 0, trial: 'none' },
  }
  return record(
    back,
    scope,
    'rolled-back',
    `its new declaration does not work: ${reason}; the one before is back`,
  )
}

/** Why a declaration that does not work cannot be rolled back; null if it can, or nothing is on trial. */
export function stuckTrial(child: Child, mesh: Mesh): string | null {
  const missing = missingNeeds(child, mesh)
  if (missing.length === 0) return null
  return `its new declaration does not work, and the one before needs ${missing.join(', ')}, which is gone`
}

const missingNeeds = ({ trial }: Child, mesh: Mesh): string[] =>
  (trial?.spec.needs ?? [])
    .map(({ service }) => service)
    .filter((service) => mesh.children.get(service)?.removed !== false)
