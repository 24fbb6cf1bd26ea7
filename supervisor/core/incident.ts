/**
 * What the alert core knows, as data: incidents (one subject's open trouble, with every alert that fired in it and
 * why it was or was not told), mutes, and what stands beside them. All of it is JSON; `at` and everything named
 * `…At` are awake milliseconds, everything named `…Wall` Unix milliseconds.
 */
import type { Notice, Severity, Subject, Suppression } from './alert.ts'

/** Whose failure may make a sound when: high always, normal by day, low never. */
export type Importance = 'high' | 'normal' | 'low'

/** What the document says of alerts: the zone of quiet hours and digest, and whose failure counts how much. */
export type AlertPolicy = {
  /** Null is the machine's own. */
  readonly timezone: string | null
  /** By service; what is not there is normal. */
  readonly importance: Readonly<Record<string, Importance>>
}

/** Why an alert makes no message of its own, by name; `text` says it in words. */
export type Silence = {
  readonly kind: Suppression | 'muted' | 'inhibited' | 'settling' | 'info'
  readonly text: string
  /** The incident that inhibits it, or the mute; null for the other kinds. */
  readonly by: string | null
}

/** Why a message makes no sound. */
export type Hush = {
  readonly kind: 'warning' | 'repair' | 'quiet-hours' | 'low-importance' | 'sound-limit' | 'acknowledged'
  readonly text: string
}

/** One alert instance of an incident: a rule with its labels. */
export type Line = {
  readonly rule: string
  readonly labels: Readonly<Record<string, string>>
  readonly severity: Severity
  readonly summary: string
  readonly sinceAt: number
  readonly sinceWall: number
  /** When its condition ended, null while it fires. */
  readonly endedWall: number | null
  /** What held it when the rules were last evaluated. */
  readonly held: Suppression | null
  /** Null where it may be told. */
  readonly silence: Silence | null
}

/** What was told of an incident. */
export type Told = {
  readonly severity: Severity
  readonly hasSounded: boolean
  readonly at: number
  readonly wall: number
  /** Critical rules that were told; `repair` once a failed repair was. */
  readonly rules: readonly string[]
  /** How often it was repeated since. */
  readonly repeats: number
}

/** An automatic safe repair of the incident's subject. `untilAt`: when its verification must have passed. */
export type Repair = {
  readonly runbook: string
  readonly untilAt: number
  readonly runs: number
  readonly state: 'running' | 'succeeded' | 'failed'
}

export type Incident = {
  /** `i1`, `i2`, …: unique in a journal. */
  readonly id: string
  readonly subject: Subject
  readonly state: 'firing' | 'resolving' | 'resolved'
  /** The worst that fired since it was opened, told or not. */
  readonly severity: Severity
  readonly lines: readonly Line[]
  /** What was wrong with its service when something last fired; null where nobody can tell. */
  readonly cause?: string | null
  readonly openedAt: number
  readonly openedWall: number
  /** Since when nothing fires any more, null while something does. */
  readonly quietAt: number | null
  readonly quietWall: number | null
  readonly closedAt: number | null
  readonly closedWall: number | null
  readonly reopened: number
  /** Null as long as no message was made of it since it was opened or reopened. */
  readonly told: Told | null
  /** A message was made of it before it was reopened. */
  readonly wasTold: boolean
  /** Where its messages are: its own id, or the bundle that it was told in. */
  readonly thread: string
  readonly hush: Hush | null
  readonly acked: { readonly by: string; readonly wall: number } | null
  readonly repair: Repair | null
  /** The mute that held it last, and the worst that fired when it was set: what is worse breaks it. */
  readonly mutedAs: { readonly mute: string; readonly severity: Severity } | null
  /** A mute of it has ended: it is to be told again. */
  readonly isDue: boolean
  /** Alerts of other subjects that this one inhibits. */
  readonly also: readonly { readonly name: string; readonly text: string }[]
  /** Something is to be shown in its message that is not yet. */
  readonly isDirty: boolean
  readonly editedAt: number
  /** How many notices it has made, for their keys. */
  readonly notices: number
  readonly timeline: readonly { readonly wall: number; readonly text: string }[]
}

/** Which alerts a mute holds; null matches all. */
export type Matcher = {
  readonly subject: string | null
  readonly rule: string | null
  /** Nothing worse than this. */
  readonly severity: Severity | null
}

