/**
 * Several incidents in one edited message: a storm, or what happened while the machine was offline. The message sounds
 * once if anything in it does, is repeated as one, and is over when all of it is.
 */
import type { Notice, Severity } from './alert.ts'
import { type AlertScope, count, isWorse, put, recordPlain, stand, tell, worstOf } from './alert-scope.ts'
import { bundleLines, bundleTitle } from './alert-texts.ts'
import type { Bundle, Incident, Told } from './incident.ts'
import { REOPEN_MS } from './incident-lines.ts'
import { hushOf } from './sound.ts'
import {
  countOpenings,
  criticalRules,
  EDIT_MS,
  isAcked,
  nextRepeat,
  open,
  repeatAt,
  voiceOf,
} from './telling.ts'

const SOON_MS = 60_000
const SOON_MAX = 8
const WHILE_MS = 600_000
const WHILE_MAX = 20
/** A storm is over when fewer than this began in ten minutes. */
const CALM = 4

/** Tells incidents that are not told yet: each by itself, or all in a bundle where they are too many. */
export function tellNew(scope: AlertScope, fresh: readonly Incident[]): void {
  const bundle = bundleFor(scope, fresh)
  if (fresh.length > 0) countOpenings(scope, fresh.length, WHILE_MS)
  if (bundle === null) {
    for (const incident of fresh) open(scope, incident, voiceOf(incident) ?? incident.severity)
    return
  }
  for (const incident of fresh) {
    const severity = voiceOf(incident) ?? incident.severity
    const { at, wall } = scope
    const told: Told = { severity, hasSounded: false, at, wall, rules: criticalRules(incident), repeats: 0 }
    const hush = hushOf(scope, incident, severity)
    count(scope, 'told')
    const joined = { ...incident, told, hush, thread: bundle, isDirty: false, isDue: false }
    put(scope, tell(scope, joined, 'told', `told in ${bundle}`))
  }
  change(scope, bundle, { isDirty: true })
}

/** The thread of the bundle that these go into, null if each is told by itself. */
function bundleFor(scope: AlertScope, fresh: readonly Incident[]): string | null {
  const { at, wall, state } = scope
  const { standing } = state
  const first = fresh[0]
  if (first === undefined) return null
  const wanted = standing.offline ? 'offline' : 'storm'
  const active = standing.bundles.find(({ endedWall, kind }) => endedWall === null && kind === wanted)
  if (active) return active.thread
  const since = (ms: number) => standing.openings.filter((opened) => opened > at - ms).length + fresh.length
  if (wanted === 'storm' && since(SOON_MS) <= SOON_MAX && since(WHILE_MS) <= WHILE_MAX) return null
  const told: Told = { severity: 'info', hasSounded: false, at, wall, rules: [], repeats: 0 }
  const thread = `${wanted}-${first.id}-${first.reopened}`
  const bundle: Bundle = {
    ...{ thread, kind: wanted, openedWall: wall, endedWall: null, told },
    ...{ isDirty: true, editedAt: Number.NEGATIVE_INFINITY, notices: 0 },
  }
  stand(scope, { bundles: [...standing.bundles, bundle] })
  recordPlain(scope, wanted, `${fresh.length} incidents at once are told in one message, ${thread}`)
  return thread
}

function change(scope: AlertScope, thread: string, changes: Partial<Bundle>): void {
  const { bundles } = scope.state.standing
  stand(scope, { bundles: bundles.map((one) => (one.thread === thread ? { ...one, ...changes } : one)) })
}

/** The incidents that were told in a bundle. */
export function membersOf({ state }: AlertScope, thread: string): Incident[] {
  return [...state.incidents.values()].filter((incident) => incident.thread === thread)
}

/** Says what is to be said of each bundle. */
export function followBundles(scope: AlertScope): void {
  for (const { thread } of scope.state.standing.bundles) {
    const members = membersOf(scope, thread)
    const bundle = () => scope.state.standing.bundles.find((one) => one.thread === thread)!
    endIfOver(scope, bundle())
    worsen(scope, bundle(), members)
    const { endedWall, isDirty, editedAt, notices, told } = bundle()
    const isOver = endedWall !== null && members.every(({ state }) => state === 'resolved')
    if (isOver || (isDirty && scope.at - editedAt >= EDIT_MS)) {
      const kind = isOver ? 'closed' : 'storm'
      const sound = notices === 0 && isLoud(scope, members)
      if (sound) change(scope, thread, { told: { ...told, severity: 'critical', hasSounded: true } })
      say(scope, bundle(), members, { kind, op: notices === 0 ? 'send' : 'edit', sound })
    }
    if (!isOver) insist(scope, bundle(), members)
    else stand(scope, { bundles: scope.state.standing.bundles.filter((one) => one.thread !== thread) })
  }
}

