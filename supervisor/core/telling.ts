/**
 * From incidents to messages: one for each incident, edited in place; a reply with a sound where it becomes worse, is
 * not acknowledged, or its repair failed; a last edit when it is over.
 */
import type { Notice, NoticeButton, Severity } from './alert.ts'
import { type AlertScope, count, isWorse, put, stand, tell, worstOf } from './alert-scope.ts'
import { closedLines, closedTitle, headline, openLines, titleOf, whyMuted } from './alert-texts.ts'
import type { Incident, Told } from './incident.ts'
import { voicedLines } from './incident-lines.ts'
import { spanText } from './local-time.ts'
import { countSound, hushOf, isRepairFailed } from './sound.ts'

/** An unacknowledged critical incident is repeated this long after its message, then every four hours. */
const LADDER_MS = [5 * 60_000, 15 * 60_000, 60 * 60_000]
const AFTERWARDS_MS = 4 * 3_600_000
/** An acknowledgement holds for this long. */
const ACK_MS = 86_400_000
/** A message is edited at most this often. */
export const EDIT_MS = 10_000

/** When repeat number `repeats` (from 0) is due. */
export function repeatAt({ at, repeats }: Pick<Told, 'at' | 'repeats'>): number {
  const step = LADDER_MS[repeats]
  return step === undefined ? at + LADDER_MS[2]! + (repeats - 2) * AFTERWARDS_MS : at + step
}

/** The number of the first repeat that is not due yet. */
export function nextRepeat(told: Pick<Told, 'at' | 'repeats'>, now: number): number {
  let { repeats } = told
  while (repeatAt({ at: told.at, repeats }) <= now) repeats++
  return repeats
}

/** The worst alert that may be told now; null where none may, or all of it is info. */
export function voiceOf(incident: Incident): Severity | null {
  return incident.state === 'firing' ? worstOf(voicedLines(incident).map(({ severity }) => severity)) : null
}

/** The critical rules of an incident that may be told. */
export const criticalRules = (incident: Incident): string[] =>
  voicedLines(incident).flatMap(({ severity, rule }) => (severity === 'critical' ? [rule] : []))

/** True while somebody has taken it on. */
export const isAcked = (scope: AlertScope, { acked }: Incident): boolean =>
  acked !== null && scope.wall - acked.wall < ACK_MS

function buttonsOf(incident: Incident): NoticeButton[] {
  const isService = incident.subject.kind === 'service'
  return [
    ...(incident.acked === null ? (['acknowledge'] as const) : []),
    'silence',
    ...(isService ? (['restart'] as const) : []),
    'runbook',
  ]
}

type Saying = Pick<Notice, 'kind' | 'op' | 'severity' | 'sound' | 'title' | 'lines'>

/** Makes a notice of an incident; returns it with its notices counted. */
function say(scope: AlertScope, incident: Incident, saying: Saying): Incident {
  const notices = incident.notices + 1
  const notice: Notice = {
    key: `${incident.id}-${notices}`,
    thread: incident.thread,
    buttons: saying.kind === 'closed' ? [] : buttonsOf(incident),
    service: incident.subject.kind === 'service' ? incident.subject.name : null,
    wall: scope.wall,
    ...saying,
  }
  scope.effects.push({ kind: 'notice', notice })
  return { ...incident, notices }
}

/** The first message of an incident in a thread of its own. */
export function open(scope: AlertScope, before: Incident, severity: Severity): void {
  const hush = hushOf(scope, before, severity)
  if (hush === null) countSound(scope, severity)
  const { at, wall } = scope
  const rules = [...criticalRules(before), ...(isRepairFailed(scope, before) ? ['repair'] : [])]
  const told: Told = { severity, hasSounded: hush === null, at, wall, rules, repeats: 0 }
  let incident: Incident = { ...before, told, hush, isDirty: false, editedAt: at, isDue: false }
  count(scope, 'told')
  const saying = { severity, title: headline(incident), lines: openLines(scope, incident) }
  if (before.wasTold) {
    incident = say(scope, incident, { kind: 'opened', op: 'reply', sound: hush === null, ...saying })
    incident = say(scope, incident, { kind: 'updated', op: 'edit', sound: false, ...saying })
  } else incident = say(scope, incident, { kind: 'opened', op: 'send', sound: hush === null, ...saying })
  put(scope, tell(scope, incident, 'told', hush ? `told without a sound: ${hush.text}` : 'told'))
}

/** What is to be said of an incident that was told in a thread of its own; `isStorm`: a storm is repeated instead. */
export function follow(scope: AlertScope, before: Incident, isStorm: boolean): void {
  const { told } = before
  if (told === null) return
  const voice = voiceOf(before)
  const incident =
    voice === null || voice === 'info' ? before : insist(scope, before, { told, voice, isStorm })
  if (incident === null) return
  if (!incident.isDirty || scope.at - incident.editedAt < EDIT_MS || incident.state === 'resolved') return
  const saying = { severity: told.severity, title: titleOf(incident), lines: openLines(scope, incident) }
  const edited = say(scope, incident, { kind: 'updated', op: 'edit', sound: false, ...saying })
  put(scope, { ...edited, isDirty: false, editedAt: scope.at })
}

