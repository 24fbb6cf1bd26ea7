/** The promises of alerting, said a second time and apart from the core, for the simulator. */
import type { Notice, Severity } from '../../supervisor/core/alert.ts'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import { keyOf } from '../../supervisor/core/alert-scope.ts'
import type { Importance, Incident, Line } from '../../supervisor/core/incident.ts'
import { isVital } from './incident-subjects.ts'
import type { IncidentWorld } from './incident-world.ts'

/** A promise was broken. */
export class Violation extends Error {}

const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
/** A minute of looks, in a world that looks away for a minute. */
const SLACK_MS = 70_000
const RANK: Record<Severity, number> = { info: 0, warning: 1, critical: 2 }

const hours = new Intl.DateTimeFormat('en', { hour: 'numeric', hourCycle: 'h23', timeZone: 'Europe/Berlin' })

export type Checkers = {
  /** After each step. */
  stepped(): void
  /** After a notice was saved. */
  told(notice: Notice): void
  /** After a restart took up what was saved. */
  restored(): void
  /** Nothing is wrong any more, and that for long. */
  atPeace(): void
}

export function createCheckers(world: IncidentWorld): Checkers {
  const fail = (text: string): never => {
    throw new Violation(`${new Date(world.wall).toISOString()} ${text}`)
  }
  const sounds: number[] = []
  const threads = new Set<string>()
  /** What each incident is about. */
  const kept = new Map<string, string>()
  const isQuiet = (wall: number) => {
    const hour = Number(hours.format(wall))
    return hour >= 23 || hour < 8
  }

  function checkLine(incident: Incident, line: Line): void {
    const { state, at, wall } = world
    const { silence } = line
    const about = `${incident.id} ${line.summary}`
    if (silence === null) {
      const { told } = incident
      if (told === null) return fail(`${about}: neither told nor muted with a reason`)
      if (RANK[told.severity] < RANK[line.severity]) fail(`${about}: told as a mere ${told.severity}`)
      const isThere = threads.has(incident.thread)
      if (!isThere && !incident.thread.includes('-')) fail(`${about}: told without a message`)
      return
    }
    if (silence.text === '') fail(`${about}: muted without a reason`)
    if (silence.kind === 'settling' && at - line.sinceAt > SLACK_MS) fail(`${about}: still settling`)
    if (silence.kind === 'muted') {
      const mute = state.mutes.get(silence.by ?? '')
      if (mute === undefined) return fail(`${about}: muted by a mute that is no more`)
      if (wall > mute.untilWall + SLACK_MS) fail(`${about}: muted for too long`)
      if (line.severity === 'critical' && at - mute.sinceAt > DAY + SLACK_MS)
        fail(`${about}: critical, and muted for more than a day`)
    }
    if (silence.kind === 'inhibited') {
      const by = state.incidents.get(silence.by ?? '')
      if (by === undefined || by.state === 'resolved') fail(`${about}: inhibited by what is over`)
    }
    const suppressions: readonly string[] = ['startup', 'wake', 'offline', 'maintenance']
    if (!suppressions.includes(silence.kind)) return
    const { heldBy, offlineOnly } = RULES[line.rule]!
    if (!heldBy.some((reason) => reason === silence.kind))
      fail(`${about}: its rule is not held by ${silence.kind}`)
    const awaitedAt = world.awaited.get(incident.subject.name) ?? Number.NEGATIVE_INFINITY
    if (silence.kind === 'offline' && offlineOnly && at - awaitedAt > SLACK_MS)
      fail(`${about}: held offline, and does not need the network`)
    const standing = state.standing[silence.kind as 'wake']
    const limit = { startup: 2 * MINUTE, wake: 5 * MINUTE, maintenance: 4 * HOUR, offline: DAY }
    if (standing && at - standing.sinceAt > limit[silence.kind as 'wake'] + SLACK_MS)
      fail(`${about}: held for ${silence.kind} for too long`)
  }

  /** The importance of everybody that a notice speaks of. */
  function importances(notice: Notice): Importance[] {
    const all = [...world.disk.incidents.values(), ...world.state.incidents.values()]
    const threads = [notice.thread, notice.answers]
    const known = all
      .filter(
        ({ thread, id, subject }) =>
          threads.includes(thread) ||
          threads.includes(id) ||
          (notice.kind === 'approval' && subject.name === notice.service),
      )
      .flatMap(({ subject, also }) => [
        subject.kind === 'service' ? importanceOf(subject.name) : isVital(subject) ? 'high' : 'normal',
        ...also.map(({ name }) => importanceOf(name)),
      ])
    const own = notice.kind === 'approval' && notice.service !== null ? [importanceOf(notice.service)] : []
    return [...own, ...known].flat()
  }
  const importanceOf = (name: string): Importance | [] => world.services.get(name)?.importance ?? []

  /** What everything depends on is heard at any hour, but while it is being repaired. */
  function checkVital({ thread, kind, severity, sound, key }: Notice): void {
    const incident = world.state.incidents.get(thread)
    if (!incident || !isVital(incident.subject) || kind !== 'opened' || severity !== 'critical') return
    if (!sound && incident.hush?.kind !== 'repair')
      fail(`${key} about ${keyOf(incident.subject)} makes no sound`)
  }

  return {
    stepped() {
      for (const { id, subject } of world.state.incidents.values())
        if (!kept.has(id)) kept.set(id, keyOf(subject))
      const subjects = new Set<string>()
      for (const incident of world.state.incidents.values()) {
        if (incident.state === 'resolved') continue
        const subject = `${incident.subject.kind}/${incident.subject.name}`
        if (subjects.has(subject)) fail(`${subject} has two open incidents`)
        subjects.add(subject)
        for (const line of incident.lines) if (line.endedWall === null) checkLine(incident, line)
        const saved = world.disk.incidents.get(incident.id)
        if (saved === undefined) fail(`${incident.id} is not saved`)
        else if (saved.state !== incident.state || (saved.told === null) !== (incident.told === null))
          fail(`${incident.id} is saved as ${saved.state}, and is ${incident.state}`)
      }
    },
    told(notice) {
      threads.add(notice.thread)
      checkVital(notice)
      if (!notice.sound) return
      if (notice.severity !== 'critical') {
        sounds.push(world.at)
        const recent = sounds.filter((at) => at > world.at - HOUR).length
        if (recent > 12) fail(`${recent} sounds in an hour that are not critical`)
      }
      const concerned = importances(notice)
      if (concerned.every((one) => one === 'low')) fail(`${notice.key} sounds for what is not important`)
      if (isQuiet(notice.wall) && (notice.severity !== 'critical' || !concerned.includes('high')))
        fail(`${notice.key} sounds at night`)
    },
    restored() {
      for (const [id, saved] of world.disk.incidents) {
        if (saved.state === 'resolved') continue
        const taken = world.state.incidents.get(id)
        if (taken === undefined) fail(`${id} was lost by a restart`)
        else if (taken.state !== saved.state) fail(`${id} was ${saved.state}, and is ${taken.state}`)
        else if ((kept.get(id) ?? keyOf(taken.subject)) !== keyOf(taken.subject))
          fail(`${id} is about something else`)
      }
    },
    atPeace() {
      const saved = new Set<string>()
      for (const { subject, lines } of world.disk.incidents.values())
        for (const { rule } of lines) saved.add(`${keyOf(subject)} ${rule}`)
      for (const one of world.fired) if (!saved.has(one)) fail(`${one} fired, and no incident has it`)
      for (const { id, state, subject } of world.state.incidents.values())
        if (state !== 'resolved') fail(`${id} about ${subject.name} is still ${state}`)
      if (world.state.standing.bundles.some(({ endedWall }) => endedWall === null))
        fail('a storm goes on in peace')
      for (const asked of world.told.filter(({ key }) => /^approval-\d+$/.test(key))) {
        const since = world.told.filter(({ thread }) => thread === asked.thread).slice(1)
        if (since.at(-1)?.op !== 'edit') fail(`${asked.key}: nobody is told what came of it`)
        if (since.filter(({ op }) => op === 'reply').length > 2) fail(`${asked.key}: reminded of too often`)
        if (since.some(({ buttons }) => buttons.length > 0)) fail(`${asked.key}: buttons come again`)
      }
      for (const incident of world.disk.incidents.values()) {
        if (incident.state !== 'resolved') fail(`${incident.id} is saved as ${incident.state}`)
        const own = world.told.filter(({ thread }) => thread === incident.thread)
        if ((incident.told !== null || incident.wasTold) && !own.some(({ kind }) => kind === 'closed'))
          fail(`${incident.id} was told, and never that it is over`)
        const isSaid = incident.lines.some(({ silence }) => silence !== null)
        if (incident.told === null && !incident.wasTold && !isSaid)
          fail(`${incident.id} was neither told nor muted with a reason`)
      }
    },
  }
}
