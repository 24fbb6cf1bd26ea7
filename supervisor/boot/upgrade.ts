/**
 * Swapping the version that a supervisor runs from, forth and back, without touching a service: the new copy
 * is proven, the link is moved, the supervisor hands over and its successor adopts the services. A successor
 * that does not answer is replaced by the former version again.
 */
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PaiosError } from '../errors.ts'
import {
  linkedVersion,
  listVersions,
  makeCopy,
  pruneVersions,
  readVersion,
  type Source,
  sourceAt,
  type Version,
} from './copy.ts'
import {
  handOver,
  programIn,
  programOf,
  putBack,
  putInForce,
  type Setting,
  UNTOUCHED,
  type WayBack,
} from './install.ts'
import type { Place } from './place.ts'
import { endKept, findRunning, type Running } from './running.ts'
import { renewSentinel } from './sentinel.ts'

/** Where the next version comes from: a copy that is there, or an installation to be copied. */
export type Target =
  | { readonly kind: 'copy'; readonly version: Version }
  | { readonly kind: 'source'; readonly source: Source }

/** What an upgrade would do. */
export type UpgradePlan = {
  readonly from: string | null
  readonly to: string
  readonly target: Target
  readonly running: Running | null
  readonly steps: readonly string[]
}

/**
 * What `--to` means: `previous`, the id of a copy, the beginning of one that only one copy has, or the
 * folder of an installation; null is the installation that asks. Throws usage.
 */
export function targetOf(place: Place, to: string | null, root: string): Target {
  if (to === null) return { kind: 'source', source: sourceAt(root) }
  const copy = to === 'previous' ? linkedVersion(place.previous) : matching(place, to)
  if (copy !== null) return { kind: 'copy', version: copy }
  const folder = resolve(to)
  const isFolder = (to.includes('/') || to === '.') && existsSync(folder) && statSync(folder).isDirectory()
  if (isFolder) return { kind: 'source', source: sourceAt(folder) }
  const known = listVersions(place).map(({ id }) => id)
  const there = known.length === 0 ? 'there is no copy yet' : `there are ${known.join(', ')}`
  throw new PaiosError('usage', `'${to}' is neither a version nor the folder of a paios (${there})`)
}

function matching(place: Place, to: string): Version | null {
  const found = listVersions(place).filter(({ id }) => id === to || id.startsWith(`${to}-`))
  if (found.length > 1) {
    throw new PaiosError('usage', `'${to}' is ambiguous: ${found.map(({ id }) => id).join(', ')}`)
  }
  return found[0] ?? null
}

/** Looks, and changes nothing. Throws refused where a supervisor runs in a terminal or a container. */
export async function planUpgrade(setting: Setting, target: Target): Promise<UpgradePlan> {
  const { place, init, answering } = setting
  const running = await findRunning(place, answering, init)
  if (running?.under === 'nobody') {
    throw new PaiosError(
      'refused',
      `the supervisor (pid ${running.pid}) runs in a terminal or a container: end it there`,
    )
  }
  const to = target.kind === 'copy' ? target.version.id : target.source.id
  const from = linkedVersion(place.current)?.id ?? null
  const steps: string[] = []
  if (readVersion(join(place.versions, to)) === null) steps.push(`make the copy ${to} and prove that it runs`)
  if (from !== to) steps.push(`put ${to} in force${from === null ? '' : ` instead of ${from}`}`)
  if (running !== null && running.copy !== to) {
    steps.push(`hand over from pid ${running.pid}: ${UNTOUCHED}`)
  }
  return { from, to, target, running, steps }
}

/** Carries the plan out. Returns the supervisor that runs then, null if none ran. Throws install-failed. */
export async function upgrade(setting: Setting, plan: UpgradePlan): Promise<Running | null> {
  const { place, tell } = setting
  const { running, to, target } = plan
  const back: WayBack = { files: [], stop: null, revive: null }
  try {
    if (target.kind === 'source') await makeCopy(place, target.source)
    back.files.push(...putInForce(place, to), renewSentinel(place, to))
    if (plan.from !== to) tell(`${to} is in force`)
    const next = running === null || running.copy === to ? running : await replace(setting, running, to, back)
    pruneVersions(place)
    return next
  } catch (error) {
    throw await putBack(setting, back, error)
  }
}

async function replace(
  setting: Setting,
  running: Running,
  to: string,
  back: WayBack,
): Promise<Running | null> {
  const { place, init, answering, tell } = setting
  if (running.under === 'init') {
    await handOver(setting, running, back)
    return findRunning(place, answering, init)
  }
  back.revive = () => setting.keep(programOf(setting, running))
  await endKept(place, running)
  await setting.keep(programIn(place, to))
  const next = await findRunning(place, answering, null)
  tell(`the supervisor runs under a new keeper with pid ${next?.pid}`)
  return next
}
