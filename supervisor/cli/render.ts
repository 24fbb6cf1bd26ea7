/** Texts for people, as pure functions: the same status and instant always give the same lines. */
import type { ServiceState } from '../../schemas/states.ts'
import type { JournalEvent, Plan, ServiceStatus, Status } from '../../schemas/status.ts'

/** How to lay out: `columns` to fit (Infinity = do not cut), and whether colours may be used. */
export type Layout = { readonly columns: number; readonly color: boolean }

type Tone = 'red' | 'yellow' | 'cyan' | 'green' | 'dim' | 'bold'
const SGR: Record<Tone, number> = { red: 31, yellow: 33, cyan: 36, green: 32, dim: 2, bold: 1 }

/** Worst first, with the colour of each state. The order is that of STATES, which a test compares. */
export const STATE_TONES: Record<ServiceState, Tone> = {
  failed: 'red',
  unknown: 'red',
  blocked: 'red',
  missing: 'red',
  hung: 'red',
  backoff: 'yellow',
  degraded: 'yellow',
  waiting: 'cyan',
  starting: 'cyan',
  stopping: 'cyan',
  running: 'green',
  stopped: 'dim',
  absent: 'dim',
}
const RANK = new Map(Object.keys(STATE_TONES).map((state, index) => [state, index]))

/**
 * States in which a wanted service has no live, working process. `degraded` is alive, `starting` may yet
 * come.
 */
const DOWN: ReadonlySet<ServiceState> = new Set([
  'failed',
  'unknown',
  'blocked',
  'missing',
  'hung',
  'backoff',
  'waiting',
])

/** True if the service is wanted and is down: what makes `paios status` exit 1. */
export function isDown(service: ServiceStatus): boolean {
  return service.desired === 'running' && (service.ended || DOWN.has(service.state))
}

/** A span as one figure, rounded down to its largest unit: `0 s`, `12 s`, `2 m`, `3 h`, `6 d`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** The span from an ISO instant to now, `-` for null. */
function formatSince(instant: string | null, nowMs: number): string {
  return instant === null ? '-' : formatSpan(nowMs - Date.parse(instant))
}

/** Text from outside on one line, without the control characters that would steer a terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim()
}

/** Services as the table shows them: worst first, names in order within a state. */
export function worstFirst(services: readonly ServiceStatus[]): ServiceStatus[] {
  const rank = (service: ServiceStatus) => RANK.get(service.state) ?? 0
  return services.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
}

/** The whole screen of `paios status`. */
export function renderStatus(status: Status, nowMs: number, layout: Layout): string {
  const lines = [renderHeader(status, nowMs, layout)]
  for (const warning of standingWarnings(status, nowMs))
    lines.push(cut(`! ${plain(warning)}`, layout.columns, 'red', layout))
  if (status.services.length === 0) lines.push(`no services: name some in ${plain(status.document.path)}`)
  else lines.push(...renderTable(status.services, nowMs, layout))
  return lines.join('\n') + '\n'
}

function renderHeader(status: Status, nowMs: number, layout: Layout): string {
  const parts = [`PAIOS ${status.version}`]
  if (status.pid === null) parts.push('no supervisor')
  else parts.push(`up ${formatSince(status.startedAt, nowMs)}`, `pid ${status.pid}`)
  if (status.mesh === 'down') parts.push('the mesh is down')
  // A supervisor of an older version says nothing of it, nor of incidents.
  if (status.pid !== null && status.alerts) parts.push(`alerts: ${plain(status.alerts)}`)
  parts.push(plain(status.home))
  return cut(parts.join(' · '), layout.columns, 'bold', layout)
}

/**
 * What stands above the table: the supervisor's warnings, and the document's and the keeper's trouble if
 * unnamed.
 */
function standingWarnings(status: Status, nowMs: number): string[] {
  const warnings = [...status.warnings]
  const names = (text: string) => warnings.some((warning) => warning.includes(text))
  const { problem, changed } = status.document
  // A supervisor of an older version does not say when.
  if (problem !== null && changed) warnings.push(unapplied(status.document, changed, nowMs))
  else if (problem !== null && !names(problem)) warnings.push(`${problem}   paios check`)
  if (status.keeper === 'gone' && !names('keeper')) {
    warnings.push(
      'the keeper is gone: nothing restarts the supervisor if it crashes   paios down && paios up',
    )
  }
  return warnings
}

