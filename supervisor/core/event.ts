/**
 * Every fact that the core can be told, in the past tense. `at` is awake milliseconds, `wall` Unix
 * milliseconds.
 */
import type { ServiceSpec } from '../../schemas/service.ts'
import type { Breaker, Exit, Group, Identity, StopCause, TimerName } from './state.ts'

/** One preflight's answer. `absent`: the program is not installed. */
export type PreflightResult = {
  readonly check: string
  readonly outcome: 'pass' | 'fail' | 'unknown' | 'absent'
  readonly reason: string
}

/** What a probe found. */
export type ProbeOutcome =
  | { readonly kind: 'pass'; readonly note: string | null }
  | { readonly kind: 'fail'; readonly reason: string; readonly progress: boolean }
  | { readonly kind: 'unknown'; readonly reason: string }

/** Whether a recorded process still is the one that was recorded. */
export type IdentityVerdict =
  | { readonly kind: 'same'; readonly identity: Identity; readonly startedWall: number }
  | { readonly kind: 'dead' }
  /** It is gone, but what it started lives on; `identity` names one of those, proven to be of its run. */
  | { readonly kind: 'orphaned'; readonly identity: Identity }
  | { readonly kind: 'foreign'; readonly pid: number }
  | { readonly kind: 'unknown'; readonly reason: string }

/**
 * Facts about one service. The first five are the tree's own words to a child, the others come from the
 * shell.
 */
export type ChildEvent =
  | { readonly kind: 'wanted' }
  | { readonly kind: 'needs-changed' }
  | { readonly kind: 'start-asked' }
  | { readonly kind: 'stop-asked'; readonly cause: StopCause; readonly now: boolean }
  | {
      readonly kind: 'restart-asked'
      readonly cause: 'manual' | 'config' | 'dependency' | 'sibling'
      readonly now: boolean
    }
  | {
      readonly kind: 'preflight-reported'
      readonly attempt: number
      readonly results: readonly PreflightResult[]
    }
  | {
      readonly kind: 'spawned'
      readonly generation: number
      readonly identity: Identity
      readonly logOffset: number
    }
  | {
      readonly kind: 'spawn-failed'
      readonly generation: number
      readonly reason: string
      readonly permanent: boolean
    }
  | { readonly kind: 'exited'; readonly generation: number; readonly exit: Exit; readonly logTail: string }
  | { readonly kind: 'swept'; readonly generation: number; readonly left: readonly string[] }
  | {
      readonly kind: 'probe-reported'
      readonly generation: number
      readonly probe: string
      readonly outcome: ProbeOutcome
    }
  | { readonly kind: 'timer-fired'; readonly timer: TimerName; readonly token: number }
  | { readonly kind: 'log-seen'; readonly generation: number; readonly index: number }
  | { readonly kind: 'identified'; readonly run: string; readonly verdict: IdentityVerdict }
  | { readonly kind: 'input-changed' }
  /** The program that an observed service needs cannot be started any more. */
  | { readonly kind: 'program-gone' }
  /** The program of a running process is another one on disk. */
  | { readonly kind: 'program-changed'; readonly generation: number; readonly file: string }
  /** A probe saw that something about the service has changed. */
  | { readonly kind: 'noted'; readonly event: string; readonly text: string }

/** What an operator can ask for. `names` are services; groups are expanded by the core. */
export type Command =
  | { readonly kind: 'start'; readonly name: string }
  | {
      readonly kind: 'stop'
      readonly name: string
      readonly forMs: number | null
      readonly withDependents: boolean
      readonly now: boolean
    }
  /**
   * `preflight` holds what was found just before: a healthy process is not restarted onto a broken config.
   */
  | {
      readonly kind: 'restart'
      readonly name: string
      readonly now: boolean
      readonly preflight: Readonly<Record<string, readonly PreflightResult[]>>
    }
  | { readonly kind: 'down' }

/** A persisted child, as the journal gives it back. */
export type Row = { readonly child: import('./state.ts').Child }

export type Fact =
  | {
      readonly kind: 'recovered'
      readonly rows: readonly Row[]
      readonly breakers: Readonly<Record<string, Breaker>>
      readonly wanted: 'up' | 'down'
    }
  | {
      readonly kind: 'declared'
      readonly specs: readonly { readonly spec: ServiceSpec; readonly hash: string }[]
      readonly groups: readonly Group[]
      /** Tries again what was rejected. */
      readonly retry: boolean
      /** What speaks against a start of changed services that run. */
      readonly preflight: Readonly<Record<string, readonly PreflightResult[]>>
    }
  | { readonly kind: 'operator-asked'; readonly request: number; readonly command: Command }
  | { readonly kind: 'host-woke'; readonly gapMs: number }
  /** Something about the supervisor itself that belongs into the journal. */
  | { readonly kind: 'noted'; readonly event: string; readonly text: string }
  | { readonly kind: 'child'; readonly service: string; readonly event: ChildEvent }

/** A fact with its two times. */
export type Event = Fact & { readonly at: number; readonly wall: number }
