/**
 * The long poll for what people do in the chat. One poller a bot: a long poll that begins ends the one that waits,
 * which gets 409. So the poll of a killed supervisor is in nobody's way, and two programs end each other's for ever.
 */
import type { Update } from '@grammyjs/types'
import { backoffMs } from './channel.ts'
import type { Outbox } from './outbox.ts'
import type { Telegram } from './telegram.ts'

const LONG_S = 25
/** A poll that nobody ends for so long shows that the other program is gone. */
const ALONE_S = 10
/** After 409 and after what somebody must mend. */
const OTHER_POLLER_MS = 30_000
const FAULT_MS = 300_000
/** After a week without updates the next one has a number of its own choosing, and an offset would hide it. */
const QUIET_MS = 6 * 86_400_000

export type PollOptions = {
  readonly telegram: Telegram
  readonly outbox: Pick<Outbox, 'lastHandled'>
  readonly handle: (update: Update) => Promise<void>
  /** What stands in the way of presses and commands, in words; null once nothing does. */
  readonly trouble: (text: string | null) => void
  readonly wall: () => number
  readonly random: () => number
  /** Factor of the waiting times, 1 unless a test is in a hurry. */
  readonly pace?: number
}

export type Poll = {
  /** Unix milliseconds of the last answer; of the opening before the first. */
  lastSuccess(): number
  /** Ends the waiting for another try: the host woke. */
  flush(): void
  close(): void
}

/** Polls until it is closed. */
export function openPoll(options: PollOptions): Poll {
  const { telegram, outbox, wall, pace = 1 } = options
  const stop = new AbortController()
  let lastSuccess = wall()
  let failures = 0
  let trouble: 'none' | 'conflict' | 'other' = 'none'
  let endWait: () => void = () => undefined

  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms * pace)
      timer.unref()
      endWait = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  function offset(): number | undefined {
    const last = outbox.lastHandled()
    return last !== null && wall() - last.wall < QUIET_MS ? last.id + 1 : undefined
  }
  async function once(): Promise<void> {
    const asked = offset()
    // After trouble one that returns at once tells whether it is over; after 409 only one that was left to wait.
    const timeout = { none: LONG_S, conflict: ALONE_S, other: 0 }[trouble]
    const answer = await telegram.call(
      'getUpdates',
      {
        timeout,
        allowed_updates: ['message', 'callback_query'],
        ...(asked === undefined ? {} : { offset: asked }),
      },
      stop.signal,
      timeout * 1_000,
    )
    if (stop.signal.aborted) return
    if (answer.ok) {
      lastSuccess = wall()
      failures = 0
      if (trouble !== 'conflict' || answer.result.length === 0) {
        trouble = 'none'
        options.trouble(null)
      }
      for (const update of answer.result) await options.handle(update)
      return
    }
    const code = answer.kind === 'api' ? answer.code : null
    trouble = code === 409 ? 'conflict' : 'other'
    if (code === 409) {
      options.trouble(
        `another program asks for this bot's updates, so buttons and commands get lost: ${answer.text}`,
      )
      return wait(OTHER_POLLER_MS)
    }
    if (answer.kind === 'api' && code === 429) return wait((answer.retryAfterS ?? 5) * 1_000)
    failures++
    options.trouble(`buttons and commands do not arrive: ${answer.text}`)
    const isFault = answer.kind === 'secret' || code === 401 || code === 404
    return wait(isFault ? FAULT_MS : backoffMs(failures, options.random()))
  }
  async function loop(): Promise<void> {
    while (!stop.signal.aborted) await once()
  }
  void loop()

  return {
    lastSuccess: () => lastSuccess,
    flush: () => endWait(),
    close() {
      stop.abort()
      endWait()
    },
  }
}
