/**
 * What an alert rule asks of the metrics, as a tree: the closed grammar that both the evaluator in this process and
 * Prometheus understand. Metric names are without the prefix `paios_`; windows are in seconds.
 */
import type { MetricName } from '../../schemas/metrics.ts'

/** Labels that must be equal to the value, or to one of the values. */
export type Where = Readonly<Record<string, string | readonly string[]>>
export type Arithmetic = '+' | '-' | '*' | '/'
export type Comparison = '==' | '!=' | '>' | '>=' | '<' | '<='

export type Expression =
  | { readonly kind: 'number'; readonly value: number }
  /** Unix seconds of the evaluation. */
  | { readonly kind: 'time' }
  | { readonly kind: 'select'; readonly metric: MetricName; readonly where: Where }
  /** How much a counter has grown, or how often a gauge has changed, in the window that ends now. */
  | {
      readonly kind: 'increase' | 'changes'
      readonly metric: MetricName
      readonly where: Where
      readonly window: number
    }
  | { readonly kind: 'sum'; readonly by: readonly string[]; readonly of: Expression }
  /** `on` null: every label must match. `take`: labels that the left side gets from the right one (group_left). */
  | {
      readonly kind: 'operation'
      readonly operator: Arithmetic | Comparison
      readonly left: Expression
      readonly right: Expression
      readonly on: readonly string[] | null
      readonly take: readonly string[] | null
    }
  | {
      readonly kind: 'and' | 'or' | 'unless'
      readonly left: Expression
      readonly right: Expression
      readonly on: readonly string[] | null
    }

/** The present samples of a metric. */
export const select = (metric: MetricName, where: Where = {}): Expression => ({
  kind: 'select',
  metric,
  where,
})

/** A constant. */
export const number = (value: number): Expression => ({ kind: 'number', value })

/** Unix seconds of the evaluation. */
export const time: Expression = { kind: 'time' }

/** How much a counter has grown in the last `window` seconds. */
export const increase = (metric: MetricName, window: number, where: Where = {}): Expression => ({
  kind: 'increase',
  metric,
  where,
  window,
})

/** How often a gauge has changed in the last `window` seconds. */
export const changes = (metric: MetricName, window: number, where: Where = {}): Expression => ({
  kind: 'changes',
  metric,
  where,
  window,
})

/** One sum for each combination of these labels. */
export const sumBy = (by: readonly string[], of: Expression): Expression => ({ kind: 'sum', by, of })

/** A comparison keeps the samples of the left side for which it holds; a number stands for a constant. */
export const operation = (
  left: Expression,
  operator: Arithmetic | Comparison,
  right: Expression | number,
  on: readonly string[] | null = null,
  take: readonly string[] | null = null,
): Expression => ({
  kind: 'operation',
  operator,
  left,
  right: typeof right === 'number' ? number(right) : right,
  on,
  take,
})

/** The left samples that have a right one with the same labels. */
export const and = (
  left: Expression,
  right: Expression,
  on: readonly string[] | null = null,
): Expression => ({ kind: 'and', left, right, on })

/** The left samples, and the right ones that have no left one with the same labels. */
export const or = (left: Expression, right: Expression): Expression => ({
  kind: 'or',
  left,
  right,
  on: null,
})

/** The left samples that have no right one with the same labels. */
export const unless = (
  left: Expression,
  right: Expression,
  on: readonly string[] | null = null,
): Expression => ({ kind: 'unless', left, right, on })

/** Seconds since the instant that a gauge holds. */
export const since = (metric: MetricName, where: Where = {}): Expression =>
  operation(time, '-', select(metric, where))

/** The name of every metric in an expression. */
export function metricsIn(expression: Expression): MetricName[] {
  switch (expression.kind) {
    case 'number':
    case 'time':
      return []
    case 'select':
    case 'increase':
    case 'changes':
      return [expression.metric]
    case 'sum':
      return metricsIn(expression.of)
    default:
      return [...metricsIn(expression.left), ...metricsIn(expression.right)]
  }
}

/** Every metric that an expression looks back at, with the seconds. */
export function windowsIn(expression: Expression): (readonly [metric: MetricName, window: number])[] {
  if ('window' in expression) return [[expression.metric, expression.window]]
  if ('of' in expression) return windowsIn(expression.of)
  return 'left' in expression ? [...windowsIn(expression.left), ...windowsIn(expression.right)] : []
}
