/**
 * Where each gauge has its values: a total table over what the supervisor knows. `/metrics` and the alert rules read
 * the same functions, so both see the same samples.
 */
import type { ToolCounts } from '../../probes/probe.ts'
import type { METRICS, MetricName } from '../../schemas/metrics.ts'
import { type ServiceState, STATES } from '../../schemas/states.ts'
import type { Suppression } from '../core/alert.ts'
import type { Sample } from '../core/evaluate.ts'
import { probeName } from '../core/health.ts'
import { isLive, isOpen } from '../core/liveness.ts'
import { awaitsNetwork, needsNetwork } from '../core/network-need.ts'
import { processOf } from '../core/rest.ts'
import { isUp } from '../core/scope.ts'
import { labelOf } from '../core/snapshot.ts'
import type { Child, Mesh } from '../core/state.ts'
import type { Ping } from './alerts.ts'
import type { ChannelFigures } from './channel.ts'
import type { HostMemory } from './host-memory.ts'
import type { HostFigures } from './host-watch.ts'
import { exceeded, type OwnFigures } from './own-limits.ts'
import { type Put, sameList, steadyList } from './steady-samples.ts'

/** What the metrics read of the supervisor. */
export type MetricsView = {
  readonly mesh: Mesh
  readonly version: string
  readonly startedWall: number
  readonly isUnclean: boolean
  readonly lastTickWall: () => number
  readonly lastWakeWall: () => number
  readonly own: () => OwnFigures
  readonly isJournalWritable: () => boolean
  readonly isDocumentValid: () => boolean
  readonly host: () => HostFigures
  /** A message has left this machine, or could not. */
  readonly heard: (isThrough: boolean) => void
  readonly outbox: () => readonly ChannelFigures[]
  readonly pings: () => readonly Ping[]
  /** When Telegram last answered a poll, in Unix milliseconds; null where nobody listens to a chat. */
  readonly polledAt: () => number | null
  /** Pids of each service's tree at the last scan. */
  readonly treeOf: (service: string) => readonly number[]
  readonly residentBytes: (pids: readonly number[]) => number | null
  /** What the log files of a service take on the disk, null while nobody has looked. */
  readonly logBytes: (service: string) => number | null
}

/** What parts that are loaded later let the metrics read; each is given once. Times: Unix milliseconds. */
export type Sources = {
  readonly suppressions: () => readonly Suppression[]
  readonly isFlapping: (service: string) => boolean
  readonly incidents: () => readonly {
    readonly severity: string
    readonly state: 'open' | 'acknowledged' | 'muted'
    readonly count: number
  }[]
  readonly approvals: () => { readonly pending: number; readonly oldestWall: number | null }
  /** Automatic actions that are left, by service. */
  readonly budgets: () => readonly { readonly service: string; readonly left: number }[]
  readonly rules: () => RuleFigures
}
export type RuleFigures = {
  /** Null before the first evaluation. */
  readonly evaluatedWall: number | null
  readonly instances: readonly {
    readonly rule: string
    readonly state: 'pending' | 'firing' | 'held'
    readonly count: number
  }[]
}

