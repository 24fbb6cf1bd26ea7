/**
 * The metric table and its registry. One entry a family: type, help, labels from closed lists. Values that
 * are state are read when asked for; what is counted is told here as it happens.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { STATES } from '../../schemas/states.ts'
import { probeName } from '../core/health.ts'
import { processOf } from '../core/rest.ts'
import { isUp } from '../core/scope.ts'
import { labelOf } from '../core/snapshot.ts'
import type { Child, Mesh, StartCause } from '../core/state.ts'
import { exceeded, type OwnFigures } from './own-limits.ts'
import type { ProbeRun } from './prober.ts'

/** Label values of `paios_service_starts_total`. */
const START_REASONS: readonly StartCause[] = [
  'boot',
  'manual',
  'crash',
  'hung',
  'config',
  'dependency',
  'sibling',
]
/** Label values of `paios_service_exits_total`. */
const EXIT_CAUSES = ['stopped', 'completed', 'clean', 'error', 'signal', 'hung', 'spawn_failed'] as const
const PROBE_RESULTS = ['ok', 'fail', 'timeout', 'error'] as const
/** So many counts wait for a scrape at most. */
const UNCOUNTED_MAX = 512
const JUMPS = ['stall', 'sleep'] as const

/** What the metrics read and cannot be told. */
export type MetricsView = {
  readonly mesh: Mesh
  readonly version: string
  readonly startedWall: number
  readonly isUnclean: boolean
  readonly lastTickWall: () => number
  readonly lastWakeWall: () => number
  readonly own: () => OwnFigures
  /** Pids of each service's tree at the last scan. */
  readonly treeOf: (service: string) => readonly number[]
  readonly residentBytes: (pids: readonly number[]) => number | null
}

export type ExitCause = (typeof EXIT_CAUSES)[number]
export type Metrics = ReturnType<typeof createMetrics>

