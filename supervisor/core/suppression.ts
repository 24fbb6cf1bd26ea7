/**
 * Times in which messages are held for everyone. Each is explicit, is shown, and ends by itself: a start after 120 s, a
 * wake after 90 s (further wakes extend it, at most to 5 min in all), maintenance after what was asked for (at most
 * 4 h), being offline after a day: whoever is offline longer has no working check, and is told.
 */
import type { Suppression } from './alert.ts'
import { type AlertScope, recordPlain, stand } from './alert-scope.ts'
import type { Standing, Window } from './incident.ts'
import { spanText } from './local-time.ts'

const STARTUP_MS = 120_000
const WAKE_MS = 90_000
const WAKE_MOST_MS = 300_000
const OFFLINE_MOST_MS = 86_400_000
/** Maintenance lasts at most this long. */
export const MAINTENANCE_MOST_MS = 4 * 3_600_000

const REASONS = ['startup', 'wake', 'offline', 'maintenance'] as const

/** The reasons that hold messages now. */
export function activeSuppressions(standing: Standing): Suppression[] {
  return REASONS.filter((reason) => standing[reason] !== null)
}

const windowOf = (scope: AlertScope, ms: number): Window => ({
  sinceAt: scope.at,
  sinceWall: scope.wall,
  untilAt: scope.at + ms,
})

/** A start: what was down before it is looked at first. */
export function beginStartup(scope: AlertScope): void {
  stand(scope, { startup: windowOf(scope, STARTUP_MS) })
}

/** A wake: probes run again before anything is said. */
export function beginWake(scope: AlertScope): void {
  const { wake } = scope.state.standing
  const fresh = windowOf(scope, WAKE_MS)
  const longer = wake && { ...wake, untilAt: Math.min(fresh.untilAt, wake.sinceAt + WAKE_MOST_MS) }
  stand(scope, { wake: longer ?? fresh })
}

/** The network is gone or back; true if that is news. */
export function changeNetwork(scope: AlertScope, isOnline: boolean): boolean {
  const { offline } = scope.state.standing
  if (isOnline === (offline === null)) return false
  stand(scope, { offline: isOnline ? null : windowOf(scope, OFFLINE_MOST_MS) })
  recordPlain(scope, isOnline ? 'online' : 'offline', isOnline ? 'the machine is online' : 'no network')
  return true
}

/** An operator begins (`forMs`) or ends (null) maintenance. */
export function changeMaintenance(scope: AlertScope, forMs: number | null, by: string): void {
  if (forMs === null) {
    if (scope.state.standing.maintenance === null) return
    stand(scope, { maintenance: null })
    recordPlain(scope, 'maintenance-ended', `maintenance was ended by ${by}`)
    return
  }
  const ms = Math.min(forMs, MAINTENANCE_MOST_MS)
  stand(scope, { maintenance: { ...windowOf(scope, ms), untilWall: scope.wall + ms, by } })
  recordPlain(scope, 'maintenance', `maintenance for ${spanText(ms)} by ${by}: messages are held`)
}

/** Ends every window whose time is over. */
export function endWindows(scope: AlertScope): void {
  for (const reason of REASONS) {
    const window = scope.state.standing[reason]
    if (window === null) continue
    const isOver = scope.at >= window.untilAt || ('untilWall' in window && scope.wall >= window.untilWall)
    if (!isOver) continue
    if (reason === 'offline') {
      // It stays offline by the check; only the holding ends.
      stand(scope, { offline: null })
      recordPlain(scope, 'offline-unheld', 'offline for a day by the check: messages are held no longer')
    } else {
      stand(scope, { [reason]: null })
      if (reason === 'maintenance') recordPlain(scope, 'maintenance-ended', 'maintenance is over')
    }
  }
}

/** Why a rule's messages are held, in words. */
export function heldText(reason: Suppression): string {
  switch (reason) {
    case 'startup':
      return 'held: the supervisor has just started'
    case 'wake':
      return 'held: the machine has just woken'
    case 'offline':
      return 'held: the machine is offline'
    case 'maintenance':
      return 'held: maintenance'
  }
}
