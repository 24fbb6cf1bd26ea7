/** What a probe may know of its service, and do: the shell's side of ProbeTarget. */
import { homedir } from 'node:os'
import type { Copies, ProbeTarget, ToolCounts } from '../../probes/probe.ts'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { Process } from '../core/state.ts'
import { changedEnvironment, declaredEnvironment, resolveProgram, servicePath } from './environment.ts'
import type { Known } from './known.ts'
import { logPathOf } from './log-file.ts'
import type { ProbePrograms } from './probe-programs.ts'
import type { Processes, Tell } from './processes.ts'
import { expandHome, type Secrets } from './secrets.ts'

/** What the prober must know of a service at the moment. */
export type Subject = {
  readonly spec: ServiceSpec
  readonly generation: number
  readonly process: Process | null
  /** What counts as the service's own tree for once: that of the process which it is to take over from. */
  readonly tree?: readonly number[]
}

/** One step of a check. */
export type Step = { readonly name: string; readonly ms: number; readonly detail: string | null }

export type TargetOptions = {
  readonly secrets: Secrets
  readonly logs: string
  readonly cache: string
  readonly processes: Processes
  readonly programs: ProbePrograms
  readonly known: Known
  readonly tell: Tell
  /** Counts what the clients of an MCP server have started of it. */
  readonly copies: (service: string) => Promise<Copies>
  readonly toolsSeen: (service: string, counts: ToolCounts) => void
}

/** The target of one opened probe; `took` is told each step of its checks. */
export function targetOf(
  service: string,
  { generation, process, spec, tree }: Subject,
  options: TargetOptions,
  took: (step: Step) => void,
): ProbeTarget {
  const { processes, programs, secrets, known, tell } = options
  const pipes = processes.pipes(service)
  const place = (env: Readonly<Record<string, string | null>> = {}, cwd = spec.cwd ?? homedir()) => {
    const declared = declaredEnvironment(secrets.resolve(spec.env), {})
    return { env: changedEnvironment(declared, env), cwd: expandHome(cwd) }
  }
  const watchProgram = (error: unknown): never => {
    if (isProgramGone(spec, error)) tell(service, { kind: 'program-gone' })
    throw error
  }
  return {
    service,
    pid: process?.identity.pid ?? null,
    generation,
    startedAtMs: process?.startedWall ?? null,
    logPath: logPathOf(options.logs, service),
    logOffset: process?.logOffset ?? 0,
    heartbeatPath: processes.beatOf(service),
    cacheDir: options.cache,
    memory: {
      get: (key) => known.get(service, key),
      set: (key, value) => known.set(service, key, value),
    },
    tell: (event, text) => tell(service, { kind: 'noted', event, text: secrets.redact(text) }),
    toolsSeen: (counts) => options.toolsSeen(service, counts),
    step: (name, ms, detail) =>
      took({ name, ms, detail: detail === undefined ? null : secrets.redact(detail) }),
    copies: () => options.copies(service),
    tree: () => Promise.resolve(tree ?? processes.tree(service)),
    run: (argv, { env, cwd, ...rest }) =>
      programs.run(argv.map(expandHome), { ...rest, ...place(env, cwd) }).catch(watchProgram),
    converse: (argv, { env, cwd, signal }) =>
      programs.converse(argv.map(expandHome), { signal, ...place(env, cwd) }).catch(watchProgram),
    ...(pipes ? { exchange: pipes.exchange } : {}),
  }
}

/** True if a service that is only watched has lost its program. */
function isProgramGone(spec: ServiceSpec, error: unknown): boolean {
  if (!spec.program || (error as NodeJS.ErrnoException).code !== 'ENOENT') return false
  return resolveProgram(spec, spec.env['PATH'] ?? servicePath()).kind !== 'found'
}
