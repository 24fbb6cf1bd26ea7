/** The examples of the alert rules, played through the evaluator of this process. */
import type { MetricName } from '../../schemas/metrics.ts'
import type { Finding } from '../core/alert.ts'
import { activeIn, type HeldBy, heldByOf } from '../core/alert-held.ts'
import type { AlertRule, Example } from '../core/alert-rule.ts'
import { advance, findingOf, type Instances } from '../core/alert-state.ts'
import { type Labels, type Sample, type Samples, vector } from '../core/evaluate.ts'
import { count, movedIn, type Windows } from '../core/windows.ts'

/** Seconds between two samples of an example. */
export const STEP_SECONDS = 15

/** One series of an example: null where it has no sample. */
export type Series = { readonly metric: string; readonly labels: Labels; readonly values: (number | null)[] }

/** A series by its name as PromQL writes it, and its values as promtool does: `1 0x3 0+15x4 _x2`. */
export function readSeries(name: string, values: string): Series {
  const [, metric = '', inner = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(name) ?? []
  const labels = Object.fromEntries(
    Array.from(inner.matchAll(/(\w+)="([^"]*)"/g), ([, label = '', value = '']) => [label, value]),
  )
  return { metric, labels, values: values.split(' ').flatMap(readRun) }
}

/** `axn` is a and n more of it, `a+bxn` grows by b each time. */
function readRun(word: string): (number | null)[] {
  const [, missing, first, by = '0', times = '0'] =
    /^(?:(_)|(-?[\d.]+))([+-][\d.]+)?(?:x(\d+))?$/.exec(word) ?? []
  if (missing !== undefined) return Array.from({ length: Number(times) }, () => null)
  if (first === undefined) throw new Error(`no values: ${word}`)
  return Array.from({ length: Number(times) + 1 }, (_, index) => Number(first) + index * Number(by))
}

/** What fires at the end of an example that holds these series. */
export function play(name: string, rule: AlertRule, { at, series }: Example): Finding[] {
  const all = Object.entries(series).map(([key, values]) => readSeries(key, values))
  const moves: Windows = new Map()
  let instances: Instances = new Map()
  let held: HeldBy = () => []
  for (let step = 0; step * STEP_SECONDS <= at; step++) {
    const now = step * STEP_SECONDS
    countMoves(moves, all, step)
    const samples = samplesAt(all, moves, step)
    held = heldByOf(rule, activeIn(samples), samples, now)
    instances = advance(rule, instances, vector(rule.when, samples, now), now)
  }
  const firing = [...instances.values()].filter(({ isFiring }) => isFiring)
  return firing.map((instance) => findingOf(name, rule, instance, held(instance.labels)))
}

/** What the series hold at one step, for the evaluator. */
export function samplesAt(all: readonly Series[], moves: Windows, step: number): Samples {
  return {
    present: (metric) =>
      all.flatMap(({ metric: own, labels, values }): Sample[] => {
        const value = values[step]
        return own === metric && value !== undefined && value !== null ? [{ labels, value }] : []
      }),
    moved: (metric: MetricName, window) => movedIn(moves, metric, window * 1000, step * STEP_SECONDS * 1000),
  }
}

/** Counts what has moved from the step before: counters by how much, gauges once. */
export function countMoves(moves: Windows, all: readonly Series[], step: number): void {
  for (const { metric, labels, values } of all) {
    const [before, after] = [values[step - 1], values[step]]
    if (before === undefined || before === null || after === undefined || after === null) continue
    const by = metric.endsWith('_total') ? after - before : after === before ? 0 : 1
    if (by > 0) count(moves, metric, labels, by, step * STEP_SECONDS * 1000)
  }
}
