/** Which message comes next: plain functions over what waits for one channel. */
import type { Notice, Severity } from '../core/alert.ts'
import type { Message } from './alert-tables.ts'
import type { Channel } from './channel.ts'

const RANK: Readonly<Record<Severity, number>> = { critical: 0, warning: 1, info: 2 }
const HOUR_MS = 3_600_000
/** So long it is tried, in awake time. */
const GIVE_UP_MS: Readonly<Record<Severity, number>> = {
  critical: 24 * HOUR_MS,
  warning: 6 * HOUR_MS,
  info: 6 * HOUR_MS,
}

/**
 * The message to deliver now, null if none is due. Critical threads come first, older ones before younger; within
 * a thread the order of enqueueing holds, so what waits in it for something critical comes first with it. The thread
 * that has just failed lets another one go first: what is wrong may be with that message alone.
 */
export function nextMessage(
  waiting: Iterable<Message>,
  wall: number,
  failed: string | null = null,
): Message | null {
  const threads = new Map<string, { first: Message; rank: number }>()
  for (const message of waiting) {
    const known = threads.get(message.thread)
    const rank = RANK[message.severity]
    if (!known) threads.set(message.thread, { first: message, rank })
    else {
      known.rank = Math.min(known.rank, rank)
      if (message.id < known.first.id) known.first = message
    }
  }
  const due = [...threads.values()].filter(({ first }) => first.notBefore <= wall)
  const last = ({ first }: { first: Message }) => (first.thread === failed ? 1 : 0)
  const sorted = due.toSorted((a, b) => last(a) - last(b) || a.rank - b.rank || a.first.id - b.first.id)
  return sorted[0]?.first ?? null
}

/** When the next one is due, in Unix milliseconds; null if none waits. */
export function nextDue(waiting: Iterable<Message>): number | null {
  let soonest: number | null = null
  for (const { notBefore } of waiting) if (soonest === null || notBefore < soonest) soonest = notBefore
  return soonest
}

/**
 * What waits and a fresh edit makes superfluous: older edits of its thread that nobody has seen, and of an approval all
 * that asks for it, since the edit is a message of its own where there is none.
 */
export function supersededBy(fresh: Message, waiting: Iterable<Message>): Message[] {
  if (fresh.op !== 'edit') return []
  return [...waiting].filter(
    ({ id, op, kind, thread, state, channel }) =>
      (op === 'edit' || kind === 'approval') &&
      state === 'pending' &&
      thread === fresh.thread &&
      channel === fresh.channel &&
      id < fresh.id,
  )
}

/** True if it was tried long enough. */
export function isGivenUp({ severity, awakeMs }: Message, nowAwakeMs: number): boolean {
  return nowAwakeMs - awakeMs > GIVE_UP_MS[severity]
}

/** What a crash left in flight is told again: nobody knows whether it was accepted. */
export function takenUp(message: Message): Message {
  return message.state === 'sending' ? { ...message, state: 'pending' } : message
}

/**
 * Whether a channel tells a notice. A command hears of services by its own objects, a standby channel only of what
 * must be acted upon, and ntfy, where every message is a new one, neither of edits nor of an end twice.
 */
export function isFor({ name, isStandby }: Channel, { service, kind, severity, op }: Notice): boolean {
  if (kind === 'test') return true
  if (isStandby) return severity === 'critical' && ['opened', 'worsened', 'repeated', 'storm'].includes(kind)
  if (name === 'command') return service === null && ['opened', 'worsened', 'closed'].includes(kind)
  return name !== 'ntfy' || (kind === 'closed' ? op !== 'reply' : op !== 'edit')
}

/** A notice without secrets. */
export function clean(notice: Notice, redact: (text: string) => string): Notice {
  return { ...notice, title: redact(notice.title), lines: notice.lines.map(redact) }
}