/** A reply where it is worse, its repair failed, its mute ended, or nobody acknowledged it; null if one was made. */
function insist(
  scope: AlertScope,
  incident: Incident,
  { told, voice, isStorm }: { told: Told; voice: Severity; isStorm: boolean },
): Incident | null {
  const rules = criticalRules(incident)
  const isNewCritical = rules.some((rule) => !told.rules.includes(rule))
  const isWorseNow = isWorse(voice, told.severity) || isNewCritical
  const isUnrepaired = isRepairFailed(scope, incident) && !told.rules.includes('repair')
  const hush = hushOf(scope, incident, voice)
  const kept = [...new Set([...told.rules, ...rules, ...(isUnrepaired ? ['repair'] : [])])]
  if (isWorseNow || isUnrepaired) {
    const severity = isWorse(voice, told.severity) ? voice : told.severity
    const text = isWorseNow ? 'worse' : `not repaired by the runbook ${incident.repair?.runbook}`
    // What becomes worse begins its repeats anew.
    const times = isWorseNow ? { at: scope.at, repeats: 0 } : {}
    const now = { ...told, ...times, severity, rules: kept, hasSounded: told.hasSounded || hush === null }
    const open = isWorseNow ? { ...incident, acked: null } : incident
    return reply(scope, { ...open, told: now, hush }, { kind: 'worsened', severity: voice, text })
  }
  if (isAcked(scope, incident)) return incident
  const isPending = voice === 'critical' && !told.hasSounded && hush === null
  // A repeat that would make no sound is left out: it comes once it does, such as in the morning. In a storm the
  // storm's message is repeated.
  const isRepeat = voice === 'critical' && hush === null && !isStorm && scope.at >= repeatAt(told)
  if (!isPending && !isRepeat && !incident.isDue) return incident
  const repeats = nextRepeat(told, scope.at)
  const now = { ...told, repeats, hasSounded: told.hasSounded || hush === null }
  const text = incident.isDue
    ? 'its mute has ended'
    : `not acknowledged for ${spanText(scope.wall - told.wall)}`
  const open = { ...incident, told: now, hush, acked: null }
  return reply(scope, open, { kind: 'repeated', severity: voice, text })
}

function reply(
  scope: AlertScope,
  before: Incident,
  { kind, severity, text }: { kind: 'worsened' | 'repeated'; severity: Severity; text: string },
): null {
  const sound = before.hush === null
  if (sound) countSound(scope, severity)
  const incident: Incident = { ...before, isDue: false, isDirty: true }
  const title = text === 'worse' ? headline(incident) : `${headline(incident)} (${text})`
  const said = say(scope, incident, {
    kind,
    op: 'reply',
    severity,
    sound,
    title,
    lines: openLines(scope, incident),
  })
  put(scope, tell(scope, said, kind, sound ? text : `${text}, without a sound: ${before.hush?.text}`))
  return null
}

/** The last message of an incident that is over. */
export function close(scope: AlertScope, before: Incident): void {
  count(scope, 'closed')
  if (before.told === null && !before.wasTold) {
    count(scope, 'silent')
    const why = whyMuted(before) ?? 'nothing in it was to be told'
    put(scope, tell(scope, before, 'incident-closed', `over, nobody was told: ${why}`))
    return
  }
  const span = spanText((before.quietWall ?? scope.wall) - before.openedWall)
  let incident = tell(scope, { ...before, isDirty: false }, 'incident-closed', `over after ${span}`)
  if (incident.thread === incident.id) {
    const severity = before.told?.severity ?? before.severity
    const saying = { kind: 'closed', severity, sound: false, title: closedTitle(before) } as const
    incident = say(scope, incident, { ...saying, op: 'edit', lines: closedLines(scope, before) })
    if (before.told?.severity === 'critical' && before.reopened === 0)
      incident = say(scope, incident, { ...saying, op: 'reply', lines: [] })
  }
  put(scope, incident)
}

/** Somebody has taken it on: repeats end for a day, or until it gets worse. */
export function acknowledge(scope: AlertScope, incident: Incident, by: string): void {
  const acked = { by, wall: scope.wall }
  const text = `acknowledged by ${by}`
  put(
    scope,
    tell(scope, { ...incident, acked, isDue: false, isDirty: true, editedAt: 0 }, 'acknowledged', text),
  )
}

/** True where a message was made of it and it is not over. */
export const isStanding = ({ told, state }: Incident): boolean => told !== null && state !== 'resolved'

/** Remembers that incidents were told first now. */
export function countOpenings(scope: AlertScope, many: number, keepMs: number): void {
  const recent = scope.state.standing.openings.filter((at) => at > scope.at - keepMs)
  stand(scope, { openings: [...recent, ...Array.from({ length: many }, () => scope.at)] })
}
