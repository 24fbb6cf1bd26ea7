/**
 * The registry over the metric table. Gauges are read when somebody asks; what is counted is told here as it happens,
 * and passed on to whoever evaluates rules over it.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ToolCounts } from '../../probes/probe.ts'
import {
  COMPONENTS,
  DECISIONS,
  EXIT_CAUSES,
  JUMPS,
  METRICS,
  type Metric,
  PROBE_RESULTS,
  REMEDY_RESULTS,
  ROTATIONS,
  START_REASONS,
} from '../../schemas/metrics.ts'
import type { Labels, Sample } from '../core/evaluate.ts'
import type { StartCause } from '../core/state.ts'
import type { OutboxNumbers } from './channel.ts'
import {
  type CounterName,
  type Facts,
  type GaugeName,
  gaugesOf,
  type HistogramName,
  type MetricsView,
  type Sources,
} from './metric-gauges.ts'
import type { ProbeRun } from './prober.ts'

/** So many counts wait for a scrape at most. */
const UNCOUNTED_MAX = 512

export type ExitCause = (typeof EXIT_CAUSES)[number]
export type Metrics = ReturnType<typeof createMetrics>
/** Hears of each count, with the labels of its series, and of each event that may change a gauge. */
export type MetricsListener = {
  readonly counted: (metric: CounterName, labels: Labels, by: number) => void
  readonly changed: () => void
}

