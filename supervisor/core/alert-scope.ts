/** The working place of one step of the alert core: its times, its state, and what it wants done. */
import type { Severity, Subject } from './alert.ts'
import type { Alerting, Counts, Incident, IncidentEffect, Standing } from './incident.ts'
import { type LocalTime, localTime } from './local-time.ts'

export type AlertScope = {
  readonly at: number
  readonly wall: number
  readonly state: Alerting
  readonly effects: IncidentEffect[]
  /** Incidents that this step changed. */
  readonly touched: Set<string>
  /** What the clock on the wall says, once somebody has asked. */
  local: LocalTime | null
}

/** What the clock on the wall says now. */
export function localNow(scope: AlertScope): LocalTime {
  scope.local ??= localTime(scope.wall, scope.state.zone)
  return scope.local
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 }
/** The timeline keeps so many entries: the first ones and the newest. */
const TIMELINE_MAX = 100
const TIMELINE_FIRST = 20

/** True if `one` is worse than `other`. */
export const isWorse = (one: Severity, other: Severity): boolean => RANK[one] > RANK[other]

/** The worst of them, null of none. */
export function worstOf(severities: readonly Severity[]): Severity | null {
  return severities.reduce<Severity | null>(
    (worst, one) => (worst === null || isWorse(one, worst) ? one : worst),
    null,
  )
}

/** A subject's identity. */
export const keyOf = ({ kind, name }: Subject): string => `${kind}/${name}`

/** What a person calls the subject: a service by its name alone. */
export const nameOf = ({ kind, name }: Subject): string => (kind === 'service' ? name : `${kind} ${name}`)

/** Keeps a changed incident. */
export function put(scope: AlertScope, incident: Incident): Incident {
  scope.state.incidents.set(incident.id, incident)
  scope.touched.add(incident.id)
  return incident
}

/** Changes what stands beside the incidents. */
export function stand(scope: AlertScope, change: Partial<Standing>): void {
  scope.state.standing = { ...scope.state.standing, ...change }
}

/** Adds to the counts of the next digest. */
export function count(scope: AlertScope, what: keyof Counts): void {
  const { counts } = scope.state.standing
  stand(scope, { counts: { ...counts, [what]: counts[what] + 1 } })
}

/** The incident with one more line of its story, which becomes a journal event, too. */
export function tell(scope: AlertScope, incident: Incident, event: string, text: string): Incident {
  const subject = incident.subject.kind === 'service' ? incident.subject.name : 'alerts'
  scope.effects.push({
    kind: 'record',
    subject,
    event,
    text: `${incident.id} ${nameOf(incident.subject)}: ${text}`,
    thread: incident.id,
  })
  const timeline = [...incident.timeline, { wall: scope.wall, text }]
  if (timeline.length > TIMELINE_MAX) timeline.splice(TIMELINE_FIRST, 1)
  return { ...incident, timeline }
}

/** A journal event about alerting itself. */
export function recordPlain(scope: AlertScope, event: string, text: string): void {
  scope.effects.push({ kind: 'record', subject: 'alerts', event, text, thread: 'alerts' })
}
