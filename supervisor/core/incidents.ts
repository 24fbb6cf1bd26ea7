/**
 * The one entry of the alert core: a state and a fact make a new state and a list of intentions. Findings open, change
 * and close incidents; each alert is told or has a named reason why it is not; what is to be said becomes notices.
 *
 *   pending    in the rules, before `for` has passed
 *   firing     something fires; critical is told at once, a warning after 10 s, info in the message of the hour
 *   resolving  nothing fires any more; firing again is the same incident
 *   resolved   for 120 s nothing fired; the same subject within 15 min opens it again
 */

import { type AlertScope, keyOf, nameOf, put, stand, tell } from './alert-scope.ts'
import { ask, remind, settle as settleQuestion } from './approval-notices.ts'
import { followBundles, forgetOld, isStormRepeated, membersOf, tellNew } from './bundles.ts'
import { collectInfo, tellActivity, tellDigest } from './digest.ts'
import { countChange, settleFlaps } from './flapping.ts'
import {
  type Alerting,
  EMPTY_STANDING,
  type Incident,
  type IncidentEffect,
  type Mute,
  type Repair,
  type Standing,
} from './incident.ts'
import type { IncidentEvent } from './incident-event.ts'
import { activeLines, applyFindings, REOPEN_MS, silenceLines } from './incident-lines.ts'
import { addMute, endMutes, removeMutes } from './mute.ts'
import { beginStartup, beginWake, changeMaintenance, changeNetwork, endWindows } from './suppression.ts'
import { acknowledge, close, follow, isStanding, voiceOf } from './telling.ts'

/** What was kept of an earlier supervisor. */
export type AlertingLeft = {
  readonly incidents: readonly Incident[]
  readonly mutes: readonly Mute[]
  readonly standing: Standing | null
}

/** The state as it was left; the `started` event follows. */
export function restoreAlerting(left: AlertingLeft, zone: string): Alerting {
  return {
    incidents: new Map(left.incidents.map((incident) => [incident.id, incident])),
    mutes: new Map(left.mutes.map((mute) => [mute.id, mute])),
    standing: { ...EMPTY_STANDING, ...left.standing },
    services: new Map(),
    zone,
  }
}

/**
 * Facts that an evaluation follows: nothing is told of before it, since what fires, and what needs what, may be
 * other things by now.
 */
const UNSETTLED = new Set<IncidentEvent['kind']>(['started', 'services-changed', 'network-changed', 'woke'])

/** Takes one fact. The state is consumed: `state` itself is changed. */
export function stepIncidents(state: Alerting, event: IncidentEvent): IncidentEffect[] {
  const scope: AlertScope = {
    at: event.at,
    wall: event.wall,
    state,
    effects: [],
    touched: new Set(),
    local: null,
  }
  const { standing } = state
  const before = new Map(state.incidents)
  apply(scope, event)
  if (!UNSETTLED.has(event.kind)) settle(scope, before, event.kind === 'evaluated')
  for (const id of scope.touched) {
    const incident = state.incidents.get(id)
    if (incident) scope.effects.push({ kind: 'save-incident', incident })
  }
  if (event.kind === 'evaluated') forgetOld(scope)
  if (state.standing !== standing) scope.effects.push({ kind: 'save-standing', standing: state.standing })
  return scope.effects
}

function apply(scope: AlertScope, event: IncidentEvent): void {
  const { state } = scope
  switch (event.kind) {
    case 'started':
      return beginStartup(scope)
    case 'evaluated':
      return applyFindings(scope, event.findings)
    case 'services-changed':
      state.services = new Map(event.services.map((service) => [service.name, service]))
      state.zone = event.zone
      return
    case 'went-down':
      return countChange(scope, event.service, false)
    case 'came-up':
      return countChange(scope, event.service, true)
    case 'woke':
      return beginWake(scope)
    case 'network-changed':
      return void changeNetwork(scope, event.isOnline)
    case 'acknowledged':
      for (const incident of named(scope, event.of)) acknowledge(scope, incident, event.by)
      return
    case 'muted':
      return addMute(scope, event.matcher, event)
    case 'unmuted':
      return removeMutes(scope, event.of, event.by)
    case 'maintenance-asked':
      return changeMaintenance(scope, event.forMs, event.by)
    case 'repair-begun':
    case 'repair-ended':
      return repair(scope, event)
    case 'approval-asked':
      return ask(scope, event)
    case 'approval-settled':
      return settleQuestion(scope, event)
  }
}

