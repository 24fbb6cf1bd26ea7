/**
 * A world for the alert core: services, disks, channels, a host and its journal that fail and recover, a rule engine that
 * says so with the table's own rules, a machine that sleeps and loses its network, an operator, and a disk that keeps what a step has saved. A crash at any
 * step loses what was not saved, and nothing else.
 */
import type { Finding, Notice } from '../../supervisor/core/alert.ts'
import { keyOf } from '../../supervisor/core/alert-scope.ts'
import { flappingOf } from '../../supervisor/core/flapping.ts'
import type {
  Alerting,
  Importance,
  Incident,
  IncidentEffect,
  Mute,
  ServiceFacts,
  Standing,
} from '../../supervisor/core/incident.ts'
import type { IncidentFact } from '../../supervisor/core/incident-event.ts'
import { restoreAlerting, stepIncidents } from '../../supervisor/core/incidents.ts'
import { activeSuppressions } from '../../supervisor/core/suppression.ts'
import type { Dice } from './dice.ts'
import { type Checkers, createCheckers, Violation } from './incident-checkers.ts'
import { findingFor, heldOf, TROUBLES, type Trouble } from './incident-subjects.ts'

export const SECOND = 1_000
export const MINUTE = 60_000
export const HOUR = 3_600_000
export const DAY = 86_400_000
const ZONE = 'Europe/Berlin'
/** Looks are this far apart where nothing happens, to save the simulator's time. */
const IDLE_MS = 60_000
const BUSY_MS = 5_000

/** Which of the world's rules may fire about a service. */
const FAULTS = [
  'ServiceDown',
  'ServiceGaveUp',
  'ServiceBlocked',
  'ServiceHung',
  'ServiceDegraded',
  'McpNoTools',
]

/** Facts that a look follows, which judges. */
const UNJUDGED = new Set<IncidentFact['kind']>(['started', 'services-changed', 'woke', 'network-changed'])

/** What the disk has. */
type Disk = {
  readonly incidents: Map<string, Incident>
  readonly mutes: Map<string, Mute>
  standing: Standing | null
  readonly notices: Map<string, Notice>
}

/** Changes what a step wants, to see that the checkers notice. */
export type Tamper = (effects: readonly IncidentEffect[]) => readonly IncidentEffect[]
/** Changes what the rules find, to see the same. */
export type Blur = (findings: readonly Finding[], world: IncidentWorld) => readonly Finding[]
export type Sabotage = { readonly tamper?: Tamper; readonly blur?: Blur }

export class IncidentWorld {
  readonly dice: Dice
  readonly services = new Map<string, ServiceFacts>()
  /** What is wrong now: rules by service. */
  readonly faults = new Map<string, Set<string>>()
  readonly disk: Disk = { incidents: new Map(), mutes: new Map(), standing: null, notices: new Map() }
  readonly checkers: Checkers
  readonly sabotage: Sabotage
  /** What is wrong beside services. */
  readonly troubles = new Set<Trouble>()
  /** Services whose fault is that there is no network. */
  readonly awaiting = new Set<string>()
  /** When that was seen last, by service. */
  readonly awaited = new Map<string, number>()
  at = 0
  wall: number
  state: Alerting
  isOnline = true
  #offlineAt = 0
  crashes = 0
  steps = 0
  /** Every saved notice, oldest first. */
  readonly told: Notice[] = []
  nextQuestion = 1
  /** What fired at a look whose outcome was saved: subject and rule. */
  readonly fired = new Set<string>()
  /** A crash is info for five minutes. */
  readonly #crashedUntil = new Map<string, number>()
  #busyUntil = 0

  constructor(dice: Dice, services: number, wall: number, sabotage: Sabotage = {}) {
    this.dice = dice
    this.wall = wall
    this.sabotage = sabotage
    for (let i = 0; i < services; i++) {
      const needs = i === 0 || !dice.chance(0.4) ? [] : [`s${dice.between(0, i - 1)}`]
      const importance = dice.pick<Importance>(['high', 'normal', 'normal', 'low'])
      const facts = { isUp: true, isWanted: true, stoppedWall: null, fault: null }
      this.services.set(`s${i}`, { name: `s${i}`, importance, needs, ...facts })
    }
    this.checkers = createCheckers(this)
    this.state = this.#restore()
  }

