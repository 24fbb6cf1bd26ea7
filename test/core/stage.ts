/** A mesh on a stage: the real core, driven fact by fact in virtual time, for tests of single transitions. */
import type { ServiceSpec } from '../../schemas/service.ts'
import type { Effect } from '../../supervisor/core/effect.ts'
import type {
  ChildEvent,
  Command,
  Fact,
  PreflightResult,
  ProbeOutcome,
  Row,
} from '../../supervisor/core/event.ts'
import type { Breaker, Child, ChildState, Group, Identity, TimerName } from '../../supervisor/core/state.ts'
import { emptyMesh, step } from '../../supervisor/core/step.ts'

export const PASS: ProbeOutcome = { kind: 'pass', note: null }
export const FAIL: ProbeOutcome = { kind: 'fail', reason: 'no answer', progress: false }
export const UNKNOWN: ProbeOutcome = { kind: 'unknown', reason: 'the prober was late' }

/** The identity that the stage gives to a generation of any service. */
export function identityOf(generation: number): Identity {
  return { boot: 'boot', pid: 1000 + generation, start: String(generation) }
}

export class Stage {
  mesh = emptyMesh(1, [1, 2, 3, 4])
  at = 1_000
  wall = 1_750_000_000_000
  /** What the last fact led to. */
  effects: readonly Effect[] = []
  /** Everything since the beginning, or since `forget`. */
  all: Effect[] = []
  #groups: readonly Group[]
  /** The journal's breakers: what outlives the supervisor. */
  readonly #breakers = new Map<string, Breaker>()
  #request = 0

  constructor(specs: readonly ServiceSpec[], groups: readonly Group[] = []) {
    this.#groups = groups
    this.declare(specs)
  }

  fact(fact: Fact): this {
    const { effects } = step(this.mesh, { ...fact, at: this.at, wall: this.wall })
    this.effects = effects
    this.all.push(...effects)
    for (const effect of effects) {
      if (effect.kind !== 'record-breaker') continue
      if (effect.breaker === null) this.#breakers.delete(effect.group)
      else this.#breakers.set(effect.group, effect.breaker)
    }
    return this
  }

  /** The document, each service with the JSON of its spec as its hash. */
  declare(
    specs: readonly ServiceSpec[],
    {
      groups = this.#groups,
      retry = false,
      preflight = {},
    }: { groups?: readonly Group[]; retry?: boolean; preflight?: Record<string, PreflightResult[]> } = {},
  ): this {
    this.#groups = groups
    const declared = specs.map((spec) => ({ spec, hash: JSON.stringify(spec) }))
    return this.fact({ kind: 'declared', specs: declared, groups, retry, preflight })
  }

  tell(service: string, event: ChildEvent): this {
    return this.fact({ kind: 'child', service, event })
  }

