/**
 * A virtual world around the real core: two clocks, a queue of what is going to happen, a process table, and a
 * supervisor that can be thrown away at any moment. Facts go in one at a time; after each step the rows of the
 * changed children are saved, then the effects are performed, as the driver does it.
 */
import type { Effect } from '../../supervisor/core/effect.ts'
import type { Command, Event, Fact, Row } from '../../supervisor/core/event.ts'
import type { Breaker, Child, Mesh } from '../../supervisor/core/state.ts'
import type { emptyMesh, Stepped, step } from '../../supervisor/core/step.ts'
import { Answers } from './answers.ts'
import { Checkers, Violation } from './checkers.ts'
import type { Dice } from './dice.ts'
import { groupsOf, type Plan } from './mesh.ts'
import { ProcessTable } from './process-table.ts'
import { Queue } from './queue.ts'

/** The core under test: the real one, or a mutant of it. */
export type Core = { readonly step: typeof step; readonly emptyMesh: typeof emptyMesh }

/** What is wrong with one service at the moment; each lasts until an awake instant. */
export type Trouble = {
  crashUntil: number
  crashCode: number | null
  /** Every new life hangs some time after its start. */
  hangUntil: number
  slowUntil: number
  isProgressing: boolean
  preflightUntil: number
  preflight: 'fail' | 'unknown' | 'absent' | 'hang'
  spawnUntil: number
  isSpawnPermanent: boolean
  brokenUntil: number
  deafUntil: number
  leakyUntil: number
  stubbornUntil: number
  sweepUntil: number
  downUntil: number
  unreadableUntil: number
}

const NO_TROUBLE: Trouble = {
  crashUntil: 0,
  crashCode: 1,
  hangUntil: 0,
  slowUntil: 0,
  isProgressing: false,
  preflightUntil: 0,
  preflight: 'fail',
  spawnUntil: 0,
  isSpawnPermanent: false,
  brokenUntil: 0,
  deafUntil: 0,
  leakyUntil: 0,
  stubbornUntil: 0,
  sweepUntil: 0,
  downUntil: 0,
  unreadableUntil: 0,
}

/**
 * Where in a step the supervisor dies: before the rows are saved, or after, with so many effects performed.
 * `state`: not before a step that brings a service into this state; null = in the next step.
 */
export type Crash = {
  readonly isBeforeSave: boolean
  readonly performed: number
  readonly state: Child['state']['kind'] | null
}

/** More facts than this in a virtual day is a livelock, not a story. */
const MAX_STEPS_PER_DAY = 400_000
const DAY_MS = 86_400_000

export class World {
  dice: Dice
  readonly plan: Plan
  readonly core: Core
  readonly queue = new Queue()
  readonly processes: ProcessTable
  readonly answers: Answers
  readonly checkers: Checkers
  readonly story: string[] = []
  readonly tellsAll: boolean
  readonly #trouble = new Map<string, Trouble>()
  at = 0
  wallOffset = 1_750_000_000_000
  steps = 0
  /** Number of the supervisor's life; null while there is none. */
  life: number | null = null
  lives = 0
  mesh: Mesh
  /** The journal: the last saved record of every service, and whether the mesh is to be up. */
  rows = new Map<string, Child>()
  wanted: 'up' | 'down' = 'up'
  breakers = new Map<string, Breaker>()
  #nextEventId = 1
  #request = 0
  #crash: Crash | null = null
  /** True while the operator wants a supervisor: a dead one is started again. */
  isKept = true
  /** Until then the journal's database takes nothing; its spool does. */
  journalFailsUntil = 0
  /** What a power cut leaves of the journal: all up to the last commit that was flushed. */
  #durable: { rows: Map<string, Child>; breakers: Map<string, Breaker>; nextEventId: number } | null = null
  /** True after the last fault. */
  isCalm = false

  constructor(dice: Dice, plan: Plan, core: Core, tellsAll = false) {
    this.dice = dice
    this.plan = plan
    this.core = core
    this.tellsAll = tellsAll
    this.processes = new ProcessTable(dice)
    this.answers = new Answers(this)
    this.checkers = new Checkers(this)
    this.mesh = core.emptyMesh(1, [1, 2, 3, 4], plan.startLimit)
  }

