/** What people ask of alerting, by its names: `paios alerts`, `ack`, `mute`, `unmute`, `maintenance`. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AlertsStatus, IncidentReport, IncidentStatus } from '../schemas/incidents.ts'
import { RULES } from './core/alert-rules.ts'
import { nameOf } from './core/alert-scope.ts'
import type { Incident, Matcher } from './core/incident.ts'
import { spanText } from './core/local-time.ts'
import { CRITICAL_MOST_MS, MUTE_MOST_MS, whatOf } from './core/mute.ts'
import { MAINTENANCE_MOST_MS } from './core/suppression.ts'
import { nearest, PaiosError } from './errors.ts'
import type { AlertControl, MuteAsked } from './shell/alert-api.ts'
import { viewIncident, viewMute } from './shell/alert-views.ts'
import { type Home, runbookPath } from './shell/home.ts'
import { readTail } from './shell/log-file.ts'
import type { Supervisor } from './shell/supervisor.ts'
import { RUNBOOKS } from './version.ts'

/** So many incidents are shown with `--all`. */
const HISTORY = 200
const LOG_LINES = 20
const DAY_MS = 86_400_000
/** Rules are typed with or without this. */
const PREFIX = /^Paios(?=[A-Z])/

/** The desk over a supervisor. */
export function openAlertDesk(
  home: Home,
  supervisor: Supervisor,
  redact: (text: string) => string,
): AlertControl {
  const { alerting, alerts, mesh } = supervisor
  const open = () => alerting.incidents().filter(({ state }) => state !== 'resolved')

  function view(incident: Incident): IncidentStatus {
    const { kind, name } = incident.subject
    const service = kind === 'service' ? supervisor.services().find((one) => one.name === name) : undefined
    return viewIncident(incident, runbookOf(home, incident, supervisor), service ?? null)
  }
  /** Names of a mute: a service or another subject, a rule, or an open incident. */
  function matcherOf({ name, rule, severity }: MuteAsked): Matcher {
    const found: Matcher = { subject: null, rule: rule === null ? null : ruleOf(rule), severity }
    if (name === null) return found
    if (mesh.children.has(name)) return { ...found, subject: name }
    const incident = open().find(
      ({ id, subject }) => id === name || nameOf(subject) === name || subject.name === name,
    )
    if (incident) return { ...found, subject: incident.subject.name }
    return { ...found, rule: ruleOf(name) }
  }
  function ruleOf(written: string): string {
    const rule = written.replace(PREFIX, '')
    if (rule in RULES) return rule
    throw unknown(written, [...mesh.children.keys(), ...Object.keys(RULES)])
  }
  function namesOpen(of: string): Incident[] {
    return open().filter(
      ({ id, thread, subject }) =>
        id === of || thread === of || subject.name === of || nameOf(subject) === of,
    )
  }

  return {
    list(all): AlertsStatus {
      const { maintenance } = alerting.standing()
      const old = all ? alerts.outbox.incidents(HISTORY).map(({ row }) => row as Incident) : []
      const shown = new Map([...old, ...open()].map((incident) => [incident.id, incident]))
      return {
        incidents: [...shown.values()].toSorted(byWeight).map(view),
        mutes: alerting.mutes().map(viewMute),
        held: alerting.suppressions(),
        maintenance: maintenance && {
          until: new Date(maintenance.untilWall).toISOString(),
          by: maintenance.by,
        },
        flapping: alerting.flapping(),
      }
    },
    show(id): IncidentReport {
      const known =
        alerting.incidents().find((one) => one.id === id) ??
        (alerts.outbox.incident(id)?.row as Incident | undefined)
      if (known === undefined) {
        const [named] = namesOpen(id)
        if (named) return this.show(named.id)
        throw unknown(
          id,
          open().map((one) => one.id),
        )
      }
      const { name, kind } = known.subject
      const logPath =
        kind === 'service' ? supervisor.services().find((one) => one.name === name)?.logPath : null
      return {
        ...view(known),
        timeline: known.timeline.map(({ wall, text }) => ({ at: new Date(wall).toISOString(), text })),
        messages: alerts.outbox.told(known.thread).map((message) => ({
          channel: message.channel,
          kind: message.kind,
          at: new Date(message.created).toISOString(),
          state: message.state,
          delivered: message.sent === null ? null : new Date(message.sent).toISOString(),
          error: message.error,
        })),
        logTail: logPath && existsSync(logPath) ? lastLines(redact(readTail(logPath, 0))) : [],
        evidence: evidenceOf(home, known),
      }
    },
    acknowledge(of, by) {
      const found = namesOpen(of)
      if (found.length === 0)
        throw unknown(
          of,
          open().map(({ id }) => id),
        )
      alerting.tell({ kind: 'acknowledged', of, by })
      // Nothing else ends this one: what was given up stays so.
      if (found.some(({ lines }) => lines.some(({ rule }) => rule === 'AlertUndeliverable')))
        alerts.outbox.acknowledgeDead()
      const ids = found.map(({ id, subject }) => `${id} (${nameOf(subject)})`).join(', ')
      return { message: `acknowledged: ${ids}; no repeats for a day, unless it gets worse` }
    },
    mute(asked) {
      const matcher = matcherOf(asked)
      const { forMs, because, by } = asked
      alerting.tell({ kind: 'muted', matcher, forMs, because, by })
      const ms = Math.min(forMs, MUTE_MOST_MS)
      const isCut = ms > CRITICAL_MOST_MS && matcher.severity !== 'warning' && matcher.severity !== 'info'
      const limit = isCut ? '; what is critical is held for a day at most' : ''
      const id = alerting.mutes().at(-1)?.id ?? ''
      return { message: `muted as ${id}: ${whatOf(matcher)} for ${spanText(ms)}${limit}` }
    },
    unmute(of, by) {
      const before = alerting.mutes()
      alerting.tell({ kind: 'unmuted', of: of.replace(PREFIX, ''), by })
      const left = new Set(alerting.mutes().map(({ id }) => id))
      const gone = before.filter(({ id }) => !left.has(id))
      if (gone.length === 0)
        throw unknown(
          of,
          before.map(({ id }) => id),
        )
      return { message: `no longer muted: ${gone.map((mute) => `${mute.id} (${whatOf(mute)})`).join(', ')}` }
    },
    maintenance(forMs, by) {
      alerting.tell({ kind: 'maintenance-asked', forMs, by })
      if (forMs === null) return { message: 'maintenance is off: messages are sent again' }
      const ms = Math.min(forMs, MAINTENANCE_MOST_MS)
      const limit = ms < forMs ? ', which is the most' : ''
      return {
        message: `maintenance for ${spanText(ms)}${limit}: what follows from work on the machine is held`,
      }
    },
  }
}

