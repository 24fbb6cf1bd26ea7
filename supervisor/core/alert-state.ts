/**
 * The life of an alert instance, as in Prometheus:
 *
 * | state   | expression yields it          | does not                        |
 * |---------|-------------------------------|---------------------------------|
 * | -       | pending, or firing if `for` 0 | -                               |
 * | pending | firing once `for` has passed  | gone                            |
 * | firing  | firing                        | keeps firing for `keep`, gone   |
 *
 * A wake of the host begins the waiting of what is pending anew: nobody looked while it slept.
 */
import type { Finding, Suppression } from './alert.ts'
import type { AlertRule } from './alert-rule.ts'
import { type Labels, type Sample, seriesKey } from './evaluate.ts'
import { fill } from './summary.ts'

/** One set of labels of a rule. Times: Unix seconds. */
export type Instance = {
  readonly labels: Labels
  readonly value: number
  /** Since when its expression holds. */
  readonly since: number
  readonly isFiring: boolean
  /** Since when its expression holds no more while it is kept; null while it holds. */
  readonly lostAt: number | null
}
/** The instances of one rule by series. */
export type Instances = ReadonlyMap<string, Instance>

/** The instances after one evaluation. */
export function advance(
  rule: AlertRule,
  before: Instances,
  found: readonly Sample[],
  now: number,
): Instances {
  if (found.length === 0 && before.size === 0) return before
  const after = new Map<string, Instance>()
  for (const { labels, value } of found) {
    const key = seriesKey(labels)
    const old = before.get(key)
    // A clock that was set back must not make anything wait longer than it says.
    const since = Math.min(old?.since ?? now, now)
    after.set(key, {
      labels,
      value,
      since,
      isFiring: old?.isFiring === true || now - since >= rule.for,
      lostAt: null,
    })
  }
  for (const [key, old] of before) {
    if (after.has(key) || !old.isFiring) continue
    const lostAt = Math.min(old.lostAt ?? now, now)
    if (now - lostAt < rule.keep) after.set(key, { ...old, lostAt })
  }
  return after
}

/** The instances with the waiting of those that are pending begun anew. */
export function waitAnew(before: Instances, now: number): Instances {
  return new Map([...before].map(([key, one]) => [key, one.isFiring ? one : { ...one, since: now }] as const))
}

/** What is to be told of an instance that fires, and is held for these reasons. */
export function findingOf(
  name: string,
  { subject, severity, summary }: AlertRule,
  { labels, value }: Instance,
  held: readonly Suppression[],
): Finding {
  return {
    rule: name,
    labels,
    subject: { kind: subject.kind, name: 'name' in subject ? subject.name : (labels[subject.label] ?? '') },
    severity,
    summary: fill(summary, labels, value),
    held,
  }
}
