/**
 * Whether a message makes a sound. Only what is critical does, and by the importance of whom it concerns: high at any
 * hour, normal by day, low never. What is not critical sounds only where a repair has failed, at most 12 times an hour.
 */
import type { Severity } from './alert.ts'
import { type AlertScope, localNow, stand } from './alert-scope.ts'
import type { Hush, Importance, Incident } from './incident.ts'
import { isQuietHour } from './local-time.ts'

const SOUNDS_MAX = 12
const SOUNDS_MS = 3_600_000

const RANK: Readonly<Record<Importance, number>> = { low: 0, normal: 1, high: 2 }
/** What everything else depends on. */
const VITAL = new Set<Incident['subject']['kind']>(['supervisor', 'host', 'filesystem', 'database'])

/** The importance of an incident: its subject's, or that of whoever suffers with it, if that is higher. */
export function importanceOf({ state }: AlertScope, { subject, also }: Incident): Importance {
  if (VITAL.has(subject.kind)) return 'high'
  const names = [subject.name, ...also.map(({ name }) => name)]
  const known = names.flatMap((name) => state.services.get(name)?.importance ?? [])
  if (subject.kind !== 'service') return 'normal'
  return known.reduce((most, one) => (RANK[one] > RANK[most] ? one : most), known[0] ?? 'normal')
}

/** True while an automatic repair has its first chance. */
export function isBeingRepaired({ at }: AlertScope, { repair }: Incident): boolean {
  return repair !== null && repair.state !== 'failed' && repair.runs <= 1 && at < repair.untilAt
}

/** True once an automatic repair has failed, is too late, or had to be repeated. */
export function isRepairFailed(scope: AlertScope, incident: Incident): boolean {
  return incident.repair !== null && !isBeingRepaired(scope, incident)
}

/** Why a message of this severity about an incident makes no sound now; null where it does. */
export function hushOf(scope: AlertScope, incident: Incident, severity: Severity): Hush | null {
  const importance = importanceOf(scope, incident)
  const isInsisting = isRepairFailed(scope, incident)
  if (severity !== 'critical' && !isInsisting)
    return { kind: 'warning', text: 'only what is critical sounds' }
  if (importance === 'low') return { kind: 'low-importance', text: 'its importance is low' }
  if (isBeingRepaired(scope, incident)) return { kind: 'repair', text: 'it is being repaired' }
  const isNight = isQuietHour(localNow(scope))
  if (isNight && (severity !== 'critical' || importance !== 'high'))
    return { kind: 'quiet-hours', text: 'quiet hours, 23:00 to 08:00' }
  return severity === 'critical' ? null : soundLimit(scope)
}

/** Why a question about a service makes no sound now; null where it does. */
export function hushOfQuestion(scope: AlertScope, service: string): Hush | null {
  if (scope.state.services.get(service)?.importance === 'low')
    return { kind: 'low-importance', text: 'its importance is low' }
  if (isQuietHour(localNow(scope))) return { kind: 'quiet-hours', text: 'quiet hours, 23:00 to 08:00' }
  return soundLimit(scope)
}

/** Whether a reminder about a critical incident may sound: what is critical is never capped. */
export function mayRemind(scope: AlertScope, incident: Incident): boolean {
  const importance = importanceOf(scope, incident)
  return importance === 'high' || (importance === 'normal' && !isQuietHour(localNow(scope)))
}

function soundLimit(scope: AlertScope): Hush | null {
  const recent = scope.state.standing.sounds.filter((at) => at > scope.at - SOUNDS_MS)
  return recent.length >= SOUNDS_MAX
    ? { kind: 'sound-limit', text: `${SOUNDS_MAX} sounds in an hour are the limit` }
    : null
}

/** Counts a message that sounds though it is not critical. */
export function countSound(scope: AlertScope, severity: Severity): void {
  if (severity === 'critical') return
  const recent = scope.state.standing.sounds.filter((at) => at > scope.at - SOUNDS_MS)
  stand(scope, { sounds: [...recent, scope.at] })
}
