/** Expressions of alert rules as PromQL. */
import type { AlertRule } from '../core/alert-rule.ts'
import type { Expression, Where } from '../core/expression.ts'

/** The text of an expression. */
export function promql(expression: Expression): string {
  switch (expression.kind) {
    case 'number':
      return String(expression.value)
    case 'time':
      return 'time()'
    case 'select':
      return `paios_${expression.metric}${matchers(expression.where)}`
    case 'increase':
    case 'changes':
      return `${expression.kind}(paios_${expression.metric}${matchers(expression.where)}[${span(expression.window)}])`
    case 'sum':
      return `sum by (${expression.by.join(', ')}) (${promql(expression.of)})`
    case 'operation': {
      const { operator, left, right, on, take } = expression
      const join = on === null ? '' : ` on (${on.join(', ')})`
      const group = take === null ? '' : ` group_left (${take.join(', ')})`
      return `${inner(left)} ${operator}${join}${group} ${inner(right)}`
    }
    default: {
      const { kind, left, right, on } = expression
      return `${inner(left)} ${kind}${on === null ? '' : ` on (${on.join(', ')})`} ${inner(right)}`
    }
  }
}

/** A rule's expression with what holds it, so that Prometheus is silent while this supervisor is. */
export function rulePromql({
  when,
  heldBy,
  offlineOnly,
}: Pick<AlertRule, 'when' | 'heldBy' | 'offlineOnly'>): string {
  const always = offlineOnly ? heldBy.filter((reason) => reason !== 'offline') : heldBy
  const text =
    always.length === 0 ? promql(when) : `(${promql(when)}) unless on () (${active({ reason: always })})`
  if (!offlineOnly || always.length === heldBy.length) return text
  const offline = active({ reason: 'offline' })
  const held = `(${promql(offlineOnly.where)}) and on () (${offline})`
  return `(${text}) unless on (${offlineOnly.on.join(', ')}) (${held})`
}

const active = (where: Where) => `paios_supervisor_suppression_active${matchers(where)} == 1`

const inner = (expression: Expression) =>
  'left' in expression ? `(${promql(expression)})` : promql(expression)

/** Names and closed values only: nothing in them means anything in a regular expression. */
function matchers(where: Where): string {
  const parts = Object.entries(where).map(([label, value]) =>
    typeof value === 'string' ? `${label}="${value}"` : `${label}=~"${value.join('|')}"`,
  )
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

/** Seconds as Prometheus writes them: `90s`, `10m`, `4h`. */
export function span(seconds: number): string {
  if (seconds % 3600 === 0 && seconds > 0) return `${seconds / 3600}h`
  return seconds % 60 === 0 && seconds > 0 ? `${seconds / 60}m` : `${seconds}s`
}
