/**
 * THE table of alert rules, one entry a rule. Each is evaluated in this process and compiled for Prometheus; what only
 * a second pair of eyes can see (that the supervisor itself is gone) is in `PROMETHEUS_RULES`. Names are without the
 * prefix `Paios`; a rule's runbook is `runbooks/NAME.md`.
 */
import type { AlertRule, PrometheusRule } from './alert-rule.ts'
import { alertPathRules } from './alert-rules-alert-path.ts'
import { hostRules } from './alert-rules-host.ts'
import { probeRules } from './alert-rules-probe.ts'
import { onlyPrometheus } from './alert-rules-prometheus.ts'
import { serviceRules } from './alert-rules-service.ts'
import { supervisorRules } from './alert-rules-supervisor.ts'

/** The rules of both engines by name. */
export const RULES: Readonly<Record<string, AlertRule>> = {
  ...supervisorRules,
  ...serviceRules,
  ...probeRules,
  ...hostRules,
  ...alertPathRules,
}

/** The rules of Prometheus alone by name. */
export const PROMETHEUS_RULES: Readonly<Record<string, PrometheusRule>> = onlyPrometheus
