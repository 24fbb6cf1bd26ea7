/**
 * What a row of the fault matrix is: a fault that a person or a bad day could make, the sign by which it must show,
 * and how it ends. Rows are data with a few functions that act on a real mesh; `runner.ts` runs them and measures.
 */
import type { ServiceStatus } from '../../schemas/status.ts'
import type { Ended, TestMesh } from '../e2e/mesh.ts'
import type { Came, Phone, RuleName } from './phone.ts'

/** What rows of a group act on: one mesh that is up and well, and whatever the group laid out around it. */
export type Stage = {
  readonly mesh: TestMesh
  /** Whom the mesh tells. */
  readonly phone: Phone
  /** Ends everything that belongs to it. */
  end(): Promise<void>
}

/** By what a fault must be seen. */
export type Sign =
  /** `paios status --json`: the state word of a service, and its reason, note or one of its warnings. */
  | { readonly service: string; readonly state: ServiceStatus['state']; readonly text: RegExp }
  /** `paios events`: an event after the fault was made. */
  | { readonly subject: string; readonly event: string; readonly text: RegExp }
  /** `paios status --json`: a standing warning of the mesh, or of its document. */
  | { readonly mesh: RegExp }
  /** The command that made the fault answers with this exit code and these words. */
  | { readonly code: number; readonly text: RegExp }

/** When it is over. `process`: whether the service must have kept its process, or must not. */
export type Well<S> =
  | { readonly services: readonly string[]; readonly process: 'same' | 'new' | 'none' }
  | { readonly what: string; holds(stage: S): boolean | Promise<boolean> }

/** Who hears of it: which rule tells, and about whom; or why nobody is told. */
export type Heard = { readonly rule: RuleName; readonly about: string } | { readonly nobody: string }

/** One row. */
export type Fault<S extends Stage> = {
  readonly name: string
  /** The program that it happens to. */
  readonly program: string
  /** How it is made, as the document says it. */
  readonly made: string
  readonly sign: Sign
  readonly heard: Heard
  /** Why it takes long until somebody hears of it; for rows where it does. */
  readonly late?: string
  /** What a person must still do; null = nothing. `mend` is the same, done by the script. */
  readonly person: string | null
  /** Services that may get another process; every other one must keep its own. */
  readonly touches: readonly string[]
  /** Brings about what the fault needs; not measured. */
  prepare?(stage: S): Promise<unknown>
  make(stage: S): Promise<Ended | undefined>
  mend?(stage: S): Promise<unknown>
  readonly well: Well<S>
  /** Puts away what the row brought; not measured. */
  clear?(stage: S): Promise<unknown>
  /** How long each of the two waits may take; 120 s unless said. */
  readonly limitMs?: number
  /** True for rows that `npm test` runs, too. */
  readonly quick?: boolean
}

/** When and how the first message or edit that tells of a row arrived, in milliseconds after the fault. */
export type Told = { readonly ms: number; readonly how: Came['how'] }

/** How a row went. Times in milliseconds; `failed` null = as it must be. */
export type Outcome = {
  readonly group: string
  readonly fault: Pick<Fault<Stage>, 'name' | 'program' | 'made' | 'sign' | 'heard' | 'late' | 'person'>
  readonly detectMs: number | null
  /** Null where nobody is told. */
  readonly told: Told | null
  readonly recoverMs: number | null
  readonly failed: string | null
}

/** Rows that share a mesh. `run` resolves to null where the program is not to be had, which was said on stderr. */
export type Group = {
  readonly id: string
  readonly title: string
  readonly faults: readonly Outcome['fault'][]
  run(options: RunOptions): Promise<Outcome[] | null>
}

/** Which rows to run, and who hears of each. */
export type RunOptions = {
  readonly chosen: (fault: { readonly name: string }) => boolean
  readonly tell: (outcome: Outcome) => void
  /** Of those only the quick ones. */
  readonly isQuick?: boolean
}

/** Waits for nothing: the answer of a `make` that runs no command. */
export const done = (work: unknown): undefined => void work

/** Well, with another process. */
export const fresh = (...services: string[]) => ({ services, process: 'new' }) as const
/** Well, with the process that it had. */
export const kept = (...services: string[]) => ({ services, process: 'same' }) as const
/** Well, and never had a process of its own. */
export const watched = (...services: string[]) => ({ services, process: 'none' }) as const

/** Nobody need be told: whoever typed the command has its answer. */
export const ANSWERED: Heard = { nobody: 'the command says it to whoever typed it' }
