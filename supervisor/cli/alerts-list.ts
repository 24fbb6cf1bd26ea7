/** `paios alerts` without a further word, and `paios alerts show`. */
import type { AlertsStatus, IncidentReport, IncidentStatus } from '../../schemas/incidents.ts'
import type { ServiceStatus } from '../../schemas/status.ts'
import { call } from './client.ts'
import type { Invocation } from './command.ts'
import { formatSpan, type Layout, paint, plain } from './render.ts'

const TONES = { critical: 'red', warning: 'yellow', info: 'cyan' } as const

/** Prints what is open, held and muted. Exits 1 if something critical is open that nobody has acknowledged. */
export async function listAlerts(invocation: Invocation): Promise<number> {
  const path = invocation.has('all') ? '/alerts?all=1' : '/alerts'
  const status = await call<AlertsStatus>(invocation.home, 'GET', path)
  invocation.out(
    invocation.json ? `${JSON.stringify(status)}\n` : renderAlerts(status, Date.now(), invocation),
  )
  const isPressing = ({ severity, acknowledged, state }: IncidentStatus) =>
    severity === 'critical' && acknowledged === null && state === 'firing'
  return status.incidents.some(isPressing) ? 1 : 0
}

/** Prints everything about one incident. */
export async function showAlert(invocation: Invocation): Promise<number> {
  const id = invocation.operands[1] ?? ''
  const report = await call<IncidentReport>(invocation.home, 'GET', `/alerts/${encodeURIComponent(id)}`)
  const { kind, name } = report.subject
  const status =
    kind === 'service'
      ? await call<{ services: ServiceStatus[] }>(invocation.home, 'GET', '/status')
      : { services: [] }
  const service = status.services.find((one) => one.name === name) ?? null
  if (invocation.json) invocation.out(`${JSON.stringify({ ...report, probes: service?.probes ?? [] })}\n`)
  else invocation.out(renderReport(report, service, Date.now(), invocation))
  return 0
}

const ago = (instant: string, nowMs: number) => formatSpan(nowMs - Date.parse(instant))
const clock = (instant: string) => {
  const at = new Date(instant)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(at.getMonth() + 1)}-${two(at.getDate())} ${at.toTimeString().slice(0, 8)}`
}

/** The screen of `paios alerts`. */
export function renderAlerts(status: AlertsStatus, nowMs: number, layout: Layout): string {
  const lines: string[] = []
  const { maintenance } = status
  if (maintenance !== null) {
    const until = `${clock(maintenance.until)} by ${plain(maintenance.by)}`
    lines.push(`! maintenance until ${until}   paios maintenance off`)
  }
  for (const held of status.held) if (held !== 'maintenance') lines.push(`! messages are held: ${HELD[held]}`)
  if (status.incidents.length === 0) lines.push('no open incidents   paios alerts --all')
  for (const incident of status.incidents) lines.push(...renderIncident(incident, nowMs, layout))
  for (const { id, what, until, because, by } of status.mutes) {
    const end = `until ${clock(until)} by ${plain(by)}: ${plain(because)}`
    lines.push(`muted ${id}: ${plain(what)} ${end}   paios unmute ${id}`)
  }
  return `${lines.join('\n')}\n`
}

const HELD = {
  startup: 'the supervisor has just started',
  wake: 'the machine has just woken',
  offline: 'the machine is offline',
  maintenance: 'maintenance',
} as const

function renderIncident(incident: IncidentStatus, nowMs: number, layout: Layout): string[] {
  const { id, severity, state, title, since, ended, acknowledged, why, next, runbook, reopened } = incident
  const isOver = state === 'resolved'
  const word = paint((isOver ? 'over' : severity).padEnd(8), isOver ? 'dim' : TONES[severity], layout)
  const span =
    isOver && ended !== null ? formatSpan(Date.parse(ended) - Date.parse(since)) : ago(since, nowMs)
  const notes = [
    ...(state === 'resolving' ? ['nothing fires any more'] : []),
    ...(acknowledged === null ? [] : [`acknowledged by ${plain(acknowledged.by)}`]),
    ...(reopened === 0 ? [] : [`opened again ${reopened} times`]),
    ...(why === null ? [] : [plain(why)]),
  ]
  const head = `${id.padEnd(5)} ${word} ${span.padEnd(5)} ${isOver ? `${clock(since)} ` : ''}${plain(title)}`
  const lines = [notes.length === 0 ? head : `${head}  (${notes.join('; ')})`]
  if (incident.cause !== null) lines.push(`      ${plain(incident.cause)}`)
  if (!isOver) lines.push(`      ${runbook === null ? '' : `runbook ${runbook}   `}${next}`)
  return lines
}

/** The screen of `paios alerts show`. */
export function renderReport(
  report: IncidentReport,
  service: Pick<ServiceStatus, 'probes'> | null,
  nowMs: number,
  layout: Layout,
): string {
  const lines = renderIncident(report, nowMs, layout)
  const section = (title: string, rows: readonly string[]) => {
    if (rows.length > 0) lines.push(paint(`  ${title}`, 'bold', layout), ...rows.map((row) => `    ${row}`))
  }
  section(
    'alerts',
    report.alerts.map(({ rule, severity, summary, since, ended, why }) => {
      const times = `since ${clock(since)}${ended === null ? '' : `, until ${clock(ended)}`}`
      const held = why === null ? '' : `; ${plain(why)}`
      return `${severity.padEnd(8)} ${rule}: ${plain(summary)} (${times}${held})`
    }),
  )
  section(
    'timeline',
    report.timeline.map(({ at, text }) => `${clock(at)} ${plain(text)}`),
  )
  section(
    'messages',
    report.messages.map(({ at, channel, kind, state, delivered, error }) => {
      const took = delivered === null ? '' : ` after ${formatSpan(Date.parse(delivered) - Date.parse(at))}`
      return `${clock(at)} ${channel} ${kind}: ${state}${took}${error === null ? '' : ` (${plain(error)})`}`
    }),
  )
  section(
    'probes',
    (service?.probes ?? []).map(({ name, verdict, reason, note }) =>
      `${(verdict ?? 'no result').padEnd(9)} ${name}  ${plain(reason ?? note ?? '')}`.trimEnd(),
    ),
  )
  section('its last output', report.logTail.map(plain))
  if (report.evidence !== null) lines.push(`  what was to be seen: ${report.evidence}`)
  return `${lines.join('\n')}\n`
}
