/** What repairs may see and do: the parts of a supervisor that actions and checks reach. */

import type { RunOptions, RunResult } from '../../probes/probe.ts'
import type { ProbeSpec } from '../../schemas/service.ts'
import type { ProbeReport, ServiceStatus } from '../../schemas/status.ts'
import { probeName } from '../core/health.ts'
import { processOf } from '../core/rest.ts'
import type { Child } from '../core/state.ts'
import { PaiosError } from '../errors.ts'
import type { Home } from './home.ts'
import type { LastGood } from './last-good.ts'
import type { ProcessTable } from './process-table.ts'

/** One supervisor's stage. */
export type Stage = {
  readonly home: Home
  readonly table: ProcessTable
  readonly copies: LastGood
  readonly redact: (text: string) => string
  readonly child: (service: string) => Child | null
  readonly show: (service: string) => ServiceStatus | null
  readonly isUp: () => boolean
  /** Pids of the service's process tree. */
  readonly tree: (service: string) => readonly number[]
  /** Marker of the present life, null without a process. */
  readonly currentRun: (service: string) => string | null
  /** Markers of all its lives that the journal knows. */
  readonly earlierRuns: (service: string) => ReadonlySet<string>
  readonly report: (service: string, probe: string | null) => Promise<ProbeReport[]>
  /** Lets the readiness probes look now; their results count. */
  readonly again: (service: string) => void
  readonly restart: (
    service: string,
    options: { readonly now: boolean },
  ) => Promise<{ readonly message: string }>
  readonly start: (service: string) => Promise<{ readonly message: string }>
  readonly run: (argv: readonly string[], options: RunOptions) => Promise<RunResult>
}

/** The service; throws `refused` for one that the mesh no longer has. */
export function childOf(stage: Stage, service: string): Child {
  const child = stage.child(service)
  if (child === null) throw new PaiosError('refused', `${service} is no service of the mesh any more`)
  return child
}

/** The probe of a kind that a step names, or the only one. Throws `refused` where that names none. */
export function probeOf<K extends ProbeSpec['kind']>(
  child: Child,
  kind: K,
  name: string | undefined,
): Extract<ProbeSpec, { kind: K }> {
  const all = child.spec.probes.filter(
    (probe): probe is Extract<ProbeSpec, { kind: K }> => probe.kind === kind,
  )
  const found = name === undefined ? all[0] : all.find((probe) => probeName(probe) === name)
  if (found !== undefined) return found
  const what = name === undefined ? `has no probe of kind ${kind}` : `has no probe ${name} of kind ${kind}`
  throw new PaiosError('refused', `${child.name} ${what}`)
}

/** The port that a step names, the service's own, or that of its `port` probe. */
export function portOf({ spec, name }: Child, port: number | undefined): number {
  const found = port ?? spec.ports[0] ?? spec.probes.find((probe) => probe.kind === 'port')?.port
  if (found !== undefined) return found
  throw new PaiosError('refused', `${name} declares no port`)
}

/** What conditions may ask of the service. */
export function serviceFacts(stage: Stage, service: string): Record<string, string> {
  const shown = stage.show(service)
  if (shown === null) return { 'service.state': 'gone' }
  return {
    'service.state': shown.state,
    'service.reason': shown.reason ?? '',
    'service.warnings': shown.warnings.join('; '),
    'service.preset': shown.preset,
    'service.kind': shown.kind,
    'service.owned': childOf(stage, service).spec.command === null ? 'no' : 'yes',
  }
}

/** True while it has a process of its own. */
export const hasOwnProcess = (child: Child): boolean => processOf(child) !== null
