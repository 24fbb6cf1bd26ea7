/**
 * The metric table and its registry. One entry a family: type, help, labels from closed lists. Values that
 * are state are read when asked for; what is counted is told here as it happens.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { StartCause } from '../core/state.ts'
import { addProbeGauges, addServiceGauges, addSupervisorGauges, type MetricsView } from './metric-gauges.ts'
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
/** Label values of `paios_log_rotations_total`. */
const ROTATIONS = ['rotated', 'failed'] as const
/** So many counts wait for a scrape at most. */
const UNCOUNTED_MAX = 512
const JUMPS = ['stall', 'sleep'] as const

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
  const rotations = counter('log_rotations_total', 'Rotations of log files, by result', ['service', 'result'])
  const pauses = new Histogram({
    name: 'paios_log_rotation_pause_seconds',
    help: 'How long the processes of a service stood still for a rotation',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1],
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
      for (const result of ROTATIONS) rotations.inc({ service, result }, 0)
    },
    forget(service: string): void {
      catchUp()
      for (const reason of START_REASONS) starts.remove({ service, reason })
      for (const cause of EXIT_CAUSES) exits.remove({ service, cause })
      for (const result of ROTATIONS) rotations.remove({ service, result })
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
    /** `pauseMs`: null where nothing had to stand still. */
    rotated(service: string, pauseMs: number | null): void {
      rotations.inc({ service, result: 'rotated' })
      if (pauseMs !== null) pauses.observe(pauseMs / 1000)
    },
    rotationFailed: (service: string) => rotations.inc({ service, result: 'failed' }),
    turned: (durationMs: number) => countLater(() => ticks.observe(durationMs / 1000)),
    jumped: (kind: (typeof JUMPS)[number]) => jumps.inc({ kind }),
    journalFailed: () => journalErrors.inc(),
  }
}
