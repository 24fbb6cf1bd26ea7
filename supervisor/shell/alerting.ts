/**
 * The alert core in this process: takes what the rules find and what people ask, steps the core, and commits what
 * it wants (incidents, mutes, messages, events) as one transaction through the outbox. It decides nothing.
 */
import type { Finding, Notice, Severity, Suppression } from '../core/alert.ts'
import { keyOf } from '../core/alert-scope.ts'
import { faultOf } from '../core/fault.ts'
import { flappingOf } from '../core/flapping.ts'
import type { AlertPolicy, Incident, IncidentEffect, Mute, ServiceFacts, Standing } from '../core/incident.ts'
import type { IncidentFact } from '../core/incident-event.ts'
import { settledIn } from '../core/incident-lines.ts'
import { restoreAlerting, stepIncidents } from '../core/incidents.ts'
import { isQuietHour, localTime } from '../core/local-time.ts'
import { isUp } from '../core/scope.ts'
import type { Mesh, Trouble } from '../core/state.ts'
import { activeSuppressions } from '../core/suppression.ts'
import type { MuteRow } from './alert-tables.ts'
import type { Clock } from './clock.ts'
import type { AlertEvent, Outbox } from './outbox.ts'

/**
 * Services that went down or came up are told so much later: what has died is started again first, and a storm is one
 * transaction. A kill of the supervisor may cost the count of these changes, never an incident.
 */
const SOON_MS = 25

/** Where the outbox keeps what stands beside the incidents. */
const STANDING = 'alerting'

const SEVERITIES = ['critical', 'warning', 'info'] as const
const STATES = ['open', 'acknowledged', 'muted'] as const

export type AlertingOptions = {
  readonly outbox: Pick<Outbox, 'save' | 'restore'>
  readonly clock: Pick<Clock, 'awake' | 'wall'>
  readonly mesh: Mesh
  readonly redact: (text: string) => string
}

export type Alerting = {
  /** What the document in force says, where its version says it; the first one begins the time after a start. */
  apply(policy: AlertPolicy | undefined): void
  /** Tells the core a fact. */
  tell(fact: IncidentFact): void
  /** Everything that fires now, by the rules. */
  evaluated(findings: readonly Finding[]): void
  /** A service came into trouble, or out of it. */
  troubled(service: string, event: Trouble | 'recovered'): void
  /** Why messages are held now; the rules and the metrics ask. */
  suppressions(): Suppression[]
  /** The services that go up and down too often. */
  flapping(): string[]
  /** True from 23:00 to 08:00 of the mesh's zone. */
  isQuiet(): boolean
  /** Open incidents, and those that were closed a short while ago. */
  incidents(): Incident[]
  /** The open incident about a service, null if there is none. */
  incidentOf(service: string): Incident | null
  /** Whether the machine has a way out; true if it has one again. */
  network(isOnline: boolean): boolean
  /** Open incidents by severity and state, for the metrics. */
  counts(): { severity: Severity; state: 'open' | 'acknowledged' | 'muted'; count: number }[]
  mutes(): Mute[]
  standing(): Standing
  /** Tells what still waits. */
  close(): void
}

