/**
 * The control API: HTTP on the Unix socket (0600), and /metrics alone on a loopback port. Whoever may open
 * the socket may do everything; the port answers only requests that name a loopback host and no foreign
 * origin.
 */
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { JournalEvent, Plan, ProbeReport, Status } from '../../schemas/status.ts'
import type { PreflightResult } from '../core/event.ts'
import { type ErrorCode, errnoOf, PaiosError } from '../errors.ts'
import type { Baseline } from './acceptance.ts'
import { type AlertControl, addAlertRoutes } from './alert-api.ts'
import { type ControlSocket, openControlSocket } from './control-socket.ts'
import type { EventQuery } from './history.ts'
import type { Tested } from './outbox.ts'
import { addRepairRoutes, type RepairControl } from './repair-api.ts'

/** How often a follower is looked after when nothing happens. */
const FOLLOW_MS = 200

/** What the API needs of the supervisor. */
export type Control = {
  status(): Status
  version(): { version: string; pid: number }
  events(query: EventQuery): JournalEvent[]
  why(id: number): JournalEvent[]
  up(options: { dryRun: boolean; retry: boolean }): Promise<{ plan: Plan; warnings: string[] }>
  /** Resolves when everything is stopped, with what nobody could tell and so was left alone, in words. */
  down(): Promise<readonly string[]>
  start(name: string): Promise<Accepted>
  stop(
    name: string,
    options: { forMs: number | null; withDependents: boolean; now: boolean },
  ): Promise<Accepted>
  restart(name: string, options: { now: boolean }): Promise<Accepted>
  /** Runs a service's probes once, now. */
  probe(name: string): Promise<ProbeReport[]>
  /**
   * What speaks against a start of a service here that is only observed. `pids` are processes that will have ended by
   * then, and may hold its port and its lock.
   */
  preflight(name: string, pids: readonly number[]): Promise<readonly PreflightResult[]>
  /** Takes the present tools of an MCP server, or MCP servers of a brain, for what it should have. */
  acceptBaseline(name: string): Baseline
  /** Sends a message through each channel now. */
  testAlerts(): Promise<readonly Tested[]>
  metrics(): Promise<{ contentType: string; text: string }>
  readonly alerts: AlertControl
  readonly repairs: RepairControl
}

/** A command that was taken on, and the services that it concerns. */
export type Accepted = { readonly message: string; readonly names: readonly string[] }

const HTTP_STATUS: Partial<Record<ErrorCode, number>> = {
  usage: 400,
  'unknown-service': 404,
  'unknown-incident': 404,
  'unknown-runbook': 404,
  'document-invalid': 422,
  'document-unreadable': 422,
  'document-too-large': 422,
  refused: 409,
  'refused-dependents': 409,
}

function newServer(): FastifyInstance {
  const server = Fastify({ logger: false, bodyLimit: 65_536, forceCloseConnections: true })
  server.setErrorHandler((error, _, reply) => {
    const code =
      error instanceof PaiosError
        ? error.code
        : (error as { statusCode?: number }).statusCode === 400
          ? 'usage'
          : 'internal'
    const message = error instanceof Error ? error.message : String(error)
    void reply.status(HTTP_STATUS[code] ?? 500).send({ error: { code, message } })
  })
  return server
}

const object = (properties: Record<string, unknown>, required: string[] = []) => ({
  body: { type: 'object', properties, required, additionalProperties: false },
})
const flag = { type: 'boolean', default: false }
const name = { type: 'string' }

/**
 * Serves the control API on a Unix socket. What lies at its path is stale: the caller holds the lock.
 */
export async function serveControl(socket: string, control: Control): Promise<ControlSocket> {
  const server = newServer()
  server.get('/status', (_, reply) =>
    reply.header('content-type', 'application/json').send(JSON.stringify(control.status())),
  )
  server.get('/version', () => control.version())
  server.get('/metrics', (_, reply) => sendMetrics(control.metrics, reply))
  server.get<{ Querystring: Record<string, string> }>('/events', (request, reply) =>
    sendEvents(control, request.query, reply),
  )
  server.get<{ Params: { id: string } }>('/why/:id', ({ params }) => control.why(Number(params.id)))
  server.post<{ Body: { dryRun: boolean; retry: boolean } }>(
    '/up',
    { schema: object({ dryRun: flag, retry: flag }) },
    ({ body }) => control.up(body),
  )
  server.post('/down', async () => {
    const left = await control.down()
    return { ok: true, left }
  })
  server.post<{ Body: { name: string } }>(
    '/start',
    { schema: object({ name }, ['name']) },
    async ({ body }) => ({
      ok: true,
      ...(await control.start(body.name)),
    }),
  )
  server.post<{ Body: { name: string; forMs: number | null; withDependents: boolean; now: boolean } }>(
    '/stop',
    {
      schema: object(
        { name, forMs: { type: ['number', 'null'], default: null }, withDependents: flag, now: flag },
        ['name'],
      ),
    },
    async ({ body }) => ({ ok: true, ...(await control.stop(body.name, body)) }),
  )
  server.post<{ Body: { name: string; now: boolean } }>(
    '/restart',
    { schema: object({ name, now: flag }, ['name']) },
    async ({ body }) => ({
      ok: true,
      ...(await control.restart(body.name, body)),
    }),
  )
  server.post<{ Body: { name: string } }>(
    '/probe',
    { schema: object({ name }, ['name']) },
    async ({ body }) => ({
      probes: await control.probe(body.name),
    }),
  )
  server.post<{ Body: { name: string; pids: number[] } }>(
    '/preflight',
    { schema: object({ name, pids: { type: 'array', items: { type: 'integer' } } }, ['name', 'pids']) },
    async ({ body }) => ({ checks: await control.preflight(body.name, body.pids) }),
  )
  server.post<{ Body: { name: string } }>(
    '/mcp/accept',
    { schema: object({ name }, ['name']) },
    async ({ body }) => ({ ok: true, ...control.acceptBaseline(body.name) }),
  )
  server.post('/alerts/test', async () => ({ channels: await control.testAlerts() }))
  addAlertRoutes(server, control.alerts)
  addRepairRoutes(server, control.repairs)
  await server.ready()
  return openControlSocket(socket, (connection) => void server.server.emit('connection', connection))
}

