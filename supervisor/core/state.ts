/**
 * What the supervisor knows, as data. A child is one service's record; its `state` is one of eighteen kinds and carries
 * only what that kind needs. The thirteen words that the operator sees are derived in snapshot.ts.
 */
import type { ExitSignature, ServiceSpec, StopStep } from '../../schemas/service.ts'
import type { Health } from './health.ts'
import type { Pace } from './pace.ts'

/** Proof of who a process is: boot, pid and the kernel's start time of it (Linux: clock ticks since boot). */
export type Identity = { readonly boot: string; readonly pid: number; readonly start: string }

/** One life of a service's process. Times: awake milliseconds, except `startedWall` (Unix milliseconds). */
export type Process = {
  readonly identity: Identity
  readonly run: string
  readonly startedAt: number
  readonly startedWall: number
  readonly logOffset: number
  readonly adopted: boolean
}

/** Why a process was started; the metric label of `paios_service_starts_total`. */
export type StartCause = 'boot' | 'manual' | 'crash' | 'hung' | 'config' | 'dependency' | 'sibling'

/** How a process ended. `code` and `signal` both null: nobody was there to see it. */
export type Exit = { readonly code: number | null; readonly signal: string | null }

/** An exit with its meaning. */
export type Ending = {
  readonly exit: Exit
  readonly class: ExitSignature['class']
  readonly reason: string
}

/**
 * What follows the end of the process. `retry` is an unplanned end (backoff and budget apply); `end` leaves it ended,
 * though it is wanted: what is temporary does not come back with its siblings.
 */
export type Then = 'stop' | 'restart' | 'retry' | 'end'

/** Why a stop was begun. */
export type StopCause =
  | 'operator'
  | 'down'
  | 'config'
  | 'hung'
  | 'start-timeout'
  | 'dependency'
  | 'sibling'
  | 'group'
  | 'supervisor-restart'

export type ChildState =
  | {
      readonly kind: 'idle'
      readonly why: 'new' | 'operator' | 'completed' | 'ended' | 'down'
      readonly reason: string | null
    }
  | { readonly kind: 'waiting'; readonly for: readonly string[] }
  | {
      readonly kind: 'checking'
      readonly attempt: number
      readonly cause: StartCause
      /** What kept it from starting so far stands until the new look has an answer; null for a plain start. */
      readonly held: Held | null
    }
  /** Nothing speaks against its start but that many others have just been started. */
  | { readonly kind: 'queued'; readonly cause: StartCause }
  | { readonly kind: 'spawning'; readonly run: string; readonly cause: StartCause; readonly wall: number }
  | {
      readonly kind: 'starting'
      readonly process: Process
      readonly cause: StartCause
      readonly health: Health
    }
  | {
      readonly kind: 'running'
      readonly process: Process
      readonly cause: StartCause
      readonly health: Health
      /** Awake milliseconds of first ready; null if it never was. */
      readonly readyAt: number | null
    }
  | {
      readonly kind: 'hung'
      readonly process: Process
      readonly health: Health
      readonly readyAt: number | null
      readonly reason: string
    }
  | {
      readonly kind: 'stopping'
      readonly process: Process
      readonly steps: readonly StopStep[]
      readonly index: number
      readonly cause: StopCause
      readonly then: Then
      readonly reason: string
      readonly readyAt: number | null
      readonly deadline: number
      readonly killed: boolean
    }
  | {
      readonly kind: 'sweeping'
      readonly process: Process
      readonly ending: Ending
      readonly cause: StartCause
      readonly then: Then
      readonly lifeMs: number
    }
  | {
      readonly kind: 'backoff'
      readonly cause: StartCause
      readonly delayMs: number
      readonly reason: string
    }
  | {
      readonly kind: 'blocked'
      readonly reason: string
      readonly source: 'preflight' | 'fatal'
      readonly retryAt: number
    }
  | {
      readonly kind: 'failed'
      readonly reason: string
      readonly retryAt: number
      /** The group whose budget was used up; null if it was its own. */
      readonly by: string | null
    }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'missing'; readonly reason: string }
  | {
      readonly kind: 'adopting'
      readonly run: string
      readonly identity: Identity | null
      readonly was: ChildState
    }
  | {
      readonly kind: 'unknown'
      readonly reason: string
      readonly run: string
      readonly identity: Identity | null
      readonly was: ChildState
    }
  | { readonly kind: 'observing'; readonly health: Health }

/** A reason not to start that is looked at again and again. */
export type Held = { readonly kind: 'blocked' | 'absent' | 'missing'; readonly reason: string }

/** What the operator wants. A failure never changes it. `until` is Unix milliseconds, null = for good. */
export type Desired =
  | { readonly kind: 'running' }
  | { readonly kind: 'stopped'; readonly at: number; readonly until: number | null }

