/**
 * The service spec: everything the supervisor needs to know of one service, as plain data. Presets produce it
 * from a few settings, a document may override its common fields, and the core obeys it. Durations are
 * written `10s` and seen as milliseconds; the numbers' reasons are in docs/design notes and the presets.
 */
import { z } from 'zod'
import { probeKinds } from '../probes/index.ts'
import type { Shape } from '../probes/probe.ts'
import { serviceLogs } from './logs.ts'
import { duration, pattern, schemas } from './units.ts'

/** Ids of services and groups; they are metric labels and folder names. */
export const serviceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,39}$/, 'expected lower-case letters, digits, - and _ (at most 40)')

/**
 * When a probe runs and how many results in a row count (kubelet's rules: failure 3, success 1, period 10 s,
 * timeout 3 s).
 */
const schedule = {
  name: z.string().min(1).max(40).optional(),
  role: z.enum(['preflight', 'startup', 'readiness', 'liveness']),
  every: duration.prefault('10s'),
  timeout: duration.prefault('3s'),
  failureThreshold: z.int().min(1).max(100).default(3),
  successThreshold: z.int().min(1).max(100).default(1),
  /** Whether it cannot pass without a network; unset: by its kind. */
  network: z.boolean().optional(),
}

type Kinds = typeof probeKinds
type OptionOf<K extends keyof Kinds> = Kinds[K] extends { shape: Shape<infer S extends z.ZodRawShape> }
  ? z.ZodObject<{ kind: z.ZodLiteral<K> } & S & typeof schedule>
  : never
type ProbeOption = { [K in keyof Kinds]: OptionOf<K> }[keyof Kinds]

const options = Object.values(probeKinds).map((kind) =>
  z.strictObject({ kind: z.literal(kind.id), ...kind.shape(schemas), ...schedule }),
) as unknown as [ProbeOption, ...ProbeOption[]]

/**
 * One probe: its kind's settings and its schedule, flat. A preflight with `every` is repeated while the
 * service runs: its failure is a standing warning that forbids planned restarts.
 */
export const probeSpec = z.discriminatedUnion('kind', options)

