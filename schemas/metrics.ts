/**
 * THE metric table: every family that `/metrics` shows, with its help and its labels. A label's values come from a
 * closed list that stands here, or from a name that the operator or this installation declares (`Dimension`), so that
 * the number of series has a bound. Names are without the prefix `paios_`.
 */
import { STATES } from './states.ts'

/** What a label may name beside closed lists: each has as many values as the mesh declares. */
export type Dimension = 'service' | 'probe' | 'runbook' | 'mountpoint' | 'rule' | 'text'

type Labels = Readonly<Record<string, readonly string[] | Dimension>>
export type Metric = {
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly labels: Labels
  /** Upper bounds of a histogram; empty for the others. */
  readonly buckets: readonly number[]
}

const gauge = (help: string, labels: Labels = {}) => ({ type: 'gauge', help, labels, buckets: [] }) as const
const counter = (help: string, labels: Labels = {}) =>
  ({ type: 'counter', help, labels, buckets: [] }) as const
const histogram = (help: string, buckets: readonly number[], labels: Labels = {}) =>
  ({ type: 'histogram', help, labels, buckets }) as const

const service = { service: 'service' } as const
const probe = { service: 'service', probe: 'probe' } as const
const channel = { channel: ['telegram', 'ntfy', 'command', 'desktop'] } as const
const mountpoint = { mountpoint: 'mountpoint' } as const
const target = { target: ['outside', 'sentinel'] } as const

/** Why a process was started. */
export const START_REASONS = ['boot', 'manual', 'crash', 'hung', 'config', 'dependency', 'sibling'] as const
/** How a process ended: `planned` by its exit signature, `completed` an exit 0 of what may end, `clean` another. */
export const EXIT_CAUSES = [
  'stopped',
  'completed',
  'planned',
  'clean',
  'error',
  'signal',
  'hung',
  'spawn_failed',
] as const
/** The causes of exits that nobody wanted. */
export const CRASHES = ['clean', 'error', 'signal', 'hung', 'spawn_failed'] as const
/** How a probe run ended. */
export const PROBE_RESULTS = ['ok', 'fail', 'timeout', 'error'] as const
/** Parts of the supervisor in which something unexpected can be caught. */
export const COMPONENTS = ['loop', 'rules', 'incidents', 'outbox', 'telegram', 'runbook', 'http'] as const
/** How a rotation of a log file ended. */
export const ROTATIONS = ['rotated', 'failed'] as const
/** What a gap of the tick clock was. */
export const JUMPS = ['stall', 'sleep'] as const
/** Why messages are held. */
export const SUPPRESSIONS = ['startup', 'wake', 'offline', 'maintenance'] as const
/** What a message is about; `service` is one to an alert command. */
export const NOTICE_KINDS = [
  'opened',
  'updated',
  'worsened',
  'repeated',
  'closed',
  'digest',
  'storm',
  'approval',
  'test',
  'service',
] as const
/** Why a delivery did not succeed. */
export const DELIVERY_FAULTS = ['network', 'rate_limited', 'auth', 'rejected', 'server', 'timeout'] as const
/** How a run of a runbook ended; `told`: a person has to act, `skipped`: there was nothing to do. */
export const REMEDY_RESULTS = [
  'succeeded',
  'failed',
  'verify_failed',
  'rolled_back',
  'denied',
  'expired',
  'refused',
  'told',
  'skipped',
  'superseded',
] as const
/** What became of an action that needed approval. */
export const DECISIONS = ['approved', 'denied', 'expired'] as const
const SEVERITIES = ['critical', 'warning', 'info'] as const

