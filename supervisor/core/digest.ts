/** The two messages that come by the clock: the info of the hour, and the digest of the day, also when all is quiet. */
import type { Notice } from './alert.ts'
import { type AlertScope, localNow, nameOf, stand } from './alert-scope.ts'
import { headline, whyMuted } from './alert-texts.ts'
import type { Activity, Incident, Line } from './incident.ts'
import { clockText, isQuietHour, spanText } from './local-time.ts'
import { whatOf } from './mute.ts'
import { EDIT_MS } from './telling.ts'

/** 08:30. */
const DIGEST_MINUTE = 8 * 60 + 30
const ACTIVITY_MAX = 30
const OVERNIGHT_MAX = 50
/** A stop by an operator that is older stands in the digest. */
const OLD_STOP_MS = 86_400_000

/**
 * Puts info that is new into the message of the hour, with the time at which it began; in quiet hours it waits for the
 * digest. What stood in a message of its incident is not new because what it followed from is over.
 */
export function collectInfo(scope: AlertScope, before: ReadonlyMap<string, Incident>): void {
  const fresh: string[] = []
  for (const { id, lines } of scope.state.incidents.values()) {
    const old = before.get(id)
    const isTold = (old?.told ?? null) !== null
    for (const line of lines) {
      if (line.endedWall !== null || line.silence?.kind !== 'info') continue
      const isSame = (one: Line) => one.rule === line.rule && one.sinceAt === line.sinceAt
      const isKnown = old?.lines.some((one) => isSame(one) && (isTold || one.silence?.kind === 'info'))
      if (!isKnown) fresh.push(`${clockText(line.sinceWall, scope.state.zone)} ${line.summary}`)
    }
  }
  if (fresh.length === 0) return
  const { overnight, activity } = scope.state.standing
  if (isQuietHour(localNow(scope))) {
    stand(scope, { overnight: [...overnight, ...fresh].slice(-OVERNIGHT_MAX) })
    return
  }
  const { date, hour } = localNow(scope)
  const thread = `activity-${date}T${String(hour).padStart(2, '0')}`
  const hourly: Activity =
    activity?.thread === thread
      ? activity
      : { thread, lines: [], isDirty: true, editedAt: Number.NEGATIVE_INFINITY, notices: 0 }
  const lines = [...hourly.lines, ...fresh].slice(-ACTIVITY_MAX)
  stand(scope, { activity: { ...hourly, lines, isDirty: true } })
}

/** Sends the message of the hour, or edits it. */
export function tellActivity(scope: AlertScope): void {
  const { activity } = scope.state.standing
  if (!activity?.isDirty || scope.at - activity.editedAt < EDIT_MS) return
  const { thread, lines } = activity
  const notices = activity.notices + 1
  const said = { key: `${thread}-${notices}`, thread, title: 'Activity', lines }
  notify(scope, { ...said, kind: 'updated', op: notices === 1 ? 'send' : 'edit' })
  stand(scope, { activity: { ...activity, notices, isDirty: false, editedAt: scope.at } })
}

type Said = Pick<Notice, 'key' | 'thread' | 'title' | 'lines' | 'kind' | 'op'>

const notify = ({ effects, wall }: AlertScope, said: Said) =>
  effects.push({
    kind: 'notice',
    notice: { ...said, severity: 'info', sound: false, buttons: [], service: null, wall },
  })

/** Sends the digest of the day once it is 08:30, or as soon after that as the machine is awake. */
export function tellDigest(scope: AlertScope): void {
  const { standing } = scope.state
  const { date, minute } = localNow(scope)
  const { digestDate } = standing
  // The first one comes with the next morning, and a clock that was set back asks for none a second time.
  if (digestDate === null || date < digestDate) {
    stand(scope, { digestDate: digestDate === null && minute < DIGEST_MINUTE ? '' : date })
    return
  }
  if (minute < DIGEST_MINUTE || date === digestDate) return
  const open = [...scope.state.incidents.values()].filter(({ state }) => state !== 'resolved')
  const { opened, told, closed, silent } = standing.counts
  const title = open.length === 0 && opened === 0 ? 'All quiet' : `Digest: ${open.length} open`
  const lines = [
    watchedText(scope),
    `since the last one: ${opened} incidents opened, ${told} told, ${closed} over, ${silent} of them untold`,
    ...open.map((incident) => openText(scope, incident)),
    ...stopsOf(scope),
    ...[...scope.state.mutes.values()].map(
      (mute) => `muted: ${whatOf(mute)} for ${spanText(mute.untilWall - scope.wall)}, ${mute.because}`,
    ),
    ...standing.overnight,
  ]
  const thread = `digest-${date}`
  notify(scope, { key: thread, thread, kind: 'digest', op: 'send', title, lines })
  const counts = { opened: 0, closed: 0, silent: 0, told: 0 }
  stand(scope, { digestDate: date, counts, overnight: [] })
}

function watchedText({ state }: AlertScope): string {
  const services = [...state.services.values()]
  const wanted = services.filter(({ isWanted }) => isWanted)
  const up = wanted.filter(({ isUp }) => isUp).length
  return `${up} of ${wanted.length} services are up, ${services.length - wanted.length} are not wanted`
}

function openText({ wall }: AlertScope, incident: Incident): string {
  const why = whyMuted(incident)
  const age = spanText(wall - incident.openedWall)
  const told = why === null ? '' : ` (${why})`
  return `${incident.id} ${nameOf(incident.subject)}: ${headline(incident)}, for ${age}${told}`
}

function stopsOf({ state, wall }: AlertScope): string[] {
  return [...state.services.values()].flatMap(({ name, stoppedWall }) =>
    stoppedWall !== null && wall - stoppedWall > OLD_STOP_MS
      ? [`${name} was stopped by an operator ${spanText(wall - stoppedWall)} ago`]
      : [],
  )
}
