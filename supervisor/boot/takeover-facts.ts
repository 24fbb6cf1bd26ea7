/** Looking for what `paios doctor` judges of services that systemd or launchd runs, or ran. Changes nothing. */
import { existsSync } from 'node:fs'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { Status } from '../../schemas/status.ts'
import { PaiosError } from '../errors.ts'
import { homeAt } from '../shell/home.ts'
import { takeChangeLock } from '../shell/lock.ts'
import { openProcessTable } from '../shell/process-table.ts'
import { holderOf, type Owners, openOwners } from './owner.ts'
import type { Place } from './place.ts'
import { interrupted } from './takeover.ts'
import type { OwnedFacts, TakenFacts, TakeoverFacts } from './takeover-findings.ts'
import { readRecord, recordedServices, recordPath } from './takeover-record.ts'

/** The facts of a home. `status` null where no supervisor answers. */
export async function takeoverFacts(
  place: Place,
  specs: readonly ServiceSpec[],
  status: Status | null,
): Promise<TakeoverFacts> {
  const owners = await openOwners().catch(unavailable)
  const recorded = recordedServices(place.home)
  const all = await Promise.all(recorded.map((service) => takenFacts(place, service, owners)))
  // A command that is at work is not an interrupted one; it is looked for only then, since that takes its lock.
  const isPending = all.some(({ interrupted: why }) => why !== null) && isAtWork(place)
  const taken = isPending ? all.filter(({ interrupted: why }) => why === null) : all
  const states = new Map(status?.services.map(({ name, state }) => [name, state]))
  const candidates = specs.filter(({ name, kind }) => kind === 'external' || states.get(name) === 'blocked')
  const owned: OwnedFacts[] = []
  for (const spec of owners === null ? [] : candidates) owned.push(...(await ownedFacts(spec, owners!)))
  return { taken, owned: owned.filter(({ service }) => !recorded.includes(service)) }
}

async function takenFacts(place: Place, service: string, owners: Owners | null): Promise<TakenFacts> {
  const about = { service, record: recordPath(place.home, service) }
  try {
    const record = readRecord(place.home, service)
    const owner = record?.owner.name ?? ''
    if (record === null || record.step !== 'taken') {
      return { ...about, owner, back: null, interrupted: record === null ? null : interrupted(record) }
    }
    const now = await owners?.look(owner).catch(unavailable)
    const back = now?.pid ? 'running' : now?.isEnabled || now?.isActive ? 'enabled' : null
    return { ...about, owner, back, interrupted: null }
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    return { ...about, owner: '', back: null, interrupted: error.message }
  }
}

async function ownedFacts({ name, ports, kind }: ServiceSpec, owners: Owners): Promise<OwnedFacts[]> {
  const holder = await holderOf(ports)
  if (holder === null || holder.pid === null) return []
  const unit = await owners.nameOf(holder.pid, openProcessTable()).catch(unavailable)
  const owner = unit === null ? null : await owners.look(unit).catch(unavailable)
  if (owner === null || owner.obstacle !== null) return []
  const { init, file } = owner
  return [{ service: name, owner: owner.name, file, init, isObserved: kind === 'external' }]
}

/** What systemd or launchd will not tell is not judged; doctor says apart that they cannot be reached. */
function unavailable(error: unknown): null {
  if (error instanceof PaiosError) return null
  throw error
}

function isAtWork({ home }: Place): boolean {
  const paths = homeAt(home)
  if (!existsSync(paths.changeLock)) return false
  try {
    takeChangeLock(paths, 'doctor').release()
    return false
  } catch (error) {
    if (error instanceof PaiosError && error.code === 'lock-held') return true
    throw error
  }
}
