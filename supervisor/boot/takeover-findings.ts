/** What `paios doctor` makes of services that systemd or launchd runs, or ran: facts in, findings out. Pure. */
import type { Finding } from './findings.ts'

/** One service with a record of a takeover. */
export type TakenFacts = {
  readonly service: string
  readonly record: string
  /** Why the record is no finished one, in words; null for a service that was taken over. */
  readonly interrupted: string | null
  readonly owner: string
  /** What the unit or job does although it was disabled and stopped; null if nothing, or if it cannot be told. */
  readonly back: 'enabled' | 'running' | null
}

/** One service whose port is held by a unit or job of systemd or launchd. */
export type OwnedFacts = {
  readonly service: string
  readonly owner: string
  readonly file: string
  readonly init: 'systemd' | 'launchd'
  /** The document observes it; else it is to be started here and cannot. */
  readonly isObserved: boolean
}

/** Everything of this kind that was looked at. */
export type TakeoverFacts = { readonly taken: readonly TakenFacts[]; readonly owned: readonly OwnedFacts[] }

/** Their findings. */
export function takeoverFindings({ taken, owned }: TakeoverFacts): Finding[] {
  return [...taken.flatMap(takenFindings), ...owned.map(ownedFinding)]
}

function takenFindings({ service, record, interrupted, owner, back }: TakenFacts): Finding[] {
  if (interrupted !== null) {
    const remedy = `paios release ${service}`
    return [{ id: 'takeover-unfinished', level: 'wrong', what: interrupted, where: record, remedy }]
  }
  if (back === null) return []
  const risk = back === 'running' ? 'runs again' : 'was enabled again and would start at the next login'
  const what = `${service} was taken over from ${owner}, which ${risk} (its own installer or an update may do that)`
  const remedy = `paios takeover ${service}, or paios release ${service}`
  return [{ id: 'owner-back', level: 'wrong', what, where: owner, remedy }]
}

function ownedFinding({ service, owner, file, init, isObserved }: OwnedFacts): Finding {
  const remedy = `paios takeover ${service}`
  if (isObserved) {
    const what = `${service} is only watched: ${owner} of ${init} starts it and stops it`
    return { id: 'observed', level: 'note', what, where: file, remedy }
  }
  const what = `${service} cannot start here: ${owner} of ${init} runs it and holds its port`
  return { id: 'port-owner', level: 'wrong', what, where: file, remedy }
}