  ask(command: Command): this {
    return this.fact({ kind: 'operator-asked', request: ++this.#request, command })
  }

  start(name: string): this {
    return this.ask({ kind: 'start', name })
  }

  stop(name: string, over: { forMs?: number; withDependents?: boolean; now?: boolean } = {}): this {
    return this.ask({ kind: 'stop', name, forMs: null, withDependents: false, now: false, ...over })
  }

  restart(name: string): this {
    return this.ask({ kind: 'restart', name, now: false, preflight: {} })
  }

  /** Both clocks go on. */
  pass(ms: number): this {
    this.at += ms
    this.wall += ms
    return this
  }

  child(name: string): Child {
    const child = this.mesh.children.get(name)
    if (!child) throw new Error(`no ${name} on the stage`)
    return child
  }

  kind(name: string): ChildState['kind'] {
    return this.child(name).state.kind
  }

  /** The child's state, which must be of this kind. */
  state<K extends ChildState['kind']>(name: string, kind: K): Extract<ChildState, { kind: K }> {
    const { state } = this.child(name)
    if (state.kind !== kind) throw new Error(`${name} is ${state.kind}, not ${kind}`)
    return state as Extract<ChildState, { kind: K }>
  }

  /** The effects of the last fact of this kind. */
  done<K extends Effect['kind']>(kind: K): Extract<Effect, { kind: K }>[] {
    return this.effects.filter((effect) => effect.kind === kind) as Extract<Effect, { kind: K }>[]
  }

  /** How often this was intended since the beginning or since `forget`. */
  count(kind: Effect['kind'], service?: string): number {
    return this.all.filter(
      (effect) => effect.kind === kind && (!service || ('service' in effect && effect.service === service)),
    ).length
  }

  forget(): this {
    this.all = []
    return this
  }

  /** The preflights of a checking child answer. */
  checked(name: string, outcome: 'pass' | 'fail' | 'unknown' | 'absent' = 'pass'): this {
    const { attempt } = this.state(name, 'checking')
    const results = [{ check: 'program', outcome, reason: `program: ${outcome}` }]
    return this.tell(name, { kind: 'preflight-reported', attempt, results })
  }

  /** From checking to a living process. */
  spawned(name: string): this {
    if (this.kind(name) === 'checking') this.checked(name)
    const { generation } = this.child(name)
    return this.tell(name, { kind: 'spawned', generation, identity: identityOf(generation), logOffset: 0 })
  }

  /** From checking to ready: startup, then readiness probes pass. */
  up(name: string): this {
    this.spawned(name)
    for (const role of ['startup', 'readiness'] as const) {
      for (const probe of this.child(name).spec.probes) {
        if (probe.role !== role) continue
        for (let i = 0; i < probe.successThreshold; i++)
          this.probe(name, probe.name ?? `${probe.kind}-${role}`, PASS)
      }
    }
    return this
  }

  probe(name: string, probe: string, outcome: ProbeOutcome, times = 1): this {
    for (let i = 0; i < times; i++) {
      this.tell(name, { kind: 'probe-reported', generation: this.child(name).generation, probe, outcome })
    }
    return this
  }

  exited(name: string, code: number | null = 1, signal: string | null = null, logTail = ''): this {
    return this.tell(name, {
      kind: 'exited',
      generation: this.child(name).generation,
      exit: { code, signal },
      logTail,
    })
  }

  swept(name: string, left: readonly string[] = []): this {
    return this.tell(name, { kind: 'swept', generation: this.child(name).generation, left })
  }

  /** It ends and what it left is swept. */
  ended(name: string, code: number | null = 1): this {
    return this.exited(name, code).swept(name)
  }

  /** Goes on to this timer's instant and lets it fire. */
  fire(name: string, timer: TimerName): this {
    const set = this.child(name).timers[timer]
    if (!set) throw new Error(`${name} has no ${timer} timer (${this.kind(name)})`)
    this.pass(Math.max(0, set.at - this.at))
    return this.tell(name, { kind: 'timer-fired', timer, token: set.token })
  }

  /** From checking, backoff, blocked or failed on until it is ready again. */
  recover(name: string): this {
    const kind = this.kind(name)
    if (kind === 'backoff') this.fire(name, 'backoff')
    if (kind === 'blocked' || kind === 'failed') this.fire(name, 'retry')
    return this.up(name)
  }

  /** The supervisor dies and another one begins with the rows and the breakers; the document comes with `declare`. */
  crash(): this {
    const rows: Row[] = JSON.parse(
      JSON.stringify([...this.mesh.children.values()].map((child) => ({ child }))),
    )
    const { wanted, nextEventId } = this.mesh
    this.mesh = emptyMesh(nextEventId, [5, 6, 7, 8])
    const breakers: Record<string, Breaker> = JSON.parse(JSON.stringify(Object.fromEntries(this.#breakers)))
    return this.fact({ kind: 'recovered', breakers, rows, wanted })
  }

  /** The shell says who the recorded process is. */
  identified(name: string, verdict: 'same' | 'dead' | 'orphaned' | 'foreign' | 'unknown'): this {
    const { state, generation } = this.child(name)
    if (state.kind !== 'adopting' && state.kind !== 'unknown') throw new Error(`${name} is ${state.kind}`)
    const identity = state.identity ?? identityOf(generation)
    const verdicts = {
      same: { kind: 'same', identity, startedWall: this.wall },
      dead: { kind: 'dead' },
      orphaned: { kind: 'orphaned', identity: identityOf(500) },
      foreign: { kind: 'foreign', pid: identity.pid },
      unknown: { kind: 'unknown', reason: 'permission denied' },
    } as const
    return this.tell(name, { kind: 'identified', run: state.run, verdict: verdicts[verdict] })
  }
}