/** The registry over one mesh. */
export function createMetrics(view: MetricsView) {
  const registry = new Registry()
  const gauge = (name: string, help: string, labelNames: string[], set: (gauge: Gauge) => void) =>
    new Gauge({
      name: `paios_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        set(this)
      },
    })
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `paios_${name}`, help, labelNames, registers: [registry] })
  const children = () => [...view.mesh.children.values()]

  addSupervisorGauges(gauge, view)
  addServiceGauges(gauge, view, children)
  addProbeGauges(gauge, children)
  const starts = counter('service_starts_total', 'Process starts, by reason', ['service', 'reason'])
  const exits = counter(
    'service_exits_total',
    'Process exits, by cause. clean is an exit 0 that was not asked for',
    ['service', 'cause'],
  )
  const lastCode = new Map<string, number>()
  gauge(
    'service_last_exit_code',
    'Exit code of the last process, 128+n for a signal, -1 if none',
    ['service'],
    (own) => {
      for (const child of children()) own.set({ service: child.name }, lastCode.get(child.name) ?? -1)
    },
  )
  const runs = counter('probe_runs_total', 'Probe runs, by result', ['service', 'probe', 'result'])
  const lastRun = new Map<string, { service: string; probe: string; at: number }>()
  gauge('probe_last_run_timestamp_seconds', 'Time of the last completed run', ['service', 'probe'], (own) => {
    for (const { service, probe, at } of lastRun.values()) {
      if (view.mesh.children.has(service)) own.set({ service, probe }, at / 1000)
    }
  })
  const durations = new Histogram({
    name: 'paios_probe_duration_seconds',
    help: 'Duration of a probe run',
    labelNames: ['service', 'probe'],
    buckets: [0.01, 0.05, 0.25, 1, 5, 15],
    registers: [registry],
  })
  const ticks = new Histogram({
    name: 'paios_supervisor_tick_duration_seconds',
    help: 'Duration of one control loop turn',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5],
    registers: [registry],
  })
  const jumps = counter('supervisor_clock_jumps_total', 'Gaps seen by the tick clock, by cause', ['kind'])
  const journalErrors = counter(
    'journal_write_errors_total',
    'Events that could not be written to the journal',
    [],
  )
  for (const kind of JUMPS) jumps.inc({ kind }, 0)
  journalErrors.inc(0)

  const later: (() => void)[] = []
  const catchUp = () => {
    for (const count of later.splice(0)) count()
  }
  /** Counted with the next scrape, many at once: one by one they would cost as much as a check. */
  const countLater = (count: () => void) => {
    later.push(count)
    if (later.length >= UNCOUNTED_MAX) catchUp()
  }

  return {
    contentType: registry.contentType,
    text(): Promise<string> {
      catchUp()
      return registry.metrics()
    },
    /** Known series begin at 0, so that a first increase is one. */
    declare(service: string): void {
      for (const reason of START_REASONS) starts.inc({ service, reason }, 0)
      for (const cause of EXIT_CAUSES) exits.inc({ service, cause }, 0)
    },
    forget(service: string): void {
      catchUp()
      for (const reason of START_REASONS) starts.remove({ service, reason })
      for (const cause of EXIT_CAUSES) exits.remove({ service, cause })
      lastCode.delete(service)
      for (const [key, run] of lastRun) {
        if (run.service !== service) continue
        lastRun.delete(key)
        durations.remove({ service, probe: run.probe })
        for (const result of PROBE_RESULTS) runs.remove({ service, probe: run.probe, result })
      }
    },
    started: (service: string, reason: StartCause) => starts.inc({ service, reason }),
    exited(service: string, cause: ExitCause, code: number): void {
      exits.inc({ service, cause })
      lastCode.set(service, code)
    },
    probed({ service, probe, result, seconds }: ProbeRun): void {
      const key = `${service} ${probe}`
      if (!lastRun.has(key)) for (const known of PROBE_RESULTS) runs.inc({ service, probe, result: known }, 0)
      lastRun.set(key, { service, probe, at: Date.now() })
      countLater(() => {
        runs.inc({ service, probe, result })
        durations.observe({ service, probe }, seconds)
      })
    },
    turned: (durationMs: number) => countLater(() => ticks.observe(durationMs / 1000)),
    jumped: (kind: (typeof JUMPS)[number]) => jumps.inc({ kind }),
    journalFailed: () => journalErrors.inc(),
  }
}

type AddGauge = (name: string, help: string, labelNames: string[], set: (gauge: Gauge) => void) => void

function addSupervisorGauges(gauge: AddGauge, view: MetricsView): void {
  gauge('build_info', 'Build of the supervisor. Always 1', ['version', 'node_version'], (own) =>
    own.set({ version: view.version, node_version: process.version }, 1),
  )
  gauge('supervisor_start_time_seconds', 'Time at which the supervisor started', [], (own) =>
    own.set(view.startedWall / 1000),
  )
  gauge('supervisor_last_tick_timestamp_seconds', 'Time of the last completed control loop tick', [], (own) =>
    own.set(view.lastTickWall() / 1000),
  )
  gauge('supervisor_last_wake_timestamp_seconds', 'Time of the last wake from sleep, 0 if none', [], (own) =>
    own.set(view.lastWakeWall() / 1000),
  )
  gauge('supervisor_open_fds', 'Open descriptors of the supervisor', [], (own) =>
    own.set(view.own().descriptors ?? 0),
  )
  gauge('supervisor_resident_memory_bytes', 'Resident memory of the supervisor', [], (own) =>
    own.set(view.own().residentBytes),
  )
  gauge('supervisor_loop_lag_seconds', 'Worst lateness of the control loop in the last minute', [], (own) =>
    own.set(view.own().lagMs / 1000),
  )
  gauge('supervisor_limits_exceeded', 'Limits of its own that the supervisor exceeds', [], (own) =>
    own.set(exceeded(view.own()).length),
  )
  gauge('supervisor_last_start_unclean', '1 if the previous run ended without a shutdown record', [], (own) =>
    own.set(view.isUnclean ? 1 : 0),
  )
}

function addServiceGauges(gauge: AddGauge, view: MetricsView, children: () => Child[]): void {
  const each = (name: string, help: string, value: (child: Child) => number | null) =>
    gauge(name, help, ['service'], (own) => {
      for (const child of children()) {
        const number = value(child)
        if (number !== null) own.set({ service: child.name }, number)
      }
    })
  gauge(
    'service_info',
    'Declared attributes of a service. Always 1',
    ['service', 'kind', 'preset'],
    (own) => {
      for (const { name: service, spec } of children())
        own.set({ service, kind: spec.kind, preset: spec.preset }, 1)
    },
  )
  gauge('service_state', 'State of the service, 1 for the current one', ['service', 'state'], (own) => {
    for (const child of children()) {
      const label = labelOf(child)
      for (const state of STATES) own.set({ service: child.name, state }, state === label ? 1 : 0)
    }
  })
  each('service_desired_running', '1 if the service is declared to run now', (child) =>
    child.desired.kind === 'running' && child.spec.enabled ? 1 : 0,
  )
  each('service_up', '1 if the service is running and its readiness probes pass', (child) =>
    isUp(child) ? 1 : 0,
  )
  each(
    'service_state_since_timestamp_seconds',
    'Time at which the current state was entered',
    (child) => child.since / 1000,
  )
  each(
    'service_start_time_seconds',
    'Time at which the current process started, 0 if none',
    (child) => (processOf(child)?.startedWall ?? 0) / 1000,
  )
  each('service_restart_backoff_seconds', 'Current restart delay', (child) =>
    child.state.kind === 'backoff' ? child.state.delayMs / 1000 : 0,
  )
  each('service_processes', 'Processes in the process tree of the service', (child) =>
    processOf(child) ? Math.max(1, view.treeOf(child.name).length) : 0,
  )
  each('service_resident_memory_bytes', 'Resident memory of the process tree', (child) => {
    const process = processOf(child)
    if (!process) return 0
    const tree = view.treeOf(child.name)
    return view.residentBytes(tree.length > 0 ? tree : [process.identity.pid])
  })
}

function addProbeGauges(gauge: AddGauge, children: () => Child[]): void {
  const each = (
    name: string,
    help: string,
    value: (child: Child, probe: Child['spec']['probes'][number]) => number | null,
  ) =>
    gauge(name, help, ['service', 'probe'], (own) => {
      for (const child of children()) {
        for (const probe of child.spec.probes) {
          const number = value(child, probe)
          if (number !== null) own.set({ service: child.name, probe: probeName(probe) }, number)
        }
      }
    })
  const judged = (child: Child, probe: string) =>
    'health' in child.state ? child.state.health[probe] : undefined
  each('probe_success', '1 if the last run of the probe passed', (child, probe) => {
    const name = probeName(probe)
    if (probe.role === 'preflight') return child.warnings[name] === undefined ? 1 : 0
    const found = judged(child, name)
    return found ? (found.failures === 0 && found.passes > 0 ? 1 : 0) : null
  })
  each(
    'probe_consecutive_failures',
    'Failed runs in a row',
    (child, probe) => judged(child, probeName(probe))?.failures ?? 0,
  )
  each(
    'probe_failure_threshold',
    'Declared number of failed runs in a row that make a failure',
    (_, probe) => probe.failureThreshold,
  )
  each('probe_interval_seconds', 'Declared time between two runs', (_, probe) => probe.every / 1000)
}
