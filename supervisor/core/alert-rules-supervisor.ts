/** Rules about the supervisor itself, its document and its journal. */
import type { AlertRule } from './alert-rule.ts'
import { and, changes, increase, operation, or, select, since, sumBy } from './expression.ts'

const supervisor = { kind: 'supervisor', name: 'supervisor' } as const

/** By name. */
export const supervisorRules: Readonly<Record<string, AlertRule>> = {
  SupervisorRestarting: {
    severity: 'critical',
    when: operation(changes('supervisor_start_time_seconds', 1800), '>=', 3),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'The supervisor was started again {value} times in 30 minutes.',
    fires: { at: 600, series: { supervisor_start_time_seconds: '1x9 150x9 300x9 450x20' } },
    silent: { at: 600, series: { supervisor_start_time_seconds: '1x9 150x9 300x30' } },
  },
  SupervisorUncleanStart: {
    severity: 'warning',
    when: and(
      operation(select('supervisor_last_start_unclean'), '==', 1),
      operation(since('supervisor_start_time_seconds'), '<', 3600),
    ),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'The supervisor came back after a crash or a loss of power.',
    fires: {
      at: 60,
      series: { supervisor_last_start_unclean: '1x10', supervisor_start_time_seconds: '1x10' },
    },
    silent: {
      at: 3660,
      series: { supervisor_last_start_unclean: '1x250', supervisor_start_time_seconds: '1x250' },
    },
  },
  SupervisorInternalErrors: {
    severity: 'warning',
    when: operation(sumBy(['component'], increase('supervisor_internal_errors_total', 600)), '>', 0),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'Unexpected errors in {component}.',
    fires: { at: 120, series: { 'supervisor_internal_errors_total{component="outbox"}': '0x3 1x20' } },
    silent: { at: 120, series: { 'supervisor_internal_errors_total{component="outbox"}': '7x20' } },
  },
  SupervisorOverLimits: {
    severity: 'warning',
    when: operation(select('supervisor_limits_exceeded'), '>', 0),
    for: 120,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'The supervisor exceeds {value} of its own limits (memory, descriptors, lateness).',
    fires: { at: 180, series: { supervisor_limits_exceeded: '1x20' } },
    silent: { at: 180, series: { supervisor_limits_exceeded: '1x6 0 1x20' } },
  },
  RuleEvaluationFailing: {
    severity: 'critical',
    when: operation(increase('rule_evaluation_failures_total', 300), '>', 0),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'At least one alert rule cannot be evaluated.',
    fires: { at: 120, series: { rule_evaluation_failures_total: '0x3 1x20' } },
    silent: { at: 600, series: { rule_evaluation_failures_total: '0x3 1x60' } },
  },
  DocumentInvalid: {
    severity: 'warning',
    when: operation(select('document_valid'), '==', 0),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'paios.yaml is not valid: the mesh runs by the last valid one.',
    fires: { at: 60, series: { document_valid: '0x10' } },
    silent: { at: 60, series: { document_valid: '1x10' } },
  },
  JournalWriteFailing: {
    severity: 'critical',
    when: or(
      operation(select('journal_writable'), '==', 0),
      operation(increase('journal_write_errors_total', 300), '>', 0),
    ),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'The journal cannot be written: events wait in the spool, and nothing new is started.',
    fires: { at: 60, series: { journal_writable: '1 0x10', journal_write_errors_total: '0x20' } },
    silent: { at: 60, series: { journal_writable: '1x10', journal_write_errors_total: '5x20' } },
  },
  /** A start takes 120 s at most, a wake 90 s. */
  SuppressionStuck: {
    severity: 'critical',
    when: operation(select('supervisor_suppression_active', { reason: ['startup', 'wake'] }), '==', 1),
    for: 600,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'Messages are held for reason {reason} and were not released.',
    fires: { at: 660, series: { 'supervisor_suppression_active{reason="wake"}': '1x60' } },
    silent: { at: 660, series: { 'supervisor_suppression_active{reason="wake"}': '1x20 0 1x30' } },
  },
  MaintenanceLong: {
    severity: 'warning',
    when: operation(select('supervisor_suppression_active', { reason: 'maintenance' }), '==', 1),
    for: 14_400,
    keep: 0,
    heldBy: [],
    subject: supervisor,
    summary: 'Maintenance has been on for 4 hours.',
    fires: { at: 14_460, series: { 'supervisor_suppression_active{reason="maintenance"}': '1x1000' } },
    silent: {
      at: 14_460,
      series: { 'supervisor_suppression_active{reason="maintenance"}': '1x100 0 1x900' },
    },
  },
}