  #restore(): Alerting {
    const { incidents, mutes, standing } = this.disk
    const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value))
    const left = {
      incidents: copy([...incidents.values()]),
      mutes: copy([...mutes.values()]),
      standing: standing && copy(standing),
    }
    return restoreAlerting(left, ZONE)
  }

  /** A new supervisor takes up what the disk has. */
  start(): void {
    this.state = this.#restore()
    this.checkers.restored()
    this.tell({ kind: 'started' })
    this.tell({ kind: 'services-changed', services: [...this.services.values()], zone: ZONE })
  }

  /** One fact; a crash may come before what it made was saved, or after: then it returns false. */
  tell(fact: IncidentFact): boolean {
    this.steps++
    const { tamper = (made) => made } = this.sabotage
    const effects = tamper(stepIncidents(this.state, { ...fact, at: this.at, wall: this.wall }))
    if (this.crashes > 0 && this.dice.chance(0.5)) {
      this.crashes--
      if (this.dice.chance(0.5)) this.#save(effects)
      this.start()
      return false
    }
    this.#save(effects)
    if (!UNJUDGED.has(fact.kind)) this.checkers.stepped()
    return true
  }

  #save(effects: readonly IncidentEffect[]): void {
    const { disk } = this
    for (const effect of effects) {
      if (effect.kind === 'save-incident') disk.incidents.set(effect.incident.id, effect.incident)
      if (effect.kind === 'save-mute') disk.mutes.set(effect.mute.id, effect.mute)
      if (effect.kind === 'drop-mute') disk.mutes.delete(effect.id)
      if (effect.kind === 'save-standing') disk.standing = effect.standing
      if (effect.kind !== 'notice') continue
      const { notice } = effect
      if (disk.notices.has(notice.key)) throw new Violation(`the key ${notice.key} was used twice`)
      disk.notices.set(notice.key, notice)
      this.told.push(notice)
      this.checkers.told(notice)
    }
    this.#busyUntil = Math.max(this.#busyUntil, effects.length > 0 ? this.at + 3 * MINUTE : 0)
  }

  /** What the rules find now. */
  findings(): Finding[] {
    const active = activeSuppressions(this.state.standing)
    const ofService = (rule: string, service: string) =>
      findingFor({ rule, labels: { service } }, heldOf(rule, active, this.awaiting.has(service)))
    const found: Finding[] = []
    for (const [service, rules] of this.faults) for (const rule of rules) found.push(ofService(rule, service))
    for (const [service, until] of this.#crashedUntil)
      if (this.at < until) found.push(ofService('ServiceCrashed', service))
    for (const service of flappingOf(this.state.standing)) found.push(ofService('ServiceFlapping', service))
    for (const trouble of this.troubles) found.push(findingFor(trouble, heldOf(trouble.rule, active, false)))
    if (!this.isOnline && this.at - this.#offlineAt >= 5 * MINUTE)
      found.push(findingFor({ rule: 'NetworkOffline', labels: {} }, []))
    return found
  }

  evaluate(): void {
    const { blur = (found) => found } = this.sabotage
    for (const service of this.awaiting) this.awaited.set(service, this.at)
    const findings = this.findings()
    if (!this.tell({ kind: 'evaluated', findings: blur(findings, this) })) return
    for (const { subject, rule } of findings) this.fired.add(`${keyOf(subject)} ${rule}`)
  }

  /** Lets awake time pass, with a look every five seconds where something goes on. */
  pass(ms: number): void {
    const end = this.at + ms
    while (this.at < end) {
      const step = Math.min(this.at < this.#busyUntil ? BUSY_MS : IDLE_MS, end - this.at)
      this.at += step
      this.wall += step
      this.evaluate()
    }
  }

  /** The machine sleeps: only the wall clock goes on. */
  sleep(ms: number): void {
    this.wall += ms
    this.tell({ kind: 'woke' })
    this.evaluate()
  }

  network(isOnline: boolean): void {
    this.isOnline = isOnline
    this.#offlineAt = this.at
    this.tell({ kind: 'network-changed', isOnline })
    this.evaluate()
  }

  /** Something goes wrong with a service, and with what needs it. */
  fail(service: string, rule: string = this.dice.pick(FAULTS)): void {
    const rules = this.faults.get(service) ?? new Set()
    const wasWell = rules.size === 0
    rules.add(rule)
    this.faults.set(service, rules)
    if (!this.isOnline && wasWell && rule === 'ServiceDegraded' && this.dice.chance(0.5))
      this.awaiting.add(service)
    else this.awaiting.delete(service)
    if (rule === 'ServiceDown') this.#crashedUntil.set(service, this.at + 5 * MINUTE)
    if (wasWell && rule === 'ServiceDown') this.tell({ kind: 'went-down', service })
    for (const { name, needs } of this.services.values())
      if (needs.includes(service) && this.dice.chance(0.5) && !this.faults.has(name))
        this.fail(name, 'ServiceDown')
    this.evaluate()
  }

  mend(service: string): void {
    if (!this.faults.delete(service)) return
    this.awaiting.delete(service)
    this.tell({ kind: 'came-up', service })
    this.evaluate()
  }

  /** Something goes wrong with the machine, a way to the phone, or the supervisor. */
  trouble(trouble: Trouble = this.dice.pick(TROUBLES)): void {
    this.troubles.add(trouble)
    this.evaluate()
  }

  relieve(trouble: Trouble = this.dice.pick(TROUBLES)): void {
    if (this.troubles.delete(trouble)) this.evaluate()
  }

  mendAll(): void {
    for (const service of [...this.faults.keys()]) this.mend(service)
    this.troubles.clear()
    this.evaluate()
  }

  anyService(): string {
    return this.dice.pick([...this.services.keys()])
  }

  /** Changes whose failure makes a sound when. */
  setImportance(service: string, importance: Importance): void {
    const facts = this.services.get(service)
    if (facts) this.services.set(service, { ...facts, importance })
    this.tell({ kind: 'services-changed', services: [...this.services.values()], zone: ZONE })
  }
}
