/** What `GET /status` answers and `paios status --json` prints. Scripts rely on these words. */
import { z } from 'zod'
import { STATES } from './states.ts'

const instant = z.iso.datetime()

/** One probe as last judged. `verdict` null: no result yet. */
export const probeStatus = z.strictObject({
  name: z.string(),
  kind: z.string(),
  role: z.enum(['preflight', 'startup', 'readiness', 'liveness']),
  verdict: z.enum(['pass', 'fail', 'unknown']).nullable(),
  reason: z.string().nullable(),
  /** What the last pass said of what was and was not checked. */
  note: z.string().nullable(),
  failures: z.int(),
  threshold: z.int(),
})

/** One probe that was run because somebody asked, with the steps of its check in the order of their ends. */
export const probeReport = z.strictObject({
  name: z.string(),
  kind: z.string(),
  role: z.enum(['preflight', 'startup', 'readiness', 'liveness']),
  result: z.enum(['pass', 'fail', 'unknown']),
  /** What a pass noted, or why it is none. */
  text: z.string().nullable(),
  ms: z.number(),
  steps: z.array(z.strictObject({ name: z.string(), ms: z.number(), detail: z.string().nullable() })),
})

/**
 * One service. `restarts` counts unplanned restarts of all time; `reason` says why it is not well, `next`
 * what to type.
 */
export const serviceStatus = z.strictObject({
  name: z.string(),
  preset: z.string(),
  kind: z.string(),
  group: z.string().nullable(),
  state: z.enum(STATES),
  desired: z.enum(['running', 'stopped']),
  /** Set where an operator stopped it: when, and when it ends by itself (null = never). */
  stopped: z.strictObject({ at: instant, until: instant.nullable() }).nullable(),
  ready: z.boolean(),
  /**
   * True unless starting, stopping, in backoff, waiting on a need that is not settled, or in the first second of a
   * life that nothing vouches for.
   */
  settled: z.boolean(),
  /** It failed, or ended with its siblings, and by its restart type does not come back. */
  ended: z.boolean(),
  pid: z.int().nullable(),
  generation: z.int(),
  since: instant,
  restarts: z.int(),
  restarts24h: z.int(),
  restarts7d: z.int(),
  reason: z.string().nullable(),
  /** What its passing probes say, such as a version and what was not checked. */
  note: z.string().nullable(),
  next: z.string().nullable(),
  /** Standing warnings of a service that runs, such as a config file that would not survive a restart. */
  warnings: z.array(z.string()),
  /** Why its newest declaration was not taken, or was taken back; null if it is in force. */
  rejected: z.string().nullable(),
  /** While stopping: when SIGKILL follows. */
  deadline: instant.nullable(),
  probes: z.array(probeStatus),
  /** Its open incident, null if there is none. `why`: why nobody was told, or heard no sound. */
  incident: z
    .strictObject({
      id: z.string(),
      severity: z.enum(['critical', 'warning', 'info']),
      since: instant,
      acknowledged: z.boolean(),
      why: z.string().nullable(),
    })
    .nullable(),
  /** Full path of the Markdown file. */
  runbook: z.string(),
  logPath: z.string().nullable(),
})

/** The whole mesh. */
export const status = z.strictObject({
  version: z.string(),
  pid: z.int().nullable(),
  home: z.string(),
  startedAt: instant.nullable(),
  mesh: z.enum(['up', 'down']),
  keeper: z.enum(['running', 'gone', 'none']),
  metrics: z.string().nullable(),
  document: z.strictObject({
    path: z.string(),
    applied: z.string().nullable(),
    problem: z.string().nullable(),
    /** When the file got what is not applied, null if it is what runs. */
    changed: instant.nullable(),
    /** What is wrong with that edit, such as `2 errors (line 14, 31)`; null if no error was found, or none yet. */
    errors: z.string().nullable(),
  }),
  warnings: z.array(z.string()),
  /** Whether people are told of failures, in words: `telegram ok 08:30`. */
  alerts: z.string(),
  services: z.array(serviceStatus),
})

export type ProbeReport = z.output<typeof probeReport>
export type ProbeStatus = z.output<typeof probeStatus>
export type ServiceStatus = z.output<typeof serviceStatus>
export type Status = z.output<typeof status>

/** What a reconcile would do or did; `paios up --dry-run` prints it. */
export const plan = z.strictObject({
  start: z.array(z.string()),
  restart: z.array(z.string()),
  /** Watched in another way from now on; the process runs on. */
  update: z.array(z.string()),
  /** Declared anew, and not taken: it could not start, or was tried before. */
  refused: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
  stop: z.array(z.string()),
  unchanged: z.array(z.string()),
})
export type Plan = z.output<typeof plan>

/** One journal event, a line of `GET /events`. */
export const journalEvent = z.strictObject({
  id: z.int(),
  at: instant,
  awakeMs: z.number(),
  subject: z.string(),
  generation: z.int().nullable(),
  kind: z.string(),
  text: z.string(),
  data: z.record(z.string(), z.unknown()),
  /** The event that caused this one, null for a first cause. */
  cause: z.int().nullable(),
})
export type JournalEvent = z.output<typeof journalEvent>
