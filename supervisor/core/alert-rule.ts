/** What an alert rule is. */
import type { MetricName } from '../../schemas/metrics.ts'
import type { Severity, Subject, Suppression } from './alert.ts'
import type { Expression } from './expression.ts'

/**
 * Samples under which a rule fires, or stays silent, 15 s apart from second 0 on; at second `at` it is looked at. Keys
 * are series (`service_live{service="kb"}`), values promtool's own notation (`1x8 0x20`).
 */
export type Example = { readonly at: number; readonly series: Readonly<Record<string, string>> }

type Common = {
  /** Seconds for which the expression must hold before the rule fires. */
  readonly for: number
  /** Seconds for which it goes on firing once the expression holds no more. */
  readonly keep: number
  /** One sentence; `{service}` is a label, `{value}`, `{duration}`, `{bytes}`, `{percent}` the sample's value. */
  readonly summary: string
}

/** A rule that both engines know. */
export type AlertRule = Common & {
  readonly severity: Severity
  readonly when: Expression
  /** Reasons that hold its messages. */
  readonly heldBy: readonly Suppression[]
  /** Being offline holds only those that share these labels with a sample of this; all, where it is absent. */
  readonly offlineOnly?: { readonly where: Expression; readonly on: readonly string[] }
  /** What its incident is about: what this label names, or what there is one of. */
  readonly subject: { readonly kind: Subject['kind'] } & (
    | { readonly label: string }
    | { readonly name: string }
  )
  readonly fires: Example
  readonly silent: Example
}

/** A rule in PromQL that makes sense in Prometheus alone; `metrics` are ours that it reads. */
export type PrometheusRule = Common & {
  readonly severity: Severity | 'none'
  readonly promql: string
  readonly metrics: readonly MetricName[]
  readonly fires: Example & {
    readonly labels: Readonly<Record<string, string>>
    readonly says: string
  }
  /** Null for what always fires. */
  readonly silent: Example | null
}

/** Held at the start, after a wake, and while somebody works on the machine. */
export const WHILE_UNSETTLED: readonly Suppression[] = ['startup', 'wake', 'maintenance']
