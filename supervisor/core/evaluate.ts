/**
 * What an expression yields over the present samples, by Prometheus' own rules for labels and joins. The one thing it
 * does differently is exactness: a counter has grown by what was counted in (now - window, now], nothing is
 * extrapolated.
 */
import type { MetricName } from '../../schemas/metrics.ts'
import type { Arithmetic, Comparison, Expression, Where } from './expression.ts'

export type Labels = Readonly<Record<string, string>>
export type Sample = { readonly labels: Labels; readonly value: number }

/** Where an expression reads. Series that have not moved in a window may be left out. */
export type Samples = {
  readonly present: (metric: MetricName) => readonly Sample[]
  /** Growth of a counter, or changes of a gauge, in the window of so many seconds that ends now. */
  readonly moved: (metric: MetricName, window: number) => readonly Sample[]
}

type Operation = Extract<Expression, { kind: 'operation' }>

/** Samples or a number. `now` is Unix seconds. Throws where a join has two partners for one sample. */
export function evaluate(expression: Expression, samples: Samples, now: number): number | readonly Sample[] {
  switch (expression.kind) {
    case 'number':
      return expression.value
    case 'time':
      return now
    case 'select':
      return matching(samples.present(expression.metric), expression.where)
    case 'increase':
    case 'changes':
      return matching(samples.moved(expression.metric, expression.window), expression.where)
    case 'sum':
      return sum(vector(expression.of, samples, now), expression.by)
    case 'operation': {
      const left = evaluate(expression.left, samples, now)
      // Where nothing is on the left side nothing comes of it, whatever is on the right.
      if (typeof left !== 'number' && left.length === 0) return left
      return operate(expression, left, evaluate(expression.right, samples, now))
    }
    default: {
      const left = vector(expression.left, samples, now)
      if (left.length === 0 && expression.kind !== 'or') return left
      return combine(expression.kind, left, vector(expression.right, samples, now), expression.on)
    }
  }
}

/** The same, for an expression that yields samples. Throws for one that yields a number. */
export function vector(expression: Expression, samples: Samples, now: number): readonly Sample[] {
  const value = evaluate(expression, samples, now)
  if (typeof value === 'number') throw new Error('a number where samples are expected')
  return value
}

function matching(samples: readonly Sample[], where: Where): readonly Sample[] {
  const asked = Object.entries(where)
  const [first] = asked
  if (first === undefined) return samples
  if (asked.length === 1) {
    const [label, values] = first
    if (typeof values === 'string') return grouped(samples, label).get(values) ?? NONE
  }
  return samples.filter(({ labels }) =>
    asked.every(([label, values]) =>
      typeof values === 'string' ? labels[label] === values : values.includes(labels[label] ?? ''),
    ),
  )
}

const NONE: readonly Sample[] = []

/** What many rules ask of the same samples is found once: the samples by a label, and partners by what they share. */
const groups = new WeakMap<readonly Sample[], Map<string, Map<string, Sample[]>>>()
const partnersOf = new WeakMap<readonly Sample[], Map<string, Map<string, Sample>>>()

/** What belongs to a key of an object, made once as long as there is this object. */
function remembered<K extends object, T extends object>(
  all: WeakMap<K, Map<string, T>>,
  of: K,
  key: string,
  make: () => T,
): T {
  const known = all.get(of) ?? new Map<string, T>()
  all.set(of, known)
  const found = known.get(key) ?? make()
  known.set(key, found)
  return found
}

function grouped(samples: readonly Sample[], label: string): ReadonlyMap<string, readonly Sample[]> {
  return remembered(groups, samples, label, () => {
    const made = new Map<string, Sample[]>()
    for (const sample of samples) {
      const value = sample.labels[label] ?? ''
      const group = made.get(value)
      if (group) group.push(sample)
      else made.set(value, [sample])
    }
    return made
  })
}

/** What two samples must share to meet; null: every label. */
export function keyOf(labels: Labels, on: readonly string[] | null): string {
  if (on === null) return seriesKey(labels)
  const [first = ''] = on
  return on.length === 1 ? (labels[first] ?? '') : on.map((label) => labels[label] ?? '').join('\u0000')
}