/** An edit that is not in force: since when, what is wrong with it, and the command to type next. */
function unapplied({ errors }: Status['document'], changed: string, nowMs: number): string {
  const text = `paios.yaml changed ${formatSince(changed, nowMs)} ago, not applied`
  return errors ? `${text}: ${errors}   paios check` : `${text}   paios up`
}

/** The table alone, with its heading. */
function renderTable(services: readonly ServiceStatus[], nowMs: number, layout: Layout): string[] {
  const rows = worstFirst(services).map((service) => ({
    state: service.state,
    cells: [service.name, wordOf(service), formatSince(service.since, nowMs), restartsOf(service)],
    why: whyOf(service, nowMs),
    next: plain(service.next ?? ''),
  }))
  const heads = ['SERVICE', 'STATE', 'SINCE', 'RESTARTS 24h/7d']
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row.cells[column]!.length)),
  )
  const left = widths.reduce((sum, width) => sum + width + 2, 0)
  const columns = columnsOfWhy(rows, layout.columns - left)
  const heading = heads.map((head, column) => head.padEnd(widths[column]! + 2)).join('') + 'WHY / NEXT'
  const lines = [paint(heading, 'dim', layout)]
  for (const row of rows) {
    const cells = row.cells.map((cell, column) => {
      const padded = cell.padEnd(widths[column]! + 2)
      return column === 1 ? paint(padded, STATE_TONES[row.state], layout) : padded
    })
    lines.push((cells.join('') + lastColumns(row, columns)).trimEnd())
  }
  return lines
}

type Reasons = { readonly why: string; readonly next: string }
const GAP = '   '
/** A reason cut shorter than this says nothing. */
const LEAST_WHY = 12

/**
 * The widths of WHY and NEXT in the room that is left; NEXT keeps its width as long as a bit of WHY fits too.
 */
function columnsOfWhy(rows: readonly Reasons[], room: number): { why: number; room: number } {
  const next = Math.max(0, ...rows.map((row) => row.next.length))
  const why = Math.max(0, ...rows.map((row) => row.why.length))
  const fitting = next === 0 ? room : room - next - GAP.length
  return { why: Math.max(Math.min(why, fitting), LEAST_WHY), room }
}

function lastColumns({ why, next }: Reasons, { why: width, room }: { why: number; room: number }): string {
  if (next === '') return shorten(why, room)
  if (why === '') return shorten(next, room)
  const both = `${shorten(why, width).padEnd(width)}${GAP}${next}`
  if (both.length <= room) return both
  // Too narrow for columns: this row's own reason gives way to its own command, never the other way round.
  const own = room - next.length - GAP.length
  return own >= LEAST_WHY ? `${shorten(why, own)}${GAP}${next}` : shorten(next, room)
}

/** What is only watched does not run here: people or clients start it, and it is well or not. */
const isWatched = ({ kind, logPath }: ServiceStatus) =>
  kind === 'external' || kind === 'session' || (kind !== 'daemon' && logPath === null)

function wordOf(service: ServiceStatus): string {
  return isWatched(service) && service.state === 'running' && service.kind !== 'external'
    ? 'ok'
    : service.state
}

function restartsOf(service: ServiceStatus): string {
  const unowned = isWatched(service) || service.state === 'absent'
  return unowned ? '-' : `${service.restarts24h}/${service.restarts7d}`
}

function whyOf(service: ServiceStatus, nowMs: number): string {
  const parts: string[] = []
  if (service.state === 'stopping' && service.deadline !== null)
    parts.push(countdown(service.deadline, nowMs))
  if (service.reason !== null) parts.push(service.reason)
  else if (service.note !== null) parts.push(service.note)
  else if (service.stopped !== null) parts.push(stoppedBy(service.stopped, nowMs))
  for (const warning of service.warnings) parts.push(`! ${warning}`)
  const text = plain(parts.join('; '))
  return service.incident ? `${text} (${service.incident.id})`.trimStart() : text
}

/** `killed in 8 s unless it ends`. */
export function countdown(deadline: string, nowMs: number): string {
  return `killed in ${formatSpan(Date.parse(deadline) - nowMs)} unless it ends`
}

/** What is known of an operator's stop. */
export function stoppedBy(
  stopped: { readonly at: string; readonly until: string | null },
  nowMs: number,
): string {
  const since = `stopped by you ${formatSince(stopped.at, nowMs)} ago`
  return stopped.until === null
    ? since
    : `${since}, starts again in ${formatSpan(Date.parse(stopped.until) - nowMs)}`
}

