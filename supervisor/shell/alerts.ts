/**
 * Telling somebody outside: the channels of the document over one outbox, and a dead man's switch, a URL that is
 * asked from the end of a complete tick, so that its silence tells of a supervisor that hangs, is dead, cannot
 * write its journal, or has stopped looking at its rules.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { MeshDocument } from '../../schemas/mesh.ts'
import type { Status } from '../../schemas/status.ts'
import type { Notice, Severity } from '../core/alert.ts'
import type { Effect } from '../core/effect.ts'
import { PaiosError } from '../errors.ts'
import type { AlertRows } from './alert-tables.ts'
import { lastLook, openAlive, sentinelToken, writeSentinelChat } from './alive.ts'
import type { ChannelFigures, OutboxNumbers } from './channel.ts'
import { apiOf, channelsOf, type TelegramWanted } from './channels.ts'
import { type Listening, openListening } from './chat.ts'
import type { AlertBody } from './command-channel.ts'
import type { Home } from './home.ts'
import type { Journal } from './journal.ts'
import { type Outbox, openOutbox, type Tested } from './outbox.ts'
import type { ProbePrograms } from './probe-programs.ts'
import type { Secrets } from './secrets.ts'

/** Requests end after this at the latest. */
const TIMEOUT_MS = 30_000
/** A switch is overdue after three periods, and not before this. */
const OVERDUE_MS = 600_000

/** When a dead man's switch was last asked with success (null: not yet), and when it is overdue. Unix milliseconds. */
export type Ping = {
  readonly target: 'outside' | 'sentinel'
  readonly at: number | null
  readonly dueAt: number
}
/** A test ends after this at the latest. */
const TEST_MS = 15_000

export type AlertsOptions = {
  readonly programs: ProbePrograms
  readonly secrets: Secrets
  readonly journal: Pick<Journal, 'save' | 'alerts'>
  readonly clock: { awake(): number; wall(): number }
  readonly nextEventId: () => number
  readonly numbers: OutboxNumbers
  readonly home: Pick<Home, 'alive' | 'buttons' | 'sentinel' | 'sentinelChat'>
  /** A journal event about the supervisor. */
  readonly note: (event: string, text: string) => void
  /** Milliseconds before the second try of a command; doubled before the third. */
  readonly retryMs?: number
  /** Factor of the outbox's waiting times, for tests. */
  readonly pace?: number
}

type Wanted = Readonly<Pick<MeshDocument, 'alerts' | 'deadman'>>
/** An intention of the core to tell of a service. */
export type AlertEffect = Extract<Effect, { kind: 'alert' }>

export type Alerts = {
  readonly outbox: Outbox
  readonly listening: Pick<Listening, 'connect' | 'lastSuccess'>
  /** The host woke or is online again: what waits for another try is tried now. */
  flush(): void
  /** What the document in force wants. */
  apply(wanted: Wanted): void
  /** What is to be told of services, as rows for the commit of the step that says so; asked only if it is wanted. */
  outgoing(told: () => readonly { readonly effect: AlertEffect; readonly body: AlertBody }[]): AlertRows
  /** A tick is complete. `isWell`: the rules were looked at, and the journal can be written. */
  ticked(isWell: boolean): void
  /** The mesh is down on purpose. */
  ended(): void
  /** Of each dead man's switch that the document wants. */
  pings(): readonly Ping[]
  /** Sends a message through each channel now, and resolves to what came back. */
  test(): Promise<readonly Tested[]>
  /** Whether people are told, in words: `telegram ok 08:30`. */
  summary(): string
  /** What is wrong with telling, in words; empty if nothing. */
  problems(): string[]
  close(): void
}

