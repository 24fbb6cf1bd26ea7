/** Every intention of the core, as an imperative. No effect contains a function. */
import type { StopStep } from '../../schemas/service.ts'
import type { Breaker, Identity, Process, TimerName, Trouble } from './state.ts'

/** Which probes of a service are to run: those of these roles. */
export type ProbeRole = 'startup' | 'readiness' | 'liveness' | 'preflight'

export type Effect =
  | { readonly kind: 'run-preflight'; readonly service: string; readonly attempt: number }
  | { readonly kind: 'spawn'; readonly service: string; readonly generation: number; readonly run: string }
  | {
      readonly kind: 'signal'
      readonly service: string
      readonly generation: number
      readonly process: Process
      readonly signal: Extract<StopStep, { step: 'signal' }>['signal']
      readonly to: 'process' | 'group' | 'tree'
    }
  /** Keeps what a hung process is doing, before it is killed. */
  | {
      readonly kind: 'keep-evidence'
      readonly service: string
      readonly process: Process
      readonly reason: string
    }
  | { readonly kind: 'close-stdin'; readonly service: string; readonly generation: number }
  | {
      readonly kind: 'watch-log'
      readonly service: string
      readonly generation: number
      readonly index: number
      readonly pattern: string
    }
  | {
      readonly kind: 'sweep'
      readonly service: string
      readonly generation: number
      readonly process: Process
      readonly hard: boolean
    }
  | {
      readonly kind: 'identify'
      readonly service: string
      readonly run: string
      readonly identity: Identity | null
    }
  /** Tells the shell that a recorded process is ours again. */
  | {
      readonly kind: 'adopt'
      readonly service: string
      readonly generation: number
      readonly process: Process
    }
  | {
      readonly kind: 'open-probes'
      readonly service: string
      readonly generation: number
      readonly roles: readonly ProbeRole[]
    }
  | { readonly kind: 'close-probes'; readonly service: string }
  | {
      readonly kind: 'set-timer'
      readonly service: string
      readonly timer: TimerName
      readonly token: number
      readonly at: number
    }
  | { readonly kind: 'cancel-timer'; readonly service: string; readonly timer: TimerName }
  | {
      readonly kind: 'record'
      readonly id: number
      readonly subject: string
      readonly generation: number | null
      readonly event: string
      readonly text: string
      readonly data: Readonly<Record<string, unknown>>
      readonly cause: number | null
    }
  /** Somebody must hear of it. `wall` is Unix milliseconds. */
  | {
      readonly kind: 'alert'
      readonly service: string
      readonly event: Trouble | 'recovered'
      readonly reason: string
      readonly wall: number
    }
  | { readonly kind: 'forget'; readonly service: string }
  /** Null forgets it. */
  | { readonly kind: 'record-breaker'; readonly group: string; readonly breaker: Breaker | null }
  | { readonly kind: 'record-wanted'; readonly wanted: 'up' | 'down' }
  | {
      readonly kind: 'reply'
      readonly request: number
      readonly message: string
      readonly names: readonly string[]
    }
  | {
      readonly kind: 'refuse'
      readonly request: number
      readonly code: 'refused' | 'refused-dependents' | 'unknown-service'
      readonly message: string
    }
  /** Everything is stopped and the mesh is to be down: the supervisor may end. */
  | { readonly kind: 'end' }
