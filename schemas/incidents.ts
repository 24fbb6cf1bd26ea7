/** What `GET /alerts` answers and `paios alerts --json` prints. Scripts rely on these words. */
import { z } from 'zod'

const instant = z.iso.datetime()
const severity = z.enum(['critical', 'warning', 'info'])

/** One alert of an incident. `why`: why it makes no message of its own, null where it may. */
export const incidentAlert = z.strictObject({
  rule: z.string(),
  severity,
  summary: z.string(),
  since: instant,
  ended: instant.nullable(),
  why: z.string().nullable(),
})

/** One subject's trouble. */
export const incidentStatus = z.strictObject({
  id: z.string(),
  subject: z.strictObject({ kind: z.string(), name: z.string() }),
  state: z.enum(['firing', 'resolving', 'resolved']),
  severity,
  /** One sentence: its worst alert. */
  title: z.string(),
  /** What is wrong with its service, or was last; null where nobody can tell. */
  cause: z.string().nullable(),
  since: instant,
  ended: instant.nullable(),
  /** When somebody was told, null if nobody was. */
  told: instant.nullable(),
  /** Why nobody was told, or heard no sound; null otherwise. */
  why: z.string().nullable(),
  acknowledged: z.strictObject({ by: z.string(), at: instant }).nullable(),
  alerts: z.array(incidentAlert),
  /** How often it was opened again. */
  reopened: z.int(),
  /** Full path of the Markdown file, null if there is none. */
  runbook: z.string().nullable(),
  /** What to type next. */
  next: z.string(),
})

/** A mute in force. */
export const muteStatus = z.strictObject({
  id: z.string(),
  what: z.string(),
  until: instant,
  because: z.string(),
  by: z.string(),
})

/** What is open, what is held, and why. */
export const alertsStatus = z.strictObject({
  incidents: z.array(incidentStatus),
  mutes: z.array(muteStatus),
  /** Why messages are held for everyone now. */
  held: z.array(z.enum(['startup', 'wake', 'offline', 'maintenance'])),
  maintenance: z.strictObject({ until: instant, by: z.string() }).nullable(),
  flapping: z.array(z.string()),
})

/** One message about an incident and what became of it. */
export const toldMessage = z.strictObject({
  channel: z.string(),
  kind: z.string(),
  at: instant,
  state: z.string(),
  delivered: instant.nullable(),
  error: z.string().nullable(),
})

/** Everything about one incident. */
export const incidentReport = incidentStatus.extend({
  timeline: z.array(z.strictObject({ at: instant, text: z.string() })),
  messages: z.array(toldMessage),
  /** The last lines of the service's own output; empty where there is none. */
  logTail: z.array(z.string()),
  /** The file with what a hung process was doing, null if none was kept. */
  evidence: z.string().nullable(),
})

export type IncidentStatus = z.output<typeof incidentStatus>
export type AlertsStatus = z.output<typeof alertsStatus>
export type IncidentReport = z.output<typeof incidentReport>
