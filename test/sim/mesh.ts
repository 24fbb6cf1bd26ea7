/** Random meshes: services with needs, groups, probes, limits, and the programs that they run. */
import type { ProbeSpec, ServiceSpec } from '../../schemas/service.ts'
import type { StartLimit } from '../../supervisor/core/pace.ts'
import type { Group } from '../../supervisor/core/state.ts'
import type { Dice } from './dice.ts'

/** How a service's program behaves when nothing is wrong. */
export type Program = {
  readonly startMs: number
  readonly drainMs: number
  /** It runs to its end by itself. */
  readonly isOneshot: boolean
  /** What is wrong with the declaration itself, until it is mended. */
  fault: 'none' | 'crashes' | 'never-ready'
}

/** A declared mesh and its programs. */
export type Plan = {
  readonly specs: { readonly spec: ServiceSpec; readonly hash: string }[]
  readonly groups: Group[]
  /** By the hash of the declaration. */
  readonly programs: Map<string, Program>
  /** Tighter than the real one, which a mesh of this size never reaches. */
  readonly startLimit: StartLimit
}

/** Exit codes that the random meshes' signatures know. */
export const CODES = { success: 0, failure: 1, planned: 75, fatal: 78 } as const

/** A spec with the schema's defaults. */
export function makeSpec(name: string, over: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name,
    preset: 'process',
    kind: 'daemon',
    group: null,
    command: ['program'],
    program: null,
    cwd: null,
    env: {},
    stdio: 'log',
    needs: [],
    restart: 'permanent',
    restartOn: 'never',
    exits: [
      { code: CODES.planned, class: 'planned', reason: 'restarts itself' },
      { code: CODES.fatal, class: 'fatal', reason: 'its configuration is invalid' },
    ],
    probes: [],
    stop: [
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
      { step: 'wait-exit', for: 10_000 },
    ],
    hangStop: null,
    hangEvidence: false,
    startTimeout: 60_000,
    startTimeoutMax: 60_000,
    stableAfter: 10_000,
    intensity: { max: 10, within: 600_000 },
    killLimit: null,
    install: null,
    ports: [],
    runbook: 'process.md',
    enabled: true,
    ...over,
  }
}

/** A probe with kubelet's defaults. */
export function makeProbe(role: ProbeSpec['role'], over: Partial<ProbeSpec> = {}): ProbeSpec {
  const base = { kind: 'tcp', host: '127.0.0.1', port: 1, role }
  return {
    ...base,
    every: 10_000,
    timeout: 3_000,
    failureThreshold: 3,
    successThreshold: 1,
    ...over,
  } as ProbeSpec
}

function randomProbes(dice: Dice): ProbeSpec[] {
  const probes: ProbeSpec[] = []
  const schedule = () => ({
    every: dice.pick([2_000, 10_000, 30_000]),
    failureThreshold: dice.pick([1, 3, 3, 5]),
    successThreshold: dice.pick([1, 1, 2]),
  })
  if (dice.chance(0.1)) probes.push(makeProbe('preflight', schedule()))
  if (dice.chance(0.4))
    probes.push(makeProbe('startup', { ...schedule(), every: 2_000, successThreshold: 1 }))
  if (dice.chance(0.6)) probes.push(makeProbe('readiness', schedule()))
  if (dice.chance(0.2)) probes.push(makeProbe('readiness', { ...schedule(), name: 'second' }))
  if (dice.chance(0.5)) probes.push(makeProbe('liveness', schedule()))
  return probes
}

function randomStop(dice: Dice): ServiceSpec['stop'] {
  return dice.pick<ServiceSpec['stop']>([
    makeSpec('x').stop,
    [
      { step: 'signal', signal: 'SIGINT', to: 'process' },
      { step: 'wait-exit', for: 3_000 },
    ],
    [
      { step: 'close-stdin' },
      { step: 'wait-exit', for: 2_000 },
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
      { step: 'wait-exit', for: 5_000 },
    ],
    [
      { step: 'signal', signal: 'SIGUSR1', to: 'process' },
      { step: 'wait-log', pattern: 'drained', for: 30_000 },
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
      { step: 'wait-exit', for: 10_000 },
    ],
    [],
  ])
}