function endIfOver(scope: AlertScope, { kind, thread, endedWall }: Bundle): void {
  const { standing } = scope.state
  const recent = standing.openings.filter((at) => at > scope.at - WHILE_MS).length
  const isOver = kind === 'offline' ? standing.offline === null : recent < CALM
  if (endedWall !== null || !isOver) return
  // Once online, the one message is to say so at once.
  change(scope, thread, { endedWall: scope.wall, isDirty: true, editedAt: Number.NEGATIVE_INFINITY })
}

/** What became worse inside is told by the bundle. */
function worsen(scope: AlertScope, bundle: Bundle, members: readonly Incident[]): void {
  for (const incident of members) {
    const { told } = incident
    const voice = voiceOf(incident)
    if (incident.isDirty || (told && voice && isWorse(voice, told.severity))) {
      const severity = told && voice && isWorse(voice, told.severity) ? voice : told?.severity
      put(scope, {
        ...incident,
        isDirty: false,
        told: told && { ...told, severity: severity ?? told.severity },
      })
      change(scope, bundle.thread, { isDirty: true })
    }
    if (incident.state === 'resolved' && incident.closedAt === scope.at)
      change(scope, bundle.thread, { isDirty: true })
  }
}

/** True while the message of a storm is repeated, so that nothing else need be. */
export const isStormRepeated = (scope: AlertScope): boolean =>
  scope.state.standing.bundles.some(({ thread }) => isLoud(scope, membersOf(scope, thread)))

/** True if something in it is critical, is not acknowledged, and may make a sound now. */
const isLoud = (scope: AlertScope, members: readonly Incident[]): boolean =>
  members.some(
    (one) => voiceOf(one) === 'critical' && !isAcked(scope, one) && hushOf(scope, one, 'critical') === null,
  )

/** One sound for what is critical in it, and one repeat for all that nobody acknowledged. */
function insist(scope: AlertScope, bundle: Bundle, members: readonly Incident[]): void {
  if (!isLoud(scope, members)) return
  const { told } = bundle
  if (told.hasSounded && scope.at < repeatAt(told)) return
  const kind = told.hasSounded ? 'repeated' : 'worsened'
  const repeats = nextRepeat(told, scope.at)
  change(scope, bundle.thread, { told: { ...told, severity: 'critical', hasSounded: true, repeats } })
  const current = scope.state.standing.bundles.find(({ thread }) => thread === bundle.thread)
  if (current) say(scope, current, members, { kind, op: 'reply', sound: true })
}

type Saying = Pick<Notice, 'kind' | 'op' | 'sound'>

function say(scope: AlertScope, bundle: Bundle, members: readonly Incident[], saying: Saying): void {
  const voices = members.flatMap((one) => voiceOf(one) ?? [])
  const severity: Severity = worstOf([...voices, bundle.told.severity]) ?? 'warning'
  const notices = bundle.notices + 1
  scope.effects.push({
    kind: 'notice',
    notice: {
      ...saying,
      key: `${bundle.thread}-${notices}`,
      thread: bundle.thread,
      severity,
      title: bundleTitle(scope, bundle, members),
      lines: bundleLines(members),
      buttons: saying.kind === 'closed' ? [] : ['acknowledge'],
      service: null,
      wall: scope.wall,
    },
  })
  const isEdit = saying.op !== 'reply'
  change(scope, bundle.thread, { notices, ...(isEdit ? { isDirty: false, editedAt: scope.at } : {}) })
}

/** Forgets closed incidents that can be neither reopened nor named any more. */
export function forgetOld({ state, at }: AlertScope): void {
  for (const { id, closedAt, thread } of [...state.incidents.values()]) {
    if (closedAt === null || at - closedAt <= REOPEN_MS) continue
    if (!state.standing.bundles.some((bundle) => bundle.thread === thread)) state.incidents.delete(id)
  }
}
