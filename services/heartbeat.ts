/** What presets of programs that beat have in common. */
import type { ServiceSpecInput } from '../schemas/service.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

/** The liveness probe of a program that beats; empty where it does not. */
export function beats(withinMs: number | undefined): Probes {
  if (withinMs === undefined) return []
  return [
    {
      kind: 'heartbeat',
      name: 'heartbeat',
      role: 'liveness',
      within: `${withinMs}ms`,
      every: '10s',
      // The beat itself is late by then; waiting for two more checks would only add to it.
      failureThreshold: 1,
    },
  ]
}