/** The arithmetic of restarts. Times are awake milliseconds, except `walls` (Unix milliseconds). */
export type Counters = {
  /** Unplanned restarts since the last clean run: the n of the backoff. */
  readonly n: number
  /** Unplanned ends inside the intensity window. */
  readonly ends: readonly number[]
  /** SIGKILLs inside the kill window. */
  readonly kills: readonly number[]
  /** Unplanned restarts of all time. */
  readonly total: number
  /** When the unplanned restarts of the last 7 days happened (at most 500). */
  readonly walls: readonly number[]
  /** The next half-open delay after the budget was used up; 0 = the first. */
  readonly failedMs: number
  /** The next half-open delay after a fatal exit; 0 = the first. */
  readonly fatalMs: number
  /** True from a half-open start until the life is stable: one failure re-opens at once. */
  readonly trial: 'none' | 'failed' | 'fatal'
}

/** Names of a child's timers; a child has at most one of each. */
export type TimerName =
  | 'preflight'
  | 'turn'
  | 'budget'
  | 'step'
  | 'backoff'
  | 'retry'
  | 'stable'
  | 'unstop'
  | 'sweep'

/** What an alert tells of a service. */
export type Trouble = 'down' | 'gave-up' | 'blocked' | 'missing' | 'unknown' | 'degraded'

/** A stop that was asked for and waits until the dependents are down. */
export type PendingStop = { readonly cause: StopCause; readonly now: boolean }

/**
 * A restart together with siblings: `by` is the one whose end began it, `group` the outermost group that it reaches.
 * In phase `stop` its process is to end, in the order of the needs; in phase `start` it waits until all have ended.
 */
export type Joint = { readonly by: string; readonly group: string; readonly phase: 'stop' | 'start' }

/** What to go back to. `since`: awake milliseconds at which the newer declaration took force. */
export type Trial = {
  readonly spec: ServiceSpec
  readonly hash: string
  readonly since: number
  readonly failures: number
}

/** One service's record. Immutable: every change makes a new one. */
export type Child<S extends ChildState = ChildState> = {
  readonly name: string
  readonly spec: ServiceSpec
  readonly specHash: string
  /** A newer spec that takes force at the next start; null if none. */
  readonly nextSpec: { readonly spec: ServiceSpec; readonly hash: string } | null
  /** True once a life under this declaration has been stable. */
  readonly proven: boolean
  /** The declaration that last worked, while a newer one has to prove itself; null if none is on trial. */
  readonly trial: Trial | null
  /** A declaration that was not taken, and why; it is not tried again unless somebody asks. */
  readonly rejected: { readonly hash: string; readonly reason: string } | null
  readonly removed: boolean
  readonly desired: Desired
  readonly generation: number
  readonly counters: Counters
  /** True once its program was found here: gone later, it is missing and not absent. */
  readonly seen: boolean
  readonly state: S
  /** Unix milliseconds at which the operator's word for the state last changed. */
  readonly since: number
  readonly timers: Readonly<Partial<Record<TimerName, { readonly token: number; readonly at: number }>>>
  readonly pendingStop: PendingStop | null
  readonly joint: Joint | null
  /** Failing repeated preflights by probe name: what would forbid the next start. */
  readonly warnings: Readonly<Record<string, string>>
  /** The file that is another one on disk since the process was started; null if none is. */
  readonly outdated: string | null
  /** What the operator was told of it and that lasts; null if it is well. */
  readonly trouble: Trouble | null
  /** How the last life ended, for `status`; null before the first end. */
  readonly lastEnding: Ending | null
  /** Processes that a sweep could not end, named. */
  readonly leftovers: readonly string[]
  /** The journal event that the next one follows from; null starts a new chain. */
  readonly cause: number | null
}

/** Whom an unplanned restart of one node concerns: nobody else, all of its group, or those after it. */
export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one'

/** A group: an inner node of the tree. */
export type Group = {
  readonly name: string
  readonly parent: string | null
  readonly strategy: Strategy
  /** A budget that its nodes share; null: each has only its own. */
  readonly intensity: { readonly max: number; readonly within: number } | null
  /** Its services and groups in the order of the document; a group stands where its first service does. */
  readonly nodes: readonly string[]
}

/** The circuit breaker of a group with a shared budget. Times: awake milliseconds. */
export type Breaker = {
  /** Failures of its nodes inside the window. */
  readonly ends: readonly number[]
  /** The next half-open delay; 0 = the first. */
  readonly failedMs: number
  /** When it was last tried half-open; a failure within the window after that opens it at once. */
  readonly triedAt: number | null
  /** Set while the budget is used up: its services are stopped until `retryAt`. */
  readonly open: { readonly reason: string; readonly retryAt: number } | null
}

/** The whole tree. `children` is changed by `step` alone, in place. */
export type Mesh = {
  readonly children: Map<string, Child>
  groups: ReadonlyMap<string, Group>
  /** Every service inside a group, at any depth, by the group's name. */
  members: ReadonlyMap<string, readonly string[]>
  /** Breakers of groups, by name; a group that never failed has none. */
  readonly breakers: Map<string, Breaker>
  /** Who needs a service, by the service's name. */
  dependents: ReadonlyMap<string, readonly string[]>
  /** Every name, needs before dependents. */
  order: readonly string[]
  wanted: 'up' | 'down'
  pace: Pace
  /** Probe failures before this awake instant do not count. */
  graceUntil: number
  token: number
  nextEventId: number
  random: readonly [number, number, number, number]
}
