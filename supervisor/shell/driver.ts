/**
 * The mailbox. A callback anywhere in the shell only puts a fact here; one loop takes the facts, steps the
 * core, commits what changed to the journal, and only then performs the effects. Turns that follow each other
 * at once and do nothing outside are committed together, so that a restart costs one commit before its spawn.
 */
import type { Effect } from '../core/effect.ts'
import type { Fact } from '../core/event.ts'
import type { Child, Mesh } from '../core/state.ts'
import { step } from '../core/step.ts'
import { type AlertRows, NO_ALERT_ROWS } from './alert-tables.ts'
import type { Writes } from './backlog.ts'
import type { Clock } from './clock.ts'
import type { Journal } from './journal.ts'

type RecordEffect = Extract<Effect, { kind: 'record' }>
type AlertEffect = Extract<Effect, { kind: 'alert' }>
/** How each intention is carried out; a missing line does not compile. */
export type Perform = { readonly [K in Effect['kind']]: (effect: Extract<Effect, { kind: K }>) => void }

export type DriverOptions = {
  readonly mesh: Mesh
  readonly clock: Clock
  readonly journal: Journal
  readonly perform: Perform
  /** What is to be told of these, to be committed with the step that says so. */
  readonly outgoing: (effects: readonly AlertEffect[]) => AlertRows
  /** Told of the services that a turn has changed. */
  readonly moved: (names: Iterable<string>, at: number, wall: number) => void
  /** Told after each turn how long it took, in milliseconds. */
  readonly turned: (durationMs: number) => void
}

export type Driver = {
  /** Puts a fact into the mailbox. */
  post(fact: Fact): void
  /** Handles everything in the mailbox now. */
  drain(): void
  stop(): void
}

/** Facts that change what an operator wants: they must survive a power cut. */
const DURABLE = new Set<Fact['kind']>(['operator-asked', 'declared'])

/**
 * Effects that need no intent on record: they ask, remember, or end what an earlier record proves to be ours.
 */
const INWARD = new Set<Effect['kind']>([
  'run-preflight',
  'sweep',
  'record',
  'record-breaker',
  'set-timer',
  'cancel-timer',
  'watch-log',
  'open-probes',
  'close-probes',
  // What it says is a row of the same commit, and nothing is sent before that.
  'alert',
])

/** Opens the mailbox over one mesh. */
export function createDriver(options: DriverOptions): Driver {
  const { mesh, clock, journal, perform, outgoing, moved, turned } = options
  let mailbox: Fact[] = []
  let scheduled = false
  let running = false
  let stopped = false
  let uncommitted: Writes[] = []
  let records: RecordEffect[] = []

  function commit(): void {
    if (uncommitted.length === 0) return
    const batch = uncommitted
    uncommitted = []
    journal.save(batch)
  }

  function turn(facts: readonly Fact[]): void {
    const begun = performance.now()
    const at = clock.awake()
    const wall = clock.wall()
    const effects: Effect[] = []
    const changed = new Map<string, Child | undefined>()
    for (const fact of facts) {
      const stepped = step(mesh, { ...fact, at, wall })
      effects.push(...stepped.effects)
      for (const [name, before] of stepped.changes) if (!changed.has(name)) changed.set(name, before)
    }
    if (changed.size > 0 || effects.length > 0) {
      moved(changed.keys(), at, wall)
      const durable = facts.some((fact) => DURABLE.has(fact.kind))
      const alerts = effects.filter((effect) => effect.kind === 'alert')
      const alerting = alerts.length === 0 ? NO_ALERT_ROWS : outgoing(alerts)
      uncommitted.push({ ...writesOf(mesh, changed, effects, { at, wall, durable }), alerting })
      if (durable || effects.some((effect) => !INWARD.has(effect.kind))) commit()
    }
    for (const effect of effects)
      if (effect.kind === 'record') records.push(effect)
      else perform[effect.kind](effect as never)
    turned(performance.now() - begun)
  }

  /** Log and metrics, once nothing waits any more: what has died is started again first. */
  function recordAll(): void {
    const due = records
    records = []
    for (const effect of due) perform.record(effect)
  }

  function drain(): void {
    scheduled = false
    if (running) return
    running = true
    try {
      while (!stopped && mailbox.length + records.length > 0) {
        const facts = mailbox
        mailbox = []
        if (facts.length > 0) turn(facts)
        else recordAll()
      }
      commit()
      // Of the turn that has stopped it, too.
      recordAll()
    } finally {
      running = false
    }
  }

  return {
    post(fact) {
      mailbox.push(fact)
      if (scheduled || running) return
      scheduled = true
      // After the I/O of this round of the event loop: a hundred children that end together are one turn, one commit.
      setImmediate(drain)
    },
    drain,
    stop() {
      stopped = true
    },
  }
}

type Moment = { at: number; wall: number; durable: boolean }

function writesOf(
  mesh: Mesh,
  changed: ReadonlyMap<string, Child | undefined>,
  effects: readonly Effect[],
  moment: Moment,
): Omit<Writes, 'alerting'> {
  const rows: Child[] = []
  for (const name of changed.keys()) {
    const child = mesh.children.get(name)
    if (child) rows.push(child)
  }
  return {
    ...moment,
    rows,
    gone: effects.filter((effect) => effect.kind === 'forget').map((effect) => effect.service),
    records: effects.filter((effect): effect is RecordEffect => effect.kind === 'record'),
    breakers: Object.fromEntries(
      effects.flatMap((effect) => (effect.kind === 'record-breaker' ? [[effect.group, effect.breaker]] : [])),
    ),
    wanted: effects.find((effect) => effect.kind === 'record-wanted')?.wanted ?? null,
  }
}
