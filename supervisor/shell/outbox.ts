/**
 * What is to be told, kept until it was: incidents, mutes and messages are committed together with the events that
 * belong to them, and only then delivered, at least once. A message is `sending` on record before it leaves and
 * `sent` once the other side has accepted it; what a crash leaves `sending` is sent again, since nobody can know.
 * While the journal cannot be written, its spool has the rows and delivery goes on from memory.
 */
import type { Notice } from '../core/alert.ts'
import {
  type AlertRows,
  type AlertsLeft,
  type ChannelName,
  type IncidentRow,
  type KeptRow,
  type Message,
  type MuteRow,
  NO_ALERT_ROWS,
} from './alert-tables.ts'
import type { Channel, ChannelFigures, Keep, OutboxNumbers } from './channel.ts'
import type { Journal } from './journal.ts'
import { type Line, openLine } from './outbox-line.ts'
import { clean, isFor, supersededBy, takenUp } from './outbox-queue.ts'

/** Critical notices wait so long for Telegram before a standby channel tells them. */
const STANDBY_MS = 60_000

/** An event of alerting; its id is allotted when it is saved. */
export type AlertEvent = {
  readonly subject: string
  readonly event: string
  readonly text: string
  readonly data: Readonly<Record<string, unknown>>
  readonly cause: number | null
}

/** One change of alerting; all of it is committed or none. */
export type AlertWrites = {
  /** Changed incidents. */
  readonly incidents: readonly IncidentRow[]
  /** Changed mutes; a row of null ends one. */
  readonly mutes: readonly MuteRow[]
  /** Small facts, such as the day of the last digest or maintenance; a value of null forgets one. */
  readonly kept: readonly KeptRow[]
  /** What to tell by every channel. A key that was enqueued before is passed over. */
  readonly notices: readonly Notice[]
  readonly events: readonly AlertEvent[]
}

/** What an alert command is told of a service: the JSON, and whom it concerns. */
export type ServiceMessage = {
  readonly key: string
  readonly service: string
  readonly severity: Message['severity']
  readonly body: string
}

/** What a new supervisor takes up; its owners know the shape of their rows. */
export type Restored = Pick<AlertsLeft, 'incidents' | 'mutes' | 'kept'>

export type Outbox = {
  /**
   * Commits (FULL) and enqueues; returns the ids of the events. Never throws for the world's faults: the spool
   * takes what the database cannot.
   */
  save(writes: AlertWrites): readonly number[]
  /** What the last supervisor left: open incidents and those closed within a day, mutes, small facts. */
  restore(): Restored
  /** The newest incidents, the open ones first. */
  incidents(limit: number): readonly IncidentRow[]
  incident(id: string): IncidentRow | null
  /** One message by its number, null if it is not known any more. */
  message(id: number): Message | null
  /** What was told of a thread and what became of it, oldest first. */
  told(thread: string): readonly Message[]
  toldSince(wall: number): readonly Message[]
  /** The channels of the document in force; what waits for another one is given up. */
  use(channels: readonly Channel[]): void
  /**
   * Rows for the alert command, for the commit of the step that alerts; they are delivered after it. Messages are asked
   * for only where there is an alert command.
   */
  outgoing(messages: () => readonly ServiceMessage[]): AlertRows
  /**
   * What `work` saves before it returns is one transaction with the mark that this update of a chat was handled.
   * Null if it was handled before: then nothing is done.
   */
  handling<T>(update: number, work: () => T): T | null
  /** The newest handled update, null if none is remembered. */
  lastHandled(): { readonly id: number; readonly wall: number } | null
  readonly keep: Keep
  /** Sends a notice to each channel now, and resolves to what came back. */
  test(notice: Notice, limitMs: number): Promise<readonly Tested[]>
  /** The host woke or is online again: what waits for another try is tried now. */
  flush(): void
  /** What was given up on counts no longer. */
  acknowledgeDead(): void
  figures(): readonly ChannelFigures[]
  /** What is wrong with telling, in words; empty if nothing. */
  problems(): string[]
  close(): void
}

/** What came of a test; `text` is empty where it was accepted. */
export type Tested = {
  readonly channel: ChannelName
  readonly isSent: boolean
  readonly text: string
  readonly ms: number
}

