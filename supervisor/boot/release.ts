/**
 * Giving a service back to the systemd unit or launchd job that ran it, from whatever a takeover has left: each step
 * looks first whether it is done, so it may be repeated after an end in the middle.
 */
import type { Status } from '../../schemas/status.ts'
import type { TakeoverRecord } from '../../schemas/takeover.ts'
import type { PreflightResult } from '../core/event.ts'
import { PaiosError } from '../errors.ts'
import type { ProcessTable } from '../shell/process-table.ts'
import { fileHash, holderOf, lineage, type Owner, type Owners } from './owner.ts'
import type { Place } from './place.ts'
import { planReturn, writeDocument } from './takeover-document.ts'
import { readRecord, removeRecord, writeRecord } from './takeover-record.ts'

/** A gateway drains for 325 s at most, and is killed then. */
const GONE_LIMIT_MS = 360_000
/** A gateway listens after 10 to 17 s on an idle machine, and after minutes where it has to migrate its database. */
const LISTEN_LIMIT_MS = 300_000
const POLL_MS = 200

/** What is asked of the supervisor. */
export type Asks = {
  /** Null where none answers. */
  status(): Promise<Status | null>
  up(retry: boolean): Promise<void>
  start(service: string): Promise<void>
  stop(service: string): Promise<void>
  preflight(service: string, pids: readonly number[]): Promise<readonly PreflightResult[]>
}

/** What takeover and release need. `tell` takes a line for people. */
export type TakeoverSetting = {
  readonly place: Place
  /** The document's path. */
  readonly document: string
  readonly owners: Owners
  readonly asks: Asks
  readonly table: ProcessTable
  readonly tell: (line: string) => void
}

/** What a release would do. */
export type ReleasePlan = {
  readonly record: TakeoverRecord
  readonly steps: readonly string[]
  readonly notes: readonly string[]
}

/** Looks, and changes nothing. Throws refused where nothing was taken over or it cannot be given back now. */
export async function planRelease(setting: TakeoverSetting, service: string): Promise<ReleasePlan> {
  const { place, document, owners, asks, table } = setting
  const record = readRecord(place.home, service)
  if (record === null) throw new PaiosError('refused', `${service} was not taken over from anybody`)
  const { owner } = record
  const now = await owners.look(owner.name)
  const hash = fileHash(owner.file)
  if (now === null || hash === null) {
    const keep = `to keep it here instead, remove ${place.home}/takeover/${service}.json`
    throw new PaiosError('refused', `${owner.file} of ${owner.name} is gone: install it again; ${keep}`)
  }
  const status = await asks.status()
  if (status === null) await refuseUnseen(setting, record)
  else if (record.step === 'taken' && status.document.problem !== null) {
    throw new PaiosError('refused', `${status.document.problem}; a release would apply it: settle that first`)
  }
  const pid = status?.services.find(({ name }) => name === service)?.pid ?? null
  if (pid !== null && lineage(process.pid, table).includes(pid)) {
    throw new PaiosError(
      'refused',
      `this command runs inside ${service} and would end with it: type it in a terminal`,
    )
  }
  const back = planReturn(document, record)
  const steps = [
    ...(back === null ? [] : [`put services.${service} of ${document} back as it was`]),
    ...(pid === null ? [] : [`stop ${service} (pid ${pid}), in order`]),
    ...restoreSteps(owner, now),
    `remove ${place.home}/takeover/${service}.json`,
  ]
  const isChanged = record.owner.fileHash !== hash
  return { record, steps, notes: isChanged ? [`${owner.file} was changed since the takeover`] : [] }
}

/** Without a supervisor nobody can stop our process, which would then hold the port against its owner. */
async function refuseUnseen(
  { owners, table }: TakeoverSetting,
  { ports, owner }: TakeoverRecord,
): Promise<void> {
  const holder = await holderOf(ports)
  if (holder === null || (holder.pid !== null && (await owners.nameOf(holder.pid, table)) === owner.name))
    return
  const who = holder.pid === null ? 'a process that cannot be seen' : `pid ${holder.pid}`
  throw new PaiosError(
    'no-supervisor',
    `no supervisor runs, and ${who} holds port ${holder.port}: paios up first`,
  )
}

function restoreSteps(was: TakeoverRecord['owner'], now: Owner): string[] {
  const verbs = [
    ...(was.isEnabled && !now.isEnabled ? ['enable'] : []),
    ...(was.isActive && !now.isActive ? ['start'] : []),
  ]
  return verbs.length === 0 ? [] : [`${verbs.join(' and ')} ${was.name} with ${was.init}, as it was`]
}

/** Carries it out. Throws takeover-failed; the record stays then, and a repetition goes on where this one ended. */
export async function release(setting: TakeoverSetting, { record }: ReleasePlan): Promise<void> {
  writeRecord(setting.place.home, { ...record, step: 'releasing' })
  await giveBack(setting, record)
  removeRecord(setting.place.home, record.service)
}

/** Everything as the record says, but the record itself. */
export async function giveBack(setting: TakeoverSetting, record: TakeoverRecord): Promise<void> {
  const { document, asks, owners, tell } = setting
  const { service, owner, ports } = record
  const back = planReturn(document, record)
  if (back !== null) {
    writeDocument(document, back.from, back.to)
    tell(`services.${service} of ${document} is as it was`)
  }
  const status = await asks.status()
  if (status !== null) {
    await asks.up(false)
    await endOurs(setting, record)
  }
  await owners.restore(owner)
  await awaitBack(setting, owner, ports)
  const state = `${owner.isEnabled ? 'enabled' : 'not enabled'}, ${owner.isActive ? 'active' : 'not active'}`
  tell(`${owner.name} is ${state} again`)
  // What is declared as ours was blocked before, and is again.
  if (status !== null && record.document === null) await asks.start(service)
}

/** Waits until no process of ours is left of the service; one that is declared as ours still is stopped for that. */
async function endOurs({ asks }: TakeoverSetting, { service, document }: TakeoverRecord): Promise<void> {
  const find = async () => (await asks.status())?.services.find(({ name }) => name === service)
  if (document === null) await asks.stop(service)
  await poll(`${service} does not end`, GONE_LIMIT_MS, async () => {
    const seen = await find()
    if (seen === undefined) return true
    // What stops by its new declaration is shown by the old one until then.
    return seen.pid === null && seen.state !== 'stopping' && (document === null || seen.kind === 'external')
  })
}

async function awaitBack(
  { owners, table }: TakeoverSetting,
  was: TakeoverRecord['owner'],
  ports: readonly number[],
): Promise<void> {
  const { name } = was
  const isWell = async () => {
    const now = await owners.look(name)
    if (now === null || (was.isEnabled && !now.isEnabled)) return false
    if (!was.isActive) return true
    if (!now.isActive || (was.pid !== null && now.pid === null)) return false
    if (was.pid === null || ports.length === 0) return true
    const holder = await holderOf(ports)
    return holder?.pid != null && (await owners.nameOf(holder.pid, table)) === name
  }
  const where = ports.length === 0 ? '' : `, or does not listen on port ${ports.join(', ')}`
  const what = `${name} is not back after ${LISTEN_LIMIT_MS / 1000} s${where}`
  await poll(what, LISTEN_LIMIT_MS, isWell)
}

/** Waits until a look says so. Throws takeover-failed. */
export async function poll(what: string, limitMs: number, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await look())) {
    if (performance.now() > deadline) throw new PaiosError('takeover-failed', what)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