/** Opens telling; nothing is told before `apply`. */
export function openAlerts(options: AlertsOptions): Alerts {
  let wanted: Wanted = { alerts: undefined, deadman: undefined }
  let inForce = ''
  let askedAt = Number.NEGATIVE_INFINITY
  let lastPing: number | null = null
  let wantedSince = 0
  let isPinging = false
  const stop = new AbortController()
  const alive = openAlive(options.home.alive)
  const troubles = openTroubles(options)
  const outbox = openOutbox({
    ...options,
    redact: options.secrets.redact,
    trouble: (channel, text) => troubles.set('alert', channel, text),
    random: Math.random,
  })

  /** The sentinel can read a token from a file, or from PAIOS_HOME/env. */
  function tellSentinel(telegram: TelegramWanted | undefined): void {
    const token = sentinelToken(telegram?.token ?? '')
    const chat = telegram && token ? { chat: telegram.chat, api: apiOf(telegram), token } : null
    try {
      writeSentinelChat(options.home.sentinelChat, chat)
    } catch (error) {
      if (!(error instanceof PaiosError)) throw error
      options.note('warning', `the sentinel cannot write to the chat: ${error.message}`)
    }
  }
  const listening = openListening({
    ...options,
    buttonKeyPath: options.home.buttons,
    outbox,
    wall: options.clock.wall,
    trouble: (text) => troubles.set('alert', 'chat', text),
  })

  return {
    outbox,
    listening,
    flush() {
      outbox.flush()
      listening.flush()
    },
    apply(fresh) {
      if (!wanted.deadman && fresh.deadman) wantedSince = options.clock.wall()
      wanted = fresh
      if (!fresh.deadman) troubles.set('deadman', 'deadman', null)
      // An `up` that changes nothing interrupts no delivery.
      const key = JSON.stringify(fresh.alerts ?? {})
      if (key === inForce) return
      inForce = key
      troubles.clear('alert')
      outbox.use(
        channelsOf(fresh.alerts, { ...options, keep: outbox.keep, buttonKeyPath: options.home.buttons }),
      )
      listening.apply(fresh.alerts?.telegram ?? null)
      tellSentinel(fresh.alerts?.telegram)
    },
    outgoing: (told) =>
      outbox.outgoing(() =>
        told().map(({ effect: { service, event, wall }, body }) => ({
          key: `${service} ${event} ${wall}`,
          service,
          severity: severityOf(event),
          body: JSON.stringify(body),
        })),
      ),
    ended: () => alive.end(),
    ticked(isWell) {
      alive.beat()
      const { deadman } = wanted
      if (!isWell || !deadman || isPinging || performance.now() - askedAt < deadman.every) return
      askedAt = performance.now()
      isPinging = true
      void failureOf(() => ping(deadman.url, options.secrets, stop.signal)).then((failed) => {
        isPinging = false
        if (stop.signal.aborted) return
        if (failed === null) lastPing = options.clock.wall()
        troubles.set('deadman', 'deadman', failed && `the dead man's switch cannot be reached: ${failed}`)
      })
    },
    pings() {
      const looked = lastLook(options.home.sentinel)
      const sentinel: Ping[] =
        looked === null ? [] : [{ target: 'sentinel', at: looked, dueAt: looked + OVERDUE_MS }]
      if (!wanted.deadman) return sentinel
      const patience = Math.max(OVERDUE_MS, 3 * wanted.deadman.every)
      const dueAt = Math.max(lastPing ?? 0, wantedSince) + patience
      return [{ target: 'outside', at: lastPing, dueAt }, ...sentinel]
    },
    test: () => outbox.test(testNotice(options.clock.wall()), TEST_MS),
    summary() {
      return outbox.figures().map(channelText).join(', ') || 'nobody is told'
    },
    problems: () => troubles.all(),
    close() {
      stop.abort()
      listening.close()
      outbox.close()
    },
  }
}

function testNotice(wall: number): Notice {
  const key = `test-${randomUUID()}`
  return {
    ...{ key, thread: key, kind: 'test', op: 'send', severity: 'info', sound: true, buttons: [] },
    ...{ title: `Test from ${hostname()}`, lines: ['paios alerts test: nothing is wrong.'] },
    ...{ service: null, wall },
  }
}

/** A channel in `paios status`: works, with the time of its last message, or what is wrong. */
function channelText({ channel, isUp, pending, oldestWall, provenWall }: ChannelFigures): string {
  const clock = (wall: number) => new Date(wall).toTimeString().slice(0, 5)
  if (isUp === false) return `${channel} does not work, ${pending} waiting`
  if (oldestWall !== null && pending > 0) return `${channel} ${pending} waiting since ${clock(oldestWall)}`
  if (provenWall !== null) return `${channel} ok ${clock(provenWall)}`
  if (channel === 'desktop') return 'desktop stands by'
  return isUp === null ? `${channel} not tried yet` : `${channel} ok`
}

/** What the command is told of a service. */
export function alertBody(
  { service, event, reason, wall }: AlertEffect,
  { state, next, runbook }: Pick<Status['services'][number], 'state' | 'next' | 'runbook'>,
  redact: (text: string) => string,
): AlertBody {
  return { service, event, state, reason: redact(reason), at: new Date(wall).toISOString(), next, runbook }
}

/** What is down comes before what is well again. */
function severityOf(event: AlertEffect['event']): Severity {
  return event === 'recovered' ? 'info' : event === 'degraded' ? 'warning' : 'critical'
}

/** Troubles of telling: each becomes an event when it begins, changes or ends, and stands in `status` meanwhile. */
function openTroubles({ secrets, note }: AlertsOptions) {
  const standing = new Map<string, { kind: 'alert' | 'deadman'; text: string }>()
  return {
    set(kind: 'alert' | 'deadman', about: string, text: string | null): void {
      const clean = text === null ? null : secrets.redact(text)
      const old = standing.get(about)?.text ?? null
      if (old === clean) return
      if (clean === null) standing.delete(about)
      else standing.set(about, { kind, text: clean })
      note(clean === null ? `${kind}-back` : `${kind}-failed`, clean ?? `works again: ${old}`)
    },
    /** Of channels that are no more. */
    clear(kind: 'alert' | 'deadman'): void {
      for (const [about, { kind: one }] of standing) if (one === kind) standing.delete(about)
    },
    all: () => [...standing.values()].map(({ text }) => text),
  }
}

async function failureOf(work: () => Promise<void>): Promise<string | null> {
  try {
    await work()
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** The address may hold a key, so it never is part of what is told of a failure. */
async function ping(address: string, secrets: Secrets, signal: AbortSignal): Promise<void> {
  const { request } = await import('undici')
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const answer = await request(secrets.resolve(address), { signal: limit }).catch((error) => {
    throw new Error((error as NodeJS.ErrnoException).code ?? (error as Error).name)
  })
  await answer.body.dump()
  if (answer.statusCode >= 300) throw new Error(`answer ${answer.statusCode}`)
}
