/**
 * The deliveries of one channel: one after the other, each on record before and after it. What fails by the
 * network is tried again with backoff, what must be mended by somebody every five minutes; a message that was
 * tried long enough is dead, and counted.
 */
import type { Notice } from '../core/alert.ts'
import type { AlertRows, ChannelName, Message } from './alert-tables.ts'
import { backoffMs, type Channel, type Keep, type Outcome } from './channel.ts'
import type { OutboxOptions, Tested } from './outbox.ts'
import { isGivenUp, nextDue, nextMessage } from './outbox-queue.ts'
import { openTrial } from './outbox-trial.ts'

/** What must be mended is tried again after this; channels test themselves as often. */
const FAULT_MS = 300_000
const SELF_TEST_MS = 300_000
/** What may pass by itself is tested again sooner, before anybody is alarmed. */
const RETEST_MS = 30_000
/** A self test ends after this at the latest. */
const CHECK_MS = 10_000
/** The same for a trial, which is two calls. */
const TRIAL_MS = 25_000
/** No timer of Node is longer. */
const TIMER_MAX_MS = 3_600_000

type LineOptions = Pick<OutboxOptions, 'clock' | 'numbers' | 'trouble' | 'random' | 'redact' | 'pace'> & {
  readonly channel: Channel
  readonly waiting: (channel: ChannelName) => readonly Message[]
  readonly first: (channel: ChannelName, thread: string) => string | null
  readonly commit: (rows: Partial<AlertRows>) => void
  readonly standby: (key: string, isTold: boolean) => void
  readonly keep: Keep
}

export type Line = {
  readonly channel: Channel
  /** Something may be due. */
  wake(): void
  /** Waiting for another try ends; what the other side asked for is kept. */
  flush(): void
  /** What becomes of one message: its first outcome that will not change by itself, or the last within the time. */
  outcome(id: number, limitMs: number): Promise<Tested>
  isUp(): boolean | null
  /** Unix milliseconds at which something was last accepted, null if nothing ever was. */
  provenWall(): number | null
  problem(): string | null
  close(): void
}