/** One random service; `earlier` are those that it may need. */
export function randomSpec(
  dice: Dice,
  name: string,
  earlier: readonly ServiceSpec[],
  groups: readonly Group[],
): ServiceSpec {
  const isExternal = dice.chance(0.07)
  const isSession = isExternal && dice.chance(0.5)
  const isOneshot = !isExternal && dice.chance(0.12)
  const startTimeout = dice.pick([8_000, 20_000, 60_000])
  const needs: ServiceSpec['needs'] = []
  if (!isExternal && earlier.length > 0 && dice.chance(0.65)) {
    for (let i = dice.between(1, Math.min(3, earlier.length)); i > 0; i--) {
      const target = dice.pick(earlier)
      if (needs.some((need) => need.service === target.name)) continue
      const until = isRunToEnd(target) ? 'completed' : dice.pick(['ready', 'ready', 'started'] as const)
      needs.push({ service: target.name, until, restart: dice.chance(0.2) })
    }
  }
  return makeSpec(name, {
    kind: isSession ? 'session' : isExternal ? 'external' : 'daemon',
    program: isSession ? 'program' : null,
    command: isExternal ? null : isOneshot ? ['once'] : ['program'],
    group: groups.length > 0 && dice.chance(0.6) ? dice.pick(groups).name : null,
    needs,
    stdio: !isExternal && dice.chance(0.12) ? 'pipes' : 'log',
    restart: isOneshot
      ? 'transient'
      : dice.pick(['permanent', 'permanent', 'permanent', 'transient', 'temporary']),
    probes: isOneshot ? [] : isExternal ? [makeProbe('readiness')] : randomProbes(dice),
    stop: randomStop(dice),
    hangStop: dice.chance(0.2) ? [{ step: 'signal', signal: 'SIGKILL', to: 'group' }] : null,
    startTimeout,
    startTimeoutMax: startTimeout * dice.pick([1, 1, 5]),
    intensity: dice.pick([
      { max: 10, within: 600_000 },
      { max: 3, within: 600_000 },
      { max: 1, within: 60_000 },
    ]),
    killLimit: dice.chance(0.25)
      ? dice.pick([
          { max: 2, within: 300_000 },
          { max: 1, within: 600_000 },
        ])
      : null,
    enabled: !dice.chance(0.03),
    restartOn: dice.chance(0.3) ? 'binary' : 'never',
    hangEvidence: dice.chance(0.2),
  })
}

/** True for a service whose program ends by itself. */
export function isRunToEnd(spec: ServiceSpec): boolean {
  return spec.command?.[0] === 'once'
}

/** The program of a service. */
export function randomProgram(dice: Dice, spec: ServiceSpec): Program {
  const fault = 'none' as const
  return {
    startMs: dice.duration(50, 3_000),
    drainMs: dice.duration(5, 2_000),
    isOneshot: isRunToEnd(spec),
    fault,
  }
}

/** One random group; `earlier` are those that it may be inside of. */
export function randomGroup(dice: Dice, name: string, earlier: readonly Group[]): Group {
  const parent = earlier.length > 0 && dice.chance(0.4) ? dice.pick(earlier).name : null
  const strategy = dice.pick(['one_for_one', 'one_for_one', 'one_for_all', 'rest_for_one'] as const)
  const intensity = dice.chance(0.5)
    ? dice.pick([
        { max: 1, within: 60_000 },
        { max: 3, within: 600_000 },
        { max: 20, within: 600_000 },
      ])
    : null
  return { name, parent, strategy, intensity, nodes: [] }
}

/** A mesh of 6 to 16 services. */
export function randomMesh(dice: Dice): Plan {
  const groups: Group[] = []
  for (let i = dice.between(0, 3); i > 0; i--) groups.push(randomGroup(dice, `group${groups.length}`, groups))
  const specs: Plan['specs'] = []
  const programs = new Map<string, Program>()
  for (let i = dice.between(6, 16); i > 0; i--) {
    const earlier = specs.map(({ spec }) => spec)
    const spec = randomSpec(dice, `s${specs.length}`, earlier, groups)
    specs.push({ spec, hash: `${spec.name}-0` })
    programs.set(`${spec.name}-0`, randomProgram(dice, spec))
  }
  const startLimit = dice.pick([
    { burst: 1, perSecond: 0.5 },
    { burst: 3, perSecond: 1 },
    { burst: 5, perSecond: 4 },
  ])
  return { specs, groups, programs, startLimit }
}

/** The groups with what is directly inside them: in the order of the services, a group where its first one is. */
export function groupsOf({ specs, groups }: Pick<Plan, 'specs' | 'groups'>): Group[] {
  const parents = new Map(groups.map(({ name, parent }) => [name, parent]))
  const nodes = new Map(groups.map(({ name }) => [name, new Set<string>()]))
  for (const { spec } of specs) {
    let node = spec.name
    for (let group = spec.group; group !== null; group = parents.get(group) ?? null) {
      nodes.get(group)?.add(node)
      node = group
    }
  }
  return groups.map((group) => ({ ...group, nodes: [...(nodes.get(group.name) ?? [])] }))
}
