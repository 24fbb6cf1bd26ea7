/** Summaries of alerts, with values as Prometheus' templates write them, so that both engines say the same. */
import type { Labels } from './evaluate.ts'

/** What may stand for the sample's value in a summary, and the template of Prometheus for it. */
export const VALUES = {
  value: { text: (value: number) => String(value), template: '{{ $value }}' },
  duration: { text: durationText, template: '{{ $value | humanizeDuration }}' },
  bytes: { text: (value: number) => `${binaryText(value)}B`, template: '{{ $value | humanize1024 }}B' },
  percent: {
    text: (value: number) => `${significant(value * 100)}%`,
    template: '{{ $value | humanizePercentage }}',
  },
} as const
type ValueName = keyof typeof VALUES

/** A summary with its placeholders filled. */
export function fill(summary: string, labels: Labels, value: number): string {
  return summary.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name in VALUES ? VALUES[name as ValueName].text(value) : (labels[name] ?? ''),
  )
}

/** The names between braces in a summary. */
export const placeholders = (summary: string): string[] =>
  [...summary.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)

/** `1d 2h 3m 4s`, `2m 5s`, `4.8s`. */
function durationText(value: number): string {
  if (value === 0) return '0s'
  const sign = value < 0 ? '-' : ''
  const total = Math.abs(value)
  const whole = Math.floor(total)
  const [days, hours, minutes, seconds] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ]
  if (days > 0) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`
  if (hours > 0) return `${sign}${hours}h ${minutes}m ${seconds}s`
  if (minutes > 0) return `${sign}${minutes}m ${seconds}s`
  return `${sign}${significant(total)}s`
}

/** `4.657Gi`. */
function binaryText(value: number): string {
  let left = value
  for (const prefix of ['', 'ki', 'Mi', 'Gi', 'Ti', 'Pi']) {
    if (Math.abs(left) < 1024) return `${significant(left)}${prefix}`
    left /= 1024
  }
  return `${significant(left)}Ei`
}

/** Four significant digits without trailing zeros. */
const significant = (value: number) => String(Number(value.toPrecision(4)))
