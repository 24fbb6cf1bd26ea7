/** What a way to reach somebody has to offer; the outbox decides when, in which order and how often. */
import type { ChannelName, KeptRow, Message } from './alert-tables.ts'

/** Why a delivery did not succeed; label values of `paios_notifications_failed_total`. */
export type FailureReason = 'network' | 'rate_limited' | 'auth' | 'rejected' | 'server' | 'timeout'

/** What became of one try. No text holds a token. */
export type Outcome =
  /** `remote`: the channel's id of what was told; `bug`: what we did wrong, and got round. */
  | { readonly kind: 'sent'; readonly remote: string | null; readonly bug: string | null }
  /** The other side asks for patience; no failure. */
  | { readonly kind: 'wait'; readonly ms: number }
  /** May pass by itself. */
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly text: string }
  /** Nothing passes until somebody mends it. */
  | { readonly kind: 'fault'; readonly reason: FailureReason; readonly text: string }
  /** This message will never pass, others may. */
  | { readonly kind: 'rejected'; readonly text: string }

/** `retract` is `sent` once the message is gone, or cannot go any more. */
export type ChannelTrial = {
  send(signal: AbortSignal): Promise<Outcome>
  retract(remote: string, signal: AbortSignal): Promise<Outcome>
}

/** One way to reach somebody, as the document in force has it. */
export type Channel = {
  readonly name: ChannelName
  /** Least time between the beginnings of two deliveries, in milliseconds. */
  readonly gapMs: number
  /** True if it is only used for what another channel cannot tell. */
  readonly isStandby: boolean
  /** Delivers one message; `first` is the thread's first one as `remote` named it, null where there is none. */
  deliver(message: Message, first: string | null, signal: AbortSignal): Promise<Outcome>
  /** Looks whether a message would pass, without sending one. */
  check(signal: AbortSignal): Promise<Outcome>
  /** A message that nobody hears and that is taken back at once; where there is none, no trial is made. */
  readonly trial?: ChannelTrial
  /** How standing trouble begins in words: `the alert command /bin/tell failed`. */
  readonly trouble: string
}

/** Small facts of a channel that survive, such as the new id of a chat. */
export type Keep = { get(key: string): unknown; set(row: KeptRow): void }

/** What the metrics are told, as it happens. */
export type OutboxNumbers = {
  enqueued(channel: ChannelName, kind: Message['kind']): void
  sent(channel: ChannelName, delayMs: number): void
  failed(channel: ChannelName, reason: FailureReason): void
  /** The self test of a channel, or a delivery, has shown it. */
  channelUp(channel: ChannelName, isUp: boolean): void
}

/** What the metrics read. */
export type ChannelFigures = {
  readonly channel: ChannelName
  /** Null before the first self test or delivery. */
  readonly isUp: boolean | null
  readonly pending: number
  /** Given up on, and not acknowledged. */
  readonly dead: number
  /** Unix milliseconds at which a message or a trial was last accepted, null if none ever was. */
  readonly provenWall: number | null
  /** Unix milliseconds at which the oldest waiting one was enqueued, null if none waits. */
  readonly oldestWall: number | null
}

/** `1`, `2`, `4` … 60 seconds, ± 20 %. `chance` is in 0 … 1. */
export function backoffMs(failures: number, chance: number): number {
  return Math.min(60_000, 1_000 * 2 ** Math.max(0, failures - 1)) * (0.8 + 0.4 * chance)
}

/** Why `fetch` failed: its code, since the message may hold the address, and that a token. */
export function connectionTrouble(error: Error): string {
  const { cause } = error as { cause?: { code?: unknown; errors?: readonly { code?: unknown }[] } }
  const code = cause?.code ?? cause?.errors?.[0]?.code
  return typeof code === 'string' ? code : `the connection failed (${error.name})`
}