/** One text for one set of labels. */
export function seriesKey(labels: Labels): string {
  const names = Object.keys(labels)
  if (names.length === 0) return ''
  return names
    .sort()
    .map((name) => `${name}\u0000${labels[name]}`)
    .join('\u0000')
}

/** The labels named, without those that a sample lacks. */
function only(labels: Labels, names: readonly string[]): Labels {
  const kept: Record<string, string> = {}
  for (const name of names) if (labels[name]) kept[name] = labels[name]
  return kept
}

function sum(samples: readonly Sample[], by: readonly string[]): readonly Sample[] {
  const sums = new Map<string, { labels: Labels; value: number }>()
  for (const { labels, value } of samples) {
    const key = keyOf(labels, by)
    const found = sums.get(key)
    if (found) found.value += value
    else sums.set(key, { labels: only(labels, by), value })
  }
  return [...sums.values()]
}

const ARITHMETIC: Readonly<Record<Arithmetic, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
}
const COMPARISON: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
}

/** The value of one pair; null where a comparison does not hold. `kept` is what a comparison keeps. */
function outcome(operator: Operation['operator'], left: number, right: number, kept: number): number | null {
  if (operator in ARITHMETIC) return ARITHMETIC[operator as Arithmetic](left, right)
  return COMPARISON[operator as Comparison](left, right) ? kept : null
}

function operate(
  { operator, on, take }: Operation,
  left: number | readonly Sample[],
  right: number | readonly Sample[],
): number | readonly Sample[] {
  if (typeof left === 'number' && typeof right === 'number') {
    if (operator in COMPARISON) throw new Error('a comparison of two numbers yields no samples')
    return ARITHMETIC[operator as Arithmetic](left, right)
  }
  const results: Sample[] = []
  if (typeof right === 'number') {
    for (const sample of left as readonly Sample[]) {
      const result = outcome(operator, sample.value, right, sample.value)
      if (result !== null)
        results.push(result === sample.value ? sample : { labels: sample.labels, value: result })
    }
    return results
  }
  if (typeof left === 'number') {
    for (const { labels, value } of right) {
      const result = outcome(operator, left, value, value)
      if (result !== null) results.push({ labels, value: result })
    }
    return results
  }
  const partners = byKey(right, on)
  const met = new Set<string>()
  for (const { labels, value } of left) {
    const key = keyOf(labels, on)
    const partner = partners.get(key)
    if (!partner) continue
    const result = outcome(operator, value, partner.value, value)
    if (result === null) continue
    if (take === null && met.has(key)) throw new Error(`many samples on the left side for ${shown(labels)}`)
    met.add(key)
    results.push({ labels: joined(labels, partner.labels, on, take), value: result })
  }
  return results
}

/** The right side of a join, where each sample must be the only one of its key. */
function byKey(samples: readonly Sample[], on: readonly string[] | null): ReadonlyMap<string, Sample> {
  return remembered(partnersOf, samples, on?.join('\u0000') ?? '\u0000', () => {
    const found = new Map<string, Sample>()
    for (const sample of samples) {
      const key = keyOf(sample.labels, on)
      if (found.has(key)) throw new Error(`many samples on the right side for ${shown(sample.labels)}`)
      found.set(key, sample)
    }
    return found
  })
}

function joined(
  left: Labels,
  right: Labels,
  on: readonly string[] | null,
  take: readonly string[] | null,
): Labels {
  if (take !== null) return { ...left, ...only(right, take) }
  return on === null ? left : only(left, on)
}

const shown = (labels: Labels) => JSON.stringify(labels)

function combine(
  kind: 'and' | 'or' | 'unless',
  left: readonly Sample[],
  right: readonly Sample[],
  on: readonly string[] | null,
): readonly Sample[] {
  if (kind === 'or') {
    const known = new Set(left.map(({ labels }) => keyOf(labels, on)))
    return [...left, ...right.filter(({ labels }) => !known.has(keyOf(labels, on)))]
  }
  const others = new Set(right.map(({ labels }) => keyOf(labels, on)))
  return left.filter(({ labels }) => others.has(keyOf(labels, on)) === (kind === 'and'))
}
