/** The operator's command as a channel: each alert is one JSON object on its stdin, tried three times at once. */
import { homedir, hostname } from 'node:os'
import type { Notice } from '../core/alert.ts'
import type { Message } from './alert-tables.ts'
import type { Channel, Outcome } from './channel.ts'
import { declaredEnvironment } from './environment.ts'
import type { ProbePrograms } from './probe-programs.ts'
import { expandHome } from './secrets.ts'

/** A run of the command ends after this at the latest. */
const TIMEOUT_MS = 30_000
const TRIES = 3

/** What an alert command reads from its stdin, as one line of JSON. */
export type Alert = {
  readonly version: 1
  readonly host: string
  /** Null for what concerns no service, such as a disk that is full. */
  readonly service: string | null
  readonly event: string
  /** One of the words of `paios status`; the severity where there is no service. */
  readonly state: string
  readonly reason: string
  /** ISO instant. */
  readonly at: string
  /** What to type next, null if nothing would help. */
  readonly next: string | null
  /** Full path of the Markdown file, null where there is no service. */
  readonly runbook: string | null
}

export type CommandOptions = {
  readonly programs: ProbePrograms
  /** Milliseconds before the second try; doubled before the third. */
  readonly retryMs?: number
}

/** What the outbox keeps of an alert: all but what is the same for each. */
export type AlertBody = Omit<Alert, 'version' | 'host'>

/** The channel of one command. */
export function commandChannel(command: readonly string[], options: CommandOptions): Channel {
  return {
    name: 'command',
    gapMs: 0,
    isStandby: false,
    trouble: `the alert command ${command[0]} failed`,
    async deliver(message, _, signal): Promise<Outcome> {
      try {
        await runCommand(command, { version: 1, host: hostname(), ...alertOf(message) }, options, signal)
        return { kind: 'sent', remote: null, bug: null }
      } catch (error) {
        return { kind: 'failed', reason: 'server', text: (error as Error).message }
      }
    },
    // Nobody knows what it would do without an alert.
    check: async () => ({ kind: 'wait', ms: 0 }),
  }
}

function alertOf({ kind, body }: Message): AlertBody {
  if (kind === 'service') return JSON.parse(body) as AlertBody
  const { title, lines, severity, wall } = JSON.parse(body) as Notice
  const reason = [title, ...lines].join('\n')
  const at = new Date(wall).toISOString()
  return { service: null, event: kind, state: severity, reason, at, next: 'paios alerts', runbook: null }
}

async function runCommand(
  [program = '', ...args]: readonly string[],
  alert: Alert,
  { programs, retryMs = 1_000 }: CommandOptions,
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
