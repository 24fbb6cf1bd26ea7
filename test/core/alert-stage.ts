/** A stage for the alert core: awake and wall time, what fires now, and everything that was said. */
import type { Finding, Notice, Severity } from '../../supervisor/core/alert.ts'
import type { Incident, IncidentEffect, ServiceFacts } from '../../supervisor/core/incident.ts'
import type { IncidentFact } from '../../supervisor/core/incident-event.ts'
import { restoreAlerting, stepIncidents } from '../../supervisor/core/incidents.ts'

const SECOND = 1_000
/** Saturday, 21 November 2026, noon in Berlin. */
export const NOON = Date.UTC(2026, 10, 21, 11)

/** A finding about a service. */
export function finding(rule: string, service: string, over: Partial<Finding> = {}): Finding {
  const severity: Severity = over.severity ?? 'critical'
  return {
    ...{ rule, labels: { service }, subject: { kind: 'service', name: service }, severity },
    ...{ summary: `${service}: ${rule}`, held: [] },
    ...over,
  }
}

/** A service that needs these. */
export const service = (name: string, over: Partial<ServiceFacts> = {}): ServiceFacts => ({
  ...{ name, importance: 'normal', needs: [], isUp: true, isWanted: true, stoppedWall: null, fault: null },
  ...over,
})

/** The core under test at noon, in Berlin, unless said otherwise. */
export class AlertStage {
  at = 1_000_000
  wall: number
  state = restoreAlerting({ incidents: [], mutes: [], standing: null }, 'Europe/Berlin')
  firing: Finding[] = []
  notices: Notice[] = []
  effects: IncidentEffect[] = []

  constructor(services: readonly ServiceFacts[] = [], wall = NOON) {
    this.wall = wall
    this.tell({ kind: 'services-changed', services, zone: 'Europe/Berlin' })
    this.pass(SECOND)
    this.notices = []
  }

  /** Tells the core one fact; returns the notices that it made of it. */
  tell(fact: IncidentFact): Notice[] {
    const effects = stepIncidents(this.state, { ...fact, at: this.at, wall: this.wall })
    this.effects.push(...effects)
    const said = effects.flatMap((effect) => (effect.kind === 'notice' ? [effect.notice] : []))
    this.notices.push(...said)
    return said
  }

  /** Lets time pass in steps of five seconds, with an evaluation at each; returns what was said. */
  pass(ms: number): Notice[] {
    const from = this.notices.length
    const end = this.at + ms
    while (this.at < end) {
      const step = Math.min(5 * SECOND, end - this.at)
      this.at += step
      this.wall += step
      this.tell({ kind: 'evaluated', findings: this.firing })
    }
    return this.notices.slice(from)
  }

  /** From now on these fire; returns what was said at once. */
  fire(...findings: Finding[]): Notice[] {
    this.firing = findings
    return this.tell({ kind: 'evaluated', findings })
  }

  /** The incident about a service; throws if there is none. */
  incident(name: string): Incident {
    const found = [...this.state.incidents.values()].find(({ subject }) => subject.name === name)
    if (!found) throw new Error(`no incident about ${name}`)
    return found
  }

  /** What a new supervisor would restore from the rows. */
  restart(): void {
    const rows = <T>(all: Map<string, T>): T[] =>
      [...all.values()].map((row) => JSON.parse(JSON.stringify(row)))
    const { incidents, mutes, standing, services, zone } = this.state
    const left = { incidents: rows(incidents), mutes: rows(mutes), standing: structuredClone(standing) }
    this.state = restoreAlerting(left, zone)
    this.tell({ kind: 'services-changed', services: [...services.values()], zone })
    this.tell({ kind: 'started' })
  }
}

/** A notice in short: kind, op and whether it sounds. */
export const brief = ({ kind, op, sound }: Notice): string => `${kind} ${op}${sound ? ' sound' : ''}`
