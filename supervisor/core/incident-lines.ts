/**
 * From findings to incidents: each subject has one at most that is open, and every alert that fires is a line of it.
 */
import type { Finding, Severity } from './alert.ts'
import { type AlertScope, count, isWorse, keyOf, put, stand, tell, worstOf } from './alert-scope.ts'
import type { Alerting, Incident, Line, Silence } from './incident.ts'
import { type BySubject, inhibitorAmongNeeds, inhibitorWithin } from './inhibition.ts'
import { muteOf } from './mute.ts'
import { heldText } from './suppression.ts'

/** Nothing fired for this long: the incident is over. */
const CLOSE_MS = 120_000
/** The same subject again within this time reopens it. */
export const REOPEN_MS = 15 * 60_000
/** A warning that goes away within this time is not told. */
const SETTLE_MS = 10_000
/** More lines that have ended are forgotten, oldest first. */
const LINES_MAX = 40

/** Takes what fires now: incidents open, reopen, change, begin to resolve and close. */
export function applyFindings(scope: AlertScope, findings: readonly Finding[]): void {
  const bySubject = new Map<string, Finding[]>()
  for (const finding of findings) {
    const key = keyOf(finding.subject)
    const found = bySubject.get(key)
    if (found) found.push(finding)
    else bySubject.set(key, [finding])
  }
  endAftermath(scope, bySubject)
  const open = openBySubject(scope)
  for (const [key, incident] of open) updateLines(scope, incident, bySubject.get(key) ?? [])
  for (const [key, found] of bySubject) {
    if (open.has(key)) continue
    const recent = recentlyClosed(scope, key)
    if (recent && isAftermath(recent, found)) continue
    updateLines(scope, begin(scope, found, recent), found)
  }
}

/** Open incidents by their subject. */
export function openBySubject(scope: AlertScope): Map<string, Incident> {
  const open = new Map<string, Incident>()
  for (const incident of scope.state.incidents.values())
    if (incident.state !== 'resolved') open.set(keyOf(incident.subject), incident)
  return open
}

/** The incident of a subject that was closed a short while ago, null if there is none. */
function recentlyClosed({ state, at }: AlertScope, key: string): Incident | null {
  const all = [...state.incidents.values()]
  const isIt = ({ subject, closedAt }: Incident) =>
    closedAt !== null && at - closedAt <= REOPEN_MS && keyOf(subject) === key
  return all.findLast(isIt) ?? null
}

const isInfo = ({ severity }: { readonly severity: Severity }) => severity === 'info'

/** True if only info fires, and all of it did when the incident was closed: info keeps nothing open. */
function isAftermath({ lines }: Incident, findings: readonly Finding[]): boolean {
  const known = new Set(activeOf(lines).map(({ rule, labels }) => lineKey(rule, labels)))
  return findings.every((one) => isInfo(one) && known.has(lineKey(one.rule, one.labels)))
}

/** Info that outlived its incident has ended: firing again it is news. */
function endAftermath(scope: AlertScope, firing: ReadonlyMap<string, readonly Finding[]>): void {
  for (const incident of [...scope.state.incidents.values()]) {
    if (incident.state !== 'resolved' || activeLines(incident).length === 0) continue
    const still = new Set(
      firing.get(keyOf(incident.subject))?.map(({ rule, labels }) => lineKey(rule, labels)),
    )
    const lines = incident.lines.map((line) =>
      line.endedWall === null && !still.has(lineKey(line.rule, line.labels))
        ? { ...line, endedWall: scope.wall }
        : line,
    )
    if (lines.some((line, index) => line !== incident.lines[index])) put(scope, { ...incident, lines })
  }
}

function begin(scope: AlertScope, findings: readonly Finding[], recent: Incident | null): Incident {
  const { state, at, wall } = scope
  const { subject, severity } = findings[0]!
  // Info that is new is no reason to tell again of what is over.
  if (recent && (isInfo(recent) || !findings.every(isInfo))) return reopen(scope, recent)
  const id = `i${state.standing.nextId}`
  const { [keyOf(subject)]: repair, ...repairs } = state.standing.repairs
  stand(scope, { nextId: state.standing.nextId + 1, ...(repair ? { repairs } : {}) })
  count(scope, 'opened')
  const fresh: Incident = {
    id,
    subject,
    state: 'firing',
    severity,
    lines: [],
    openedAt: at,
    openedWall: wall,
    quietAt: null,
    quietWall: null,
    closedAt: null,
    closedWall: null,
    reopened: 0,
    told: null,
    wasTold: false,
    thread: id,
    hush: null,
    acked: null,
    repair: repair ?? null,
    mutedAs: null,
    isDue: false,
    also: [],
    isDirty: false,
    editedAt: at,
    notices: 0,
    timeline: [],
  }
  return fresh
}

