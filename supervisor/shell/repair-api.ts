/** The part of the control API that concerns runbooks and approvals. */
import type { FastifyInstance } from 'fastify'
import type { Approval } from '../core/approval.ts'
import type { Outcome, Result, Run } from '../core/recovery-state.ts'
import type { RehearsedStep } from './repair-rehearsal.ts'

/** How a run stands: over, or waiting for a person (`approval`). */
export type RunReport = {
  readonly run: number
  readonly service: string
  readonly runbook: string
  /** `waiting`: the approval is not decided. */
  readonly result: Result | 'waiting'
  readonly text: string
  readonly approval: Approval | null
  readonly steps: readonly ({ readonly id: string } & Pick<Outcome, 'result' | 'text'>)[]
}

/** Everything that `paios approve` without an id and the incidents' pages show. */
export type RepairView = {
  readonly runs: readonly Run[]
  readonly approvals: readonly Approval[]
  /** Services for which nothing is done by itself any more, and why. */
  readonly stopped: readonly { readonly service: string; readonly reason: string }[]
  readonly budgets: readonly { readonly service: string; readonly left: number }[]
  readonly ended: readonly RunReport[]
}

/** `name`: a service, or the id of a runbook together with `service`. */
export type RunAsked = {
  readonly name: string
  readonly service: string | null
  readonly step: string | null
  readonly by: string
}

/** What the API needs of repairs. */
export type RepairControl = {
  view(): RepairView
  /** Resolves when the run is over, or waits for a person. */
  run(asked: RunAsked): Promise<RunReport>
  rehearse(asked: RunAsked): Promise<{ service: string; runbook: string; steps: readonly RehearsedStep[] }>
  /** Resolves like `run`. */
  decide(id: number, verdict: 'approved' | 'denied', by: string): Promise<RunReport>
}

const text = { type: 'string' }
const optional = { type: ['string', 'null'], default: null }
const body = (properties: Record<string, unknown>, required: string[]) => ({
  schema: { body: { type: 'object', properties, required, additionalProperties: false } },
})

/** Adds the routes. */
export function addRepairRoutes(server: FastifyInstance, control: RepairControl): void {
  server.get('/repairs', () => control.view())
  const asked = { name: text, service: optional, step: optional, by: text }
  server.post<{ Body: RunAsked }>('/runbook/run', body(asked, ['name', 'by']), ({ body }) =>
    control.run(body),
  )
  server.post<{ Body: RunAsked }>('/runbook/rehearse', body(asked, ['name', 'by']), ({ body }) =>
    control.rehearse(body),
  )
  const decided = { id: { type: 'integer' }, by: text }
  for (const [path, verdict] of [
    ['/approve', 'approved'],
    ['/deny', 'denied'],
  ] as const) {
    server.post<{ Body: { id: number; by: string } }>(path, body(decided, ['id', 'by']), ({ body }) =>
      control.decide(body.id, verdict, body.by),
    )
  }
}
