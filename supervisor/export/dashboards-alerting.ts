/** Dashboards of alerts and repairs. */
import { type DashboardData, heatmap, lines, stat, states, table } from './panels.ts'

const NO_CHANNEL = 'no channel of alerts is declared'

/** Runbooks and approvals. */
export const remedies: DashboardData = {
  id: 'remedies',
  title: 'PAIOS: repairs and approvals',
  isOfService: false,
  rows: [
    {
      title: 'Repairs',
      panels: [
        lines(
          'Runs of runbooks',
          'Runs in a day, by result.',
          'short',
          {
            '{{runbook}} {{result}}':
              'sum by (runbook, result) (increase(paios_remediation_actions_total[1d]))',
          },
          { width: 12, emptyWhen: 'no runbook has run' },
        ),
        table(
          'Actions left',
          'Automatic actions that are left in the present window, by service.',
          'short',
          { '{{service}}': 'paios_remediation_budget_remaining' },
          { width: 12, emptyWhen: 'no service has automatic actions' },
        ),
      ],
    },
    {
      title: 'Approvals',
      panels: [
        lines(
          'Decisions',
          'Decisions in a day, by result.',
          'short',
          { '{{result}}': 'sum by (result) (increase(paios_approvals_total[1d]))' },
          { width: 12 },
        ),
        stat(
          'Oldest waiting',
          'Age of the oldest action that waits for a decision.',
          's',
          {
            age:
              '((time() - paios_approval_oldest_pending_timestamp_seconds) and ' +
              '(paios_approval_oldest_pending_timestamp_seconds > 0)) or vector(0)',
          },
          { width: 12 },
        ),
      ],
    },
    {
      title: 'Declarations',
      panels: [
        stat(
          'Not taken',
          'Services that run by the declaration before the one that was applied.',
          'short',
          { services: 'sum(paios_service_rejected) or vector(0)' },
          { width: 12 },
        ),
        stat(
          'Document',
          '1 while paios.yaml is valid.',
          'short',
          { valid: 'paios_document_valid' },
          { width: 12 },
        ),
      ],
    },
  ],
}

/** The way to the phone. */
export const alertPath: DashboardData = {
  id: 'alert-path',
  title: 'PAIOS: alert path',
  isOfService: false,
  rows: [
    {
      title: 'Delivery',
      panels: [
        lines(
          'Waiting',
          'Notifications in the outbox, and those that were given up.',
          'short',
          {
            '{{channel}}': 'paios_notification_outbox_pending',
            '{{channel}} given up': 'paios_notification_outbox_dead',
          },
          { width: 8, emptyWhen: NO_CHANNEL },
        ),
        lines(
          'Sent in an hour',
          'Accepted by the channel.',
          'short',
          { '{{channel}}': 'sum by (channel) (increase(paios_notifications_sent_total[1h]))' },
          { width: 8, emptyWhen: NO_CHANNEL },
        ),
        lines(
          'Failed in an hour',
          'Attempts that failed, by reason.',
          'short',
          {
            '{{channel}} {{reason}}':
              'sum by (channel, reason) (increase(paios_notifications_failed_total[1h]))',
          },
          { width: 8, emptyWhen: 'no delivery has failed' },
        ),
        heatmap(
          'Delivery time',
          'From the outbox to the acceptance by the channel.',
          's',
          { '{{le}}': 'sum by (le) (rate(paios_notification_delivery_seconds_bucket[$__rate_interval]))' },
          { width: 16, emptyWhen: NO_CHANNEL },
        ),
        stat(
          'Channels',
          '1 while a channel takes messages.',
          'short',
          { '{{channel}}': 'paios_notification_channel_up' },
          { width: 8, emptyWhen: NO_CHANNEL },
        ),
      ],
    },
    {
      title: 'Rules',
      panels: [
        stat(
          'Last evaluation',
          'Age of the last complete evaluation of the rules.',
          's',
          { age: 'time() - paios_rule_last_evaluation_timestamp_seconds' },
          { width: 6 },
        ),
        lines(
          'Errors',
          'Rules that could not be evaluated, and what was caught inside the supervisor, in an hour.',
          'short',
          {
            rules: 'increase(paios_rule_evaluation_failures_total[1h])',
            '{{component}}': 'increase(paios_supervisor_internal_errors_total[1h])',
          },
          { width: 9 },
        ),
        states(
          'Messages held',
          '1 while messages are held for this reason.',
          'short',
          { '{{reason}}': 'paios_supervisor_suppression_active' },
          { width: 9 },
        ),
        lines(
          "Dead man's switch",
          'Age of the last accepted ping.',
          's',
          { '{{target}}': 'time() - paios_deadman_last_ping_timestamp_seconds' },
          { width: 12, emptyWhen: "no dead man's switch is declared" },
        ),
        lines(
          'Incidents',
          'Open incidents by severity and state.',
          'short',
          { '{{severity}} {{state}}': 'paios_incidents' },
          { width: 12, emptyWhen: 'no incident is open' },
        ),
      ],
    },
  ],
}