function reopen(scope: AlertScope, old: Incident): Incident {
  const isOwn = old.thread === old.id
  const again: Incident = {
    ...old,
    ...{ state: 'firing', quietAt: null, quietWall: null, closedAt: null, closedWall: null },
    ...{ told: null, acked: null, hush: null, isDue: false, cause: null },
    wasTold: isOwn && (old.wasTold || old.told !== null),
    thread: old.id,
    reopened: old.reopened + 1,
  }
  return tell(scope, again, 'incident-reopened', 'opened again')
}

const lineKey = (rule: string, labels: Readonly<Record<string, string>>) =>
  JSON.stringify([rule, Object.entries(labels).sort()])

function updateLines(scope: AlertScope, before: Incident, findings: readonly Finding[]): void {
  const firing = new Map(findings.map((finding) => [lineKey(finding.rule, finding.labels), finding]))
  let incident = before
  let hasNews = before.lines.length === 0
  const lines: Line[] = []
  for (const line of before.lines) {
    const key = lineKey(line.rule, line.labels)
    const finding = firing.get(key)
    firing.delete(key)
    if (finding && line.endedWall === null && finding.severity === line.severity) {
      if (line.held !== (finding.held[0] ?? null)) hasNews = true
      lines.push({ ...line, summary: finding.summary, held: finding.held[0] ?? null })
      continue
    }
    if (!finding && line.endedWall !== null) {
      lines.push(line)
      continue
    }
    hasNews = true
    if (finding) lines.push(lineOf(scope, finding))
    else lines.push({ ...line, endedWall: scope.wall })
    const text = finding ? finding.summary : `ended: ${line.summary}`
    incident = tell(scope, incident, finding ? 'alert' : 'alert-ended', text)
  }
  for (const finding of firing.values()) {
    hasNews = true
    lines.push(lineOf(scope, finding))
    incident = tell(scope, incident, 'alert', finding.summary)
  }
  const cause = findings.length > 0 ? causeOf(scope, incident) : (incident.cause ?? null)
  // The first word of it is news; later ones come with other news.
  if (cause !== null && (incident.cause ?? null) === null) hasNews = true
  incident = { ...incident, lines: bounded(lines), cause }
  const moved = move(scope, incident)
  if (!hasNews && moved === incident) {
    // A new figure in a summary alone is not worth a write.
    scope.state.incidents.set(incident.id, incident)
    return
  }
  // What is critical, anew or again, stands in the message at once, even if "it recovers" has just been said.
  const isUrgent = activeOf(lines).some((line) => line.severity === 'critical' && line.sinceAt === scope.at)
  const editedAt = isUrgent ? 0 : moved.editedAt
  put(scope, hasNews ? { ...moved, isDirty: true, editedAt } : moved)
}

/** What is wrong with the service now, else what was last; null for other subjects. */
function causeOf({ state }: AlertScope, { subject, cause }: Incident): string | null {
  const facts = subject.kind === 'service' ? state.services.get(subject.name) : undefined
  return facts?.fault ?? cause ?? null
}

function lineOf({ at, wall }: AlertScope, finding: Finding): Line {
  const { rule, labels, severity, summary, held } = finding
  const times = { sinceAt: at, sinceWall: wall, endedWall: null }
  return { rule, labels, severity, summary, ...times, held: held[0] ?? null, silence: null }
}

function bounded(lines: readonly Line[]): Line[] {
  let extra = lines.length - LINES_MAX
  return lines.filter(({ endedWall }) => endedWall === null || extra-- <= 0)
}