/** What was told and cannot be read anywhere. Times: Unix milliseconds. */
export type Facts = {
  readonly exitCodes: Map<string, number>
  /** By service and probe. */
  readonly lastRuns: Map<string, Map<string, number>>
  readonly tools: Map<string, ToolCounts>
}
type OfType<T> = { [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never }[MetricName]
export type GaugeName = OfType<'gauge'>
export type CounterName = OfType<'counter'>
export type HistogramName = OfType<'histogram'>

/** Reads the present samples of one gauge. */
export type Gauges = Readonly<Record<GaugeName, () => Sample[]>>

const one = (value: number): Sample[] => [{ labels: {}, value }]
const flag = (value: boolean) => (value ? 1 : 0)

/** The readers over these. */
export function gaugesOf(view: MetricsView, facts: Facts, sources: Partial<Sources>): Gauges {
  return {
    ...supervisorGauges(view, sources),
    ...serviceGauges(view, facts, sources),
    ...probeGauges(view, facts),
    ...pathGauges(view, sources),
  }
}

function supervisorGauges(view: MetricsView, sources: Partial<Sources>) {
  const memory = (value: (figures: HostMemory) => number | null) => () => {
    const figures = view.host().memory
    const number = figures && value(figures)
    return number === null ? [] : one(number)
  }
  return {
    build_info: () => [{ labels: { version: view.version, node_version: process.version }, value: 1 }],
    supervisor_start_time_seconds: () => one(view.startedWall / 1000),
    supervisor_last_tick_timestamp_seconds: () => one(view.lastTickWall() / 1000),
    supervisor_last_wake_timestamp_seconds: () => one(view.lastWakeWall() / 1000),
    supervisor_open_fds: () => one(view.own().descriptors ?? 0),
    supervisor_resident_memory_bytes: () => one(view.own().residentBytes),
    supervisor_loop_lag_seconds: () => one(view.own().lagMs / 1000),
    supervisor_limits_exceeded: () => one(exceeded(view.own()).length),
    supervisor_last_start_unclean: () => one(flag(view.isUnclean)),
    supervisor_suppression_active: () => {
      const active = sources.suppressions?.() ?? []
      const reasons: readonly Suppression[] = ['startup', 'wake', 'offline', 'maintenance']
      return reasons.map((reason) => ({ labels: { reason }, value: flag(active.includes(reason)) }))
    },
    document_valid: () => one(flag(view.isDocumentValid())),
    journal_writable: () => one(flag(view.isJournalWritable())),
    host_filesystem_avail_bytes: () =>
      view.host().filesystems.map(({ mountpoint, avail }) => ({ labels: { mountpoint }, value: avail })),
    host_filesystem_size_bytes: () =>
      view.host().filesystems.map(({ mountpoint, size }) => ({ labels: { mountpoint }, value: size })),
    host_memory_avail_bytes: memory(({ avail }) => avail),
    host_memory_size_bytes: memory(({ size }) => size),
    host_memory_pressure_level: memory(({ level }) => level),
    host_network_online: () => one(flag(view.host().isOnline)),
  } satisfies Partial<Gauges>
}

function serviceGauges(view: MetricsView, { exitCodes, tools }: Facts, sources: Partial<Sources>) {
  const { mesh } = view
  const each = (value: (child: Child) => number | null) => {
    const list = steadyList()
    const fill = (put: Put) =>
      mesh.children.forEach((child) => {
        const number = value(child)
        if (number !== null) put(number, child.name)
      })
    return () => list(fill)
  }
  const sameStates = sameList()
  const resident = (child: Child): number | null => {
    const process = processOf(child)
    if (!process) return 0
    const tree = view.treeOf(child.name)
    return view.residentBytes(tree.length > 0 ? tree : [process.identity.pid])
  }
  return {
    service_info: () =>
      Array.from(mesh.children.values(), ({ name: service, spec: { kind, preset } }) => ({
        labels: { service, kind, preset },
        value: 1,
      })),
    service_state: () => sameStates(statesOf(mesh)),
    service_desired_running: each((child) => flag(isDesired(mesh, child))),
    service_live: each((child) => flag(isLive(child))),
    service_up: each((child) => flag(isUp(child))),
    service_awaits_network: each((child) => flag(awaitsNetwork(child))),
    service_flapping: each(({ name }) => flag(sources.isFlapping?.(name) ?? false)),
    service_rejected: each(({ rejected }) => flag(rejected !== null)),
    service_leftover_processes: each(({ leftovers }) => leftovers.length),
    service_state_since_timestamp_seconds: each((child) => child.since / 1000),
    service_start_time_seconds: each((child) => (processOf(child)?.startedWall ?? 0) / 1000),
    service_restart_backoff_seconds: each(({ state }) =>
      state.kind === 'backoff' ? state.delayMs / 1000 : 0,
    ),
    service_processes: each((child) => (processOf(child) ? Math.max(1, view.treeOf(child.name).length) : 0)),
    service_resident_memory_bytes: each(resident),
    service_memory_limit_bytes: each(memoryLimitOf),
    // Nothing is read of the others.
    service_memory_used_ratio: each((child) => {
      const limit = memoryLimitOf(child)
      const bytes = limit === null ? null : resident(child)
      return limit === null || bytes === null ? null : bytes / limit
    }),
    log_bytes: each(({ name }) => view.logBytes(name)),
    service_last_exit_code: each(({ name }) => exitCodes.get(name) ?? -1),
    mcp_tools: each(({ name }) => tools.get(name)?.listed ?? null),
    mcp_tools_missing: each(({ name }) => tools.get(name)?.missing ?? null),
    mcp_tools_changed: each(({ name }) => tools.get(name)?.changed ?? null),
    remediation_budget_remaining: () =>
      (sources.budgets?.() ?? []).map(({ service, left }) => ({ labels: { service }, value: left })),
  } satisfies Partial<Gauges>
}

const isDesired = ({ wanted }: Mesh, { desired, spec }: Child) =>
  wanted === 'up' && desired.kind === 'running' && spec.enabled

/** The least that its `memory` probes allow, null where there is none. */
function memoryLimitOf({ spec }: Child): number | null {
  const limits = spec.probes.flatMap((probe) => (probe.kind === 'memory' ? [probe.max] : []))
  return limits.length === 0 ? null : Math.min(...limits)
}

/** A child never changes, so its thirteen samples are made once. */
const stateSamples = new WeakMap<Child, readonly Sample[]>()

function statesOf(mesh: Mesh): Sample[] {
  const samples: Sample[] = []
  mesh.children.forEach((child) => {
    let own = stateSamples.get(child)
    if (own === undefined) {
      const label: ServiceState = labelOf(child)
      own = STATES.map((state) => ({ labels: { service: child.name, state }, value: flag(state === label) }))
      stateSamples.set(child, own)
    }
    samples.push(...own)
  })
  return samples
}

function probeGauges({ mesh }: MetricsView, { lastRuns }: Facts) {
  type Probe = Child['spec']['probes'][number]
  const each = (value: (child: Child, probe: Probe) => number | null) => {
    const list = steadyList()
    const fill = (put: Put) =>
      mesh.children.forEach((child) => {
        for (const probe of child.spec.probes) {
          const number = value(child, probe)
          if (number !== null) put(number, child.name, probeName(probe))
        }
      })
    return () => list(fill)
  }
  const judged = (child: Child, probe: Probe) =>
    'health' in child.state ? child.state.health[probeName(probe)] : undefined
  const isWarned = (child: Child, probe: Probe) => child.warnings[probeName(probe)] !== undefined
  return {
    probe_success: each((child, probe) => {
      if (probe.role === 'preflight') return flag(!isWarned(child, probe))
      const found = judged(child, probe)
      return found ? flag(found.failures === 0 && found.passes > 0) : null
    }),
    probe_unknown: each((child, probe) => flag((judged(child, probe)?.unknown ?? null) !== null)),
    // A preflight that fails while the service runs counts at once.
    probe_consecutive_failures: each((child, probe) =>
      probe.role === 'preflight' && isWarned(child, probe)
        ? probe.failureThreshold
        : (judged(child, probe)?.failures ?? 0),
    ),
    probe_failure_threshold: each((_, probe) => probe.failureThreshold),
    probe_needs_network: each((_, probe) => flag(needsNetwork(probe))),
    probe_interval_seconds: each((_, probe) => probe.every / 1000),
    probe_last_run_timestamp_seconds: each((child, probe) => {
      const at = lastRuns.get(child.name)?.get(probeName(probe))
      return at === undefined || Number.isNaN(at) || !isOpen(child, probe) ? null : at / 1000
    }),
  } satisfies Partial<Gauges>
}

function pathGauges(view: MetricsView, sources: Partial<Sources>) {
  const figures = (value: (one: ChannelFigures) => number | null) => () =>
    view.outbox().flatMap((one) => {
      const number = value(one)
      return number === null ? [] : [{ labels: { channel: one.channel }, value: number }]
    })
  const pings = (value: (ping: Ping) => number | null) => () =>
    view.pings().flatMap((ping) => {
      const number = value(ping)
      return number === null ? [] : [{ labels: { target: ping.target }, value: number / 1000 }]
    })
  const approvals = () => sources.approvals?.() ?? { pending: 0, oldestWall: null }
  const rules = () => sources.rules?.() ?? { evaluatedWall: null, instances: [] }
  return {
    alerts: () =>
      rules().instances.map(({ rule, state, count }) => ({ labels: { rule, state }, value: count })),
    rule_last_evaluation_timestamp_seconds: () => {
      const { evaluatedWall } = rules()
      return evaluatedWall === null ? [] : one(evaluatedWall / 1000)
    },
    incidents: () =>
      (sources.incidents?.() ?? []).map(({ severity, state, count }) => ({
        labels: { severity, state },
        value: count,
      })),
    notification_outbox_pending: figures(({ pending }) => pending),
    // What a screen stands in for is late in its own channel, and counted there.
    notification_outbox_dead: figures(({ channel, dead }) => (channel === 'desktop' ? 0 : dead)),
    notification_outbox_oldest_timestamp_seconds: figures(({ channel, oldestWall }) =>
      channel === 'desktop' ? 0 : (oldestWall ?? 0) / 1000,
    ),
    notification_last_proven_timestamp_seconds: figures(({ provenWall }) => (provenWall ?? 0) / 1000),
    notification_channel_up: figures(({ isUp: isWell }) => (isWell === null ? null : flag(isWell))),
    telegram_poll_last_success_timestamp_seconds() {
      const at = view.polledAt()
      return at === null ? [] : one(at / 1000)
    },
    deadman_last_ping_timestamp_seconds: pings(({ at }) => at),
    deadman_deadline_timestamp_seconds: pings(({ dueAt }) => dueAt),
    approvals_pending: () => one(approvals().pending),
    approval_oldest_pending_timestamp_seconds: () => one((approvals().oldestWall ?? 0) / 1000),
  } satisfies Partial<Gauges>
}
