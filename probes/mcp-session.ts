/**
 * The two eras of MCP. Up to 2025-11-25 a client initializes once and may ping; from 2026-07-28 on there is no
 * state: every request says who asks, and `server/discover` says who answers. Servers of both kinds are in use, so the
 * era is found out by the older handshake first, as Claude Code does over stdio, and remembered.
 */
import { valueAt } from './dotted-path.ts'
import { isObject, textAt } from './json.ts'
import { NO_METHOD, type Requests, RpcError } from './json-rpc.ts'

const LEGACY = '2025-11-25'
const MODERN = '2026-07-28'
const CLIENT = { name: 'paios', version: '1.0.0' }

/** A server answers ping within some milliseconds; one that is silent for this long is asked something else. */
const PING_MS = 2_000

/** Which protocol a server speaks. */
export type Era = 'legacy' | 'modern'

/** A server that has said who it is. */
export type Session = {
  readonly era: Era
  /** The server's name and version. */
  readonly server: string
  /** One request in the words of the era. */
  request(method: string, params: object, signal: AbortSignal): Promise<unknown>
  /** False if it does not answer pings, although it may answer other requests. */
  ping(signal: AbortSignal): Promise<boolean>
}

/** The server has refused a step with this HTTP status. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal'
  readonly status: number

  constructor(status: number) {
    super(status === 401 || status === 403 ? `auth problem (HTTP ${status})` : `HTTP ${status}`)
    this.status = status
  }
}

/** True if the server wants a login that it does not get: it lives, and no restart would help. */
export function isAuthProblem(error: unknown): boolean {
  return error instanceof HttpRefusal && (error.status === 401 || error.status === 403)
}

/** A server that refuses one handshake may take the other; one that fails, or ends, will not. */
function isRefusal(thrown: unknown): boolean {
  const error = thrown instanceof StepFailure ? thrown.cause : thrown
  return (
    error instanceof RpcError || (error instanceof HttpRefusal && !isAuthProblem(error) && error.status < 500)
  )
}

/** Name and version of a server; null if it does not say both. */
function identityIn(info: unknown): string | null {
  const [name, version] = [textAt(info, 'name'), textAt(info, 'version')]
  return name === null || version === null ? null : `${name} ${version}`
}

/** Runs one step and takes its time; rejects with StepFailure. */
export type Timed = <T>(name: string, step: () => Promise<T>) => Promise<T>

/** A step that did not succeed; `cause` is why. */
export class StepFailure extends Error {
  override readonly name = 'StepFailure'
  readonly step: string

  constructor(step: string, cause: unknown) {
    super(`${step}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.step = step
  }
}

/** Says hello in the era that is known, or else in the older one, and in the other one if that is refused. */
export async function openSession(
  peer: Requests,
  known: Era | null,
  timed: Timed,
  signal: AbortSignal,
): Promise<Session> {
  const initialize = () => timed('initialize', () => openLegacy(peer, signal))
  const discover = () => timed('discover', () => openModern(peer, signal))
  const isModern = known === 'modern'
  try {
    return await (isModern ? discover() : initialize())
  } catch (error) {
    if (!isRefusal(error)) throw error
    try {
      return await (isModern ? initialize() : discover())
    } catch (other) {
      // Neither is spoken: the complaint about the handshake that it was expected to know says more.
      throw isRefusal(other) ? error : other
    }
  }
}

async function openLegacy(peer: Requests, signal: AbortSignal): Promise<Session> {
  const params = { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT }
  const answer = await peer.request({ method: 'initialize', params }, signal)
  const server = identityIn(valueAt(answer, 'serverInfo'))
  if (server === null || textAt(answer, 'protocolVersion') === null) {
    throw new Error('the answer names no server')
  }
  await peer.notify({ method: 'notifications/initialized' })
  return {
    era: 'legacy',
    server,
    request: (method, asked, until) => peer.request({ method, params: asked }, until),
    async ping(until) {
      const limit = AbortSignal.timeout(PING_MS)
      try {
        await peer.request({ method: 'ping' }, AbortSignal.any([until, limit]))
        return true
      } catch (error) {
        if (error instanceof RpcError) return error.code !== NO_METHOD
        if (until.aborted || !limit.aborted) throw error
        return false
      }
    },
  }
}

async function openModern(peer: Requests, signal: AbortSignal): Promise<Session> {
  const request: Session['request'] = (method, params, until) =>
    peer.request({ method, params: { ...params, _meta: META } }, until)
  const answer = await request('server/discover', {}, signal)
  const versions = valueAt(answer, 'supportedVersions')
  if (!Array.isArray(versions)) throw new Error('the answer names no versions')
  if (!versions.includes(MODERN)) {
    throw new Error(`the server speaks ${versions.map(String).join(', ')} and not ${MODERN}`)
  }
  const meta = valueAt(answer, '_meta')
  const described = isObject(meta) ? meta['io.modelcontextprotocol/serverInfo'] : undefined
  const server = identityIn(valueAt(answer, 'serverInfo') ?? described) ?? 'a server without a name'
  return {
    era: 'modern',
    server,
    request,
    async ping(until) {
      await request('server/discover', {}, until)
      return true
    },
  }
}

const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': CLIENT,
}