/** firing → resolving once nothing fires, and back; resolved after 120 s of that. */
function move(scope: AlertScope, incident: Incident): Incident {
  const { at, wall } = scope
  const all = activeLines(incident)
  const active = isInfo(incident) ? all : all.filter((line) => !isInfo(line))
  if (active.length > 0) {
    const worst = worstOf(active.map(({ severity }) => severity)) ?? incident.severity
    const severity = isWorse(worst, incident.severity) ? worst : incident.severity
    if (incident.state === 'firing' && severity === incident.severity) return incident
    return { ...incident, severity, state: 'firing', quietAt: null, quietWall: null }
  }
  if (incident.quietAt === null) return { ...incident, state: 'resolving', quietAt: at, quietWall: wall }
  if (at - incident.quietAt < CLOSE_MS) return incident
  return { ...incident, state: 'resolved', closedAt: at, closedWall: wall }
}

const activeOf = (lines: readonly Line[]): Line[] => lines.filter(({ endedWall }) => endedWall === null)

/** The alerts of an incident that fire now. */
export const activeLines = ({ lines }: Incident): Line[] => activeOf(lines)

/** The alerts of an incident that fire now and may be told. */
export const voicedLines = (incident: Incident): Line[] =>
  activeLines(incident).filter(({ silence }) => silence === null)

/** Awake milliseconds until the first warning that still fires then may be told; null where none waits. */
export function settledIn({ incidents }: Alerting, at: number): number | null {
  let soonest: number | null = null
  for (const { lines, state } of incidents.values()) {
    if (state === 'resolved') continue
    for (const { silence, endedWall, sinceAt } of lines)
      if (silence?.kind === 'settling' && endedWall === null)
        soonest = Math.min(soonest ?? Number.POSITIVE_INFINITY, Math.max(0, sinceAt + SETTLE_MS - at))
  }
  return soonest
}

/** Says of every alert that fires why it is not told, or that it may be. */
export function silenceLines(scope: AlertScope): void {
  const open = openBySubject(scope)
  for (const incident of open.values()) {
    let { mutedAs } = incident
    const lines = incident.lines.map((line) => {
      if (line.endedWall !== null) return line
      const silence = silenceOf(scope, open, incident, line)
      if (silence?.kind === 'muted' && silence.by !== null && mutedAs?.mute !== silence.by)
        mutedAs = { mute: silence.by, severity: 'critical' }
      return isSame(line.silence, silence) ? line : { ...line, silence }
    })
    const isChanged = mutedAs !== incident.mutedAs || lines.some((line, i) => line !== incident.lines[i])
    if (isChanged) put(scope, { ...incident, lines, mutedAs })
  }
  noteFollowers(scope, openBySubject(scope))
}

const isSame = (one: Silence | null, other: Silence | null) =>
  one?.kind === other?.kind && one?.text === other?.text && one?.by === other?.by

function silenceOf(scope: AlertScope, open: BySubject, incident: Incident, line: Line): Silence | null {
  const mute = muteOf(scope, incident, line)
  if (mute) return { kind: 'muted', text: `muted by ${mute.by}: ${mute.because}`, by: mute.id }
  if (line.held !== null) return { kind: line.held, text: heldText(line.held), by: null }
  const rule = inhibitorWithin(incident, line)
  if (rule !== null) return { kind: 'inhibited', text: `follows from ${rule}`, by: incident.id }
  const cause = inhibitorAmongNeeds(scope, open, incident, line)
  if (cause !== null) return { kind: 'inhibited', text: `follows from ${cause.subject.name}`, by: cause.id }
  if (line.severity === 'info')
    return { kind: 'info', text: 'info is collected in the message of the hour', by: null }
  if (line.severity === 'warning' && scope.at - line.sinceAt < SETTLE_MS)
    return { kind: 'settling', text: 'a warning is told after 10 s', by: null }
  return null
}

/** Each incident names the alerts of other subjects that follow from it. */
function noteFollowers(scope: AlertScope, open: BySubject): void {
  const also = new Map<string, { name: string; text: string }[]>()
  for (const { id, subject, lines } of open.values())
    for (const { silence, endedWall, summary } of lines) {
      if (endedWall !== null || silence?.kind !== 'inhibited' || !silence.by || silence.by === id) continue
      also.set(silence.by, [...(also.get(silence.by) ?? []), { name: subject.name, text: summary }])
    }
  for (const { id } of open.values()) {
    const incident = scope.state.incidents.get(id)!
    const now = also.get(id) ?? []
    const names = (followers: Incident['also']) => followers.map(({ name }) => name).join()
    if (names(now) !== names(incident.also)) put(scope, { ...incident, also: now, isDirty: true })
  }
}
