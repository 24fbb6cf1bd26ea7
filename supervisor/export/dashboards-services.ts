/** Dashboards of the services. */
import { type DashboardData, heatmap, lines, stat, states, table } from './panels.ts'

const NEVER_FIRED = 'no rule has fired'

/** All services on one screen. */
export const overview: DashboardData = {
  id: 'overview',
  title: 'PAIOS: overview',
  isOfService: false,
  rows: [
    {
      title: 'Now',
      panels: [
        stat(
          'Services up',
          'Ready services of those that are declared to run.',
          'short',
          {
            up: 'sum(paios_service_up and on (service) (paios_service_desired_running == 1)) or vector(0)',
            wanted: 'sum(paios_service_desired_running)',
          },
          { width: 6 },
        ),
        stat(
          'Alerts firing',
          'Instances of alert rules that fire and are not held.',
          'short',
          {
            firing: 'sum(paios_alerts{state="firing"}) or vector(0)',
            held: 'sum(paios_alerts{state="held"}) or vector(0)',
          },
          { width: 6 },
        ),
        stat(
          'Approvals waiting',
          'Actions that wait for a decision.',
          'short',
          { waiting: 'paios_approvals_pending' },
          { width: 4 },
        ),
        stat(
          'Oldest unsent notification',
          'Age of the oldest notification in the outbox.',
          's',
          {
            age:
              'max((time() - paios_notification_outbox_oldest_timestamp_seconds) and ' +
              '(paios_notification_outbox_oldest_timestamp_seconds > 0)) or vector(0)',
          },
          { width: 4 },
        ),
        stat(
          'Network',
          '1 while the host has a way out.',
          'short',
          { online: 'paios_host_network_online' },
          { width: 4 },
        ),
      ],
    },
    {
      title: 'Services',
      panels: [
        states(
          'Ready',
          'Each service over time: 1 while it is ready.',
          'short',
          { '{{service}}': 'paios_service_up' },
          { width: 12 },
        ),
        table(
          'States',
          'The present state of each service.',
          'short',
          { '{{service}} {{state}}': 'paios_service_state == 1' },
          { width: 12 },
        ),
        table(
          'Open alerts',
          'Rules with pending, firing or held instances.',
          'short',
          { '{{rule}} {{state}}': 'paios_alerts > 0' },
          { width: 12, emptyWhen: NEVER_FIRED },
        ),
        lines(
          'Crashes in an hour',
          'Exits that nobody wanted, by service.',
          'short',
          {
            '{{service}}':
              'sum by (service) ' +
              '(increase(paios_service_exits_total{cause=~"clean|error|signal|hung|spawn_failed"}[1h]))',
          },
          { width: 12 },
        ),
      ],
    },
  ],
}

/** One service in full. */
export const service: DashboardData = {
  id: 'service',
  title: 'PAIOS: service',
  isOfService: true,
  rows: [
    {
      title: 'State',
      panels: [
        states(
          'State',
          'The state of the service over time; one line for each state that it was in.',
          'short',
          { '{{state}}': 'paios_service_state{service=~"$service"} == 1' },
          { width: 16 },
        ),
        stat(
          'Running since',
          'Age of the present process.',
          's',
          {
            age:
              '(time() - paios_service_start_time_seconds{service=~"$service"}) and ' +
              '(paios_service_start_time_seconds{service=~"$service"} > 0)',
          },
          { width: 4 },
        ),
        stat(
          'Restart delay',
          'The delay before the next start, while one is waited for.',
          's',
          { delay: 'paios_service_restart_backoff_seconds{service=~"$service"}' },
          { width: 4 },
        ),
        lines(
          'Starts by reason',
          'Starts in an hour.',
          'short',
          { '{{reason}}': 'sum by (reason) (increase(paios_service_starts_total{service=~"$service"}[1h]))' },
          { width: 12 },
        ),
        lines(
          'Exits by cause',
          'Exits in an hour.',
          'short',
          { '{{cause}}': 'sum by (cause) (increase(paios_service_exits_total{service=~"$service"}[1h]))' },
          { width: 12 },
        ),
      ],
    },
    {
      title: 'Probes',
      panels: [
        states(
          'Probes',
          '1 while the last run passed.',
          'short',
          { '{{probe}}': 'paios_probe_success{service=~"$service"}' },
          { width: 12 },
        ),
        lines(
          'Failures in a row',
          'Against the threshold at which they count.',
          'short',
          {
            '{{probe}}': 'paios_probe_consecutive_failures{service=~"$service"}',
            '{{probe}} threshold': 'paios_probe_failure_threshold{service=~"$service"}',
          },
          { width: 12 },
        ),
        heatmap(
          'Duration',
          'Runs by their duration.',
          's',
          {
            '{{le}}':
              'sum by (le) (rate(paios_probe_duration_seconds_bucket{service=~"$service"}[$__rate_interval]))',
          },
          { width: 24 },
        ),
      ],
    },
    {
      title: 'Resources',
      panels: [
        lines(
          'Memory',
          'Resident memory of the process tree.',
          'bytes',
          { '{{service}}': 'paios_service_resident_memory_bytes{service=~"$service"}' },
          { width: 8 },
        ),
        lines(
          'Memory of its limit',
          'Resident memory as a share of what its memory probe allows.',
          'percentunit',
          { '{{service}}': 'paios_service_memory_used_ratio{service=~"$service"}' },
          { width: 8, emptyWhen: 'the service has no limit' },
        ),
        lines(
          'Processes',
          'Processes of the tree, and those of earlier lives that could not be ended.',
          'short',
          {
            '{{service}}': 'paios_service_processes{service=~"$service"}',
            '{{service}} left over': 'paios_service_leftover_processes{service=~"$service"}',
          },
          { width: 8 },
        ),
        stat(
          'Tools',
          'Tools of an MCP server: listed, missing, changed.',
          'short',
          {
            listed: 'paios_mcp_tools{service=~"$service"}',
            missing: 'paios_mcp_tools_missing{service=~"$service"}',
            changed: 'paios_mcp_tools_changed{service=~"$service"}',
          },
          { width: 24, emptyWhen: 'the service is no MCP server' },
        ),
      ],
    },
  ],
}
