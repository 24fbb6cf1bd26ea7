/** Times until somebody is told, over all rows: how many, the middle, the 95th of a hundred, the worst and its reason. */
import { RULES } from '../../supervisor/core/alert-rules.ts'
import type { Outcome } from './fault.ts'

/** One line of figures; `of` picks a time out of a row in milliseconds, null where it has none. */
type Figure = { readonly what: string; readonly of: (outcome: Outcome) => number | null }

const severityOf = ({ fault: { heard } }: Outcome) => ('rule' in heard ? RULES[heard.rule]!.severity : null)
const toldMs = (severity: 'critical' | 'warning' | 'info') => (outcome: Outcome) =>
  severityOf(outcome) === severity ? (outcome.told?.ms ?? null) : null

const FIGURES: readonly Figure[] = [
  {
    what: 'fault → seen, where somebody must be told',
    of: (outcome) => (['critical', 'warning'].includes(severityOf(outcome) ?? '') ? outcome.detectMs : null),
  },
  { what: '**critical: fault → message**', of: toldMs('critical') },
  {
    what: 'critical: seen → message',
    of: (outcome) => {
      const ms = toldMs('critical')(outcome)
      return ms === null ? null : Math.max(0, ms - (outcome.detectMs ?? 0))
    },
  },
  { what: '**warning: fault → message**', of: toldMs('warning') },
  { what: 'info: fault → message of the hour', of: toldMs('info') },
]

/** The least value that at least this share of them does not exceed. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

/** `0.42 s`, `12.4 s`. */
export const secondsText = (ms: number): string => `${(ms / 1000).toFixed(ms < 1_000 ? 2 : 1)} s`

/** The figures as a table of Markdown. */
export function figuresTable(outcomes: readonly Outcome[]): string {
  const lines = FIGURES.flatMap(({ what, of }) => {
    const all = outcomes.flatMap((outcome) => {
      const ms = of(outcome)
      return ms === null ? [] : [{ outcome, ms }]
    })
    const sorted = all.toSorted((one, other) => one.ms - other.ms)
    const worst = sorted.at(-1)
    if (worst === undefined) return []
    const times = sorted.map(({ ms }) => ms)
    const cells = [quantile(times, 0.5), quantile(times, 0.95), worst.ms].map(secondsText)
    return [`| ${[what, times.length, ...cells, whyOf(worst.outcome)].join(' | ')} |`]
  })
  return [
    '| Time | n | p50 | p95 | worst | The worst, and why |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

function whyOf({ group, fault: { name, heard, late } }: Outcome): string {
  const rule = 'rule' in heard ? RULES[heard.rule]! : null
  const why =
    late ??
    (rule?.severity === 'warning'
      ? 'a warning is told after 10 s'
      : rule?.severity === 'info'
        ? 'the message of the hour is edited every 10 s at most'
        : 'nothing special: it is seen, and told')
  return `${group}: ${name}; ${why}`
}