function unknown(name: string, known: readonly string[]): PaiosError {
  const hint = nearest(name, known)
  const way = hint === null ? 'paios alerts --all lists incidents and mutes' : `did you mean ${hint}?`
  return new PaiosError('unknown-incident', `there is no incident, mute, service or rule '${name}' (${way})`)
}

/** Open ones first, the worst of them first, then the newest. */
function byWeight(one: Incident, other: Incident): number {
  const weight = ({ state, severity }: Incident) =>
    (state === 'resolved' ? 0 : 10) + (severity === 'critical' ? 2 : severity === 'warning' ? 1 : 0)
  return weight(other) - weight(one) || other.openedWall - one.openedWall
}

/** The file that says what to do: the service's own runbook, else that of its worst alert. */
function runbookOf(home: Home, { subject, lines }: Incident, { mesh }: Supervisor): string | null {
  const child = subject.kind === 'service' ? mesh.children.get(subject.name) : undefined
  if (child) return runbookPath(home, child.name, child.spec.runbook)
  for (const { rule } of lines.toReversed()) {
    const path = join(RUNBOOKS, `${rule}.md`)
    if (existsSync(path)) return path
  }
  return null
}

/** The newest file about a hang that was taken while the incident was open. */
function evidenceOf({ snapshots }: Home, { subject, openedWall, closedWall }: Incident): string | null {
  const folder = join(snapshots, subject.name)
  if (subject.kind !== 'service' || !existsSync(folder)) return null
  const from = new Date(openedWall - DAY_MS / 24).toISOString().replaceAll(':', '-')
  const to = closedWall === null ? '~' : new Date(closedWall).toISOString().replaceAll(':', '-')
  const file = readdirSync(folder)
    .sort()
    .findLast((name) => name.endsWith('.txt') && name >= from && name <= `${to}~`)
  return file === undefined ? null : join(folder, file)
}

const lastLines = (text: string): string[] => text.trimEnd().split('\n').slice(-LOG_LINES)
