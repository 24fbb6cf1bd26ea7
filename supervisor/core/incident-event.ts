/** Every fact that the alert core can be told, in the past tense. */
import type { Finding, Subject } from './alert.ts'
import type { ApprovalStatus } from './approval.ts'
import type { Matcher, ServiceFacts } from './incident.ts'

export type IncidentFact =
  /** A supervisor has started, with what it restored. */
  | { readonly kind: 'started' }
  /** The rules were evaluated: everything that fires now. */
  | { readonly kind: 'evaluated'; readonly findings: readonly Finding[] }
  | { readonly kind: 'services-changed'; readonly services: readonly ServiceFacts[]; readonly zone: string }
  /** A service that is wanted has stopped working, or works again. */
  | { readonly kind: 'went-down'; readonly service: string }
  | { readonly kind: 'came-up'; readonly service: string }
  | { readonly kind: 'woke' }
  | { readonly kind: 'network-changed'; readonly isOnline: boolean }
  /** `of`: an incident, a bundle, or the name of a subject. */
  | { readonly kind: 'acknowledged'; readonly of: string; readonly by: string }
  | {
      readonly kind: 'muted'
      readonly matcher: Matcher
      readonly forMs: number
      readonly because: string
      readonly by: string
    }
  /** `of`: a mute, or the name of a subject. */
  | { readonly kind: 'unmuted'; readonly of: string; readonly by: string }
  /** `forMs` null ends it. */
  | { readonly kind: 'maintenance-asked'; readonly forMs: number | null; readonly by: string }
  /** An automatic safe repair with budget left; `verifyMs`: until its verification must have passed. */
  | {
      readonly kind: 'repair-begun'
      readonly subject: Subject
      readonly runbook: string
      readonly verifyMs: number
    }
  | {
      readonly kind: 'repair-ended'
      readonly subject: Subject
      readonly runbook: string
      readonly isHealed: boolean
      readonly text: string
    }
  /** A step of a runbook waits for a person's leave. */
  | {
      readonly kind: 'approval-asked'
      readonly id: number
      readonly service: string
      readonly title: string
      readonly lines: readonly string[]
      /** So long somebody has time to decide, awake. */
      readonly forMs: number
    }
  /** `by`: who decided, null where nobody did. */
  | {
      readonly kind: 'approval-settled'
      readonly id: number
      readonly status: ApprovalStatus
      readonly by: string | null
    }

/** A fact with its two times: awake milliseconds and Unix milliseconds. */
export type IncidentEvent = IncidentFact & { readonly at: number; readonly wall: number }
