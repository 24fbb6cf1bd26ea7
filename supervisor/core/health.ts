/**
 * Probe results → verdicts, by kubelet's rules: a verdict changes only after its threshold of results in a
 * row, below it nothing changes, and an unknown result changes nothing at all.
 */
import type { ProbeSpec, ServiceSpec } from '../../schemas/service.ts'
import type { ProbeOutcome } from './event.ts'

/** The judged record of one probe in one generation. */
export type Judgement = {
  readonly failures: number
  readonly passes: number
  readonly verdict: 'pass' | 'fail' | null
  readonly unknown: string | null
  readonly reason: string | null
  /** What the last pass said of what was and was not checked. */
  readonly note: string | null
  readonly progress: boolean
}

/** Judgements by probe name. */
export type Health = Readonly<Record<string, Judgement>>

/** Asked for with each result and each look of the rules, so each is put together once. */
const names = new WeakMap<ProbeSpec, string>()

/** The name of a probe: its own, or its kind and role. */
export function probeName(probe: ProbeSpec): string {
  if (probe.name !== undefined) return probe.name
  const known = names.get(probe)
  if (known !== undefined) return known
  const name = `${probe.kind}-${probe.role}`
  names.set(probe, name)
  return name
}

const FRESH: Judgement = {
  failures: 0,
  passes: 0,
  verdict: null,
  unknown: null,
  reason: null,
  note: null,
  progress: false,
}

/** One probe's record after one more result; the same object if nothing changed. */
export function judge(before: Judgement | undefined, probe: ProbeSpec, outcome: ProbeOutcome): Judgement {
  const old = before ?? FRESH
  if (outcome.kind === 'unknown') {
    return old.unknown === outcome.reason ? old : { ...old, unknown: outcome.reason }
  }
  if (outcome.kind === 'pass') {
    const passes = Math.min(old.passes + 1, probe.successThreshold)
    const verdict = passes >= probe.successThreshold ? 'pass' : old.verdict
    const reason = verdict === 'pass' ? null : old.reason
    const { note } = outcome
    const same =
      old.passes === passes &&
      old.verdict === verdict &&
      old.failures === 0 &&
      old.unknown === null &&
      old.note === note
    return same ? old : { failures: 0, passes, verdict, unknown: null, reason, note, progress: false }
  }
  const failures = Math.min(old.failures + 1, probe.failureThreshold)
  const verdict = failures >= probe.failureThreshold ? 'fail' : old.verdict
  const same =
    old.failures === failures &&
    old.verdict === verdict &&
    old.passes === 0 &&
    old.unknown === null &&
    old.reason === outcome.reason &&
    old.progress === outcome.progress
  if (same) return old
  const { reason, progress } = outcome
  return { failures, passes: 0, verdict, unknown: null, reason, note: old.note, progress }
}

/** `health` with one more result of one probe; the same object if nothing changed. */
export function observe(health: Health, probe: ProbeSpec, outcome: ProbeOutcome): Health {
  const name = probeName(probe)
  const next = judge(health[name], probe, outcome)
  return next === health[name] ? health : { ...health, [name]: next }
}

const byRole = (spec: ServiceSpec, role: ProbeSpec['role']) =>
  spec.probes.filter((probe) => probe.role === role)

/** True if a probe says when a new life is ready; without one it is as soon as its process is there. */
export function hasGates(spec: ServiceSpec): boolean {
  return spec.probes.some(({ role }) => role === 'startup' || role === 'readiness')
}

/** True once every startup probe has passed (also if there is none). */
export function hasStarted(spec: ServiceSpec, health: Health): boolean {
  return byRole(spec, 'startup').every((probe) => health[probeName(probe)]?.verdict === 'pass')
}

/** True if every readiness probe's verdict is pass. */
export function isReady(spec: ServiceSpec, health: Health): boolean {
  return byRole(spec, 'readiness').every((probe) => health[probeName(probe)]?.verdict === 'pass')
}

/** The reason of the first liveness probe whose verdict is fail, null if live. */
export function livenessFailure(spec: ServiceSpec, health: Health): string | null {
  for (const probe of byRole(spec, 'liveness')) {
    const judged = health[probeName(probe)]
    if (judged?.verdict === 'fail') return judged.reason ?? 'not live'
  }
  return null
}

/**
 * `health` without failed liveness results: those from before the first ready, or from an earlier
 * supervisor's life, must not end a process; it is judged anew. The same object if there is none.
 */
export function forgetLiveness(spec: ServiceSpec, health: Health): Health {
  const names = byRole(spec, 'liveness').map(probeName)
  const failed = names.filter((name) => (health[name]?.failures ?? 0) > 0)
  if (failed.length === 0) return health
  return Object.fromEntries(Object.entries(health).filter(([name]) => !failed.includes(name)))
}

/** Reasons of the probes of these roles that fail (or have not passed yet), in the spec's order. */
export function failures(spec: ServiceSpec, health: Health, roles: readonly ProbeSpec['role'][]): string[] {
  const reasons: string[] = []
  for (const probe of spec.probes) {
    if (!roles.includes(probe.role)) continue
    const judged = health[probeName(probe)]
    if (judged?.verdict === 'pass') continue
    if (judged?.reason) reasons.push(judged.reason)
    else if (judged?.unknown) reasons.push(`cannot be checked: ${judged.unknown}`)
  }
  return [...new Set(reasons)]
}

/** What the probes that pass say, in the spec's order; null if nothing. */
export function notes(spec: ServiceSpec, health: Health): string | null {
  const said = spec.probes.map((probe) => health[probeName(probe)])
  const passing = said.filter((judged) => judged?.verdict === 'pass').map((judged) => judged?.note)
  return [...new Set(passing.filter((note) => note))].join('; ') || null
}

/** True while a startup probe fails but says that the start goes on. */
export function isProgressing(spec: ServiceSpec, health: Health): boolean {
  return byRole(spec, 'startup').some((probe) => health[probeName(probe)]?.progress === true)
}

/** How long the readiness of a start may take to show: a declaration on trial is not judged by a probe's period. */
export function readinessMs(spec: ServiceSpec): number {
  const probes = byRole(spec, 'readiness')
  return Math.max(
    0,
    ...probes.map(({ every, timeout, successThreshold }) => every * successThreshold + timeout),
  )
}
