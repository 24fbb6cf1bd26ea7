/**
 * A service's journal events, folded into episodes: from the first sign of trouble to the next time that it was well.
 * Durations are awake milliseconds, so that a night of sleep makes no outage long.
 */

/** What an episode is read from. */
export type EpisodeEvent = {
  readonly subject: string
  readonly kind: string
  readonly text: string
  readonly awakeMs: number
  readonly data: Readonly<Record<string, unknown>>
}

/** One outage of one service. */
export type Episode = {
  readonly service: string
  readonly beganAt: number
  /** Null while it lasts. */
  readonly endedAt: number | null
  /** False where a person's start or restart lies in it. */
  readonly byItself: boolean
  /** The first sign, in words. */
  readonly cause: string
}

/** Kinds of events that begin an episode, or go on in one. */
const SIGNS = new Set([
  'hung',
  'degraded',
  'start-failed',
  'spawn-failed',
  'blocked',
  'failed',
  'missing',
  'unknown',
])
/** An operator's stop ends it, too: from then on nobody misses the service. */
const ENDS = new Set(['ready', 'recovered', 'stop-asked'])
const ASKED = new Set(['start-asked', 'restart-asked', 'stop-asked'])

/** Kinds that the fold looks at; others need not be read. */
export const EPISODE_KINDS: readonly string[] = [...new Set([...SIGNS, ...ENDS, ...ASKED, 'exited'])]

const isSign = ({ kind, data }: EpisodeEvent) =>
  SIGNS.has(kind) || (kind === 'exited' && data['asked'] === false && data['class'] !== 'planned')

/** Events in the order of their ids → episodes in the order of their beginnings. */
export function episodesOf(events: Iterable<EpisodeEvent>): Episode[] {
  const open = new Map<string, Episode>()
  const all: Episode[] = []
  for (const event of events) {
    const standing = open.get(event.subject)
    if (standing === undefined) {
      if (!isSign(event)) continue
      const { subject: service, awakeMs: beganAt, text: cause } = event
      open.set(service, { service, beganAt, endedAt: null, byItself: true, cause })
      continue
    }
    const episode = ASKED.has(event.kind) ? { ...standing, byItself: false } : standing
    if (ENDS.has(event.kind)) {
      all.push({ ...episode, endedAt: event.awakeMs })
      open.delete(event.subject)
    } else open.set(event.subject, episode)
  }
  return [...all, ...open.values()].toSorted((one, other) => one.beganAt - other.beganAt)
}