/** Messages of these alerts are held. It ends at `untilWall`, or after `forMs` awake if that is sooner. */
export type Mute = Matcher & {
  /** `m1`, `m2`, … */
  readonly id: string
  readonly sinceAt: number
  readonly sinceWall: number
  readonly forMs: number
  readonly untilWall: number
  readonly because: string
  readonly by: string
}

/** Several incidents in one edited message: a storm, or what happened while the machine was offline. */
export type Bundle = {
  /** `storm-i12`, `offline-i3`: named by its first incident. */
  readonly thread: string
  readonly kind: 'storm' | 'offline'
  readonly openedWall: number
  readonly endedWall: number | null
  readonly told: Told
  readonly isDirty: boolean
  readonly editedAt: number
  readonly notices: number
}

/** A time in which messages are held. */
export type Window = { readonly sinceAt: number; readonly sinceWall: number; readonly untilAt: number }

/** Downs of a service in the last six hours. */
export type Flap = {
  readonly downs: readonly number[]
  readonly changedAt: number
  readonly isFlapping: boolean
}

/** Info of one hour, in one message. */
export type Activity = {
  readonly thread: string
  readonly lines: readonly string[]
  readonly isDirty: boolean
  readonly editedAt: number
  readonly notices: number
}

/** An approval that somebody was asked for, until it is over. `thread`: that of its incident, null without one. */
export type Question = {
  readonly id: number
  readonly service: string
  readonly title: string
  readonly lines: readonly string[]
  readonly forMs: number
  readonly askedAt: number
  readonly askedWall: number
  readonly thread: string | null
  readonly reminders: number
  /** Who approved it, null while it waits. */
  readonly by: string | null
  /** It is being done. */
  readonly isBegun: boolean
}

/** Counts since the last digest, for the next. */
export type Counts = {
  readonly opened: number
  readonly closed: number
  readonly silent: number
  readonly told: number
}

/** What the alert core must remember beside incidents and mutes. */
export type Standing = {
  readonly nextId: number
  readonly startup: Window | null
  readonly wake: Window | null
  readonly offline: Window | null
  readonly maintenance: (Window & { readonly untilWall: number; readonly by: string }) | null
  readonly flaps: Readonly<Record<string, Flap>>
  /** When incidents were told first, in the last ten minutes. */
  readonly openings: readonly number[]
  /** When messages that were not critical made a sound, in the last hour. */
  readonly sounds: readonly number[]
  readonly bundles: readonly Bundle[]
  readonly activity: Activity | null
  /** Info of the quiet hours, for the digest. */
  readonly overnight: readonly string[]
  /** Repairs that were begun before an incident was open, by subject. */
  readonly repairs: Readonly<Record<string, Repair>>
  readonly questions: readonly Question[]
  /** The local date of the last digest; empty before the first, null where none was thought of yet. */
  readonly digestDate: string | null
  readonly counts: Counts
}

/** What alerts must know of a service. */
export type ServiceFacts = {
  readonly name: string
  readonly importance: Importance
  /** Services that it needs. */
  readonly needs: readonly string[]
  readonly isUp: boolean
  readonly isWanted: boolean
  /** When an operator stopped it, null if nobody did. */
  readonly stoppedWall: number | null
  /** What is wrong with it, null where nothing is. */
  readonly fault: string | null
}

/** Everything. `stepIncidents` alone changes it. */
export type Alerting = {
  readonly incidents: Map<string, Incident>
  readonly mutes: Map<string, Mute>
  standing: Standing
  services: ReadonlyMap<string, ServiceFacts>
  /** IANA zone of quiet hours and digest. */
  zone: string
}

/** What one step wants done; all of one step is saved in one transaction. */
export type IncidentEffect =
  | { readonly kind: 'save-incident'; readonly incident: Incident }
  | { readonly kind: 'save-mute'; readonly mute: Mute }
  | { readonly kind: 'drop-mute'; readonly id: string }
  | { readonly kind: 'save-standing'; readonly standing: Standing }
  | { readonly kind: 'notice'; readonly notice: Notice }
  /** A journal event; `thread` is what it belongs to, so that it follows from the thread's last one. */
  | {
      readonly kind: 'record'
      readonly subject: string
      readonly event: string
      readonly text: string
      readonly thread: string
    }

/** Nothing known yet. */
export const EMPTY_STANDING: Standing = {
  nextId: 1,
  startup: null,
  wake: null,
  offline: null,
  maintenance: null,
  flaps: {},
  openings: [],
  sounds: [],
  bundles: [],
  activity: null,
  overnight: [],
  repairs: {},
  questions: [],
  digestDate: null,
  counts: { opened: 0, closed: 0, silent: 0, told: 0 },
}