const signalName = z.enum(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGKILL'])

/** One step of a stop. SIGKILL of the whole tree always follows the last one. */
export const stopStep = z.discriminatedUnion('step', [
  z.strictObject({
    step: z.literal('signal'),
    signal: signalName,
    to: z.enum(['process', 'group']).default('group'),
  }),
  z.strictObject({ step: z.literal('close-stdin') }),
  z.strictObject({ step: z.literal('wait-exit'), for: duration }),
  /** Waits for a line; if it does not come in time, goes straight to SIGKILL. */
  z.strictObject({ step: z.literal('wait-log'), pattern, for: duration }),
])

/**
 * What an exit means. First match wins; `log` is matched on the last 64 KiB that this life wrote; `$1` in
 * `reason` is its group.
 */
export const exitSignature = z.strictObject({
  code: z.int().min(0).max(255).optional(),
  signal: z.string().optional(),
  log: pattern.optional(),
  class: z.enum(['success', 'planned', 'fatal', 'failure']),
  reason: z.string().min(1),
})

/** What must be so before a service starts. */
export const need = z.union([
  serviceName.transform((service) => ({ service, until: 'ready' as const, restart: false })),
  z.strictObject({
    service: serviceName,
    until: z.enum(['started', 'ready', 'completed']).default('ready'),
    restart: z.boolean().default(false),
  }),
])

/** Restart intensity: at most `max` unplanned restarts in `within`. */
export const intensity = z.strictObject({ max: z.int().min(1).max(1000), within: duration })

/** An environment value. `${file:PATH}`, `${env:NAME}` and `${json:PATH#a.b}` are read at each spawn. */
const envMap = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name'), z.string())

/** A command and its arguments; references to secrets are refused, since arguments show in `ps`. */
export const argv = z
  .array(z.string())
  .min(1, 'needs at least the program')
  .refine((words) => !words.some((word) => /\$\{(file|env|json):/.test(word)), {
    error: 'a command shows in ps: pass secrets through env, not in arguments',
  })

/** Whose failure may make a sound: high at any hour, normal from 8:00 to 23:00, low never. */
export const importance = z.enum(['high', 'normal', 'low'])

/** Fields that every service may set in the document, whatever its preset. */
export const commonFields = {
  needs: z.array(need).optional(),
  group: serviceName.optional(),
  enabled: z.boolean().optional(),
  restart: z.enum(['permanent', 'transient', 'temporary']).optional(),
  intensity: intensity.optional(),
  env: envMap.optional(),
  cwd: z.string().optional(),
  probes: z.array(probeSpec).optional(),
  stop: z.array(stopStep).optional(),
  startTimeout: duration.optional(),
  /** No part of the spec: how its log file is kept does not change the process. */
  logs: serviceLogs.optional(),
  /** No part of the spec: when its failure makes a sound. */
  importance: importance.optional(),
  restartOn: z.enum(['never', 'binary']).optional(),
  hangEvidence: z.boolean().optional(),
} as const

/**
 * The full spec. `command: null` is a service that another owns: it is probed and never started or signalled.
 */
export const serviceSpec = z.strictObject({
  name: serviceName,
  preset: z.string(),
  kind: z.enum(['daemon', 'mcp-stdio', 'mcp-http', 'session', 'external']),
  group: serviceName.nullable().default(null),
  command: argv.nullable(),
  /** For a service that is only observed: the program that must be installed. Not there: absent, or missing. */
  program: z.string().nullable().default(null),
  cwd: z.string().nullable().default(null),
  env: envMap.default({}),
  /** `log` writes both outputs into the log file; `pipes` keeps stdin and stdout for a JSON-RPC exchange. */
  stdio: z.enum(['log', 'pipes']).default('log'),
  needs: z.array(need).default([]),
  restart: z.enum(['permanent', 'transient', 'temporary']).default('permanent'),
  /** `binary`: restarted, planned, once its program has changed on disk; `never`: `status` says so. */
  restartOn: z.enum(['never', 'binary']).default('never'),
  exits: z.array(exitSignature).default([]),
  probes: z.array(probeSpec).default([]),
  stop: z.array(stopStep).prefault([
    { step: 'signal', signal: 'SIGTERM' },
    { step: 'wait-exit', for: '10s' },
  ]),
  /** How a hung process is ended; the normal steps unless a preset knows that they cannot work. */
  hangStop: z.array(stopStep).nullable().default(null),
  /** What a hung process was doing is kept in a file before it is killed. */
  hangEvidence: z.boolean().default(false),
  /** Budget until first ready; `startTimeoutMax` while a startup probe reports progress. */
  startTimeout: duration.prefault('60s'),
  startTimeoutMax: duration.prefault('60s'),
  /** A life this long after first ready is stable. */
  stableAfter: duration.prefault('10s'),
  intensity: intensity.prefault({ max: 10, within: '10m' }),
  /** At most this many SIGKILLs by the supervisor's own decision; null = no limit. */
  killLimit: intensity.nullable().default(null),
  /** Told to the operator when the program is not installed. */
  install: z.string().nullable().default(null),
  /** Loopback TCP ports that the service listens on; two services may not declare the same. */
  ports: z.array(z.int().min(1).max(65_535)).default([]),
  /** File name below runbooks/. */
  runbook: z.string(),
  enabled: z.boolean().default(true),
})

/** A service spec as the program sees it. */
export type ServiceSpec = z.output<typeof serviceSpec>
/** A service spec as a preset writes it. */
export type ServiceSpecInput = z.input<typeof serviceSpec>
export type ProbeSpec = ServiceSpec['probes'][number]
export type StopStep = z.output<typeof stopStep>
export type ExitSignature = z.output<typeof exitSignature>
export type Need = z.output<typeof need>