/** Takes up what the last supervisor left. */
export function openAlerting({ outbox, clock, mesh, redact }: AlertingOptions): Alerting {
  const left = outbox.restore()
  const standing = left.kept.find(({ key }) => key === STANDING)?.value as Standing | undefined
  const state = restoreAlerting(
    {
      incidents: left.incidents.map(({ row }) => row as Incident),
      mutes: left.mutes.map(({ row }) => row as Mute),
      standing: standing ?? null,
    },
    Temporal.Now.timeZoneId(),
  )
  let policy: AlertPolicy = { timezone: null, importance: {} }
  const zoneOf = () => policy.timezone ?? Temporal.Now.timeZoneId()
  let isStarted = false
  let isKnownOnline: boolean | null = null
  let knownFacts = ''
  let knownFrom: readonly unknown[] = []
  /** The last event of each incident, which the next one follows from. */
  const causes = new Map<string, number>()

  function eventOf(effect: Extract<IncidentEffect, { kind: 'record' }>): AlertEvent {
    const { subject, event, text, thread } = effect
    const cause = causes.get(thread) ?? mesh.children.get(subject)?.cause ?? null
    return { subject, event, text, data: { incident: thread }, cause }
  }

  function commit(effects: readonly IncidentEffect[]): void {
    if (effects.length === 0) return
    const records = effects.filter((effect) => effect.kind === 'record')
    const ids = outbox.save({
      incidents: effects.flatMap((effect) =>
        effect.kind === 'save-incident'
          ? [{ id: effect.incident.id, closedWall: effect.incident.closedWall, row: effect.incident }]
          : [],
      ),
      mutes: effects.flatMap((effect): MuteRow[] =>
        effect.kind === 'save-mute'
          ? [{ id: effect.mute.id, row: effect.mute }]
          : effect.kind === 'drop-mute'
            ? [{ id: effect.id, row: null }]
            : [],
      ),
      // Of several the last one holds.
      kept: effects
        .filter((effect) => effect.kind === 'save-standing')
        .slice(-1)
        .map(({ standing }) => ({ key: STANDING, value: standing })),
      notices: effects.flatMap((effect): Notice[] => (effect.kind === 'notice' ? [effect.notice] : [])),
      events: records.map(eventOf),
    })
    for (const [index, { thread }] of records.entries()) {
      const id = ids[index]
      if (id !== undefined) causes.set(thread, id)
    }
    for (const thread of causes.keys()) if (!isOpen(thread)) causes.delete(thread)
  }
  const isOpen = (id: string) => state.incidents.has(id)
  const effectsOf = (fact: IncidentFact) =>
    stepIncidents(state, { ...fact, at: clock.awake(), wall: clock.wall() })
  const tell = (fact: IncidentFact) => commit(effectsOf(fact))
  let changes: IncidentFact[] = []
  let soon: NodeJS.Timeout | null = null
  let settling: NodeJS.Timeout | null = null

  /** What waits comes before whatever is told next. */
  function tellChanges(): void {
    if (soon) clearTimeout(soon)
    soon = null
    refreshFacts()
    const due = changes
    changes = []
    commit(due.flatMap(effectsOf))
  }

  const redactFault = (fault: string | null) => fault && redact(fault)
  function refreshFacts(): void {
    const children = [...mesh.children.values()]
    const zone = zoneOf()
    const seen = [policy, mesh.wanted, zone, ...children]
    // A child never changes: it is replaced.
    if (seen.length === knownFrom.length && seen.every((one, at) => one === knownFrom[at])) return
    knownFrom = seen
    const services = children.map(
      (child): ServiceFacts => ({
        name: child.name,
        importance: policy.importance[child.name] ?? 'normal',
        needs: child.spec.needs.map(({ service }) => service),
        isUp: isUp(child),
        isWanted:
          mesh.wanted === 'up' && child.desired.kind === 'running' && child.spec.enabled && !child.removed,
        stoppedWall: child.desired.kind === 'stopped' ? child.desired.at : null,
        fault: redactFault(faultOf(child)),
      }),
    )
    const facts = JSON.stringify([services, zone])
    if (facts === knownFacts) return
    knownFacts = facts
    tell({ kind: 'services-changed', services, zone })
  }

  /** A warning that still fires is told when its time has come, not when the rules are looked at next. */
  function evaluated(findings: readonly Finding[]): void {
    tellChanges()
    tell({ kind: 'evaluated', findings })
    if (settling) clearTimeout(settling)
    const ms = settledIn(state, clock.awake())
    settling = ms === null ? null : setTimeout(() => evaluated(findings), Math.ceil(ms) + 1)
    settling?.unref()
  }

  return {
    apply(fresh) {
      if (fresh) policy = fresh
      if (!isStarted) tell({ kind: 'started' })
      isStarted = true
    },
    tell(fact) {
      tellChanges()
      tell(fact)
    },
    evaluated,
    troubled(service, event) {
      // What is only degraded has not gone down; what gave up went down before that.
      if (event !== 'down' && event !== 'recovered') return
      changes.push({ kind: event === 'down' ? 'went-down' : 'came-up', service })
      soon ??= setTimeout(tellChanges, SOON_MS)
    },
    suppressions: () => activeSuppressions(state.standing),
    flapping: () => flappingOf(state.standing),
    isQuiet: () => isQuietHour(localTime(clock.wall(), zoneOf())),
    incidents: () => [...state.incidents.values()],
    incidentOf(service) {
      const key = keyOf({ kind: 'service', name: service })
      const isIt = ({ subject, state }: Incident) => state !== 'resolved' && keyOf(subject) === key
      return [...state.incidents.values()].find(isIt) ?? null
    },
    network(isOnline) {
      if (isOnline === isKnownOnline) return false
      isKnownOnline = isOnline
      tell({ kind: 'network-changed', isOnline })
      return isOnline
    },
    counts() {
      const open = [...state.incidents.values()].filter((one) => one.state !== 'resolved')
      const stateOf = ({ acked, told }: Incident) =>
        acked !== null ? 'acknowledged' : told === null ? 'muted' : 'open'
      return SEVERITIES.flatMap((severity) =>
        STATES.map((wanted) => ({
          severity,
          state: wanted,
          count: open.filter((one) => one.severity === severity && stateOf(one) === wanted).length,
        })),
      )
    },
    mutes: () => [...state.mutes.values()],
    standing: () => state.standing,
    close() {
      if (settling) clearTimeout(settling)
      tellChanges()
    },
  }
}
