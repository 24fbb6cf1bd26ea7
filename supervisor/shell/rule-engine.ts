/**
 * Looks at every alert rule: each 5 s, soon after something has changed, and when what is pending is due. It reads what
 * `/metrics` shows, without writing it down, and tells what fires. What has been counted lately and what is pending is
 * kept in a small file, so that a new supervisor goes on where the last one was. The file names the last event of the
 * journal that is counted in it: a start counts the exits that came after, so that a kill costs none.
 */
import type { MetricName } from '../../schemas/metrics.ts'
import type { Finding } from '../core/alert.ts'
import { activeIn, heldByOf } from '../core/alert-held.ts'
import { RULES } from '../core/alert-rules.ts'
import { advance, findingOf, type Instances, waitAnew } from '../core/alert-state.ts'
import { type Sample, type Samples, vector } from '../core/evaluate.ts'
import { windowsIn } from '../core/expression.ts'
import { count, forgetOutside, movedIn, type Windows } from '../core/windows.ts'
import { exitCountOf } from './exit-count.ts'
import type { Journal } from './journal.ts'
import type { GaugeName, RuleFigures } from './metric-gauges.ts'
import type { Metrics } from './metrics.ts'
import { type Kept, openKept } from './rules-kept.ts'
import { untilNext } from './slot.ts'

/** On each whole 5 s, with other regular work; what is pending is looked at when its time has come. */
export const EVERY_MS = 5_000
/** A change waits so long for others, so that a restart is over and a storm is one evaluation. */
const SOON_MS = 50
/** Evaluations after changes keep this distance. */
const GAP_MS = 250

/** What the journal has the events of. */
const REPLAYED: MetricName = 'service_exits_total'
/** So many events are read of it at most. */
const MISSED_MOST = 10_000

const rules = Object.entries(RULES)
const windows = new Map(rules.flatMap(([, { when }]) => windowsIn(when)).map(([name]) => [name, 0]))
for (const [, { when }] of rules)
  for (const [name, seconds] of windowsIn(when)) windows.set(name, Math.max(windows.get(name) ?? 0, seconds))
const longestMs = Math.max(...windows.values()) * 1000

export type RuleEngineOptions = {
  readonly metrics: Pick<Metrics, 'sample' | 'listen' | 'provide' | 'ruleFailed' | 'internalError'>
  /** The file that keeps windows and instances. */
  readonly path: string
  /** Everything that fires, after each evaluation. */
  readonly found: (findings: readonly Finding[]) => void
  /** The last event of the journal whose counts were told to the metrics. */
  readonly lastEvent: () => number
  readonly events: Journal['events']
  /** Lets others look before the samples are read. */
  readonly look: () => void
  /** Unix milliseconds. */
  readonly wall?: () => number
}

export type RuleEngine = {
  /** Something has changed: evaluates in a moment. */
  soon(): void
  /** Evaluates now. */
  evaluate(): readonly Finding[]
  close(): void
}

/** Opens the engine with what the last one left, and evaluates at once and from then on. */
export function openRuleEngine(options: RuleEngineOptions): RuleEngine {
  const { metrics, path, found, look, wall = Date.now } = options
  const kept = openKept(path, options.lastEvent, () => metrics.internalError('rules'))
  const { moves, instances } = kept.state
  let isSaving = false
  let figures: RuleFigures = { evaluatedWall: null, instances: [] }
  let timer: NodeJS.Timeout | null = null
  let dueAt = Number.POSITIVE_INFINITY
  let lastAt = Number.NEGATIVE_INFINITY
  let lastWake = 0

  noteStart(metrics.sample('supervisor_start_time_seconds'), kept, wall())
  countMissed(options, kept, wall())
  kept.save()
  metrics.provide({ rules: () => figures })
  metrics.listen({
    counted(metric, labels, by) {
      if (!windows.has(metric)) return
      count(moves, metric, labels, by, wall())
      kept.isDirty = true
      if (metric !== REPLAYED) saveSoon()
      soon()
    },
    changed: soon,
  })
  if (kept.isBroken) metrics.internalError('rules')

  function evaluate(): readonly Finding[] {
    if (timer) clearTimeout(timer)
    look()
    const at = wall()
    if (forgetOutside(moves, at - longestMs, at)) kept.isDirty = true
    const samples = samplesOf(metrics, moves, at)
    const active = activeIn(samples)
    const wokeAt = samples.present('supervisor_last_wake_timestamp_seconds')[0]?.value ?? 0
    if (wokeAt !== lastWake) {
      lastWake = wokeAt
      for (const [name, all] of instances) instances.set(name, waitAnew(all, at / 1000))
      kept.isDirty = true
    }
    const findings: Finding[] = []
    for (const [name, rule] of rules) {
      const before = instances.get(name) ?? NONE
      let after: Instances
      try {
        after = advance(rule, before, vector(rule.when, samples, at / 1000), at / 1000)
      } catch {
        // Its alerts stay as they are; RuleEvaluationFailing tells.
        metrics.ruleFailed()
        after = before
      }
      if (!isSame(before, after)) kept.isDirty = true
      if (after.size > 0) instances.set(name, after)
      else instances.delete(name)
      const firing = [...after.values()].filter(({ isFiring }) => isFiring)
      if (firing.length === 0) continue
      const held = heldByOf(rule, active, samples, at / 1000)
      for (const one of firing) findings.push(findingOf(name, rule, one, held(one.labels)))
    }
    figures = { evaluatedWall: at, instances: countsOf(instances, findings) }
    kept.save()
    lastAt = performance.now()
    plan(Math.min(untilNext(EVERY_MS), dueIn(instances, at)))
    found(findings)
    return findings
  }

  function plan(ms: number): void {
    if (timer) clearTimeout(timer)
    dueAt = performance.now() + ms
    timer = setTimeout(evaluate, ms)
  }

  function soon(): void {
    const now = performance.now()
    const wait = Math.max(SOON_MS, lastAt + GAP_MS - now)
    if (dueAt - now > wait) plan(wait)
  }

  /** What is not in the journal is written with the end of this turn. */
  function saveSoon(): void {
    if (isSaving) return
    isSaving = true
    setImmediate(() => {
      isSaving = false
      kept.save()
    })
  }

  plan(0)
  return {
    soon,
    evaluate,
    close() {
      if (timer) clearTimeout(timer)
      dueAt = Number.NEGATIVE_INFINITY
      kept.save()
    },
  }
}

