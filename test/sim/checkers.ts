/**
 * What must hold after every step, computed from the world and the records and not with the core's own rules.
 * A broken promise is thrown as a Violation; the seed that led to it replays it.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Effect } from '../../supervisor/core/effect.ts'
import type { Event, Row } from '../../supervisor/core/event.ts'
import type { Child, Process } from '../../supervisor/core/state.ts'
import type { Stepped } from '../../supervisor/core/step.ts'
import { ChangeCheckers } from './change-checkers.ts'
import { PaceCheckers } from './pace-checkers.ts'
import {
  awaited,
  isBusy,
  isHeld,
  isOver,
  isQuarantined,
  isReadyNow,
  isRefused,
  isUnwanted,
  NEEDS_TIMER,
  owesNothing,
  TIMERS,
  unmet,
} from './rules.ts'
import { TreeCheckers } from './tree-checkers.ts'
import type { World } from './world.ts'

/** A promise that was broken. */
export class Violation extends Error {}

/** An effect list longer than this for one fact is out of proportion. */
const MAX_EFFECTS_PER_CHILD = 30

/** States that an operator must hear of. */
const TROUBLED = new Set(['failed', 'blocked', 'missing', 'unknown', 'backoff', 'hung'])

type Budget = { endedAt: number | null; restarts: number[] }

export class Checkers {
  readonly #world: World
  #isStale = false
  #graceUntil = 0
  /** Services that an operator stopped, whatever the core says. */
  readonly #stopped = new Set<string>()
  readonly #budgets = new Map<string, Budget>()
  readonly #kills = new Map<string, { generation: number; at: number }[]>()
  /** Recorded processes that turned out to be another's or not provable: never to be signalled. */
  readonly #untouchable = new Map<string, string>()

  readonly #tree: TreeCheckers
  readonly #change: ChangeCheckers
  readonly #pace: PaceCheckers

  constructor(world: World) {
    this.#world = world
    this.#tree = new TreeCheckers(world, (text) => this.#fail(text))
    this.#change = new ChangeCheckers(world, (text) => this.#fail(text))
    this.#pace = new PaceCheckers(world, (text) => this.#fail(text))
  }