async function sendMetrics(metrics: Control['metrics'], reply: FastifyReply): Promise<void> {
  const { contentType, text } = await metrics()
  await reply.header('content-type', contentType).send(text)
}

/** Events as lines of JSON; with `follow`, the connection stays and gets what happens. */
async function sendEvents(
  control: Control,
  query: Record<string, string>,
  reply: FastifyReply,
): Promise<void> {
  const since = query['since'] ? Date.parse(query['since']) : null
  const asked: EventQuery = {
    after: Number(query['after'] ?? 0),
    limit: Math.min(Number(query['limit'] ?? 200), 10_000),
    service: query['service'] ?? null,
    sinceMs: since,
  }
  const first = control.events(asked)
  if (!query['follow']) {
    await reply
      .header('content-type', 'application/x-ndjson')
      .send(first.map((event) => `${JSON.stringify(event)}\n`).join(''))
    return
  }
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, { 'content-type': 'application/x-ndjson' })
  raw.flushHeaders()
  // With none asked for, what was there before counts as seen.
  const newest = asked.limit === 0 ? control.events({ ...asked, limit: 1 }).at(-1)?.id : undefined
  let after = newest ?? asked.after
  const send = (events: readonly JournalEvent[]) => {
    for (const event of events) {
      raw.write(`${JSON.stringify(event)}\n`)
      after = event.id
    }
  }
  send(first)
  const timer = setInterval(
    () => send(control.events({ ...asked, after, sinceMs: null, limit: 1000 })),
    FOLLOW_MS,
  )
  raw.on('close', () => clearInterval(timer))
}

const LOOPBACK_HOST = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/

/** The metrics endpoint as the document in force wants it. */
export type MetricsEndpoint = {
  /** Where it is served, null if it is not. */
  url(): string | null
  /** Why it is not served although it is wanted, null if nothing is wrong. */
  problem(): string | null
  /** Serves, moves or ends it; a port that cannot be had is a problem and no error. */
  apply(wanted: { readonly enabled: boolean; readonly port: number }): Promise<void>
}

/** An endpoint that serves nothing yet. */
export function openMetricsEndpoint(metrics: Control['metrics']): MetricsEndpoint {
  let served: { wanted: number; port: number; server: FastifyInstance } | null = null
  let problem: string | null = null
  return {
    url: () => (served === null ? null : `http://127.0.0.1:${served.port}/metrics`),
    problem: () => problem,
    async apply({ enabled, port }) {
      if (enabled && served?.wanted === port) return
      await served?.server.close()
      served = null
      problem = null
      if (!enabled) return
      try {
        served = { wanted: port, ...(await serveMetrics(port, metrics)) }
      } catch (error) {
        const code = errnoOf(error)
        if (code === null) throw error
        const why = code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${code})`
        problem = `metrics are not served: port ${port} ${why}; choose another with \`metrics: { port: … }\``
      }
    },
  }
}

async function serveMetrics(
  port: number,
  metrics: Control['metrics'],
): Promise<{ port: number; server: FastifyInstance }> {
  const server = newServer()
  server.addHook('onRequest', async (request, reply) => {
    const isOurs = LOOPBACK_HOST.test(request.headers.host ?? '') && request.headers.origin === undefined
    if (!isOurs)
      await reply.status(403).send({ error: { code: 'refused', message: 'only for this machine' } })
  })
  server.get('/metrics', (_, reply) => sendMetrics(metrics, reply))
  await server.listen({ port, host: '127.0.0.1' })
  const address = server.server.address()
  return { port: typeof address === 'object' && address ? address.port : port, server }
}
