/** Rules about services. */
import { type AlertRule, WHILE_UNSETTLED } from './alert-rule.ts'
import type { Expression } from './expression.ts'
import { and, increase, operation, select, sumBy, unless } from './expression.ts'

const service = { kind: 'service', label: 'service' } as const
/** Exits that nobody wanted; the list of schemas/metrics.ts, which a test compares. */
const CRASHED = { cause: ['clean', 'error', 'signal', 'hung', 'spawn_failed'] }
/** States that have a rule of their own, or need none. */
const TOLD_OTHERWISE = { state: ['failed', 'unknown', 'blocked', 'missing', 'hung', 'absent'] }

const inState = (state: string): Expression => operation(select('service_state', { state }), '==', 1)
const is = (metric: Parameters<typeof select>[0], value: 0 | 1): Expression =>
  operation(select(metric), '==', value)
const crashes = (window: number): Expression =>
  sumBy(['service'], increase('service_exits_total', window, CRASHED))

/** What is rare stands on the left: where nothing is down, nothing else is looked at. */
const isDown = unless(
  and(is('service_live', 0), is('service_desired_running', 1), ['service']),
  operation(select('service_state', TOLD_OTHERWISE), '==', 1),
  ['service'],
)
const isMeantToLive = and(is('service_desired_running', 1), is('service_live', 1), ['service'])

/** `kb` in a state, and in no other one. */
const state = (name: string, values: string) => ({ [`service_state{service="kb",state="${name}"}`]: values })
const kb = (metric: string, values: string) => ({ [`${metric}{service="kb"}`]: values })
const exits = (cause: string, values: string) => ({
  [`service_exits_total{service="kb",cause="${cause}"}`]: values,
})
const info = { 'service_info{service="kb",kind="daemon",preset="process"}': '1x60' }

