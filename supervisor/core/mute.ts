/**
 * Mutes: an operator holds the messages of some alerts for a while and says why. A critical alert is held for 24 h at
 * most, whatever was asked for. What is worse than what fired when it was muted breaks the mute; one that was set
 * before anything fired is meant for whatever comes.
 */
import { type AlertScope, isWorse, nameOf, put, recordPlain, stand, worstOf } from './alert-scope.ts'
import type { Incident, Line, Matcher, Mute } from './incident.ts'
import { spanText } from './local-time.ts'

/** A critical alert is held at most this long. */
export const CRITICAL_MOST_MS = 86_400_000
/** No mute is longer. */
export const MUTE_MOST_MS = 30 * 86_400_000

/** Adds a mute. */
export function addMute(
  scope: AlertScope,
  matcher: Matcher,
  asked: { readonly forMs: number; readonly because: string; readonly by: string },
): void {
  const { state, at, wall } = scope
  const forMs = Math.min(asked.forMs, MUTE_MOST_MS)
  const id = `m${state.standing.nextId}`
  stand(scope, { nextId: state.standing.nextId + 1 })
  const mute: Mute = {
    ...matcher,
    id,
    sinceAt: at,
    sinceWall: wall,
    forMs,
    untilWall: wall + forMs,
    because: asked.because,
    by: asked.by,
  }
  state.mutes.set(id, mute)
  for (const incident of [...state.incidents.values()]) {
    const held = incident.lines.filter((line) => line.endedWall === null && isMatched(incident, line, mute))
    if (held.length === 0 || incident.state === 'resolved') continue
    // Info says nothing of how bad it may get.
    const severities = held.map(({ severity }) => severity).filter((one) => one !== 'info')
    put(scope, { ...incident, mutedAs: { mute: id, severity: worstOf(severities) ?? 'critical' } })
  }
  scope.effects.push({ kind: 'save-mute', mute })
  recordPlain(scope, 'muted', `${id}: ${whatOf(mute)} for ${spanText(forMs)} by ${mute.by}: ${mute.because}`)
}

/** What a mute holds, in words. */
export function whatOf({ subject, rule, severity }: Matcher): string {
  const parts = [
    ...(subject === null ? [] : [subject]),
    ...(rule === null ? [] : [rule]),
    ...(severity === null ? [] : [`up to ${severity}`]),
  ]
  return parts.join(', ') || 'everything'
}

/** Ends mutes: those of this id or about this subject. */
export function removeMutes(scope: AlertScope, of: string, by: string): void {
  for (const mute of [...scope.state.mutes.values()])
    if (mute.id === of || mute.subject === of) drop(scope, mute, `was ended by ${by}`)
}

/** Ends the mutes whose time is over, by whichever clock says so first. */
export function endMutes(scope: AlertScope): void {
  for (const mute of [...scope.state.mutes.values()])
    if (scope.wall >= mute.untilWall || scope.at - mute.sinceAt >= mute.forMs) drop(scope, mute, 'is over')
}

function drop(scope: AlertScope, mute: Mute, text: string): void {
  scope.state.mutes.delete(mute.id)
  scope.effects.push({ kind: 'drop-mute', id: mute.id })
  recordPlain(scope, 'unmuted', `the mute ${mute.id} (${whatOf(mute)}) ${text}`)
}

/** The mute that holds a line of an incident now, null if none does. */
export function muteOf(scope: AlertScope, incident: Incident, line: Line): Mute | null {
  for (const mute of scope.state.mutes.values())
    if (isMatched(incident, line, mute) && isInForce(scope, incident, line, mute)) return mute
  return null
}

function isMatched({ subject }: Incident, line: Line, mute: Mute): boolean {
  const isNamed = mute.subject === null || mute.subject === subject.name || mute.subject === nameOf(subject)
  const isRule = mute.rule === null || mute.rule === line.rule
  return isNamed && isRule && (mute.severity === null || !isWorse(line.severity, mute.severity))
}

function isInForce(scope: AlertScope, { mutedAs }: Incident, line: Line, mute: Mute): boolean {
  if (line.severity === 'critical') {
    const isOver =
      scope.at - mute.sinceAt >= CRITICAL_MOST_MS || scope.wall - mute.sinceWall >= CRITICAL_MOST_MS
    if (isOver) return false
  }
  // Whoever names the severity has foreseen it.
  if (mute.severity !== null) return true
  return mutedAs?.mute !== mute.id || !isWorse(line.severity, mutedAs.severity)
}