  get wall(): number {
    return this.wallOffset + this.at
  }

  trouble(service: string): Trouble {
    let found = this.#trouble.get(service)
    if (!found) {
      found = { ...NO_TROUBLE }
      this.#trouble.set(service, found)
    }
    return found
  }

  /**
   * Nothing is wrong with any service any more, except that a process which hangs under a liveness probe hangs
   * for ever: the supervisor has to replace it.
   */
  endTroubles(): void {
    this.#crash = null
    this.isCalm = true
    this.journalFailsUntil = 0
    this.#trouble.clear()
    for (const program of this.plan.programs.values()) program.fault = 'none'
    for (const proc of this.processes.all()) {
      const child = this.mesh.children.get(proc.service)
      const isJudged =
        child?.state.kind === 'running' &&
        child.state.readyAt !== null &&
        child.spec.probes.some((probe) => probe.role === 'liveness')
      if (proc.hungUntil > this.at) proc.hungUntil = isJudged ? Number.POSITIVE_INFINITY : this.at
      if (proc.readyAt === Number.POSITIVE_INFINITY) proc.readyAt = this.at
      proc.notReadyUntil = Math.min(proc.notReadyUntil, this.at)
      proc.stubbornUntil = Math.min(proc.stubbornUntil, this.at)
    }
  }

  /** Something that draws from chance of its own. */
  withDice(dice: Dice, run: () => void): void {
    const { dice: own } = this
    this.dice = dice
    try {
      run()
    } finally {
      this.dice = own
    }
  }

  /** A line of the story. */
  tell(text: string): void {
    const seconds = this.at / 1000
    const clock = `${String(Math.floor(seconds / 86_400))}d ${[seconds / 3600, seconds / 60, seconds]
      .map((part, i) => String(Math.floor(part) % (i === 0 ? 24 : 60)).padStart(2, '0'))
      .join(':')}.${String(Math.floor(this.at) % 1000).padStart(3, '0')}`
    const line = `${clock}  ${text}`
    this.story.push(line)
    if (!this.tellsAll && this.story.length > 400) this.story.splice(0, 200)
  }

  /** Something that happens in the world whoever supervises it. */
  later(ms: number, run: () => void): void {
    this.queue.push(this.at + ms, run)
  }

  /** Something that the present supervisor does; lost with it. */
  ours(ms: number, run: () => void): void {
    const { life } = this
    this.queue.push(this.at + ms, () => {
      if (this.life === life && life !== null) run()
    })
  }

  /** How long the shell takes for something: mostly short, sometimes not. */
  latency(): number {
    return this.dice.chance(0.03) ? this.dice.duration(200, 8_000) : this.dice.between(1, 40)
  }

  /** Runs until this awake instant. */
  runUntil(end: number): void {
    while (this.queue.nextAt <= end) {
      const job = this.queue.pop()
      if (!job) break
      this.at = Math.max(this.at, job.at)
      job.run()
    }
    this.at = end
  }

