/** Whether launchd was tried on this Mac: what `paios selftest launchd` has written into the home. */
import { join } from 'node:path'
import { textOf } from './files.ts'
import type { Place } from './place.ts'

/** Where the last self-test is kept. */
export const selftestPath = ({ home }: Pick<Place, 'home'>): string =>
  join(home, 'state', 'selftest-launchd.json')

/** What people must know while no self-test has passed here; null then. */
export function launchdCaveat(place: Pick<Place, 'home'>): string | null {
  const text = textOf(selftestPath(place))
  const passed = text !== null && (JSON.parse(text) as { passed?: boolean }).passed === true
  return passed
    ? null
    : 'launchd: tried against a model, not on a Mac; paios selftest launchd tries it on this one'
}
