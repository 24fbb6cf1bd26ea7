/** What messages say. Plain text: channels escape, redact and cut it. */
import { type AlertScope, nameOf, worstOf } from './alert-scope.ts'
import type { Bundle, Incident } from './incident.ts'
import { activeLines, voicedLines } from './incident-lines.ts'
import { clockText, spanText } from './local-time.ts'

/** So many members of a bundle are named. */
const NAMED_MAX = 15
/** So much of a cause is said; all of it is in `paios status`. */
const CAUSE_MAX = 300

/** What stands above an incident's message. */
export function titleOf(incident: Incident): string {
  const { subject, state } = incident
  return state === 'resolving' ? `${nameOf(subject)} recovers: ${headline(incident)}` : headline(incident)
}

/** The sentence of the worst alert that may be told; of the worst at all where none may. */
export function headline(incident: Incident): string {
  const voiced = voicedLines(incident)
  const active = voiced.length > 0 ? voiced : activeLines(incident)
  const lines = active.length > 0 ? active : incident.lines
  const worst = worstOf(lines.map(({ severity }) => severity))
  return lines.find(({ severity }) => severity === worst)?.summary ?? nameOf(incident.subject)
}

/** The lines below the headline of an open incident. */
export function openLines(scope: AlertScope, incident: Incident): string[] {
  const { zone } = scope.state
  const head = headline(incident)
  const { quietWall, cause = null } = incident
  const others = activeLines(incident).filter(({ summary }) => summary !== head)
  return [
    ...causeLines(cause),
    ...others.map(({ summary, silence }) => (silence ? `${summary} (${silence.text})` : summary)),
    ...incident.also.map(({ text }) => `follows: ${text}`),
    ...repairLines(incident),
    ...(quietWall === null ? [] : [`nothing fires since ${clockText(quietWall, zone, scope.wall)}`]),
    `since ${clockText(incident.openedWall, zone, scope.wall)}${againText(incident)}`,
    ...(incident.acked ? [`acknowledged by ${incident.acked.by}`] : []),
    ...(incident.hush && incident.hush.kind !== 'warning' ? [`without a sound: ${incident.hush.text}`] : []),
    `paios alerts show ${incident.id}`,
  ]
}

const causeLines = (cause: string | null): string[] =>
  cause === null ? [] : [cause.length > CAUSE_MAX ? `${cause.slice(0, CAUSE_MAX)}…` : cause]

const againText = ({ reopened }: Incident) => (reopened === 0 ? '' : `, opened again ${reopened} times`)

function repairLines({ repair }: Incident): string[] {
  if (repair === null) return []
  const words = { running: 'is being repaired by', succeeded: 'repaired by', failed: 'not repaired by' }
  return [`${words[repair.state]} the runbook ${repair.runbook}`]
}

/** `kb: over after 12 min` */
export function closedTitle({ subject, openedWall, quietWall, closedWall }: Incident): string {
  const end = quietWall ?? closedWall ?? openedWall
  return `${nameOf(subject)}: over after ${spanText(end - openedWall)}`
}

/** What it was and what was done. */
export function closedLines(scope: AlertScope, incident: Incident): string[] {
  const summaries = [
    ...new Set(incident.lines.filter((line) => line.severity !== 'info').map((l) => l.summary)),
  ]
  const end = incident.quietWall ?? incident.closedWall ?? incident.openedWall
  return [
    ...summaries.slice(0, 5),
    ...causeLines(incident.cause ?? null),
    ...repairLines(incident),
    ...(incident.acked ? [`acknowledged by ${incident.acked.by}`] : []),
    `${clockText(incident.openedWall, scope.state.zone, scope.wall)} to ${clockText(end, scope.state.zone)}`,
  ]
}

/** The title of a storm or of an offline time. */
export function bundleTitle(scope: AlertScope, bundle: Bundle, members: readonly Incident[]): string {
  const open = members.filter(({ state }) => state !== 'resolved').length
  const { zone } = scope.state
  const from = clockText(bundle.openedWall, zone, scope.wall)
  const counts = `${members.length} incidents, ${open === 0 ? 'all over' : `${open} open`}`
  if (bundle.kind === 'storm') return `Many failures since ${from}: ${counts}`
  const span = bundle.endedWall === null ? `since ${from}` : `${from} to ${clockText(bundle.endedWall, zone)}`
  return `Offline ${span}, happened meanwhile: ${counts}`
}

/** Its members, the open and the worst first; pairs of beginning and end are one line. */
export function bundleLines(members: readonly Incident[]): string[] {
  const rank = ({ state, severity }: Incident) =>
    (state === 'resolved' ? 0 : 10) + (severity === 'critical' ? 2 : severity === 'warning' ? 1 : 0)
  const sorted = members.toSorted((one, other) => rank(other) - rank(one))
  const named = sorted.slice(0, NAMED_MAX).map((incident) => {
    const { state, id } = incident
    return state === 'resolved' ? `${closedTitle(incident)} (${id})` : `${headline(incident)} (${id})`
  })
  const more = sorted.length - named.length
  return [...named, ...(more > 0 ? [`and ${more} more`] : []), 'paios alerts']
}

/** Why nobody was told of an incident, or heard nothing; null where it was told with a sound or needs none. */
export function whyMuted(incident: Incident): string | null {
  const texts = incident.lines.flatMap(({ silence, endedWall }) =>
    silence && (endedWall === null || incident.state !== 'firing') ? [silence.text] : [],
  )
  if (incident.told === null) return [...new Set(texts)].join('; ') || null
  return incident.hush === null ? null : `told without a sound: ${incident.hush.text}`
}
