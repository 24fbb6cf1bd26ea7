/** From samples to a table and the bars. */
import type { Samples } from './measures.ts'

/** A bar: the median of paios over that of `over` (null: the median itself) must not exceed `most`. */
type Bar = {
  readonly name: string
  readonly measure: string
  readonly over: string | null
  readonly most: number
}

/** The bars; ratios are to the minimal Node supervisor or to a bare Node in the same run. */
const BARS: readonly Bar[] = [
  { name: 'restart / floor', measure: 'restart ms', over: 'floor', most: 1.3 },
  { name: 'bring-up of 100 / floor', measure: 'up 100 ms', over: 'floor', most: 4 },
  { name: 'PSS / floor, no probes', measure: 'PSS MiB (no probes)', over: 'floor', most: 2.6 },
  { name: 'PSS / floor, probes', measure: 'PSS MiB (probes)', over: 'floor', most: 2.6 },
  { name: 'idle CPU % of a core, no probes', measure: 'idle CPU % (no probes)', over: null, most: 0.5 },
  { name: 'idle CPU % of a core, probes', measure: 'idle CPU % (probes)', over: null, most: 0.5 },
  { name: 'status / node -e 0', measure: 'status ms', over: 'node -e 0', most: 2.5 },
  { name: 'down of 100 / node -e 0', measure: 'down ms', over: 'node -e 0', most: 4 },
  { name: 'logs / floor', measure: 'logs 256 MiB ms', over: 'floor', most: 1.05 },
  {
    name: 'event of 1,000 services / of 10',
    measure: 'event µs (1,000 services)',
    over: '10 services',
    most: 2,
  },
  { name: 'a look at all alert rules, ms', measure: 'rules ms (40 services)', over: null, most: 5 },
  { name: 'probes of the example, CPU % of a core', measure: 'example CPU %', over: null, most: 1 },
  { name: 'probes of the example, PSS MiB', measure: 'example PSS MiB', over: null, most: 15 },
  // Nothing of a flood passes through the supervisor; what it spends is its own ticks meanwhile.
  { name: 'supervisor CPU ms for 256 MiB', measure: 'logs CPU ms', over: null, most: 5 },
]

/** Median; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const format = (value: number) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

/** One line per measure and peer: n, median, least, most. */
export function table(samples: Samples): string[] {
  const lines = ['| measure | of | n | median | min | max |', '|---|---|--:|--:|--:|--:|']
  for (const [measure, byPeer] of samples) {
    for (const [peer, values] of byPeer) {
      const figures = [median(values), Math.min(...values), Math.max(...values)].map(format)
      lines.push(`| ${measure} | ${peer} | ${values.length} | ${figures.join(' | ')} |`)
    }
  }
  return lines
}

/** The bars that were measured, and whether all of them are met. */
export function judge(samples: Samples): { lines: string[]; isMet: boolean } {
  const lines = ['| bar | at most | measured | |', '|---|--:|--:|---|']
  let isMet = true
  for (const { name, measure, over, most } of BARS) {
    const byPeer = samples.get(measure)
    if (!byPeer) continue
    const value = median(byPeer.get('paios') ?? []) / (over === null ? 1 : median(byPeer.get(over) ?? []))
    const met = value <= most
    isMet &&= met
    lines.push(`| ${name} | ${most} | ${value.toFixed(2)} | ${met ? 'met' : '**missed**'} |`)
  }
  return { lines, isMet }
}
