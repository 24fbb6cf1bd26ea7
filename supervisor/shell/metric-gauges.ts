/** The families of metrics whose values are state: read when they are asked for, and told by nobody. */
import type { Gauge } from 'prom-client'
import { STATES } from '../../schemas/states.ts'
import { probeName } from '../core/health.ts'
import { processOf } from '../core/rest.ts'
import { isUp } from '../core/scope.ts'
import { labelOf } from '../core/snapshot.ts'
import type { Child, Mesh } from '../core/state.ts'
import { exceeded, type OwnFigures } from './own-limits.ts'

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
  /** What the log files of a service take on the disk, null while nobody has looked. */
  readonly logBytes: (service: string) => number | null
}

/** Adds a family whose values are read when they are asked for. */
export type AddGauge = (name: string, help: string, labelNames: string[], set: (gauge: Gauge) => void) => void

/** What the supervisor shows of itself. */
export function addSupervisorGauges(gauge: AddGauge, view: MetricsView): void {
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

/** What is read of each service. */
export function addServiceGauges(gauge: AddGauge, view: MetricsView, children: () => Child[]): void {
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
  each('log_bytes', 'Bytes of the log file of the service and of its archives', ({ name }) =>
    view.logBytes(name),
  )
}

/** What is read of each probe. */
export function addProbeGauges(gauge: AddGauge, children: () => Child[]): void {
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