/** The registry over one mesh. */
export function createMetrics(view: MetricsView) {
  const facts: Facts = { exitCodes: new Map(), lastRuns: new Map(), tools: new Map() }
  const sources: Partial<Sources> = {}
  const gauges = gaugesOf(view, facts, sources)
  const { registry, counters, histograms } = register((name) => gauges[name]())
  let listener: MetricsListener | null = null

  const count = (metric: CounterName, labels: Labels, by = 1) => {
    counters[metric].inc({ ...labels }, by)
    if (by > 0) listener?.counted(metric, labels, by)
  }
  const declare = (
    metric: CounterName,
    label: string,
    values: readonly string[] = [],
    labels: Labels = {},
  ) => {
    for (const value of values) count(metric, { ...labels, [label]: value }, 0)
  }
  declare('supervisor_clock_jumps_total', 'kind', JUMPS)
  declare('supervisor_internal_errors_total', 'component', COMPONENTS)
  declare('approvals_total', 'result', DECISIONS)
  count('journal_write_errors_total', {}, 0)
  count('rule_evaluation_failures_total', {}, 0)

  const later: (() => void)[] = []
  const catchUp = () => {
    for (const one of later.splice(0)) one()
  }
  /** Counted with the next scrape, many at once: one by one they would cost as much as a check. */
  const countLater = (one: () => void) => {
    later.push(one)
    if (later.length >= UNCOUNTED_MAX) catchUp()
  }
  const forget = (service: string) => {
    catchUp()
    for (const reason of START_REASONS) counters.service_starts_total.remove({ service, reason })
    for (const cause of EXIT_CAUSES) counters.service_exits_total.remove({ service, cause })
    for (const result of ROTATIONS) counters.log_rotations_total.remove({ service, result })
    for (const probe of facts.lastRuns.get(service)?.keys() ?? []) {
      histograms.probe_duration_seconds.remove({ service, probe })
      for (const result of PROBE_RESULTS) counters.probe_runs_total.remove({ service, probe, result })
    }
    for (const known of [facts.exitCodes, facts.lastRuns, facts.tools]) known.delete(service)
  }
  const outbox: OutboxNumbers = {
    enqueued: (channel, kind) => count('notifications_enqueued_total', { channel, kind }),
    sent(channel, delayMs) {
      count('notifications_sent_total', { channel })
      if (channel !== 'command') view.heard(true)
      histograms.notification_delivery_seconds.observe({ channel }, delayMs / 1000)
    },
    failed(channel, reason) {
      count('notifications_failed_total', { channel, reason })
      if (channel !== 'command') view.heard(reason !== 'network')
    },
    channelUp: () => undefined,
  }

  return {
    contentType: registry.contentType,
    text(): Promise<string> {
      catchUp()
      return registry.metrics()
    },
    /** The present samples of a gauge, as a scrape would show them. */
    sample: (metric: GaugeName): readonly Sample[] => gauges[metric](),
    /** Tells every count and change from now on. */
    listen(to: MetricsListener): void {
      listener = to
    },
    /** Something was recorded, so gauges may show something else. */
    changed: () => listener?.changed(),
    /** Lets a part that is open now answer for its gauges. */
    provide: (more: Partial<Sources>) => void Object.assign(sources, more),
    /** Known series begin at 0, so that a first increase is one. */
    declare(service: string): void {
      declare('service_starts_total', 'reason', START_REASONS, { service })
      declare('service_exits_total', 'cause', EXIT_CAUSES, { service })
      declare('log_rotations_total', 'result', ROTATIONS, { service })
    },
    declareRunbook: (runbook: string) =>
      declare('remediation_actions_total', 'result', REMEDY_RESULTS, { runbook }),
    forget,
    started(service: string, reason: StartCause): void {
      count('service_starts_total', { service, reason })
      // What looked at the life before says nothing of when this one was looked at.
      facts.lastRuns.get(service)?.forEach((_, probe, runs) => {
        runs.set(probe, Number.NaN)
      })
    },
    exited(service: string, cause: ExitCause, code: number): void {
      count('service_exits_total', { service, cause })
      facts.exitCodes.set(service, code)
    },
    probed({ service, probe, result, seconds }: ProbeRun): void {
      const runs = facts.lastRuns.get(service) ?? new Map<string, number>()
      facts.lastRuns.set(service, runs)
      if (!runs.has(probe)) declare('probe_runs_total', 'result', PROBE_RESULTS, { service, probe })
      runs.set(probe, Date.now())
      countLater(() => {
        count('probe_runs_total', { service, probe, result })
        histograms.probe_duration_seconds.observe({ service, probe }, seconds)
      })
    },
    toolsSeen: (service: string, tools: ToolCounts) => void facts.tools.set(service, tools),
    /** `pauseMs`: null where nothing had to stand still. */
    rotated(service: string, pauseMs: number | null): void {
      count('log_rotations_total', { service, result: 'rotated' })
      if (pauseMs !== null) histograms.log_rotation_pause_seconds.observe(pauseMs / 1000)
    },
    rotationFailed: (service: string) => count('log_rotations_total', { service, result: 'failed' }),
    turned: (durationMs: number) =>
      countLater(() => histograms.supervisor_tick_duration_seconds.observe(durationMs / 1000)),
    jumped: (kind: (typeof JUMPS)[number]) => count('supervisor_clock_jumps_total', { kind }),
    journalFailed: () => count('journal_write_errors_total', {}),
    /** Something unexpected was caught, and the supervisor goes on. */
    internalError: (component: (typeof COMPONENTS)[number]) =>
      count('supervisor_internal_errors_total', { component }),
    ruleFailed: () => count('rule_evaluation_failures_total', {}),
    outbox,
    remedied: (runbook: string, result: (typeof REMEDY_RESULTS)[number]) =>
      count('remediation_actions_total', { runbook, result }),
    decided: (result: (typeof DECISIONS)[number]) => count('approvals_total', { result }),
  }
}

type Registered = {
  readonly registry: Registry
  readonly counters: Readonly<Record<CounterName, Counter>>
  readonly histograms: Readonly<Record<HistogramName, Histogram>>
}

/** Registers the whole table. */
function register(read: (gauge: GaugeName) => readonly Sample[]): Registered {
  const registry = new Registry()
  const counters: Record<string, Counter> = {}
  const histograms: Record<string, Histogram> = {}
  for (const [name, { type, help, labels, buckets }] of Object.entries<Metric>(METRICS)) {
    const common = {
      name: `paios_${name}`,
      help,
      labelNames: Object.keys(labels),
      registers: [registry],
    }
    if (type === 'counter') counters[name] = new Counter(common)
    else if (type === 'histogram') histograms[name] = new Histogram({ ...common, buckets: [...buckets] })
    else {
      new Gauge({
        ...common,
        collect() {
          this.reset()
          for (const sample of read(name as GaugeName)) this.set({ ...sample.labels }, sample.value)
        },
      })
    }
  }
  return { registry, counters, histograms } as Registered
}