const NONE: Instances = new Map()

/** Milliseconds until the first of what is pending fires if it still holds. */
function dueIn(instances: ReadonlyMap<string, Instances>, at: number): number {
  let soonest = Number.POSITIVE_INFINITY
  for (const [name, all] of instances)
    for (const { since, isFiring } of all.values())
      if (!isFiring) soonest = Math.min(soonest, (since + (RULES[name]?.for ?? 0)) * 1000 - at)
  return Math.max(1, Math.ceil(soonest))
}

/** Each metric is read once an evaluation, and only if a rule asks for it. */
function samplesOf(metrics: RuleEngineOptions['metrics'], moves: Windows, at: number): Samples {
  const read = new Map<string, readonly Sample[]>()
  const once = (key: string, from: () => readonly Sample[]) => {
    const known = read.get(key) ?? from()
    read.set(key, known)
    return known
  }
  return {
    present: (metric) => once(metric, () => metrics.sample(metric as GaugeName)),
    moved: (metric, window) => once(`${metric} ${window}`, () => movedIn(moves, metric, window * 1000, at)),
  }
}

function isSame(before: Instances, after: Instances): boolean {
  if (before.size !== after.size) return false
  for (const [key, one] of after) {
    const old = before.get(key)
    if (!old || old.since !== one.since || old.isFiring !== one.isFiring || old.lostAt !== one.lostAt)
      return false
  }
  return true
}

function countsOf(instances: ReadonlyMap<string, Instances>, findings: readonly Finding[]) {
  const counts: { rule: string; state: 'pending' | 'firing' | 'held'; count: number }[] = []
  for (const [rule, all] of instances) {
    const firing = findings.filter((finding) => finding.rule === rule)
    const held = firing.filter((finding) => finding.held.length > 0).length
    counts.push({ rule, state: 'pending', count: all.size - firing.length })
    counts.push({ rule, state: 'firing', count: firing.length - held })
    counts.push({ rule, state: 'held', count: held })
  }
  return counts
}

/** A start is a change of the time of the start; no counter outlives a supervisor that could tell. */
function noteStart(samples: readonly Sample[], kept: Kept, at: number): void {
  const start = samples[0]?.value ?? 0
  const { state } = kept
  if (state.startedAt !== null && state.startedAt !== start)
    count(state.moves, 'supervisor_start_time_seconds' satisfies MetricName, {}, 1, at)
  state.startedAt = start
  kept.isDirty = true
}

/** Counts the exits that the last supervisor has recorded and not kept, and those that were found at this start. */
function countMissed({ events }: Pick<RuleEngineOptions, 'events'>, { state }: Kept, at: number): void {
  const { lastEvent: after, moves } = state
  if (after === null) return
  for (const event of events({ after, limit: MISSED_MOST, service: null, sinceMs: at - longestMs })) {
    const found = exitCountOf(event)
    if (found) count(moves, REPLAYED, { service: event.subject, cause: found.cause }, 1, Date.parse(event.at))
  }
}