export type OutboxOptions = {
  readonly journal: Pick<Journal, 'save' | 'alerts'>
  readonly clock: { awake(): number; wall(): number }
  /** The journal numbers its events in one row, whoever writes them. */
  readonly nextEventId: () => number
  readonly redact: (text: string) => string
  readonly numbers: OutboxNumbers
  /** Standing trouble of a channel in words, null once it is over. */
  readonly trouble: (channel: ChannelName, text: string | null) => void
  readonly random: () => number
  /** Factor of every waiting time but those that the other side asks for; 1 unless a test is in a hurry. */
  readonly pace?: number
}

/** Opens the outbox with what the last supervisor left; nothing is delivered before `use`. */
export function openOutbox(options: OutboxOptions): Outbox {
  const { journal, clock, numbers } = options
  const left = journal.alerts.left(clock.wall())
  const messages = new Map(left.messages.map((one) => [one.id, takenUp(one)]))
  const threads = new Map(left.threads.map((row) => [`${row.channel} ${row.thread}`, row]))
  const handled = new Map(left.handled.map(({ id, wall }) => [id, wall]))
  const kept = new Map(left.kept.map(({ key, value }) => [key, value]))
  const lines = new Map<ChannelName, Line>()
  let nextId = left.nextMessageId
  let joined: AlertRows | null = null

  /** The rows in memory, and those that are to be written. */
  function take(rows: AlertRows): void {
    for (const one of rows.messages) {
      if (one.state === 'sent' || one.state === 'superseded') messages.delete(one.id)
      else messages.set(one.id, one)
    }
    for (const row of rows.threads) threads.set(`${row.channel} ${row.thread}`, row)
    for (const { id, wall } of rows.handled) handled.set(id, wall)
    for (const { key, value } of rows.kept) value === null ? kept.delete(key) : kept.set(key, value)
  }
  function commit(fresh: Partial<AlertRows>, events: readonly AlertEvent[], durable: boolean): number[] {
    const rows = { ...NO_ALERT_ROWS, ...fresh, ...(joined ?? {}) }
    if (joined !== null) joined = NO_ALERT_ROWS
    const records = events.map((event) => ({
      kind: 'record' as const,
      id: options.nextEventId(),
      generation: null,
      ...event,
    }))
    const nothing = { rows: [], gone: [], wanted: null, breakers: {} }
    take(rows)
    journal.save([{ at: clock.awake(), wall: clock.wall(), ...nothing, records, alerting: rows, durable }])
    return records.map(({ id }) => id)
  }
  const waitingFor = (channel: ChannelName) =>
    [...messages.values()].filter((one) => one.channel === channel && one.state !== 'dead')

  function messageOf(
    base: Pick<Message, 'channel' | 'key' | 'thread' | 'kind' | 'op' | 'severity' | 'body'>,
  ) {
    const created = clock.wall()
    const isHeldBack = lines.get(base.channel)?.channel.isStandby && base.kind !== 'test'
    const message: Message = {
      ...{ id: nextId++, ...base, state: 'pending', attempts: 0, created, awakeMs: clock.awake() },
      ...{ notBefore: created + (isHeldBack ? STANDBY_MS : 0), sent: null, remote: null, error: null },
    }
    numbers.enqueued(base.channel, base.kind)
    return message
  }
  const isNew = (channel: ChannelName, key: string) =>
    ![...messages.values()].some((one) => one.channel === channel && one.key === key) &&
    !journal.alerts.knows(channel, key)

  /** The rows that a notice becomes: one a channel, and the older edits that it makes superfluous. */
  function rowsOf(notices: readonly Notice[]): Message[] {
    const rows = new Map<number, Message>()
    for (const notice of notices) {
      for (const [name, { channel }] of lines) {
        if (!isFor(channel, notice) || !isNew(name, notice.key)) continue
        if ([...rows.values()].some(({ channel: to, key }) => to === name && key === notice.key)) continue
        const { key, thread, kind, op, severity } = notice
        const body = JSON.stringify(clean(notice, options.redact))
        const fresh = messageOf({ channel: name, key, thread, kind, op, severity, body })
        for (const old of supersededBy(fresh, [...messages.values(), ...rows.values()]))
          rows.set(old.id, { ...old, state: 'superseded' })
        rows.set(fresh.id, fresh)
      }
    }
    return [...rows.values()]
  }
  const wake = () => {
    for (const line of lines.values()) line.wake()
  }
  const keep: Keep = { get: (key) => kept.get(key), set: (row) => void commit({ kept: [row] }, [], true) }
  const port = {
    keep,
    waiting: waitingFor,
    first: (channel: ChannelName, thread: string) => threads.get(`${channel} ${thread}`)?.remote ?? null,
    commit: (rows: Partial<AlertRows>) => void commit(rows, [], false),
    /** What a standby channel would tell: it has been told, or must be told now. */
    standby(key: string, isTold: boolean): void {
      const rows = [...messages.values()].flatMap((one): Message[] => {
        const isMeant =
          one.key === key && lines.get(one.channel)?.channel.isStandby && one.state === 'pending'
        if (!isMeant) return []
        return [isTold ? { ...one, state: 'superseded' } : { ...one, notBefore: clock.wall() }]
      })
      if (rows.length === 0) return
      commit({ messages: rows }, [], false)
      wake()
    },
  }

  return {
    save({ notices, events, ...rows }) {
      const ids = commit({ ...rows, messages: rowsOf(notices) }, events, true)
      wake()
      return ids
    },
    restore: () => ({ incidents: left.incidents, mutes: left.mutes, kept: left.kept }),
    incidents: (limit) => journal.alerts.incidents(limit),
    incident: (id) => journal.alerts.incident(id),
    message: (id) => journal.alerts.message(id),
    told: (thread) => journal.alerts.thread(thread),
    toldSince: (wall) => journal.alerts.toldSince(wall),
    use(channels) {
      for (const line of lines.values()) line.close()
      lines.clear()
      for (const one of messages.values()) messages.set(one.id, takenUp(one))
      for (const channel of channels) lines.set(channel.name, openLine({ ...options, ...port, channel }))
      const lost = [...messages.values()].filter((one) => one.state !== 'dead' && !lines.has(one.channel))
      const error = 'the document has no such channel any more'
      if (lost.length > 0)
        commit({ messages: lost.map((one) => ({ ...one, state: 'superseded', error })) }, [], false)
      wake()
    },
    outgoing(told) {
      if (!lines.has('command')) return NO_ALERT_ROWS
      const fresh = told().map(({ key, service, severity, body }) => {
        const rest = { thread: `service-${service}`, kind: 'service', op: 'send', severity, body } as const
        return messageOf({ channel: 'command', key, ...rest })
      })
      const rows = { ...NO_ALERT_ROWS, messages: fresh }
      take(rows)
      // The commit of this step comes within this turn of the event loop.
      setImmediate(wake)
      return rows
    },
    handling(update, work) {
      if (handled.has(update)) return null
      joined = { ...NO_ALERT_ROWS, handled: [{ id: update, wall: clock.wall() }] }
      try {
        return work()
      } finally {
        if (joined.handled.length > 0) commit({}, [], false)
        joined = null
      }
    },
    lastHandled() {
      const last = [...handled].at(-1)
      return last ? { id: last[0], wall: last[1] } : null
    },
    keep,
    async test(notice, limitMs) {
      const rows = [...lines.keys()].map((channel) => {
        const { key, thread, kind, op, severity } = notice
        return messageOf({ channel, key, thread, kind, op, severity, body: JSON.stringify(notice) })
      })
      const answers = rows.map(({ channel, id }) => lines.get(channel)!.outcome(id, limitMs))
      commit({ messages: rows }, [], true)
      for (const line of lines.values()) line.flush()
      return Promise.all(answers)
    },
    flush() {
      for (const line of lines.values()) line.flush()
    },
    acknowledgeDead() {
      const dead = [...messages.values()].filter(({ state }) => state === 'dead')
      if (dead.length > 0)
        commit({ messages: dead.map((one) => ({ ...one, state: 'superseded' })) }, [], true)
    },
    figures: () =>
      [...lines].map(([channel, line]) => {
        const waiting = waitingFor(channel)
        const dead = [...messages.values()].filter((one) => one.channel === channel && one.state === 'dead')
        const oldest = waiting.length > 0 ? Math.min(...waiting.map(({ created }) => created)) : null
        const [isUp, provenWall] = [line.isUp(), line.provenWall()]
        return { channel, isUp, provenWall, pending: waiting.length, dead: dead.length, oldestWall: oldest }
      }),
    problems: () => [...lines.values()].flatMap((line) => line.problem() ?? []),
    close() {
      for (const line of lines.values()) line.close()
    },
  }
}