/** Every metric by its name without the prefix. */
export const METRICS = {
  build_info: gauge('Build of the supervisor. Always 1', { version: 'text', node_version: 'text' }),
  supervisor_start_time_seconds: gauge('Time at which the supervisor started'),
  supervisor_last_tick_timestamp_seconds: gauge('Time of the last completed control loop tick'),
  supervisor_last_wake_timestamp_seconds: gauge('Time of the last wake from sleep, 0 if none'),
  supervisor_open_fds: gauge('Open descriptors of the supervisor'),
  supervisor_resident_memory_bytes: gauge('Resident memory of the supervisor'),
  supervisor_loop_lag_seconds: gauge('Worst lateness of the control loop in the last minute'),
  supervisor_limits_exceeded: gauge('Limits of its own that the supervisor exceeds'),
  supervisor_last_start_unclean: gauge('1 if the previous run ended without a shutdown record'),
  supervisor_suppression_active: gauge('1 while messages are held for this reason', { reason: SUPPRESSIONS }),
  supervisor_tick_duration_seconds: histogram(
    'Duration of one control loop turn',
    [0.005, 0.025, 0.1, 0.5, 1, 5],
  ),
  supervisor_clock_jumps_total: counter('Gaps seen by the tick clock, by cause', {
    kind: ['stall', 'sleep'],
  }),
  supervisor_internal_errors_total: counter('Unexpected errors caught in the supervisor', {
    component: COMPONENTS,
  }),
  document_valid: gauge('0 while the document as it lies there is known not to be valid'),
  service_info: gauge('Declared attributes of a service. Always 1', {
    ...service,
    kind: ['daemon', 'mcp-stdio', 'mcp-http', 'session', 'external'],
    preset: 'text',
  }),
  service_state: gauge('State of the service, 1 for the current one', { ...service, state: STATES }),
  service_desired_running: gauge('1 if the service is declared to run now', service),
  service_live: gauge('1 if the service has a living process that no liveness probe speaks against', service),
  service_up: gauge('1 if the service is running and its readiness probes pass', service),
  service_awaits_network: gauge(
    '1 if the service lives and is not ready for want of the network alone',
    service,
  ),
  service_flapping: gauge('1 while the service is classed as flapping', service),
  service_rejected: gauge(
    '1 if the service runs by the declaration before the one that was applied',
    service,
  ),
  service_leftover_processes: gauge('Processes of earlier lives that could not be ended', service),
  service_state_since_timestamp_seconds: gauge('Time at which the current state was entered', service),
  service_start_time_seconds: gauge('Time at which the current process started, 0 if none', service),
  service_restart_backoff_seconds: gauge('Current restart delay', service),
  service_processes: gauge('Processes in the process tree of the service', service),
  service_resident_memory_bytes: gauge('Resident memory of the process tree', service),
  service_memory_limit_bytes: gauge('Declared limit of the resident memory, absent without one', service),
  service_memory_used_ratio: gauge('Resident memory as a share of the declared limit', service),
  service_last_exit_code: gauge('Exit code of the last process, 128+n for a signal, -1 if none', service),
  log_bytes: gauge('Bytes of the log file of the service and of its archives', service),
  log_rotations_total: counter('Rotations of log files, by result', { ...service, result: ROTATIONS }),
  log_rotation_pause_seconds: histogram(
    'How long the processes of a service stood still for a rotation',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1],
  ),
  service_starts_total: counter('Process starts, by reason', { ...service, reason: START_REASONS }),
  service_exits_total: counter(
    'Process exits, by cause. clean is an exit 0 that was not asked for, completed one that is allowed',
    { ...service, cause: EXIT_CAUSES },
  ),
  probe_success: gauge('1 if the last run of the probe passed', probe),
  probe_unknown: gauge('1 if the last run of the probe could not tell', probe),
  probe_consecutive_failures: gauge('Failed runs in a row', probe),
  probe_failure_threshold: gauge('Declared number of failed runs in a row that make a failure', probe),
  probe_needs_network: gauge('1 if the probe cannot pass without a network', probe),
  probe_interval_seconds: gauge('Declared time between two runs', probe),
  probe_last_run_timestamp_seconds: gauge('Time of the last completed run of a probe that is open', probe),
  probe_runs_total: counter('Probe runs, by result', { ...probe, result: PROBE_RESULTS }),
  probe_duration_seconds: histogram('Duration of a probe run', [0.01, 0.05, 0.25, 1, 5, 15], probe),
  mcp_tools: gauge('Tools that the server listed last', service),
  mcp_tools_missing: gauge('Expected or accepted tools that the server does not list', service),
  mcp_tools_changed: gauge('Listed tools that are new or other than the accepted ones', service),
  journal_writable: gauge('1 if events can be written to the journal'),
  journal_write_errors_total: counter('Events that could not be written to the journal'),
  host_filesystem_avail_bytes: gauge('Free space for users', mountpoint),
  host_filesystem_size_bytes: gauge('Size of the file system', mountpoint),
  host_memory_avail_bytes: gauge('Memory that programs could still have'),
  host_memory_size_bytes: gauge('Memory of the host'),
  host_memory_pressure_level: gauge('Memory pressure of the host: 1 normal, 2 warning, 4 critical'),
  host_network_online: gauge(
    '1 if the host has a way out: by its interfaces, or since a message got through',
  ),
  alerts: gauge('Instances of alert rules, by state', { rule: 'rule', state: ['pending', 'firing', 'held'] }),
  rule_last_evaluation_timestamp_seconds: gauge('Time of the last complete evaluation of the alert rules'),
  rule_evaluation_failures_total: counter('Rules that could not be evaluated'),
  incidents: gauge('Open incidents, by severity and state', {
    severity: SEVERITIES,
    state: ['open', 'acknowledged', 'muted'],
  }),
  notifications_enqueued_total: counter('Notifications put in the outbox', {
    ...channel,
    kind: NOTICE_KINDS,
  }),
  notifications_sent_total: counter('Notifications accepted by the channel', channel),
  notifications_failed_total: counter('Failed delivery attempts, by reason', {
    ...channel,
    reason: DELIVERY_FAULTS,
  }),
  notification_delivery_seconds: histogram(
    'Time from enqueueing to acceptance by the channel',
    [0.5, 1, 2, 5, 15, 60, 300, 3600],
    channel,
  ),
  notification_outbox_pending: gauge('Notifications waiting in the outbox', channel),
  notification_outbox_dead: gauge('Notifications given up and not yet acknowledged', channel),
  notification_outbox_oldest_timestamp_seconds: gauge(
    'Time of the oldest waiting notification, 0 if none',
    channel,
  ),
  notification_last_proven_timestamp_seconds: gauge(
    'Time at which the channel last accepted a message or a trial, 0 if it never did',
    channel,
  ),
  notification_channel_up: gauge('1 if the last self test or delivery of the channel succeeded', channel),
  telegram_poll_last_success_timestamp_seconds: gauge('Time of the last successful poll for updates'),
  deadman_last_ping_timestamp_seconds: gauge("Time of the last accepted ping of a dead man's switch", target),
  deadman_deadline_timestamp_seconds: gauge(
    "Time at which the next ping of a dead man's switch is overdue",
    target,
  ),
  remediation_actions_total: counter('Runs of runbooks, by result', {
    runbook: 'runbook',
    result: REMEDY_RESULTS,
  }),
  remediation_budget_remaining: gauge('Automatic actions left in the current window', service),
  approvals_pending: gauge('Actions that wait for a decision'),
  approval_oldest_pending_timestamp_seconds: gauge('Time of the oldest waiting action, 0 if none'),
  approvals_total: counter('Decided actions, by result', { result: DECISIONS }),
} as const satisfies Readonly<Record<string, Metric>>

export type MetricName = keyof typeof METRICS
