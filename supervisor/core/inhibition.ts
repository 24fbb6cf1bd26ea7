/**
 * One cause makes many alerts. What follows from a worse alert of the same subject, or from a need that is down, makes
 * no message: it is a line in the incident that tells of the cause. Rules are named without their prefix; `Probe*`
 * stands for all that begin so.
 */
import type { AlertScope } from './alert-scope.ts'
import { keyOf } from './alert-scope.ts'
import type { Incident, Line } from './incident.ts'

/** THE table: an alert of `by` holds those of `holds` about the same subject. */
export const SAME_SUBJECT: readonly { readonly by: string; readonly holds: readonly string[] }[] = [
  {
    by: 'ServiceFlapping',
    holds: ['ServiceDown', 'ServiceDegraded', 'ServiceCrashed', 'ServiceCrashLooping', 'Probe*', 'Mcp*'],
  },
  { by: 'ServiceGaveUp', holds: ['ServiceDown', 'ServiceCrashLooping', 'ServiceCrashed'] },
  { by: 'ServiceHung', holds: ['ServiceDown', 'ServiceDegraded', 'Probe*', 'Mcp*', 'ServiceStartSlow'] },
  { by: 'ServiceBlocked', holds: ['ServiceDown', 'ServiceDegraded', 'Probe*', 'Mcp*', 'ServiceStartSlow'] },
  { by: 'ServiceMissing', holds: ['ServiceDown', 'ServiceDegraded', 'Probe*', 'Mcp*'] },
  { by: 'ServiceUnknown', holds: ['ServiceDown', 'ServiceDegraded', 'Probe*', 'Mcp*'] },
  {
    by: 'ServiceDown',
    holds: ['ServiceDegraded', 'ServiceCrashed', 'Probe*', 'Mcp*', 'ServiceStartSlow'],
  },
  { by: 'ServiceGaveUp', holds: ['ServiceDegraded', 'Probe*', 'Mcp*', 'ServiceStartSlow'] },
  { by: 'ServiceDegraded', holds: ['Probe*'] },
]

/** A need in one of these is the cause … */
export const NEED_DOWN = [
  'ServiceDown',
  'ServiceHung',
  'ServiceGaveUp',
  'ServiceBlocked',
  'ServiceMissing',
  'ServiceUnknown',
  'ServiceFlapping',
]
/** … of these of its dependents. What a dependent's own budget or program did is its own. */
export const FOLLOWS = ['ServiceDown', 'ServiceDegraded', 'ServiceHung', 'ServiceStartSlow', 'Probe*', 'Mcp*']

const isOne = (rule: string, patterns: readonly string[]) =>
  patterns.some((pattern) =>
    pattern.endsWith('*') ? rule.startsWith(pattern.slice(0, -1)) : rule === pattern,
  )

/** The active rule of the same incident that holds this line, null if none does. */
export function inhibitorWithin(incident: Incident, line: Line): string | null {
  for (const { by, holds } of SAME_SUBJECT) {
    if (by === line.rule || !isOne(line.rule, holds)) continue
    if (incident.lines.some((other) => other.rule === by && other.endedWall === null)) return by
  }
  return null
}

/** Open incidents by their subject. */
export type BySubject = ReadonlyMap<string, Incident>

/**
 * The incident of a need, or of a need's need, that explains this line: the first cause, so that one incident tells
 * all that follows from it. A need's incident counts until it is closed, since what waited for it takes time to come.
 */
export function inhibitorAmongNeeds(
  scope: AlertScope,
  open: BySubject,
  { subject }: Incident,
  { rule }: Line,
): Incident | null {
  if (subject.kind !== 'service' || !isOne(rule, FOLLOWS)) return null
  return firstCause(scope, open, subject.name, new Set([subject.name]))
}

function firstCause(scope: AlertScope, open: BySubject, service: string, seen: Set<string>): Incident | null {
  for (const need of scope.state.services.get(service)?.needs ?? []) {
    if (seen.has(need)) continue
    seen.add(need)
    const deeper = firstCause(scope, open, need, seen)
    if (deeper !== null) return deeper
    const incident = open.get(keyOf({ kind: 'service', name: need }))
    if (incident?.lines.some((line) => isCause(incident, line))) return incident
  }
  return null
}

/** What has ended counts while its incident is resolving, if it ended with it. */
function isCause({ state, quietWall }: Incident, { rule, endedWall }: Line): boolean {
  const isActive = endedWall === null || (state === 'resolving' && endedWall === quietWall)
  return isActive && isOne(rule, NEED_DOWN)
}
