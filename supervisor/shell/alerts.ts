/**
 * Telling somebody outside: each alert is one JSON object on the stdin of the operator's command, one after the
 * other and in order, tried three times; and a dead man's switch, a URL that is asked from the end of a complete
 * tick, so that its silence tells of a supervisor that hangs, is dead, or cannot write its journal.
 */
import { homedir, hostname } from 'node:os'
import type { MeshDocument } from '../../schemas/mesh.ts'
import { declaredEnvironment } from './environment.ts'
import type { ProbePrograms } from './probe-programs.ts'
import { expandHome, type Secrets } from './secrets.ts'

/** Runs of the command, and requests, end after this at the latest. */
const TIMEOUT_MS = 30_000
/** So many alerts wait at most; the oldest are given up first. */
const WAITING_MAX = 1_000
const TRIES = 3

/** What an alert command reads from its stdin, as one line of JSON. */
export type Alert = {
  readonly version: 1
  readonly host: string
  readonly service: string
  readonly event: string
  /** One of the words of `paios status`. */
  readonly state: string
  readonly reason: string
  /** ISO instant. */
  readonly at: string
  /** What to type next, null if nothing would help. */
  readonly next: string | null
  /** Full path of the Markdown file. */
  readonly runbook: string
}

export type AlertsOptions = {
  readonly programs: ProbePrograms
  readonly secrets: Secrets
  /** A journal event about the supervisor. */
  readonly note: (event: string, text: string) => void
  /** Milliseconds before the second try; doubled before the third. */
  readonly retryMs?: number
}

type Wanted = Readonly<Pick<MeshDocument, 'alerts' | 'deadman'>>

export type Alerts = {
  /** What the document in force wants. */
  apply(wanted: Wanted): void
  tell(alert: Omit<Alert, 'version' | 'host'>): void
  /** A tick is complete and nothing is wrong with the supervisor itself. */
  ticked(): void
  /** What is wrong with telling, in words; empty if nothing. */
  problems(): string[]
  close(): void
}

/** Opens telling; nothing is told before `apply`. */
export function openAlerts(options: AlertsOptions): Alerts {
  let wanted: Wanted = { alerts: undefined, deadman: undefined }
  let lastPing = Number.NEGATIVE_INFINITY
  let isPinging = false
  const stop = new AbortController()
  const troubles = openTroubles(options)
  const waiting: Alert[] = []
  let isTelling = false

  async function tellAll(): Promise<void> {
    if (isTelling) return
    isTelling = true
    for (let alert = waiting.shift(); alert && !stop.signal.aborted; alert = waiting.shift()) {
      const command = wanted.alerts?.command
      if (command === undefined) continue
      const failed = await failureOf(() => runCommand(command, alert, options, stop.signal))
      if (!stop.signal.aborted)
        troubles.set('alert', failed && `the alert command ${command[0]} failed: ${failed}`)
    }
    isTelling = false
  }

  return {
    apply(fresh) {
      wanted = fresh
      if (!fresh.alerts) troubles.set('alert', null)
      if (!fresh.deadman) troubles.set('deadman', null)
    },
    tell(alert) {
      if (!wanted.alerts) return
      waiting.push({ version: 1, host: hostname(), ...alert })
      if (waiting.length > WAITING_MAX) waiting.shift()
      void tellAll()
    },
    ticked() {
      const { deadman } = wanted
      if (!deadman || isPinging || performance.now() - lastPing < deadman.every) return
      lastPing = performance.now()
      isPinging = true
      void failureOf(() => ping(deadman.url, options.secrets, stop.signal)).then((failed) => {
        isPinging = false
        if (!stop.signal.aborted)
          troubles.set('deadman', failed && `the dead man's switch cannot be reached: ${failed}`)
      })
    },
    problems: () => troubles.all(),
    close: () => stop.abort(),
  }
}

/** Troubles of telling: each becomes an event when it begins, changes or ends, and stands in `status` meanwhile. */
function openTroubles({ secrets, note }: AlertsOptions) {
  const standing = new Map<'alert' | 'deadman', string>()
  return {
    set(what: 'alert' | 'deadman', text: string | null): void {
      const clean = text === null ? null : secrets.redact(text)
      const old = standing.get(what) ?? null
      if (old === clean) return
      if (clean === null) standing.delete(what)
      else standing.set(what, clean)
      note(clean === null ? `${what}-back` : `${what}-failed`, clean ?? `works again: ${old}`)
    },
    all: () => [...standing.values()],
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

async function runCommand(
  [program = '', ...args]: readonly string[],
  alert: Alert,
  { programs, retryMs = 1_000 }: AlertsOptions,
  signal: AbortSignal,
): Promise<void> {
  const { default: retry } = await import('p-retry')
  const attempt = async () => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
    const place = { env: declaredEnvironment({}, {}), cwd: homedir() }
    const argv = [expandHome(program), ...args.map(expandHome)]
    const stdin = `${JSON.stringify(alert)}\n`
    const { code, signal: killed, stderr } = await programs.run(argv, { ...place, stdin, signal: limit })
    if (limit.aborted) throw new Error(`not finished within ${TIMEOUT_MS / 1000} s`)
    if (code !== 0) {
      const said = stderr.trim().split('\n').at(-1)?.slice(0, 200) ?? ''
      throw new Error(`${code === null ? `ended by ${killed}` : `exit ${code}`}${said && `: ${said}`}`)
    }
  }
  await retry(attempt, { retries: TRIES - 1, minTimeout: retryMs, factor: 2, signal })
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
