/**
 * The words that alert rules, incidents and channels share, as plain data: a rule yields findings, incidents make
 * notices of them, a channel delivers notices.
 */

/** critical: act now; warning: act today; info: nothing to do, good to know. */
export type Severity = 'critical' | 'warning' | 'info'

/** Why messages are held back for everyone; the label values of `paios_supervisor_suppression_active`. */
export type Suppression = 'startup' | 'wake' | 'offline' | 'maintenance'

/** What an incident is about. Kind and name together are its identity: one subject has one open incident at most. */
export type Subject = {
  readonly kind:
    | 'service'
    | 'supervisor'
    | 'host'
    | 'filesystem'
    | 'channel'
    | 'runbook'
    | 'job'
    | 'config'
    | 'credential'
    | 'database'
  readonly name: string
}

/** An alert instance that fires: its expression holds, and its rule's `for` has passed. */
export type Finding = {
  /** Name of the rule without the prefix `Paios`. */
  readonly rule: string
  readonly labels: Readonly<Record<string, string>>
  readonly subject: Subject
  readonly severity: Severity
  /** One sentence with this instance's values. */
  readonly summary: string
  /** Reasons active now that hold messages of this rule; empty where it may be told. */
  readonly held: readonly Suppression[]
}

export type NoticeKind =
  | 'opened'
  | 'updated'
  | 'worsened'
  | 'repeated'
  | 'closed'
  | 'digest'
  | 'storm'
  | 'approval'
  | 'test'

/** What a person can press below a message. */
export type NoticeButton = 'acknowledge' | 'silence' | 'restart' | 'approve' | 'deny' | 'runbook'

/** One thing to tell, for every channel alike. Text is plain: channels escape, redact and cut it. */
export type Notice = {
  /** Unique; enqueueing a second one of the same key is a no-op. */
  readonly key: string
  /** What it belongs to: notices of one thread edit or answer its first message. An incident's id, or `digest-DATE`. */
  readonly thread: string
  /** The thread whose first message the first one of this thread answers. */
  readonly answers?: string
  readonly kind: NoticeKind
  /** `edit` replaces the thread's first message (sent where there is none), `reply` answers it. */
  readonly op: 'send' | 'edit' | 'reply'
  readonly severity: Severity
  readonly sound: boolean
  readonly title: string
  readonly lines: readonly string[]
  readonly buttons: readonly NoticeButton[]
  /** The subject's service for buttons that act on one, null where there is none. */
  readonly service: string | null
  /** Unix milliseconds. */
  readonly wall: number
}