/** Opens one channel's deliveries; the first self test runs at once. */
export function openLine(options: LineOptions): Line {
  const { channel, clock, numbers, commit, waiting, random, pace = 1 } = options
  const stop = new AbortController()
  const asked = new Map<number, (outcome: Outcome) => void>()
  let isBusy = false
  let timer: NodeJS.Timeout | null = null
  /** In performance.now(): not before this by our own choice, and by the other side's. */
  let retryAt = 0
  let patienceAt = 0
  let gapAt = 0
  let failures = 0
  let failedThread: string | null = null
  let isUp: boolean | null = null
  let isTesting = false
  let retester: NodeJS.Timeout | undefined
  let problem: string | null = null

  function show(text: string | null): void {
    const clean = text === null ? null : options.redact(`${channel.trouble}: ${text}`)
    if (clean === problem) return
    problem = clean
    options.trouble(channel.name, clean)
  }
  function up(isWell: boolean): void {
    isUp = isWell
    numbers.channelUp(channel.name, isWell)
  }
  const provenKey = `proven-${channel.name}`
  const trial = openTrial(channel, options.keep, clock.wall)
  /** What a standby channel tells takes nothing from another one. */
  const standIn = (key: string, isTold: boolean) => {
    if (!channel.isStandby) options.standby(key, isTold)
  }
  const openAt = () => Math.max(retryAt, patienceAt, gapAt)

  function schedule(): void {
    if (timer) clearTimeout(timer)
    timer = null
    const due = nextDue(waiting(channel.name))
    if (due === null || stop.signal.aborted) return
    const waitMs = Math.max(due - clock.wall(), openAt() - performance.now(), 1)
    timer = setTimeout(wake, Math.min(waitMs, TIMER_MAX_MS))
    timer.unref()
  }
  function wake(): void {
    if (!isBusy && !stop.signal.aborted) void work()
  }
  async function work(): Promise<void> {
    isBusy = true
    try {
      while (!stop.signal.aborted && openAt() <= performance.now()) {
        const next = nextMessage(waiting(channel.name), clock.wall(), failedThread)
        if (next === null) break
        await deliver(next)
      }
    } finally {
      isBusy = false
      schedule()
    }
  }
  async function deliver(message: Message): Promise<void> {
    const sending: Message = { ...message, state: 'sending' }
    commit({ messages: [sending] })
    gapAt = performance.now() + channel.gapMs
    const outcome = await attempt((signal) => channel.deliver(sending, firstFor(message), signal))
    // A supervisor that ends says nothing: the next one sends it again.
    if (stop.signal.aborted) return
    settle(sending, outcome)
    asked.get(message.id)?.(outcome)
  }
  /** What an edit edits and a reply answers: the first message of a thread, before that the one it belongs to. */
  function firstFor({ thread, op, kind, body }: Message): string | null {
    const own = options.first(channel.name, thread)
    if (own !== null || op !== 'reply' || kind !== 'approval') return own
    const { answers } = JSON.parse(body) as Notice
    return answers === undefined ? null : options.first(channel.name, answers)
  }
  async function attempt(work: (signal: AbortSignal) => Promise<Outcome>): Promise<Outcome> {
    try {
      return await work(stop.signal)
    } catch (error) {
      return { kind: 'rejected', text: (error as Error).message }
    }
  }

  function settle(message: Message, outcome: Outcome): void {
    const wall = clock.wall()
    switch (outcome.kind) {
      case 'sent': {
        const { remote } = outcome
        const { channel: name, thread } = message
        const isFirst = remote !== null && (message.op !== 'reply' || options.first(name, thread) === null)
        const threads = isFirst ? [{ channel: name, thread, remote, wall }] : []
        const sent = { ...message, state: 'sent', sent: wall, remote, error: outcome.bug } as const
        commit({ messages: [sent], threads, kept: [{ key: provenKey, value: wall }] })
        trial.passed()
        numbers.sent(name, wall - message.created)
        failures = 0
        failedThread = null
        retryAt = 0
        up(true)
        show(null)
        standIn(message.key, true)
        return
      }
      case 'wait':
        patienceAt = performance.now() + outcome.ms
        commit({ messages: [{ ...message, state: 'pending', notBefore: wall + outcome.ms }] })
        return
      case 'rejected':
        numbers.failed(channel.name, 'rejected')
        commit({ messages: [failed(message, 'dead', outcome.text)] })
        standIn(message.key, false)
        show(outcome.text)
        return
      default:
        numbers.failed(channel.name, outcome.reason)
        failures++
        failedThread = message.thread
        retryAt =
          performance.now() + (outcome.kind === 'fault' ? FAULT_MS : backoffMs(failures, random())) * pace
        commit({
          messages: [failed(message, isGivenUp(message, clock.awake()) ? 'dead' : 'pending', outcome.text)],
        })
        if (outcome.kind === 'fault') {
          up(false)
          for (const { key } of waiting(channel.name)) standIn(key, false)
        }
        show(outcome.text)
    }
  }
  const failed = (message: Message, state: 'dead' | 'pending', text: string): Message => ({
    ...message,
    state,
    attempts: message.attempts + 1,
    error: options.redact(text),
  })

  async function selfTest(): Promise<void> {
    if (isTesting) return
    isTesting = true
    await judgeChannel().finally(() => {
      isTesting = false
    })
  }
  async function judgeChannel(): Promise<void> {
    const limit = AbortSignal.any([stop.signal, AbortSignal.timeout(CHECK_MS)])
    const checked = await attempt(() => channel.check(limit))
    if (stop.signal.aborted || checked.kind === 'wait') return
    const tried = checked.kind === 'sent' ? await tryOut() : null
    if (stop.signal.aborted) return
    const outcome = tried ?? checked
    if (outcome.kind === 'failed') retester = setTimeout(() => void selfTest(), RETEST_MS * pace).unref()
    if (outcome.kind !== 'sent') {
      up(false)
      if (outcome.kind !== 'wait') show(outcome.text)
      return
    }
    // A message that did not pass counts for more than a chat that seems to be there.
    if (trial.isFailed()) return
    up(true)
    if (failures === 0) show(null)
    flush()
  }
  async function tryOut(): Promise<Outcome | null> {
    const limit = AbortSignal.any([stop.signal, AbortSignal.timeout(TRIAL_MS)])
    const outcome = await trial.run(limit)
    if (outcome?.kind === 'sent' && !stop.signal.aborted)
      options.keep.set({ key: provenKey, value: clock.wall() })
    return outcome
  }
  function flush(): void {
    retryAt = 0
    wake()
  }
  const tester = setInterval(() => void selfTest(), SELF_TEST_MS * pace)
  tester.unref()
  void selfTest()

  return {
    channel,
    wake,
    flush,
    outcome(id, limitMs) {
      const begun = performance.now()
      return new Promise((resolve) => {
        let last: Outcome | null = null
        const end = () => {
          clearTimeout(late)
          asked.delete(id)
          const ms = performance.now() - begun
          resolve({ channel: channel.name, isSent: last?.kind === 'sent', text: said(last), ms })
        }
        const late = setTimeout(end, limitMs)
        // What may pass by itself is tried again within the time.
        asked.set(id, (outcome) => {
          last = outcome
          if (outcome.kind !== 'failed') end()
        })
      })
    },
    isUp: () => isUp,
    provenWall: () => (options.keep.get(provenKey) as number | undefined) ?? null,
    problem: () => problem,
    close() {
      stop.abort()
      clearInterval(tester)
      clearTimeout(retester)
      if (timer) clearTimeout(timer)
    },
  }
}

function said(outcome: Outcome | null): string {
  if (outcome === null) return 'nothing came back in time'
  if (outcome.kind === 'sent') return outcome.bug ?? ''
  return outcome.kind === 'wait'
    ? `the other side asks to wait ${Math.ceil(outcome.ms / 1000)} s`
    : outcome.text
}