/** By name. */
export const serviceRules: Readonly<Record<string, AlertRule>> = {
  /** 15 s are three evaluations; with the backoff of 200 ms doubling, seven quick restarts fit in. */
  ServiceDown: {
    severity: 'critical',
    when: operation(isDown, '*', select('service_info'), ['service'], ['kind', 'preset']),
    for: 15,
    keep: 0,
    heldBy: WHILE_UNSETTLED,
    subject: service,
    summary: '{service} is down: it has no living process, or is not live.',
    fires: {
      at: 120,
      series: { ...info, ...kb('service_desired_running', '1x60'), ...kb('service_live', '1x3 0x60') },
    },
    silent: {
      at: 120,
      series: {
        ...info,
        ...kb('service_desired_running', '1x60'),
        ...kb('service_live', '0x60'),
        ...state('blocked', '1x60'),
      },
    },
  },
  ServiceGaveUp: {
    severity: 'critical',
    when: inState('failed'),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{service} failed for good: its automatic restarts are used up.',
    fires: { at: 60, series: state('failed', '0x2 1x10') },
    silent: { at: 60, series: { ...state('failed', '0x10'), ...state('backoff', '1x10') } },
  },
  ServiceBlocked: {
    severity: 'critical',
    when: inState('blocked'),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{service} is not started: it is known that it could not work.',
    fires: { at: 60, series: state('blocked', '1x10') },
    silent: { at: 60, series: state('blocked', '1x2 0x10') },
  },
  ServiceMissing: {
    severity: 'warning',
    when: inState('missing'),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: 'The program of {service} was here and is gone.',
    fires: { at: 60, series: state('missing', '1x10') },
    silent: { at: 60, series: { ...state('missing', '0x10'), ...state('absent', '1x10') } },
  },
  ServiceUnknown: {
    severity: 'critical',
    when: inState('unknown'),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: 'It cannot be told whether {service} still runs: it is neither watched nor restarted.',
    fires: { at: 60, series: state('unknown', '1x10') },
    silent: { at: 60, series: { ...state('unknown', '0x10'), ...state('running', '1x10') } },
  },
  ServiceHung: {
    severity: 'critical',
    when: inState('hung'),
    for: 0,
    keep: 0,
    heldBy: WHILE_UNSETTLED,
    subject: service,
    summary: '{service} runs and does not answer.',
    fires: { at: 60, series: state('hung', '1x10') },
    silent: {
      at: 60,
      series: { ...state('hung', '1x10'), 'supervisor_suppression_active{reason="wake"}': '1x10' },
    },
  },
  ServiceCrashLooping: {
    severity: 'critical',
    when: operation(crashes(600), '>=', 3),
    for: 0,
    keep: 300,
    heldBy: [],
    subject: service,
    summary: '{service} crashed {value} times in 10 minutes.',
    fires: { at: 300, series: { ...exits('error', '0x4 1x4 2x30'), ...exits('signal', '0x12 1x30') } },
    silent: { at: 300, series: { ...exits('error', '0x4 2x30'), ...exits('stopped', '0x4 9x30') } },
  },
  ServiceCrashed: {
    severity: 'info',
    when: operation(crashes(300), '>', 0),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{service} crashed.',
    fires: { at: 120, series: exits('signal', '0x4 1x30') },
    silent: { at: 120, series: { ...exits('planned', '0x4 1x30'), ...exits('completed', '0x4 1x30') } },
  },
  /** What is not ready for want of the network alone is told once the host is online again. */
  ServiceDegraded: {
    severity: 'warning',
    when: and(is('service_up', 0), isMeantToLive, ['service']),
    for: 300,
    keep: 0,
    heldBy: [...WHILE_UNSETTLED, 'offline'],
    offlineOnly: { where: is('service_awaits_network', 1), on: ['service'] },
    subject: service,
    summary: '{service} runs and has not been ready for 5 minutes.',
    fires: {
      at: 600,
      series: {
        ...kb('service_desired_running', '1x60'),
        ...kb('service_live', '1x60'),
        ...kb('service_up', '1x5 0x60'),
        ...kb('service_awaits_network', '0x60'),
        'supervisor_suppression_active{reason="offline"}': '1x60',
      },
    },
    silent: {
      at: 600,
      series: {
        ...kb('service_desired_running', '1x60'),
        ...kb('service_live', '1x60'),
        ...kb('service_up', '1x5 0x60'),
        ...kb('service_awaits_network', '1x60'),
        'supervisor_suppression_active{reason="offline"}': '1x60',
      },
    },
  },
  ServiceFlapping: {
    severity: 'warning',
    when: is('service_flapping', 1),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{service} goes up and down too often. Its other alerts are held.',
    fires: { at: 60, series: kb('service_flapping', '1x10') },
    silent: { at: 60, series: kb('service_flapping', '0x10') },
  },
  ServiceStartSlow: {
    severity: 'warning',
    when: inState('starting'),
    for: 120,
    keep: 0,
    heldBy: WHILE_UNSETTLED,
    subject: service,
    summary: '{service} is still starting after 2 minutes.',
    fires: { at: 180, series: state('starting', '1x20') },
    silent: { at: 180, series: state('starting', '1x6 0x2 1x20') },
  },
  ServiceRolledBack: {
    severity: 'warning',
    when: is('service_rejected', 1),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{service} runs by its declaration before: the new one was not taken.',
    fires: { at: 60, series: kb('service_rejected', '1x10') },
    silent: { at: 60, series: kb('service_rejected', '0x10') },
  },
  /** Before the kernel, or the service's own probe, ends it. */
  ServiceMemoryHigh: {
    severity: 'warning',
    when: operation(select('service_memory_used_ratio'), '>', 0.9),
    for: 300,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{service} uses {percent} of the memory that it is allowed.',
    fires: { at: 600, series: kb('service_memory_used_ratio', '0.5x3 0.95x60') },
    silent: { at: 540, series: kb('service_memory_used_ratio', '0.95x18 0.8 0.95x40') },
  },
  ServiceLeftovers: {
    severity: 'warning',
    when: operation(select('service_leftover_processes'), '>', 0),
    for: 60,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{value} processes of an earlier life of {service} cannot be ended.',
    fires: { at: 120, series: kb('service_leftover_processes', '2x10') },
    silent: { at: 120, series: kb('service_leftover_processes', '0x6 1x10') },
  },
}
