/**
 * The three ways to reach an MCP server: over the pipes that the supervisor owns, as a canary (a short-lived instance
 * of its own), and over HTTP. A server that is owned is never started a second time to look at it.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { excerpt, lastLine } from './excerpt.ts'
import { type Exchange, openExchange, type Requests, within } from './json-rpc.ts'
import { openHttp } from './mcp-http.ts'
import { type Era, openSession, type Session, StepFailure, type Timed } from './mcp-session.ts'
import type { ProbeTarget } from './probe.ts'

/** After the exit of a program what it wrote last may still be in the pipes. */
const DRAIN_MS = 100

/** A server that can be asked. */
export type Peer = {
  /** The handshake, once for each life of the server. */
  open(timed: Timed, signal: AbortSignal): Promise<Session>
  /** The exchange over lines, null over HTTP. */
  readonly exchange: Exchange | null
  /** The supervisor keeps this instance: others may be using it. */
  readonly isOwned: boolean
  /** The line of its stderr that says most, empty if there is none. */
  said(): string
  /** Lets go of it; resolves to what is worth a note, when nothing that was started is left. */
  end(): Promise<string | null>
}

/** The era that this service spoke last. */
function eraOf(target: ProbeTarget): Era | null {
  return target.memory.get('era') === 'modern' ? 'modern' : null
}

async function hello(
  peer: Requests,
  target: ProbeTarget,
  timed: Timed,
  signal: AbortSignal,
): Promise<Session> {
  const session = await openSession(peer, eraOf(target), timed, signal)
  if (target.memory.get('era') !== session.era) target.memory.set('era', session.era)
  return session
}

const NOTHING = { said: () => '', end: () => Promise.resolve(null) } as const
/** A handshake over owned pipes outlives the check that began it. */
const NEVER = new AbortController().signal
const untimed: Timed = (_, step) => step()

/** The instance that the supervisor owns. It is initialized once: a second time ends some servers. */
export function overPipes(exchange: Exchange, target: ProbeTarget): Peer {
  const { learnt } = exchange
  const begin = (): Promise<Session> => {
    const handshake = hello(exchange, target, untimed, NEVER)
    learnt.set('mcp-handshake', handshake)
    handshake.then(
      (session) => learnt.set('mcp-session', session),
      () => learnt.delete('mcp-handshake'),
    )
    return handshake
  }
  return {
    ...NOTHING,
    exchange,
    isOwned: true,
    async open(timed, signal) {
      const known = learnt.get('mcp-session') as Session | undefined
      if (known !== undefined) return known
      const handshake = (learnt.get('mcp-handshake') as Promise<Session> | undefined) ?? begin()
      return timed('initialize', () => within(handshake, signal))
    },
  }
}

/** A client of a server that listens on this machine. */
export function overHttp(
  { url, headers }: { url: string; headers: Readonly<Record<string, string>> },
  target: ProbeTarget,
  signal: AbortSignal,
): Peer {
  const http = openHttp({ url, headers, signal })
  return {
    ...NOTHING,
    exchange: null,
    isOwned: false,
    open: (timed) => hello(http, target, timed, signal),
    end: () => http.end().then(() => null),
  }
}

/** How a canary is started, beside what the service declares. */
export type Canary = {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
}

/** Starts an instance of its own. Rejects with StepFailure if the system does not let it start. */
export async function startCanary(
  { command, env, cwd }: Canary,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<Peer> {
  const begun = performance.now()
  const options = { env, signal, ...(cwd === undefined ? {} : { cwd }) }
  const conversation = await target.converse(command, options).catch((error: NodeJS.ErrnoException) => {
    // Without a code it is no word of the system: a secret that is missing, or a fault of ours.
    if (error.code === undefined || signal.aborted) throw error
    throw new StepFailure('start', new Error(`${command[0]} cannot be run: ${error.code}`))
  })
  target.step('start', performance.now() - begun, `pid ${conversation.pid}`)
  const write = (line: string) => {
    conversation.write(line)
    return true
  }
  const exchange = openExchange({ write, onLine: conversation.onLine })
  const said = () => tellingLine(conversation.stderr())
  const ended = conversation.ended.then(async ({ code, signal: name }) => {
    await wait(DRAIN_MS)
    const how = name === null ? `exited with code ${code}` : `was ended by ${name}`
    const why = said()
    exchange.close(`${how} before it answered${why && `: ${why}`}`)
    return name
  })
  return {
    exchange,
    isOwned: false,
    said,
    open: (timed, until) => hello(exchange, target, timed, until),
    async end() {
      await conversation.close()
      return (await ended) === null ? null : 'goes on when its stdin is closed'
    },
  }
}

/** A line that names an error; the last words of a stack trace seldom do. */
const TELLING = /\b\w*(?:Error|Exception)\b|\bpanicked\b|^(?:fatal|error)\b/i

function tellingLine(stderr: string): string {
  const found = stderr.split('\n').findLast((line) => TELLING.test(line))
  return found === undefined ? lastLine(stderr) : excerpt(found)
}
