/** What `paios report --json` prints. Scripts rely on these words. Durations are seconds unless they say otherwise. */
import { z } from 'zod'

const instant = z.iso.datetime()
/** Awake seconds of the episodes that ended; null where none did. */
const spans = z.strictObject({ median: z.number(), worst: z.number() }).nullable()

/** One service over the span. */
const serviceReport = z.strictObject({
  name: z.string(),
  /** Share of the watched time in which it was wanted and up, 0 to 1; null where it never was wanted. */
  availability: z.number().nullable(),
  good: z.number(),
  bad: z.number(),
  /** Stopped, not installed, in maintenance, or starting for the first time. */
  excluded: z.number(),
  faults: z.int(),
  healedByItself: z.int(),
  healedByHand: z.int(),
  /** How long the ended ones took. */
  toHeal: spans,
  /** The last cause, in words; null without a fault. */
  lastCause: z.string().nullable(),
})

/** The whole mesh over the span. */
export const report = z.strictObject({
  from: instant,
  to: instant,
  /** Seconds in which a supervisor ran and was awake, was asleep, and in which there was none. */
  watched: z.number(),
  asleep: z.number(),
  notWatched: z.number(),
  services: z.array(serviceReport),
  /** Drilled: somebody followed it, or its steps repaired something. The oldest of these days counts. */
  runbooks: z.strictObject({
    count: z.int(),
    drilled: z.int(),
    oldestDrillDays: z.int().nullable(),
    /** Nobody has compared them with their program for 180 days. */
    reviewDue: z.int(),
  }),
  incidents: z.strictObject({ opened: z.int(), open: z.int() }),
  alerts: z.strictObject({
    /** Messages that were accepted; edits are none. */
    sent: z.int(),
    waiting: z.int(),
    givenUp: z.int(),
    /** Awake time from being recorded to being accepted by the channel; edits are not counted. */
    delivery: z.strictObject({ median: z.number(), p95: z.number(), slowest: z.number() }).nullable(),
  }),
})

export type Report = z.output<typeof report>
export type ServiceReport = Report['services'][number]
