/** Rules about the way to the phone, approvals and automatic repairs. */

import type { Suppression } from './alert.ts'
import { type AlertRule, WHILE_UNSETTLED } from './alert-rule.ts'
import { and, increase, operation, select, since, sumBy } from './expression.ts'

const channel = { kind: 'channel', label: 'channel' } as const
const supervisor = { kind: 'supervisor', name: 'supervisor' } as const
const WHILE_OUT_OF_REACH: readonly Suppression[] = [...WHILE_UNSETTLED, 'offline']

const telegram = (metric: string, values: string) => ({ [`${metric}{channel="telegram"}`]: values })
const outside = (metric: string, values: string) => ({ [`${metric}{target="outside"}`]: values })
const repaired = (result: string, values: string) => ({
  [`remediation_actions_total{runbook="kb",result="${result}"}`]: values,
})

/** By name. */
export const alertPathRules: Readonly<Record<string, AlertRule>> = {
  AlertDeliveryDelayed: {
    severity: 'critical',
    when: and(
      operation(since('notification_outbox_oldest_timestamp_seconds'), '>', 120),
      operation(select('notification_outbox_oldest_timestamp_seconds'), '>', 0),
    ),
    for: 0,
    keep: 0,
    heldBy: WHILE_OUT_OF_REACH,
    subject: channel,
    summary: 'Notifications have waited {duration} for {channel}.',
    fires: { at: 240, series: telegram('notification_outbox_oldest_timestamp_seconds', '0x3 60x30') },
    silent: { at: 240, series: telegram('notification_outbox_oldest_timestamp_seconds', '0x30') },
  },
  AlertUndeliverable: {
    severity: 'critical',
    when: operation(select('notification_outbox_dead'), '>', 0),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: channel,
    summary: '{value} notifications for {channel} were given up.',
    fires: { at: 60, series: telegram('notification_outbox_dead', '1x10') },
    silent: { at: 60, series: telegram('notification_outbox_dead', '0x10') },
  },
  AlertChannelDown: {
    severity: 'critical',
    when: operation(select('notification_channel_up'), '==', 0),
    for: 120,
    keep: 0,
    heldBy: WHILE_OUT_OF_REACH,
    subject: channel,
    summary: '{channel} takes no messages.',
    fires: { at: 300, series: telegram('notification_channel_up', '1x3 0x30') },
    silent: {
      at: 300,
      series: {
        ...telegram('notification_channel_up', '0x30'),
        'supervisor_suppression_active{reason="offline"}': '1x30',
      },
    },
  },
  TelegramPollStalled: {
    severity: 'warning',
    when: operation(since('telegram_poll_last_success_timestamp_seconds'), '>', 120),
    for: 0,
    keep: 0,
    heldBy: WHILE_OUT_OF_REACH,
    subject: { kind: 'channel', name: 'telegram' },
    summary: 'Buttons and commands from Telegram have not arrived for {duration}.',
    fires: { at: 180, series: { telegram_poll_last_success_timestamp_seconds: '15x30' } },
    silent: { at: 180, series: { telegram_poll_last_success_timestamp_seconds: '0+15x30' } },
  },
  DeadmanPingFailing: {
    severity: 'warning',
    when: operation(since('deadman_deadline_timestamp_seconds'), '>', 0),
    for: 0,
    keep: 0,
    heldBy: WHILE_OUT_OF_REACH,
    subject: { kind: 'channel', label: 'target' },
    summary: "The dead man's switch {target} is overdue by {duration}.",
    fires: { at: 900, series: outside('deadman_deadline_timestamp_seconds', '600x70') },
    silent: { at: 900, series: outside('deadman_deadline_timestamp_seconds', '600+15x70') },
  },
  ApprovalWaiting: {
    severity: 'warning',
    when: and(
      operation(since('approval_oldest_pending_timestamp_seconds'), '>', 900),
      operation(select('approval_oldest_pending_timestamp_seconds'), '>', 0),
    ),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'An action has waited {duration} for a decision.',
    fires: { at: 1200, series: { approval_oldest_pending_timestamp_seconds: '0 15x100' } },
    silent: { at: 1200, series: { approval_oldest_pending_timestamp_seconds: '0x100' } },
  },
  RemediationFailed: {
    severity: 'critical',
    when: operation(
      sumBy(
        ['runbook'],
        increase('remediation_actions_total', 900, { result: ['failed', 'verify_failed', 'rolled_back'] }),
      ),
      '>',
      0,
    ),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: { kind: 'runbook', label: 'runbook' },
    summary: 'Runbook {runbook} did not repair the fault.',
    fires: { at: 120, series: repaired('verify_failed', '0x3 1x20') },
    silent: { at: 120, series: repaired('succeeded', '0x3 1x20') },
  },
  RemediationBudgetUsed: {
    severity: 'warning',
    when: operation(select('remediation_budget_remaining'), '<=', 0),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: { kind: 'service', label: 'service' },
    summary: '{service} has no automatic action left in this window.',
    fires: { at: 60, series: { 'remediation_budget_remaining{service="kb"}': '2 0x10' } },
    silent: { at: 60, series: { 'remediation_budget_remaining{service="kb"}': '1x10' } },
  },
}
