/** A real ProbeTarget for the tests of probes: it runs programs and speaks over real pipes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import type { Exchange } from '../../probes/json-rpc.ts'
import type { ProbeKind, ProbeResult, ProbeTarget } from '../../probes/probe.ts'
import { schemas } from '../../schemas/units.ts'
import { changedEnvironment } from '../../supervisor/shell/environment.ts'
import { openPipes } from '../../supervisor/shell/pipes.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'

/** A folder that is removed when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'paios-probe-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Starts a program in its own group and ends it with the test; resolves when it wrote its first output. */
export async function startProgram(t: TestContext, argv: readonly string[]): Promise<ChildProcess> {
  const child = spawn(argv[0] ?? '', argv.slice(1), { detached: true, stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    const ended = once(child, 'exit')
    process.kill(-child.pid, 'SIGKILL')
    await ended
  })
  await once(child.stdout, 'data')
  return child
}

const table = openProcessTable()
const PATH = process.env['PATH'] ?? '/usr/bin:/bin'

/** How the supervisor runs programs of probes, with a folder in place of its logs. */
function programsIn(folder: string): Pick<ProbeTarget, 'run' | 'converse'> {
  const programs = openProbePrograms(table, folder)
  const place = (env: Readonly<Record<string, string | null>> = {}, cwd = tmpdir()) => {
    return { env: changedEnvironment({ PATH, HOME: folder }, env), cwd }
  }
  return {
    run: (argv, { env, cwd, ...rest }) => programs.run(argv, { ...rest, ...place(env, cwd) }),
    converse: (argv, { env, cwd, signal }) => programs.converse(argv, { signal, ...place(env, cwd) }),
  }
}

/** A target without a process; each test overrides what its probe looks at. */
export function createTarget(cacheDir: string, overrides: Partial<ProbeTarget> = {}): ProbeTarget {
  const facts = new Map<string, unknown>()
  return {
    service: 'under-test',
    pid: null,
    generation: 1,
    startedAtMs: null,
    logPath: null,
    logOffset: 0,
    heartbeatPath: join(cacheDir, 'beat'),
    cacheDir,
    copies: () => Promise.resolve({ running: 0, orphans: 0, bytes: null }),
    tree: () => Promise.resolve(overrides.pid ? [overrides.pid] : []),
    memory: { get: (key) => facts.get(key), set: (key, value) => void facts.set(key, value) },
    tell: () => undefined,
    toolsSeen: () => undefined,
    step: () => undefined,
    ...programsIn(cacheDir),
    ...overrides,
  }
}

/** The exchange over the pipes of a child, as the supervisor has it with an owned server. */
export function exchangeOver(child: ChildProcess, log = '/dev/null'): Exchange {
  return openPipes(child.stdin!, child.stdout!, log).exchange
}

/** The strict schema of a kind's settings, as a document's are read. */
export const settingsOf = <Raw extends z.ZodRawShape>(kind: ProbeKind<string, Raw>) =>
  z.strictObject(kind.shape(schemas)) as unknown as z.ZodObject<Raw>

/** What a document may say of a probe of this kind. */
export type Written<Kind> = Kind extends ProbeKind<string, infer Raw> ? z.input<z.ZodObject<Raw>> : never

/** Parses the settings strictly, as a document's are, and opens the probe; the test's end closes it. */
export async function openProbe<Id extends string, Raw extends z.ZodRawShape>(
  t: TestContext,
  kind: ProbeKind<Id, Raw>,
  settings: z.input<z.ZodObject<Raw>>,
  target?: ProbeTarget,
): Promise<(signal?: AbortSignal) => Promise<ProbeResult>> {
  const parsed = settingsOf(kind).parse(settings)
  const probe = await kind.open(parsed, target ?? createTarget(await temporaryFolder(t)))
  t.after(() => probe.close())
  return (signal = AbortSignal.timeout(20_000)) => probe.check(signal)
}

/** The reason of a result that is not a pass. */
export function reasonOf(result: ProbeResult): string {
  if (result.kind === 'pass') throw new Error('the probe passed')
  return result.reason
}

/** Blocks the event loop, as a prober does that is late. */
export function blockLoop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