  #fail(text: string): never {
    throw new Violation(text)
  }

  /** A new supervisor. */
  begin(): void {
    this.#untouchable.clear()
    this.#tree.begin()
    this.#change.begin()
    this.#pace.begin()
    this.#graceUntil = 0
  }

  /** What was counted since the last flush is forgotten with it. */
  lostPower(): void {
    for (const known of [this.#budgets, this.#kills, this.#stopped]) known.clear()
    for (const { name, desired } of this.#world.rows.values())
      if (desired.kind === 'stopped') this.#stopped.add(name)
  }

  before(event: Event): void {
    this.#isStale = event.kind === 'child' && this.#isStaleFact(event)
  }

  #isStaleFact({ service, event }: Extract<Event, { kind: 'child' }>): boolean {
    const child = this.#world.mesh.children.get(service)
    if (!child) return true
    switch (event.kind) {
      case 'timer-fired':
        return child.timers[event.timer]?.token !== event.token
      case 'preflight-reported':
        return child.state.kind !== 'checking' || child.state.attempt !== event.attempt
      case 'spawned':
      case 'spawn-failed':
      case 'exited':
      case 'swept':
      case 'probe-reported':
      case 'log-seen':
        return child.generation !== event.generation
      default:
        return false
    }
  }

  /** Right after the step: what holds of the effects and the new records, even if the supervisor dies now. */
  after(event: Event, { effects, changes }: Stepped): void {
    const { children } = this.#world.mesh
    if (event.kind === 'child' && event.event.kind === 'identified')
      this.#noteVerdict(event.service, event.event)
    if (event.kind === 'host-woke') this.#graceUntil = event.at + 60_000
    if (this.#isStale && (changes.size > 0 || effects.some((effect) => effect.kind !== 'end'))) {
      const fact = event.kind === 'child' ? `${event.service} ${event.event.kind}` : event.kind
      this.#fail(`a stale fact was obeyed: ${fact}`)
    }
    if (effects.length > MAX_EFFECTS_PER_CHILD * (children.size + 1))
      this.#fail(`${effects.length} effects of one fact`)
    for (const effect of effects) {
      if (effect.kind === 'spawn') {
        this.#checkSpawn(effect)
        this.#tree.spawned(effect.service)
      }
      if (effect.kind === 'set-timer' && event.kind !== 'recovered') this.#checkTimer(effect, event.at)
      if (effect.kind === 'signal') this.#checkSignal(effect)
      if (effect.kind === 'sweep') this.#checkSweep(effect)
      if (effect.kind === 'adopt') this.#checkAdoption(effect)
    }
    this.#tree.after(event, { effects, changes })
    this.#change.after(event, { effects, changes })
    this.#pace.after(event, { effects, changes })
    for (const [name, before] of changes) {
      const child = children.get(name)
      if (!child) continue
      if (before) this.#checkDesired(event, before, child)
      this.#checkGrace(event, before, child)
      this.#checkTold(child)
    }
  }

  /** One that is due before it is set would ring again and again; a group's wait may be over when one joins it. */
  #checkTimer({ service, timer, at }: Extract<Effect, { kind: 'set-timer' }>, now: number): void {
    const state = this.#world.mesh.children.get(service)?.state
    if (at < now && !(state?.kind === 'failed' && state.by !== null))
      this.#fail(`${service}: its ${timer} timer is set for the past`)
  }

  #checkSpawn({ service, run, generation }: Extract<Effect, { kind: 'spawn' }>): void {
    const child = this.#world.mesh.children.get(service)
    if (child?.state.kind !== 'spawning' || child.state.run !== run || child.generation !== generation) {
      return this.#fail(`${service}: a start without its intent in the record`)
    }
    for (const proc of this.#world.processes.of(service)) {
      if (proc.isLeader)
        this.#fail(
          `${service}: a second process, pid ${proc.pid} of generation ${proc.generation} still lives`,
        )
      if (!proc.isNamed)
        this.#fail(
          `${service}: started while pid ${proc.pid}, left by generation ${proc.generation}, lives unnamed`,
        )
    }
    if (this.#stopped.has(service) && child.desired.kind === 'stopped')
      this.#fail(`${service}: started although the operator stopped it`)
    if (!child.spec.enabled || child.removed)
      this.#fail(`${service}: started although it is disabled or removed`)
    if (this.#world.mesh.wanted === 'down') this.#fail(`${service}: started while the mesh is down`)
    const missing = unmet(child, this.#world.mesh)
    if (missing.length > 0) this.#fail(`${service}: started although it needs ${missing.join(', ')}`)
  }

  #checkSignal({ service, process, generation }: Extract<Effect, { kind: 'signal' }>): void {
    const child = this.#world.mesh.children.get(service)
    if (!child || child.generation !== generation || child.state.kind !== 'stopping') {
      return this.#fail(`${service}: a signal outside of a stop`)
    }
    const why = this.#untouchable.get(process.run)
    if (why) this.#fail(`${service}: a signal to a process whose identity is ${why}`)
    const found = this.#world.processes.find(process.identity)
    if (found !== null && found !== 'stranger' && (found.service !== service || found.run !== process.run)) {
      this.#fail(`${service}: a signal to pid ${found.pid} of ${found.service}`)
    }
  }

  /** A sweep ends everything of a life, so the life must be over, and known to be. */
  #checkSweep({ service, process }: Extract<Effect, { kind: 'sweep' }>): void {
    if (this.#untouchable.get(process.run)?.startsWith('unknown'))
      this.#fail(`${service}: swept although its identity is unknown`)
    const found = this.#world.processes.lifeOf(process)
    if (found?.isLeader) this.#fail(`${service}: swept while pid ${found.pid} lives`)
  }

  /** What is adopted as the service is the process that was started, not one that it left behind. */
  #checkAdoption({ service, process }: Extract<Effect, { kind: 'adopt' }>): void {
    const found = this.#world.processes.lifeOf(process)
    if (found && !found.isLeader) this.#fail(`${service}: adopted pid ${found.pid}, which only is left over`)
  }

  /** In the minute after a wake no probe ends a process. */
  #checkGrace(event: Event, before: Child | undefined, child: Child): void {
    if (event.at >= this.#graceUntil || event.kind !== 'child' || event.event.kind !== 'probe-reported')
      return
    const { state } = child
    const isHung = state.kind === 'hung' || (state.kind === 'stopping' && state.cause === 'hung')
    if (before?.state.kind === 'running' && isHung) this.#fail(`${child.name}: judged right after a wake`)
  }

  /** No failure is silent, and none is told for ever. */
  #checkTold(child: Child): void {
    const { state, trouble, name } = child
    if (!isRefused(child, this.#world.mesh) && TROUBLED.has(state.kind) && trouble === null)
      this.#fail(`${name}: nobody was told that it is ${state.kind}`)
    if (state.kind === 'running' && state.readyAt !== null && isReadyNow(child) && trouble !== null)
      this.#fail(`${name}: still told as ${trouble} although it is well`)
  }

  #noteVerdict(service: string, { run, verdict }: { run: string; verdict: { kind: string } }): void {
    if (verdict.kind === 'foreign' || verdict.kind === 'unknown')
      this.#untouchable.set(run, `${verdict.kind} (${service})`)
    else this.#untouchable.delete(run)
  }

  #checkDesired(event: Event, before: Child, child: Child): void {
    if (before.desired === child.desired || isDeepStrictEqual(before.desired, child.desired)) return
    const isTimed =
      event.kind === 'child' && event.event.kind === 'timer-fired' && event.event.timer === 'unstop'
    if (event.kind !== 'operator-asked' && !isTimed)
      this.#fail(`${child.name}: ${event.kind} changed what the operator wants`)
  }

  /** The step's rows are in the journal: now they count. */
  saved(event: Event, { effects, changes }: Stepped): void {
    const { mesh, rows } = this.#world
    if (rows.size !== mesh.children.size)
      this.#fail('the journal has rows that the mesh has not, or the other way round')
    for (const child of mesh.children.values()) {
      if (rows.get(child.name) !== child) this.#fail(`${child.name}: changed without its row being saved`)
    }
    this.#tree.saved()
    this.#followOperator(event, effects)
    for (const [name, before] of changes) {
      const child = mesh.children.get(name)
      if (!child) {
        this.#stopped.delete(name)
        this.#budgets.delete(name)
      } else if (before) this.#followBudget(event, before, child)
    }
    for (const effect of effects) {
      if (effect.kind === 'spawn') this.#countRestart(effect.service)
      if (effect.kind === 'signal' && effect.signal === 'SIGKILL')
        this.#countKill(effect.service, effect.generation)
    }
    for (const child of mesh.children.values()) {
      if (this.#stopped.has(child.name) !== (child.desired.kind === 'stopped')) {
        this.#fail(`${child.name}: wanted ${child.desired.kind}, which is not the operator's last word`)
      }
    }
  }

  #followOperator(event: Event, effects: readonly Effect[]): void {
    if (
      event.kind === 'child' &&
      event.event.kind === 'timer-fired' &&
      event.event.timer === 'unstop' &&
      !this.#isStale
    ) {
      this.#stopped.delete(event.service)
      this.#budgets.delete(event.service)
    }
    if (event.kind !== 'operator-asked') return
    const answers = effects.filter((effect) => effect.kind === 'reply' || effect.kind === 'refuse')
    const [answer] = answers
    if (answers.length !== 1 || !answer) return this.#fail(`${answers.length} answers to one command`)
    if (answer.kind === 'refuse' || event.command.kind === 'down') return
    for (const name of answer.names) {
      if (event.command.kind === 'stop') this.#stopped.add(name)
      else {
        this.#stopped.delete(name)
        this.#budgets.delete(name)
      }
    }
  }

  #budget(service: string): Budget {
    let budget = this.#budgets.get(service)
    if (!budget) {
      budget = { endedAt: null, restarts: [] }
      this.#budgets.set(service, budget)
    }
    return budget
  }

  /** Notes the ends that nobody asked for. Giving up, a fatal exit and a new declaration begin a new account. */
  #followBudget({ at, ...event }: Event, before: Child, child: Child): void {
    const { state } = child
    const isNew = before.specHash !== child.specHash || before.nextSpec?.hash !== child.nextSpec?.hash
    if (isNew || state.kind === 'failed') this.#budgets.delete(child.name)
    else if (state.kind === 'idle') this.#budget(child.name).endedAt = null
    else if (before.state.kind === 'sweeping' && state.kind !== 'sweeping') {
      const { then, ending } = before.state
      const counts = then === 'retry' && ending.class !== 'planned' && ending.class !== 'fatal'
      this.#budget(child.name).endedAt = counts ? at : null
    } else if (event.kind === 'child' && event.event.kind === 'spawn-failed' && !event.event.permanent) {
      this.#budget(child.name).endedAt = at
    }
  }

  #countRestart(service: string): void {
    const budget = this.#budget(service)
    const intensity = this.#world.mesh.children.get(service)?.spec.intensity
    const { endedAt } = budget
    if (endedAt === null || !intensity) return
    budget.endedAt = null
    budget.restarts = [...budget.restarts.filter((at) => at > endedAt - intensity.within), endedAt]
    if (budget.restarts.length > intensity.max) {
      this.#fail(
        `${service}: ${budget.restarts.length} restarts in ${intensity.within} ms, the limit is ${intensity.max}`,
      )
    }
  }

  /** Kills by the supervisor's own decision: of a hung process, or of one that did not start in time. */
  #countKill(service: string, generation: number): void {
    const child = this.#world.mesh.children.get(service)
    const limit = child?.spec.killLimit
    if (!limit || child.state.kind !== 'stopping') return
    if (child.state.cause !== 'hung' && child.state.cause !== 'start-timeout') return
    const { at } = this.#world
    // Added, as who sets a timer to that moment adds it: a difference of fractions may come out a bit less.
    const kills = (this.#kills.get(service) ?? []).filter((kill) => kill.at + limit.within > at)
    if (!kills.some((kill) => kill.generation === generation)) kills.push({ generation, at })
    this.#kills.set(service, kills)
    if (kills.length > limit.max)
      this.#fail(`${service}: ${kills.length} kills in ${limit.within} ms, the limit is ${limit.max}`)
  }

  /** The step's effects are under way: nothing may be stuck. */
  performed(): void {
    for (const child of this.#world.mesh.children.values()) {
      this.#checkTimers(child)
      this.#checkProgress(child)
    }
  }

  #checkTimers(child: Child): void {
    const armed = this.#world.answers.timers.get(child.name)
    const allowed = TIMERS[child.state.kind]
    let count = 0
    for (const timer in child.timers) {
      count++
      const token = child.timers[timer as keyof Child['timers']]?.token
      if (armed?.get(timer) !== token)
        this.#fail(`${child.name}: its ${timer} timer is in the record but not set`)
      if (timer !== 'unstop' && !allowed.includes(timer))
        this.#fail(`${child.name}: a ${timer} timer in ${child.state.kind}`)
    }
    if ((armed?.size ?? 0) !== count)
      this.#fail(`${child.name}: a timer is set that the record does not know`)
    if (NEEDS_TIMER.has(child.state.kind) && !allowed.some((timer) => timer in child.timers)) {
      this.#fail(`${child.name}: stuck in ${child.state.kind}, without its timer`)
    }
  }

  #checkProgress(child: Child): void {
    const { state, name } = child
    const { mesh, answers } = this.#world
    const isWanted = !isUnwanted(child, mesh)
    switch (state.kind) {
      case 'idle':
        if (isWanted && !isOver(child)) this.#fail(`${name}: stuck, wanted but idle (${state.why})`)
        return
      case 'spawning':
        if (!answers.spawning.has(`${name}/${child.generation}`))
          this.#fail(`${name}: stuck in spawning, nobody starts it`)
        return
      case 'adopting':
        if (!answers.identifying.has(`${name}/${state.run}`))
          this.#fail(`${name}: stuck in adopting, nobody looks`)
        return
      case 'waiting':
        if (isWanted && unmet(child, mesh).length === 0 && awaited(child, mesh).length === 0)
          this.#fail(`${name}: stuck in waiting, all its needs are met`)
        break
      case 'observing':
        if (child.spec.command !== null) this.#fail(`${name}: only watched, although it is ours to run`)
        if (!answers.isProbedBy(name, child.spec.probes))
          this.#fail(`${name}: watched by the probes of an old declaration`)
        break
      case 'starting':
      case 'running':
      case 'hung':
        this.#checkLife(child, state.process)
        break
      case 'stopping':
      case 'sweeping':
      case 'unknown':
        return
      case 'failed':
        // It gave up with its group, which tries again with all of its services.
        if (state.by !== null && !isRefused(child, mesh) && isQuarantined(child, mesh)) return
        break
      default:
    }
    if (!isWanted && owesNothing(child, mesh))
      this.#fail(`${name}: stuck in ${state.kind} although it is not wanted`)
  }

  #checkLife(child: Child, process: Process): void {
    const { answers } = this.#world
    const { name, state } = child
    if (!answers.isBelievable(name, child.generation, process))
      this.#fail(`${name}: ${state.kind} without a process, and nobody will say so`)
    if (state.kind === 'starting' && !child.timers.budget) this.#fail(`${name}: starting without a budget`)
    const isGated = child.spec.probes.some((probe) => probe.role === 'readiness' || probe.role === 'liveness')
    if (isGated && !answers.isProbed(name)) this.#fail(`${name}: ${state.kind}, but its probes are closed`)
    if (child.nextSpec && !isUnwanted(child, this.#world.mesh))
      this.#fail(`${name}: runs on although its declaration changed`)
  }

  /** What the journal gives back is what was put in. */
  replay(rows: readonly Row[]): void {
    for (const { child } of rows) {
      if (!isDeepStrictEqual(child, this.#world.rows.get(child.name)))
        this.#fail(`${child.name}: its row does not replay`)
    }
  }

  /** Right after `recovered`: the children are those of the rows, but for what a new supervisor must find out. */
  rebuilt(rows: readonly Row[]): void {
    for (const { child } of rows) {
      const now = this.#world.mesh.children.get(child.name)
      if (!now) continue
      const same = [
        'spec',
        'desired',
        'generation',
        'counters',
        'seen',
        'removed',
        'lastEnding',
        'leftovers',
        'joint',
        'proven',
        'trial',
        'rejected',
        'since',
      ] as const
      for (const field of same) {
        if (!isDeepStrictEqual(now[field], child[field]))
          this.#fail(`${child.name}: ${field} is not as recorded after recovery`)
      }
      if (isBusy(child) && now.state.kind !== 'adopting')
        this.#fail(`${child.name}: ${child.state.kind} became ${now.state.kind} unseen`)
    }
  }

  /** `end`: nothing of ours lives, but what was named or cannot be proven. */
  ended(): void {
    for (const proc of this.#world.processes.all()) {
      const state = this.#world.mesh.children.get(proc.service)?.state
      if (proc.isNamed || (state?.kind === 'unknown' && state.run === proc.run)) continue
      this.#fail(`${proc.service}: pid ${proc.pid} outlives \`down\``)
    }
  }

  /** Long after the last fault: what is wanted and can be up, is up. */
  converged(): void {
    const { mesh, plan } = this.#world
    for (const child of mesh.children.values()) {
      const { state, name } = child
      const declared = plan.specs.find(({ spec }) => spec.name === name)
      if (child.removed || !declared) this.#fail(`${name}: is not declared and still there (${state.kind})`)
      if (declared?.hash !== child.specHash) this.#fail(`${name}: runs an old declaration`)
      if (isRefused(child, mesh)) {
        if (state.kind !== 'idle') this.#fail(`${name}: not wanted, yet ${state.kind}`)
        continue
      }
      if (!isOver(child) && !isHeld(child, mesh) && !isReadyNow(child))
        this.#fail(`${name}: wanted and possible, yet ${state.kind}`)
    }
    for (const proc of this.#world.processes.all()) {
      const child = mesh.children.get(proc.service)
      const isTheirs = child && 'process' in child.state && child.state.process.run === proc.run
      if (!proc.isNamed && !isTheirs) this.#fail(`${proc.service}: pid ${proc.pid} belongs to no life`)
    }
  }
}
