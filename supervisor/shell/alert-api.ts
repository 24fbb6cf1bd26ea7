/** The part of the control API that speaks of alerts. */
import type { FastifyInstance } from 'fastify'
import type { AlertsStatus, IncidentReport } from '../../schemas/incidents.ts'
import type { Severity } from '../core/alert.ts'

/** What an operator wants to be silent: a service, a rule or an incident by name, all of it if null. */
export type MuteAsked = {
  readonly name: string | null
  readonly rule: string | null
  readonly severity: Severity | null
  readonly forMs: number
  readonly because: string
  readonly by: string
}

/** What the API needs of alerting; names that mean nothing throw unknown-incident. */
export type AlertControl = {
  /** `all`: closed incidents, too. */
  list(all: boolean): AlertsStatus
  show(id: string): IncidentReport
  acknowledge(of: string, by: string): { readonly message: string }
  mute(asked: MuteAsked): { readonly message: string }
  unmute(of: string, by: string): { readonly message: string }
  /** Null ends it. */
  maintenance(forMs: number | null, by: string): { readonly message: string }
}

const text = { type: 'string', minLength: 1, maxLength: 500 }
const nullable = { type: ['string', 'null'], default: null, maxLength: 200 }
const severity = { type: ['string', 'null'], enum: ['critical', 'warning', 'info', null], default: null }
const ms = { type: 'integer', minimum: 1 }
const body = (properties: Record<string, unknown>, required: string[]) => ({
  schema: { body: { type: 'object', properties, required, additionalProperties: false } },
})

/** Adds its routes. */
export function addAlertRoutes(server: FastifyInstance, alerts: AlertControl): void {
  server.get<{ Querystring: { all?: string } }>('/alerts', ({ query }) => alerts.list(Boolean(query.all)))
  server.get<{ Params: { id: string } }>('/alerts/:id', ({ params }) => alerts.show(params.id))
  server.post<{ Body: { of: string; by: string } }>(
    '/ack',
    body({ of: text, by: text }, ['of', 'by']),
    async ({ body: { of, by } }) => ({ ok: true, ...alerts.acknowledge(of, by) }),
  )
  server.post<{ Body: MuteAsked }>(
    '/mute',
    body({ name: nullable, rule: nullable, severity, forMs: ms, because: text, by: text }, [
      ...['forMs', 'because', 'by'],
    ]),
    async ({ body: asked }) => ({ ok: true, ...alerts.mute(asked) }),
  )
  server.post<{ Body: { of: string; by: string } }>(
    '/unmute',
    body({ of: text, by: text }, ['of', 'by']),
    async ({ body: { of, by } }) => ({ ok: true, ...alerts.unmute(of, by) }),
  )
  server.post<{ Body: { forMs: number | null; by: string } }>(
    '/maintenance',
    body({ forMs: { type: ['integer', 'null'], minimum: 1, default: null }, by: text }, ['by']),
    async ({ body: { forMs, by } }) => ({ ok: true, ...alerts.maintenance(forMs, by) }),
  )
}
