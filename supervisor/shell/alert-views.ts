/** Incidents and mutes as `paios alerts` shows them. */
import type { AlertsStatus, IncidentStatus } from '../../schemas/incidents.ts'
import type { ServiceStatus } from '../../schemas/status.ts'
import { headline, whyMuted } from '../core/alert-texts.ts'
import type { Incident, Mute } from '../core/incident.ts'
import { whatOf } from '../core/mute.ts'

const iso = (wall: number): string => new Date(wall).toISOString()
const isoOrNull = (wall: number | null): string | null => (wall === null ? null : iso(wall))

/** One incident. `runbook`: its file; `service`: what it is about, null where that is no service. */
export function viewIncident(
  incident: Incident,
  runbook: string | null,
  service: Pick<ServiceStatus, 'next'> | null,
): IncidentStatus {
  const { id, subject, state, severity, acked, told, reopened } = incident
  return {
    id,
    subject: { kind: subject.kind, name: subject.name },
    state,
    severity,
    title: headline(incident),
    cause: incident.cause ?? null,
    since: iso(incident.openedWall),
    ended: isoOrNull(incident.quietWall ?? incident.closedWall),
    told: isoOrNull(told?.wall ?? null),
    why: whyMuted(incident),
    acknowledged: acked && { by: acked.by, at: iso(acked.wall) },
    alerts: incident.lines.map((line) => ({
      rule: line.rule,
      severity: line.severity,
      summary: line.summary,
      since: iso(line.sinceWall),
      ended: isoOrNull(line.endedWall),
      why: line.silence?.text ?? null,
    })),
    reopened,
    runbook,
    next: nextOf(incident, service),
  }
}

function nextOf({ subject, state, id }: Incident, service: Pick<ServiceStatus, 'next'> | null): string {
  if (state === 'resolved') return `paios alerts show ${id}`
  if (subject.kind === 'service') return service?.next ?? `paios runbook ${subject.name}`
  return `paios alerts show ${id}`
}

/** A mute. */
export const viewMute = (mute: Mute): AlertsStatus['mutes'][number] => ({
  id: mute.id,
  what: whatOf(mute),
  until: iso(mute.untilWall),
  because: mute.because,
  by: mute.by,
})

/** An incident beside its service in `paios status`; null where there is none. */
export function besideService(incident: Incident | null): ServiceStatus['incident'] {
  if (incident === null) return null
  const { id, severity, openedWall, acked } = incident
  return {
    id,
    severity,
    since: iso(openedWall),
    acknowledged: acked !== null,
    why: whyMuted(incident),
  }
}
