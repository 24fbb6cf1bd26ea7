/** The fake shell: every effect of the core is answered by the world, late, in any order, or not at all. */
import type { ProbeSpec } from '../../schemas/service.ts'
import type { Effect } from '../../supervisor/core/effect.ts'
import type {
  ChildEvent,
  Fact,
  IdentityVerdict,
  PreflightResult,
  ProbeOutcome,
} from '../../supervisor/core/event.ts'
import type { Process } from '../../supervisor/core/state.ts'
import { CODES } from './mesh.ts'
import { identityOf, type Proc } from './process-table.ts'
import type { World } from './world.ts'

type Of<K extends Effect['kind']> = Extract<Effect, { kind: K }>
type Series = {
  readonly probe: ProbeSpec
  readonly name: string
  readonly generation: number
  streak: number
  last: string
  isAsleep: boolean
}

/** A liveness probe without one of these beside it would only end what is still starting; nobody declares that. */
const isGate = ({ role }: ProbeSpec) => role === 'startup' || role === 'readiness'

/** Old facts that a fault may deliver again. */
const REMEMBERED = 64

export class Answers {
  readonly #world: World
  readonly timers = new Map<string, Map<string, number>>()
  readonly spawning = new Set<string>()
  readonly identifying = new Set<string>()
  readonly #watched = new Set<string>()
  readonly #probes = new Map<string, Series[]>()
  readonly #past: Extract<Fact, { kind: 'child' }>[] = []

  constructor(world: World) {
    this.#world = world
  }

  /** A new supervisor knows nothing of the last one's timers, watches and probes. */
  begin(): void {
    this.timers.clear()
    this.spawning.clear()
    this.identifying.clear()
    this.#watched.clear()
    this.#probes.clear()
    this.#past.length = 0
  }

