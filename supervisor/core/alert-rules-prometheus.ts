/**
 * Rules that make sense in Prometheus alone: what a dead supervisor cannot say of itself, and extras that need its
 * history. Without a Prometheus the sentinel and the dead man's switch stand in for the former.
 */
import type { PrometheusRule } from './alert-rule.ts'

/** By name. */
export const onlyPrometheus: Readonly<Record<string, PrometheusRule>> = {
  Watchdog: {
    severity: 'none',
    promql: 'vector(1)',
    metrics: [],
    for: 0,
    keep: 0,
    summary: 'Always fires. Its absence means that the alert path is broken.',
    fires: {
      at: 60,
      series: {},
      labels: {},
      says: 'Always fires. Its absence means that the alert path is broken.',
    },
    silent: null,
  },
  SupervisorDown: {
    severity: 'critical',
    promql: 'up{job="paios"} == 0 or absent(up{job="paios"})',
    metrics: [],
    for: 60,
    keep: 0,
    summary: 'The supervisor does not answer.',
    fires: {
      at: 180,
      series: { 'up{job="paios"}': '1x2 0x20' },
      labels: { job: 'paios' },
      says: 'The supervisor does not answer.',
    },
    silent: { at: 180, series: { 'up{job="paios"}': '1x20' } },
  },
  SupervisorStalled: {
    severity: 'critical',
    promql: '(time() - paios_supervisor_last_tick_timestamp_seconds) > 30',
    metrics: ['supervisor_last_tick_timestamp_seconds'],
    for: 0,
    keep: 0,
    summary: 'The control loop has not ticked for {duration}.',
    fires: {
      at: 150,
      series: { supervisor_last_tick_timestamp_seconds: '0 15 30x20' },
      labels: {},
      says: 'The control loop has not ticked for 2m 0s.',
    },
    silent: { at: 150, series: { supervisor_last_tick_timestamp_seconds: '0+15x20' } },
  },
  RulesNotEvaluated: {
    severity: 'critical',
    promql: '(time() - paios_rule_last_evaluation_timestamp_seconds) > 60',
    metrics: ['rule_last_evaluation_timestamp_seconds'],
    for: 0,
    keep: 0,
    summary: 'No alert rule was evaluated for {duration}.',
    fires: {
      at: 150,
      series: { rule_last_evaluation_timestamp_seconds: '0 15 30x20' },
      labels: {},
      says: 'No alert rule was evaluated for 2m 0s.',
    },
    silent: { at: 150, series: { rule_last_evaluation_timestamp_seconds: '0+15x20' } },
  },
  ProbeSlow: {
    severity: 'info',
    promql:
      'histogram_quantile(0.95, sum by (service, probe, le) ' +
      '(rate(paios_probe_duration_seconds_bucket[15m]))) > 2',
    metrics: ['probe_duration_seconds'],
    for: 900,
    keep: 0,
    summary: 'Probe {probe} of {service}: one run in twenty takes more than {duration}.',
    fires: {
      at: 2400,
      series: {
        'probe_duration_seconds_bucket{service="kb",probe="tcp-readiness",le="1"}': '0x200',
        'probe_duration_seconds_bucket{service="kb",probe="tcp-readiness",le="5"}': '0+1x200',
        'probe_duration_seconds_bucket{service="kb",probe="tcp-readiness",le="+Inf"}': '0+1x200',
      },
      labels: { service: 'kb', probe: 'tcp-readiness' },
      says: 'Probe tcp-readiness of kb: one run in twenty takes more than 4.8s.',
    },
    silent: {
      at: 2400,
      series: {
        'probe_duration_seconds_bucket{service="kb",probe="tcp-readiness",le="1"}': '0+1x200',
        'probe_duration_seconds_bucket{service="kb",probe="tcp-readiness",le="5"}': '0+1x200',
        'probe_duration_seconds_bucket{service="kb",probe="tcp-readiness",le="+Inf"}': '0+1x200',
      },
    },
  },
  DiskFillingUp: {
    severity: 'warning',
    promql:
      'predict_linear(paios_host_filesystem_avail_bytes[6h], 86400) < 0' +
      ' and paios_host_filesystem_avail_bytes / paios_host_filesystem_size_bytes < 0.25',
    metrics: ['host_filesystem_avail_bytes', 'host_filesystem_size_bytes'],
    for: 1800,
    keep: 0,
    summary: '{mountpoint} will be full within a day.',
    fires: {
      at: 7200,
      series: {
        'host_filesystem_avail_bytes{mountpoint="/"}': '20000000000-10000000x500',
        'host_filesystem_size_bytes{mountpoint="/"}': '100000000000x500',
      },
      labels: { mountpoint: '/' },
      says: '/ will be full within a day.',
    },
    silent: {
      at: 7200,
      series: {
        'host_filesystem_avail_bytes{mountpoint="/"}': '20000000000x500',
        'host_filesystem_size_bytes{mountpoint="/"}': '100000000000x500',
      },
    },
  },
}
