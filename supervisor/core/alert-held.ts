/** Which reasons hold the messages of an alert at this moment. */
import type { Suppression } from './alert.ts'
import type { AlertRule } from './alert-rule.ts'
import { keyOf, type Labels, type Samples, vector } from './evaluate.ts'

/** Asked of each instance of a rule by its labels. */
export type HeldBy = (labels: Labels) => Suppression[]

/** What holds the instances of a rule while these reasons are active. `now` is Unix seconds. */
export function heldByOf(
  { heldBy, offlineOnly }: Pick<AlertRule, 'heldBy' | 'offlineOnly'>,
  active: readonly Suppression[],
  samples: Samples,
  now: number,
): HeldBy {
  const reasons = heldBy.filter((reason) => active.includes(reason))
  if (offlineOnly === undefined || !reasons.includes('offline')) return () => reasons
  const { where, on } = offlineOnly
  const offline = new Set(vector(where, samples, now).map(({ labels }) => keyOf(labels, on)))
  return (labels) => reasons.filter((reason) => reason !== 'offline' || offline.has(keyOf(labels, on)))
}

/** The reasons that hold messages, as the samples say. */
export const activeIn = (samples: Samples): Suppression[] =>
  samples
    .present('supervisor_suppression_active')
    .flatMap(({ labels, value }) => (value === 1 ? [labels['reason'] as Suppression] : []))
