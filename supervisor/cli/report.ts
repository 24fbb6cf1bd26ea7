/** `paios report`. */
import { join } from 'node:path'
import type { Report, ServiceReport } from '../../schemas/report.ts'
import type { Command, Invocation } from './command.ts'
import { paint, plain, shorten } from './render.ts'
import { sinceMs } from './timestamps.ts'

const DEFAULT_SINCE = '7d'

/** Says how the mesh was. */
export const command: Command = {
  usage: 'report [--since WHEN]',
  about:
    'Says how the mesh was: how long it was watched, asleep and not watched; for each service the share of the time\n' +
    'in which it was up, its faults and who healed them, the worst one; alerts sent and the slowest delivery; when\n' +
    'runbooks were last followed. Time asleep, in maintenance, and in which a service was stopped or not installed\n' +
    'counts neither way. Needs no supervisor.',
  flags: { since: { value: 'WHEN', help: `the last 24h, 7d, or since an instant (${DEFAULT_SINCE})` } },
  operands: { min: 0, max: 0 },
  examples: [
    ['paios report', 'the last seven days'],
    ["paios report --since 30d --json | jq '.services[] | [.name, .availability]'", 'for scripts'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, json, out } = invocation
  const toMs = Date.now()
  const fromMs = await sinceMs(invocation.text('since') ?? DEFAULT_SINCE, toMs)
  const { readLastRuns, readReport } = await import('../shell/report.ts')
  const journal = join(home, 'state', 'journal.db')
  const { readRunbooks } = await import('../document/runbook.ts')
  const { agesOf } = await import('../document/runbook-age.ts')
  const read = readReport(journal, home, { fromMs, toMs })
  const known = readRunbooks(home).flatMap(({ runbook }) => (runbook === null ? [] : [runbook]))
  const runbooks = agesOf(known, { wall: toMs, lastRuns: readLastRuns(journal) })
  const report: Report = { ...read, runbooks }
  out(json ? `${JSON.stringify(report)}\n` : renderReport(report, invocation))
  return 0
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const

/** A span in its two largest units: `6 d 4 h`, `2 min`, `0.3 s`, `0 s`. */
function span(seconds: number): string {
  if (seconds > 0 && seconds < 9.95) return `${Math.max(0.1, seconds).toFixed(1)} s`
  const whole = Math.round(seconds)
  const index = UNITS.findIndex(([, size]) => whole >= size)
  if (index < 0) return '0 s'
  const [unit, size] = UNITS[index]!
  const [small, smallSize] = UNITS[index + 1] ?? ['', 1]
  const rest = small === '' ? 0 : Math.floor((whole % size) / smallSize)
  return `${Math.floor(whole / size)} ${unit}${rest > 0 ? ` ${rest} ${small}` : ''}`
}

/** Never rounded up to a whole that it was not. */
function share(availability: number | null): string {
  if (availability === null) return '-'
  const percent = availability * 100
  return percent === 100 ? '100 %' : `${(Math.floor(percent * 1000) / 1000).toFixed(3)} %`
}

/** The report for people: the worst service first. */
export function renderReport(report: Report, layout: Pick<Invocation, 'columns' | 'color'>): string {
  const local = (instant: string) => new Date(instant).toLocaleString('sv').slice(0, 16)
  const head = `PAIOS report · ${local(report.from)} to ${local(report.to)}`
  const time = [
    `watched ${span(report.watched)}`,
    `asleep ${span(report.asleep)}`,
    `not watched ${span(report.notWatched)}`,
  ].join(' · ')
  const services = report.services.toSorted(
    (one, other) => (one.availability ?? 2) - (other.availability ?? 2) || other.faults - one.faults,
  )
  const width = Math.max('SERVICE'.length, ...services.map(({ name }) => name.length)) + 2
  const heading = `${'SERVICE'.padEnd(width)}${'UP'.padEnd(11)}${'DOWN FOR'.padEnd(14)}FAULTS`
  const lines = [
    paint(head, 'bold', layout),
    shorten(time, layout.columns),
    ...(services.length === 0 ? ['nothing was watched yet'] : [paint(heading, 'dim', layout)]),
    ...services.map((service) => shorten(lineOf(service, width), layout.columns)),
    shorten(alertLine(report), layout.columns),
    shorten(runbookLine(report), layout.columns),
  ]
  return `${lines.join('\n')}\n`
}

function lineOf(service: ServiceReport, width: number): string {
  const down = service.bad === 0 ? '-' : span(service.bad)
  return `${service.name.padEnd(width)}${share(service.availability).padEnd(11)}${down.padEnd(14)}${faults(service)}`
}

function faults({ faults: count, healedByItself, healedByHand, toHeal, lastCause }: ServiceReport): string {
  if (count === 0) return '-'
  const standing = count - healedByItself - healedByHand
  const parts = [
    healedByItself > 0 ? `${healedByItself} healed by itself` : '',
    healedByHand > 0 ? `${healedByHand} by hand` : '',
    standing > 0 ? `${standing} not over` : '',
  ].filter(Boolean)
  const worst = toHeal === null ? '' : `; the longest ${span(toHeal.worst)}`
  return `${count}: ${parts.join(', ')}${worst}; last: ${plain(lastCause ?? '')}`
}

function alertLine({ alerts, incidents }: Report): string {
  const { sent, waiting, givenUp, delivery } = alerts
  const seconds = (value: number) => `${value.toFixed(1)} s`
  return [
    `incidents: ${incidents.opened} told, ${incidents.open} open`,
    `alerts: ${sent} sent`,
    ...(waiting > 0 ? [`${waiting} waiting`] : []),
    ...(givenUp > 0 ? [`${givenUp} given up`] : []),
    ...(delivery === null
      ? []
      : [`slowest delivery ${seconds(delivery.slowest)} (95 % within ${seconds(delivery.p95)})`]),
  ].join(' · ')
}

function runbookLine({ runbooks: { count, drilled, oldestDrillDays, reviewDue } }: Report): string {
  return [
    `runbooks: ${count}`,
    oldestDrillDays === null
      ? 'none was ever drilled'
      : `${drilled} drilled, the oldest ${oldestDrillDays} d ago`,
    ...(drilled > 0 && drilled < count ? [`${count - drilled} never`] : []),
    ...(reviewDue > 0 ? [`${reviewDue} to be reviewed`] : []),
  ].join(' · ')
}