/** One service in full, for `paios status NAME`. */
export function renderService(service: ServiceStatus, nowMs: number, layout: Layout): string {
  const state = paint(wordOf(service), STATE_TONES[service.state], layout)
  const facts: [string, string][] = [
    ['state', `${state} for ${formatSince(service.since, nowMs)}${service.ready ? ', ready' : ''}`],
    ['wanted', service.stopped === null ? service.desired : stoppedBy(service.stopped, nowMs)],
    ['why', whyOf(service, nowMs)],
    ['next', plain(service.next ?? '')],
    ['incident', incidentOf(service.incident, nowMs)],
    [
      'preset',
      `${service.preset} (${service.kind})${service.group === null ? '' : `, group ${service.group}`}`,
    ],
    ['process', service.pid === null ? '-' : `pid ${service.pid}, life ${service.generation}`],
    ['restarts', `${service.restarts24h} in 24 h, ${service.restarts7d} in 7 d, ${service.restarts} in all`],
    ['runbook', service.runbook],
    ['log', service.logPath ?? '-'],
  ]
  const lines = [paint(service.name, 'bold', layout)]
  for (const [fact, text] of facts) if (text !== '') lines.push(`  ${fact.padEnd(9)} ${text}`)
  if (service.probes.length > 0) lines.push('  probes')
  for (const probe of service.probes) {
    const tone = probe.verdict === 'fail' ? 'red' : probe.verdict === 'pass' ? 'green' : 'dim'
    const verdict = paint((probe.verdict ?? 'no result').padEnd(9), tone, layout)
    const count = probe.failures > 0 ? ` (${probe.failures} of ${probe.threshold} failures)` : ''
    const text = probe.reason ?? probe.note
    const reason = text === null ? '' : `  ${plain(text)}`
    lines.push(`    ${verdict} ${probe.role.padEnd(9)} ${probe.name}${count}${reason}`)
  }
  return lines.join('\n') + '\n'
}

/** Its open incident: since when, whether somebody knows, and how to see all of it. */
function incidentOf(incident: ServiceStatus['incident'], nowMs: number): string {
  if (!incident) return ''
  const { id, severity, since, acknowledged, why } = incident
  const parts = [`${id}, ${severity} for ${formatSince(since, nowMs)}`]
  if (acknowledged) parts.push('acknowledged')
  if (why !== null) parts.push(plain(why))
  return `${parts.join(', ')}   paios alerts show ${id}`
}

/** A plan as lines, `nothing to change` where it is empty. */
export function renderPlan(plan: Plan): string[] {
  const verbs = (['start', 'restart', 'update', 'stop'] as const)
    .filter((verb) => plan[verb].length > 0)
    .map((verb) => `${verb}: ${plan[verb].join(', ')}`)
  const lines = [...verbs, ...plan.refused.map(({ name, reason }) => `not taken: ${name}: ${plain(reason)}`)]
  if (lines.length === 0) return ['nothing to change']
  return plan.unchanged.length === 0 ? lines : [...lines, `unchanged: ${plan.unchanged.length}`]
}

/** What happened, with the state that was entered in front where the text does not begin with it. */
function tellEvent({ kind, text }: JournalEvent): string {
  const said = plain(text || kind)
  return kind in STATE_TONES && !said.startsWith(kind) ? `${kind}: ${said}` : said
}

/** One journal event as a line, in local time; the date only where it is not today's. */
export function renderEvent(event: JournalEvent, nowMs: number, layout: Layout): string {
  const at = new Date(event.at)
  const today = new Date(nowMs).toDateString() === at.toDateString()
  const time = at.toTimeString().slice(0, 8)
  const two = (value: number) => String(value).padStart(2, '0')
  const date = today ? '' : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `
  const life = event.generation === null ? '' : `/${event.generation}`
  const cause = event.cause === null ? '' : paint(` (cause #${event.cause})`, 'dim', layout)
  return `${paint(`${date}${time}`, 'dim', layout)} #${event.id} ${event.subject}${life} ${tellEvent(event)}${cause}`
}

function cut(text: string, columns: number, tone: Tone, layout: Layout): string {
  return paint(shorten(text, columns), tone, layout)
}

/** At most `columns` characters, with an ellipsis where some were cut. */
export function shorten(text: string, columns: number): string {
  if (text.length <= columns) return text
  return columns <= 1 ? '' : `${text.slice(0, columns - 1).trimEnd()}…`
}

/** Text in a colour, as it is where colours are off. */
export function paint(text: string, tone: Tone, layout: Pick<Layout, 'color'>): string {
  return layout.color ? `\u001b[${SGR[tone]}m${text}\u001b[0m` : text
}