  remember(fact: Fact): void {
    if (fact.kind !== 'child' || fact.event.kind === 'identified') return
    if (this.#past.length < REMEMBERED) this.#past.push(fact)
    else this.#past[this.#world.dice.between(0, REMEMBERED - 1)] = fact
  }

  /** A fact that was delivered before, once more. */
  repeatFact(): void {
    if (this.#past.length === 0) return
    const fact = this.#world.dice.pick(this.#past)
    this.#world.dispatch(fact)
    this.wakeProbes(fact.service)
  }

  #fact(service: string, event: ChildEvent, ms = this.#world.latency()): void {
    this.#world.ours(ms, () => this.#world.dispatch({ kind: 'child', service, event }))
  }

  perform(effect: Effect): void {
    switch (effect.kind) {
      case 'run-preflight':
        return this.#preflight(effect)
      case 'spawn':
        return this.#spawn(effect)
      case 'signal':
        return this.#signal(effect)
      case 'close-stdin':
        return this.#closeStdin(effect)
      case 'watch-log':
        return this.#watchLog(effect)
      case 'sweep':
        return this.#sweep(effect)
      case 'identify':
        return this.#identify(effect)
      case 'adopt':
        return this.#adopt(effect)
      case 'open-probes':
        return this.#openProbes(effect)
      case 'close-probes':
        this.#probes.delete(effect.service)
        return
      case 'set-timer':
        return this.#setTimer(effect)
      case 'cancel-timer':
        this.timers.get(effect.service)?.delete(effect.timer)
        return
      default:
    }
  }

  #setTimer({ service, timer, token, at }: Of<'set-timer'>): void {
    const { dice } = this.#world
    let armed = this.timers.get(service)
    if (!armed) {
      armed = new Map()
      this.timers.set(service, armed)
    }
    armed.set(timer, token)
    const isRacing = dice.chance(0.05)
    this.#world.ours(Math.max(0, at - this.#world.at) + dice.between(0, 15), () => {
      const isArmed = this.timers.get(service)?.get(timer) === token
      if (!isArmed && !isRacing) return
      if (isArmed) this.timers.get(service)?.delete(timer)
      this.#world.dispatch({ kind: 'child', service, event: { kind: 'timer-fired', timer, token } })
    })
  }

  #preflight({ service, attempt }: Of<'run-preflight'>): void {
    const trouble = this.#world.trouble(service)
    const isBad = trouble.preflightUntil > this.#world.at
    if (isBad && trouble.preflight === 'hang') {
      if (this.#world.dice.chance(0.5))
        this.#fact(service, { kind: 'preflight-reported', attempt, results: [] }, 130_000)
      return
    }
    const outcome = isBad && trouble.preflight !== 'hang' ? trouble.preflight : 'pass'
    const results: PreflightResult[] = [{ check: 'program', outcome, reason: `program ${outcome}` }]
    this.#fact(service, { kind: 'preflight-reported', attempt, results })
  }

  #spawn({ service, generation, run }: Of<'spawn'>): void {
    const world = this.#world
    const { dice } = world
    const key = `${service}/${generation}`
    this.spawning.add(key)
    const trouble = world.trouble(service)
    const state = world.mesh.children.get(service)?.state
    const isReplacement = state?.kind === 'spawning' && (state.cause === 'crash' || state.cause === 'hung')
    const isHeld = world.journalFailsUntil > world.at && !isReplacement
    if (trouble.spawnUntil > world.at || isHeld) {
      const permanent = isHeld || trouble.isSpawnPermanent
      world.ours(world.latency(), () => {
        this.spawning.delete(key)
        const event = { kind: 'spawn-failed', generation, reason: 'cannot be executed', permanent } as const
        world.dispatch({ kind: 'child', service, event })
      })
      return
    }
    const proc = this.#launch(service, generation, run)
    this.#watched.add(key)
    world.ours(world.latency(), () => {
      this.spawning.delete(key)
      const event = { kind: 'spawned', generation, identity: identityOf(proc), logOffset: 0 } as const
      world.dispatch({ kind: 'child', service, event })
      if (proc.exit) this.#reportExit(service, generation, proc.exit)
      else if (dice.chance(0.002) && !world.isCalm) this.exit(proc, CODES.failure, null)
    })
  }

  #launch(service: string, generation: number, run: string): Proc {
    const world = this.#world
    const { dice, at } = world
    const trouble = world.trouble(service)
    const spec = world.mesh.children.get(service)?.spec
    const program = world.plan.programs.get(world.mesh.children.get(service)?.specHash ?? '')
    const drainMs = program?.drainMs ?? 100
    const isSlow = trouble.slowUntil > at
    const shared = { service, generation, run, drainMs, isProgressing: isSlow && trouble.isProgressing }
    const proc = world.processes.add({
      ...shared,
      isLeader: true,
      ownsPipes: spec?.stdio === 'pipes',
      readyAt:
        program?.fault === 'never-ready'
          ? Number.POSITIVE_INFINITY
          : isSlow
            ? at + dice.duration(20_000, 400_000)
            : at + (program?.startMs ?? 100),
      hungUntil: 0,
      notReadyUntil: 0,
      ignoresTerm: trouble.deafUntil > at,
      stubbornUntil: trouble.stubbornUntil > at ? trouble.stubbornUntil : 0,
    })
    if (trouble.leakyUntil > at) {
      for (let i = dice.between(1, 3); i > 0; i--)
        world.processes.add({ ...proc, isLeader: false, ownsPipes: false })
    }
    if (trouble.hangUntil > at) {
      world.later(dice.duration(500, 60_000), () => {
        proc.hungUntil = trouble.hangUntil
        this.wakeProbes(service)
      })
    }
    if (trouble.crashUntil > at) {
      world.later(dice.duration(3, 20_000), () =>
        this.exit(proc, trouble.crashCode, trouble.crashCode === null ? 'SIGSEGV' : null),
      )
    } else if (program?.fault === 'crashes') {
      world.later(dice.duration(3, 5_000), () => this.exit(proc, CODES.failure, null))
    } else if (program?.isOneshot) world.later(dice.duration(100, 20_000), () => this.exit(proc, 0, null))
    return proc
  }

  /** A process ends. */
  exit(proc: Proc, code: number | null, signal: string | null): void {
    if (!proc.isAlive) return
    proc.exit = { code, signal }
    this.#world.processes.remove(proc)
    const { service, generation } = proc
    if (!proc.isLeader || !this.#watched.has(`${service}/${generation}`)) return
    this.wakeProbes(service)
    if (!this.spawning.has(`${service}/${generation}`))
      this.#reportExit(service, generation, { code, signal })
  }

  #reportExit(
    service: string,
    generation: number,
    exit: { code: number | null; signal: string | null },
  ): void {
    this.#fact(service, { kind: 'exited', generation, exit, logTail: '' })
  }

  /** True if the end of this life is or will be reported to the present supervisor. */
  isWatched(service: string, generation: number): boolean {
    return this.#watched.has(`${service}/${generation}`)
  }

  #signal({ process, signal, to }: Of<'signal'>): void {
    const world = this.#world
    const leader = world.processes.lifeOf(process)
    const targets = leader ? [leader] : []
    if (to !== 'process') {
      for (const proc of world.processes.of(leader?.service ?? ''))
        if (proc.run === process.run && proc !== leader) targets.push(proc)
    }
    for (const proc of targets) {
      if (signal === 'SIGKILL') {
        if (proc.stubbornUntil <= world.at)
          world.later(world.dice.between(0, 5), () => this.exit(proc, null, 'SIGKILL'))
      } else if (!proc.ignoresTerm && (proc.hungUntil <= world.at || world.dice.chance(0.5))) {
        world.later(proc.drainMs, () => this.exit(proc, world.dice.chance(0.5) ? 0 : null, 'SIGTERM'))
      }
    }
  }

  #closeStdin({ service, generation }: Of<'close-stdin'>): void {
    const proc = this.#world.processes.leader(service, generation)
    if (proc && !proc.ignoresTerm && this.#world.dice.chance(0.7)) {
      this.#world.later(proc.drainMs, () => this.exit(proc, 0, null))
    }
  }

  #watchLog({ service, generation, index }: Of<'watch-log'>): void {
    if (this.#world.dice.chance(0.7))
      this.#fact(service, { kind: 'log-seen', generation, index }, this.#world.dice.duration(5, 60_000))
  }

  #sweep({ service, generation, process }: Of<'sweep'>): void {
    const world = this.#world
    const sweepsAway = () => {
      const left: string[] = []
      for (const proc of [...world.processes.of(service)]) {
        if (proc.run !== process.run) continue
        if (proc.stubbornUntil > world.at) {
          this.#leave(proc)
          left.push(`pid ${proc.pid}`)
        } else world.processes.remove(proc)
      }
      return left
    }
    if (world.trouble(service).sweepUntil > world.at) {
      for (const proc of world.processes.of(service)) if (!proc.isLeader) this.#leave(proc)
      return
    }
    world.ours(world.latency(), () => {
      const event = { kind: 'swept', generation, left: sweepsAway() } as const
      world.dispatch({ kind: 'child', service, event })
    })
  }

  /** What a sweep could not end is named; it ends by itself within the hour. */
  #leave(proc: Proc): void {
    proc.isNamed = true
    this.#world.later(3_600_000, () => {
      if (proc.isAlive) this.#world.processes.remove(proc)
    })
  }

  #identify({ service, run, identity }: Of<'identify'>): void {
    const world = this.#world
    const key = `${service}/${run}`
    this.identifying.add(key)
    world.ours(world.latency(), () => {
      this.identifying.delete(key)
      const leader = identity ? world.processes.find(identity) : world.processes.marked(service, run, true)
      const found = leader ?? world.processes.marked(service, run, false)
      let verdict: IdentityVerdict
      if (world.trouble(service).unreadableUntil > world.at && found !== null) {
        verdict = { kind: 'unknown', reason: 'permission denied' }
      } else if (found === null) verdict = { kind: 'dead' }
      else if (leader === null) verdict = { kind: 'orphaned', identity: identityOf(found as Proc) }
      else if (leader === 'stranger') verdict = { kind: 'foreign', pid: identity?.pid ?? 0 }
      else verdict = { kind: 'same', identity: identityOf(leader), startedWall: world.wall }
      world.dispatch({ kind: 'child', service, event: { kind: 'identified', run, verdict } })
    })
  }

  #adopt({ service, generation, process }: Of<'adopt'>): void {
    this.#watched.add(`${service}/${generation}`)
    const proc = this.#world.processes.lifeOf(process)
    if (!proc) this.#reportExit(service, generation, { code: null, signal: null })
  }

  /** The supervisor's end of the pipes is gone: most programs notice and end. */
  breakPipes(): void {
    for (const proc of this.#world.processes.all()) {
      if (!proc.ownsPipes || this.#world.dice.chance(0.2)) continue
      this.#world.later(this.#world.dice.duration(5, 30_000), () => this.exit(proc, 0, null))
    }
  }

  #openProbes({ service, generation, roles }: Of<'open-probes'>): void {
    const spec = this.#world.mesh.children.get(service)?.spec
    const series: Series[] = []
    for (const probe of spec?.probes ?? []) {
      if (!roles.includes(probe.role)) continue
      const name = probe.name ?? `${probe.kind}-${probe.role}`
      series.push({ probe, name, generation, streak: 0, last: '', isAsleep: false })
    }
    this.#probes.set(service, series)
    for (const one of series) this.#schedule(service, one, this.#world.dice.between(0, one.probe.every))
  }

  #schedule(service: string, series: Series, ms: number): void {
    this.#world.ours(ms, () => this.#check(service, series))
  }

  /** One check. A series that only repeats itself sleeps until something changes; a failing one slows down. */
  #check(service: string, series: Series): void {
    if (!this.#probes.get(service)?.includes(series)) return
    const outcome = this.#look(service, series)
    series.streak = outcome.kind === series.last ? series.streak + 1 : 1
    series.last = outcome.kind
    const { probe, generation, name } = series
    if (outcome.kind === 'pass' && series.streak > probe.successThreshold) series.isAsleep = true
    else {
      const isOld = outcome.kind !== 'pass' && series.streak > probe.failureThreshold + 2
      this.#schedule(service, series, isOld ? Math.max(60_000, probe.every) : probe.every)
    }
    this.#world.dispatch({
      kind: 'child',
      service,
      event: { kind: 'probe-reported', generation, probe: name, outcome },
    })
  }

  #look(service: string, { probe, generation }: Series): ProbeOutcome {
    const world = this.#world
    const { at } = world
    const trouble = world.trouble(service)
    const pass: ProbeOutcome = { kind: 'pass', note: null }
    const failing = (reason: string, progress = false): ProbeOutcome => ({ kind: 'fail', reason, progress })
    if (trouble.brokenUntil > at) return { kind: 'unknown', reason: 'the prober was late' }
    if (probe.role === 'preflight') {
      return trouble.preflightUntil > at && trouble.preflight === 'fail' ? failing('would not start') : pass
    }
    if (world.mesh.children.get(service)?.spec.command === null)
      return trouble.downUntil > at ? failing('no connection') : pass
    const proc = world.processes.leader(service, generation)
    if (!proc) return failing('no process')
    const isPatient = probe.role === 'liveness' && !world.mesh.children.get(service)?.spec.probes.some(isGate)
    if (at < proc.readyAt && !isPatient) return failing('no answer', proc.isProgressing)
    if (proc.hungUntil > at) return failing('no answer')
    if (probe.role === 'readiness' && proc.notReadyUntil > at) return failing('not ready')
    return pass
  }

  /** Something changed: probes that slept look again. */
  wakeProbes(service: string): void {
    for (const series of this.#probes.get(service) ?? []) {
      series.streak = 0
      if (!series.isAsleep) continue
      series.isAsleep = false
      this.#schedule(service, series, this.#world.dice.between(0, series.probe.every))
    }
  }

  /** True if any probe of the service is open. */
  isProbed(service: string): boolean {
    return (this.#probes.get(service)?.length ?? 0) > 0
  }

  /** True if the open probes are those of this declaration. */
  isProbedBy(service: string, probes: readonly ProbeSpec[]): boolean {
    return (this.#probes.get(service) ?? []).every((series) => probes.includes(series.probe))
  }

  /** True if the life that the supervisor believes in is there, or its end is on its way. */
  isBelievable(service: string, generation: number, process: Process): boolean {
    return this.isWatched(service, generation) || this.#world.processes.lifeOf(process) !== null
  }
}

/** The running processes that a fault can strike. */
export function leaders(world: World): Proc[] {
  return [...world.processes.all()].filter((proc) => proc.isLeader)
}
