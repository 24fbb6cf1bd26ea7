/** Rules about probes, and about the tools of MCP servers. */
import { type AlertRule, WHILE_UNSETTLED } from './alert-rule.ts'
import { and, operation, select, since, unless } from './expression.ts'

const service = { kind: 'service', label: 'service' } as const
const isLive = and(
  operation(select('service_desired_running'), '==', 1),
  operation(select('service_live'), '==', 1),
  ['service'],
)

const kb = (metric: string, values: string) => ({ [`${metric}{service="kb"}`]: values })
const tcp = (metric: string, values: string) => ({
  [`${metric}{service="kb",probe="tcp-readiness"}`]: values,
})

/** By name. */
export const probeRules: Readonly<Record<string, AlertRule>> = {
  /** During a start it is to be expected, and the start has a budget of its own. */
  ProbeFailing: {
    severity: 'warning',
    when: unless(
      operation(select('probe_consecutive_failures'), '>=', select('probe_failure_threshold'), [
        'service',
        'probe',
      ]),
      operation(select('service_state', { state: ['starting'] }), '==', 1),
      ['service'],
    ),
    for: 0,
    keep: 0,
    heldBy: [...WHILE_UNSETTLED, 'offline'],
    offlineOnly: { where: operation(select('probe_needs_network'), '==', 1), on: ['service', 'probe'] },
    subject: service,
    summary: 'Probe {probe} of {service} failed {value} times in a row.',
    fires: {
      at: 60,
      series: {
        ...tcp('probe_consecutive_failures', '0 1 2 3x10'),
        ...tcp('probe_failure_threshold', '3x10'),
      },
    },
    silent: {
      at: 60,
      series: {
        ...tcp('probe_consecutive_failures', '3x10'),
        ...tcp('probe_failure_threshold', '3x10'),
        'service_state{service="kb",state="starting"}': '1x10',
      },
    },
  },
  ProbeUnknown: {
    severity: 'warning',
    when: operation(select('probe_unknown'), '==', 1),
    for: 300,
    keep: 0,
    heldBy: WHILE_UNSETTLED,
    subject: service,
    summary: 'Probe {probe} of {service} cannot tell: nobody knows whether it is well.',
    fires: { at: 600, series: tcp('probe_unknown', '1x60') },
    silent: { at: 390, series: tcp('probe_unknown', '1x10 0 1x15') },
  },
  /** Three periods and a minute, since a check may take its time and waits for its turn. */
  ProbeStale: {
    severity: 'warning',
    when: operation(
      since('probe_last_run_timestamp_seconds'),
      '>',
      operation(operation(select('probe_interval_seconds'), '*', 3), '+', 60),
      ['service', 'probe'],
    ),
    for: 0,
    keep: 0,
    heldBy: WHILE_UNSETTLED,
    subject: service,
    summary: 'Probe {probe} of {service} has not run for {duration}.',
    fires: {
      at: 150,
      series: {
        ...tcp('probe_last_run_timestamp_seconds', '0x20'),
        ...tcp('probe_interval_seconds', '10x20'),
      },
    },
    silent: {
      at: 150,
      series: {
        ...tcp('probe_last_run_timestamp_seconds', '0+15x20'),
        ...tcp('probe_interval_seconds', '10x20'),
      },
    },
  },
  McpNoTools: {
    severity: 'critical',
    when: and(operation(select('mcp_tools'), '==', 0), isLive, ['service']),
    for: 0,
    keep: 0,
    heldBy: WHILE_UNSETTLED,
    subject: service,
    summary: '{service} answers and lists no tool.',
    fires: {
      at: 60,
      series: {
        ...kb('mcp_tools', '4 0x10'),
        ...kb('service_desired_running', '1x10'),
        ...kb('service_live', '1x10'),
      },
    },
    silent: {
      at: 60,
      series: {
        ...kb('mcp_tools', '4 0x10'),
        ...kb('service_desired_running', '1x10'),
        ...kb('service_live', '0x10'),
      },
    },
  },
  McpToolsMissing: {
    severity: 'warning',
    when: and(operation(select('mcp_tools_missing'), '>', 0), operation(select('mcp_tools'), '>', 0), [
      'service',
    ]),
    for: 0,
    keep: 0,
    heldBy: WHILE_UNSETTLED,
    subject: service,
    summary: '{service} lost {value} of its tools.',
    fires: { at: 60, series: { ...kb('mcp_tools', '3x10'), ...kb('mcp_tools_missing', '1x10') } },
    silent: { at: 60, series: { ...kb('mcp_tools', '3x10'), ...kb('mcp_tools_missing', '0x10') } },
  },
  McpToolsChanged: {
    severity: 'warning',
    when: operation(select('mcp_tools_changed'), '>', 0),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: service,
    summary: '{value} tools of {service} are not those that were accepted.',
    fires: { at: 60, series: kb('mcp_tools_changed', '0 2x10') },
    silent: { at: 60, series: kb('mcp_tools_changed', '2 0x10') },
  },
}