/** Open incidents by id, thread or name of their subject. */
function named(scope: AlertScope, of: string): Incident[] {
  const open = (incident: Incident) => incident.state !== 'resolved'
  const byId = scope.state.incidents.get(of)
  if (byId) return open(byId) ? [byId] : []
  const members = membersOf(scope, of).filter(open)
  if (members.length > 0) return members
  const all = [...scope.state.incidents.values()].filter(open)
  return all.filter(({ subject }) => subject.name === of || nameOf(subject) === of)
}

function repair(
  scope: AlertScope,
  event: Extract<IncidentEvent, { kind: 'repair-begun' | 'repair-ended' }>,
): void {
  const key = keyOf(event.subject)
  const incident = [...scope.state.incidents.values()].find(
    ({ subject, state }) => keyOf(subject) === key && state !== 'resolved',
  )
  const { repairs } = scope.state.standing
  const old = incident ? incident.repair : (repairs[key] ?? null)
  const { runbook } = event
  const isBegun = event.kind === 'repair-begun'
  const fresh: Repair = {
    runbook,
    untilAt: isBegun ? scope.at + event.verifyMs : (old?.untilAt ?? scope.at),
    runs: (old?.runs ?? 0) + (isBegun || old === null ? 1 : 0),
    state: isBegun ? 'running' : event.isHealed ? 'succeeded' : 'failed',
  }
  if (incident) {
    const text = isBegun ? `the runbook ${runbook} repairs it` : event.text
    put(scope, tell(scope, { ...incident, repair: fresh, isDirty: true }, 'repair', text))
  } else stand(scope, { repairs: { ...repairs, [key]: fresh } })
}

/** Repairs that no incident has followed are forgotten. */
function forgetRepairs(scope: AlertScope): void {
  const { repairs } = scope.state.standing
  const all = Object.entries(repairs)
  const kept = all.filter(([, { untilAt }]) => scope.at < untilAt + REOPEN_MS)
  if (kept.length < all.length) stand(scope, { repairs: Object.fromEntries(kept) })
}

/** What follows from the time and from everything that is known. */
function settle(scope: AlertScope, before: ReadonlyMap<string, Incident>, isEvaluated: boolean): void {
  const { state } = scope
  endWindows(scope)
  endMutes(scope)
  recallUnmuted(scope)
  settleFlaps(scope)
  forgetRepairs(scope)
  silenceLines(scope)
  for (const { id } of [...state.incidents.values()]) {
    const incident = state.incidents.get(id)!
    if (incident.state === 'resolved' && before.get(id)?.state !== 'resolved') close(scope, incident)
  }
  const isNew = (one: Incident) => one.told === null && one.state === 'firing' && isVoiced(one)
  tellNew(scope, [...state.incidents.values()].filter(isNew))
  const isStorm = isStormRepeated(scope)
  for (const { id } of [...state.incidents.values()]) {
    const incident = state.incidents.get(id)!
    if (isStanding(incident) && incident.thread === incident.id) follow(scope, incident, isStorm)
  }
  followBundles(scope)
  collectInfo(scope, before)
  if (!isEvaluated) return
  remind(scope)
  tellActivity(scope)
  tellDigest(scope)
}

const isVoiced = (incident: Incident): boolean => {
  const voice = voiceOf(incident)
  return voice !== null && voice !== 'info'
}

/** What was told before a mute held it is told again once the mute has ended. */
function recallUnmuted(scope: AlertScope): void {
  const { incidents, mutes } = scope.state
  for (const incident of [...incidents.values()]) {
    const { mutedAs, told, state } = incident
    if (mutedAs === null || mutes.has(mutedAs.mute) || state === 'resolved') continue
    const wasHeld = activeLines(incident).some(({ silence }) => silence?.by === mutedAs.mute)
    put(scope, { ...incident, mutedAs: null, isDue: incident.isDue || (told !== null && wasHeld) })
  }
}
