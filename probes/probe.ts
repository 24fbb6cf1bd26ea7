/**
 * The contract of a probe. A probe kind is one file: a Zod shape for its settings and an `open` that returns
 * a handle with one `check`. A probe decides nothing: it says pass, fail or unknown, and the core judges by
 * thresholds. It reaches its service only through a ProbeTarget, so it can never signal or start one.
 */
import type { z } from 'zod'
import type { Exchange } from './json-rpc.ts'
import type { Schemas } from './units.ts'

export type { Schemas } from './units.ts'

/**
 * One observation. `fail` means the service is wrong; `unknown` means the probe could not tell (it is broken,
 * not permitted, or was itself late) and never changes health. `progress` on a startup failure means "still
 * starting, and saying so": it extends the start budget up to its cap. Reasons are shown to the operator.
 */
export type ProbeResult =
  | { readonly kind: 'pass'; readonly note: string | null }
  | { readonly kind: 'fail'; readonly reason: string; readonly progress: boolean }
  | { readonly kind: 'unknown'; readonly reason: string }

/**
 * The result of a program that a probe ran: exit code or signal name, and both outputs (at most 4 MiB each).
 */
export type RunResult = {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** How a probe runs a program of its own; `env` as in ConverseOptions. */
export type RunOptions = {
  readonly env?: Readonly<Record<string, string | null>>
  readonly cwd?: string
  readonly stdin?: string
  readonly signal: AbortSignal
}

/**
 * How a probe starts a program to talk to; `env` is added to the service's, a null takes a variable away, or with
 * a name such as `OPENAI_*` every variable of the service that begins so.
 */
export type ConverseOptions = {
  readonly env?: Readonly<Record<string, string | null>>
  readonly cwd?: string
  readonly signal: AbortSignal
}

/** A program that a probe has started and talks to, one line of text at a time. */
export type Conversation = {
  readonly pid: number
  /** Settles when the program itself has ended; what it started may live on until `close`. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** Writes one line; a program that has ended does not get it. */
  write(line: string): void
  /** Calls back for each line of its stdout from now on. */
  onLine(take: (line: string) => void): void
  /** The end of what it wrote to stderr, at most 8 KiB. */
  stderr(): string
  /** Ends it: stdin closed, 2 s, SIGTERM, 2 s, SIGKILL; resolves when nothing that it started is left. */
  close(): Promise<void>
}

/** Copies of an MCP server that its clients have started for themselves. */
export type Copies = {
  readonly running: number
  /** How many of them nobody talks to any more, beyond doubt. */
  readonly orphans: number
  /** What they cost together, null where the system does not tell. */
  readonly bytes: number | null
}

/** Tools of an MCP server: listed, expected or accepted and not listed, listed and new or other than accepted. */
export type ToolCounts = { readonly listed: number; readonly missing: number; readonly changed: number }

/** What a probe may know of, and do to, the service that it looks at. The shell implements it. */
export type ProbeTarget = {
  readonly service: string
  /** Process id of the service's own process, null if it has none (external services, preflights). */
  readonly pid: number | null
  readonly generation: number
  /** Wall clock milliseconds at which this generation was started, null if it has no process. */
  readonly startedAtMs: number | null
  /** The service's current log file, null if it has none. */
  readonly logPath: string | null
  /** Where this generation's output begins in the log: a position of its stream (log-stream.ts). */
  readonly logOffset: number
  /** The file that the service touches to tell that it works; it is there from the first beat on. */
  readonly heartbeatPath: string
  /** A folder for what a probe caches between lives of the supervisor. */
  readonly cacheDir: string
  /** Small facts about the service that outlive this supervisor, such as what was accepted. JSON values. */
  readonly memory: { get(key: string): unknown; set(key: string, value: unknown): void }
  /** A journal event about the service: something has changed. Never for a check that found nothing new. */
  tell(event: string, text: string): void
  /** What an MCP server's list of tools came to, for the metrics. */
  toolsSeen(counts: ToolCounts): void
  /** One step of a check and its milliseconds, for `paios probe`. */
  step(name: string, ms: number, detail?: string): void
  /** Pids of the service's process tree, the service's own process included; empty without a process. */
  tree(): Promise<readonly number[]>
  /** The copies of the service's own program that run beside it; what a probe has started does not count. */
  copies(): Promise<Copies>
  /** The JSON-RPC exchange over the pipes that the supervisor owns; absent where it owns none. */
  readonly exchange?: Exchange
  /**
   * Runs a program with the service's declared environment: own group, killed whole when the signal aborts.
   */
  run(argv: readonly string[], options: RunOptions): Promise<RunResult>
  /**
   * Starts a program with the service's declared environment and talks to it. `signal` ends it at once. The caller
   * closes it.
   */
  converse(argv: readonly string[], options: ConverseOptions): Promise<Conversation>
}

/** An open probe: `check` settles within the signal's life; `close` frees what `open` took. */
export type OpenProbe = {
  check(signal: AbortSignal): Promise<ProbeResult>
  close(): Promise<void>
}

/** The Zod shape of a probe's settings, made where documents are read. */
export type Shape<Raw extends z.ZodRawShape = z.ZodRawShape> = (schemas: Schemas) => Raw
/** The settings of a shape as a probe gets them. */
export type SettingsOf<S extends Shape> = z.output<z.ZodObject<ReturnType<S>>>

/** A probe kind as `defineProbe` makes it. */
export type ProbeKind<Id extends string = string, Raw extends z.ZodRawShape = z.ZodRawShape> = {
  readonly id: Id
  readonly shape: Shape<Raw>
  /** Files whose change calls for a check at once, from the parsed settings. */
  readonly watches: (settings: z.output<z.ZodObject<Raw>>) => readonly string[]
  readonly open: (settings: z.output<z.ZodObject<Raw>>, target: ProbeTarget) => Promise<OpenProbe>
}

/** Declares a probe kind: its id, the Zod shape of its settings, and how it is opened. */
export function defineProbe<const Id extends string, Raw extends z.ZodRawShape>(
  id: Id,
  shape: Shape<Raw>,
  open: (settings: z.output<z.ZodObject<Raw>>, target: ProbeTarget) => Promise<OpenProbe>,
  watches: (settings: z.output<z.ZodObject<Raw>>) => readonly string[] = () => [],
): ProbeKind<Id, Raw> {
  return { id, shape, open, watches }
}

/** The service is as the probe wants it. */
export const pass = (note: string | null = null): ProbeResult => ({ kind: 'pass', note })
/** The service is not as the probe wants it. */
export const fail = (reason: string, progress = false): ProbeResult => ({ kind: 'fail', reason, progress })
/** The probe cannot tell. */
export const unknown = (reason: string): ProbeResult => ({ kind: 'unknown', reason })
