/** Standing warnings: what would forbid the next start of a service that runs. */
import type { ChildEvent } from './event.ts'
import { record, type Scope } from './scope.ts'
import type { Child } from './state.ts'

/** A repeated preflight's result: what would forbid the next start is a standing warning. */
export function noteWarning(
  child: Child,
  scope: Scope,
  event: Extract<ChildEvent, { kind: 'probe-reported' }>,
): Child {
  const { [event.probe]: old, ...others } = child.warnings
  if (event.outcome.kind === 'unknown') return child
  if (event.outcome.kind === 'pass') {
    if (old === undefined) return child
    return { ...record(child, scope, 'warning-cleared', `fixed: ${old}`), warnings: others }
  }
  if (old === event.outcome.reason) return child
  const told = record(
    { ...child, cause: null },
    scope,
    'warning',
    `would not start again: ${event.outcome.reason}`,
  )
  return { ...told, warnings: { ...others, [event.probe]: event.outcome.reason } }
}