  /** A new supervisor: the rows, then the document unless the mesh is to be down. */
  startSupervisor(): void {
    if (this.life !== null) return
    this.life = ++this.lives
    const word = () => this.dice.between(1, 0x7fff_ffff)
    const random = [word(), word(), word(), word()] as const
    this.mesh = this.core.emptyMesh(this.#nextEventId, random, this.plan.startLimit)
    this.tell(`-- supervisor ${this.life} begins, the mesh is wanted ${this.wanted}`)
    this.answers.begin()
    this.checkers.begin()
    const rows: Row[] = JSON.parse(JSON.stringify([...this.rows.values()].map((child) => ({ child }))))
    this.checkers.replay(rows)
    const breakers = JSON.parse(JSON.stringify(Object.fromEntries(this.breakers)))
    this.dispatch({ kind: 'recovered', rows, breakers, wanted: this.wanted })
    if (this.wanted === 'up') this.declare()
  }

  /** The document is read and applied. */
  declare(retry = false): void {
    this.dispatch({
      kind: 'declared',
      specs: this.plan.specs,
      groups: groupsOf(this.plan),
      retry,
      preflight: {},
    })
  }

  /** An operator's command; lost if nobody listens. */
  ask(command: Command): void {
    this.tell(`-- operator: ${JSON.stringify(command)}`)
    this.dispatch({ kind: 'operator-asked', request: ++this.#request, command })
  }

  /** The operator wants the mesh up. */
  askUp(retry = false): void {
    this.tell('-- operator: up')
    this.wanted = 'up'
    this.isKept = true
    if (this.life === null) this.startSupervisor()
    this.declare(retry)
  }

  /** The supervisor dies at the next step. */
  planCrash(crash: Crash): void {
    this.#crash = crash
  }

  /** The supervisor is gone now; its keeper starts another one soon. */
  crash(): void {
    if (this.life === null) return
    this.tell(`-- supervisor ${this.life} dies`)
    this.endLife()
    this.answers.breakPipes()
    this.later(this.dice.duration(100, 60_000), () => {
      if (this.isKept) this.startSupervisor()
    })
  }

  /** The journal falls back to what was flushed. */
  losePower(): void {
    if (this.#durable === null) return
    this.rows = new Map(this.#durable.rows)
    this.breakers = new Map(this.#durable.breakers)
    this.#nextEventId = this.#durable.nextEventId
    this.checkers.lostPower()
  }

  /** No supervisor any more. */
  endLife(): void {
    this.life = null
    this.#crash = null
  }

  /** One fact: step, save, perform. Nothing here calls it again. */
  dispatch(fact: Fact): void {
    if (this.life === null) return
    const event: Event = { ...fact, at: this.at, wall: this.wall }
    this.answers.remember(fact)
    if (++this.steps > MAX_STEPS_PER_DAY * (1 + this.at / DAY_MS))
      throw new Violation('livelock: the facts do not end')
    this.checkers.before(event)
    const stepped = this.core.step(this.mesh, event)
    this.#nextEventId = this.mesh.nextEventId
    for (const effect of stepped.effects)
      if (effect.kind === 'record') this.tell(`${effect.subject}: ${effect.text}`)
    this.checkers.after(event, stepped)
    if (fact.kind === 'recovered') this.checkers.rebuilt(fact.rows)
    const crash = this.#dueCrash(stepped)
    if (crash?.isBeforeSave) return this.crash()
    this.#save(stepped.changes.keys(), stepped.effects)
    // What an operator wants is committed with a flush, and with it all that was committed before.
    if (fact.kind === 'operator-asked' || fact.kind === 'declared')
      this.#durable = {
        rows: new Map(this.rows),
        breakers: new Map(this.breakers),
        nextEventId: this.#nextEventId,
      }
    this.checkers.saved(event, stepped)
    const performed = crash ? stepped.effects.slice(0, crash.performed) : stepped.effects
    for (const effect of performed) this.answers.perform(effect)
    if (crash) return this.crash()
    if (fact.kind !== 'recovered') this.checkers.performed()
    if (stepped.effects.some((effect) => effect.kind === 'end')) this.#end()
  }

  #dueCrash({ changes }: Stepped): Crash | null {
    const crash = this.#crash
    if (!crash) return null
    const { state } = crash
    const isDue =
      state === null || changes.keys().some((name) => this.mesh.children.get(name)?.state.kind === state)
    if (isDue) this.#crash = null
    return isDue ? crash : null
  }

  #save(names: Iterable<string>, effects: readonly Effect[]): void {
    for (const name of names) {
      const child = this.mesh.children.get(name)
      if (child) this.rows.set(name, child)
    }
    for (const effect of effects) {
      if (effect.kind === 'forget') this.rows.delete(effect.service)
      if (effect.kind === 'record-wanted') this.wanted = effect.wanted
      if (effect.kind !== 'record-breaker') continue
      if (effect.breaker === null) this.breakers.delete(effect.group)
      else this.breakers.set(effect.group, effect.breaker)
    }
  }

  #end(): void {
    this.checkers.ended()
    this.tell(`-- supervisor ${this.life} ends`)
    this.isKept = false
    this.endLife()
  }
}
