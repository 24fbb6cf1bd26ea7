/**
 * A service flaps that went down 4 times in 60 min or 6 times in 6 h; it is steady again after 30 min without a change.
 * Events are counted and not a ratio of samples: a loop that is faster than the samples would never be seen.
 */
import { type AlertScope, recordPlain, stand } from './alert-scope.ts'
import type { Flap, Standing } from './incident.ts'

const SHORT_MS = 3_600_000
const SHORT_DOWNS = 4
const LONG_MS = 6 * 3_600_000
const LONG_DOWNS = 6
const STEADY_MS = 30 * 60_000

/** The services that flap now. */
export function flappingOf(standing: Standing): string[] {
  return Object.entries(standing.flaps).flatMap(([name, flap]) => (flap.isFlapping ? [name] : []))
}

/** Counts a change of a service. */
export function countChange(scope: AlertScope, service: string, isUp: boolean): void {
  const { flaps } = scope.state.standing
  const old: Flap = flaps[service] ?? { downs: [], changedAt: scope.at, isFlapping: false }
  const recent = old.downs.filter((at) => at > scope.at - LONG_MS).slice(-LONG_DOWNS)
  const downs = isUp ? recent : [...recent, scope.at]
  const short = downs.filter((at) => at > scope.at - SHORT_MS).length
  const isFlapping = old.isFlapping || short >= SHORT_DOWNS || downs.length >= LONG_DOWNS
  if (isFlapping && !old.isFlapping)
    recordPlain(scope, 'flapping', `${service} flaps: ${short} times down in an hour, ${downs.length} in six`)
  stand(scope, { flaps: { ...flaps, [service]: { downs, changedAt: scope.at, isFlapping } } })
}

/** Ends what is steady, forgets what is old. */
export function settleFlaps(scope: AlertScope): void {
  const { flaps } = scope.state.standing
  const isSteady = ({ isFlapping, changedAt }: Flap) => isFlapping && scope.at - changedAt >= STEADY_MS
  const isOld = ({ isFlapping, changedAt }: Flap) => !isFlapping && scope.at - changedAt >= LONG_MS
  const entries = Object.entries(flaps)
  if (!entries.some(([, flap]) => isSteady(flap) || isOld(flap))) return
  for (const [name, flap] of entries)
    if (isSteady(flap)) recordPlain(scope, 'steady', `${name} has not changed for 30 min: it flaps no more`)
  const kept = entries
    .filter(([, flap]) => !isOld(flap))
    .map(([name, flap]) => [name, isSteady(flap) ? { ...flap, downs: [], isFlapping: false } : flap])
  stand(scope, { flaps: Object.fromEntries(kept) })
}
