/**
 * Taking a service over from the systemd unit or launchd job that runs it: looked at first, written down before
 * anything is done, and put back whole if the service does not get ready here. The unit or plist itself is never
 * touched.
 */
import type { ServiceSpec } from '../../schemas/service.ts'
import type { ServiceStatus, Status } from '../../schemas/status.ts'
import type { TakeoverRecord } from '../../schemas/takeover.ts'
import { PaiosError, unknownService } from '../errors.ts'
import { GATEWAY_LABEL, GATEWAY_UNIT } from './gateway-owner.ts'
import { fileHash, holderOf, lineage, type Owner, treeOf } from './owner.ts'
import { giveBack, poll, type TakeoverSetting } from './release.ts'
import { type Edit, planEdit, writeDocument } from './takeover-document.ts'
import { readRecord, recordPath, removeRecord, writeRecord } from './takeover-record.ts'
import { startHere } from './takeover-start.ts'

/** How long the port may outlive the process that held it. */
const FREE_LIMIT_MS = 30_000
/** What a takeover would do. */
export type TakeoverPlan = {
  readonly service: string
  readonly owner: Owner
  /** As it would be started. */
  readonly spec: ServiceSpec
  readonly edit: Edit | null
  /** Ports on which the owner's program listens now. */
  readonly ports: readonly number[]
  /** Its record if it was taken over before and its owner has come back. */
  readonly former: TakeoverRecord | null
  /** The pid of the service if it runs here already, and its owner alone is to be stopped again. */
  readonly here: number | null
  readonly steps: readonly string[]
  /** What could not be checked. */
  readonly notes: readonly string[]
}

const refused = (why: string) => new PaiosError('refused', why)

/** Looks, and changes nothing. Throws refused with the reason where it cannot be taken over. */
export async function planTakeover(setting: TakeoverSetting, service: string): Promise<TakeoverPlan> {
  const { place, document, asks } = setting
  const former = readRecord(place.home, service)
  if (former !== null && former.step !== 'taken') throw refused(interrupted(former))
  const status = await asks.status()
  if (status === null) throw new PaiosError('no-supervisor', `no supervisor runs for ${place.home}: paios up`)
  const seen = status.services.find(({ name }) => name === service)
  if (seen === undefined)
    throw unknownService(
      service,
      status.services.map(({ name }) => name),
    )
  refuseState(seen, status)
  const { spec, edit } = await planEdit(document, service, seen.kind === 'external')
  const here = seen.kind === 'external' ? null : seen.pid
  if (here !== null) {
    const owner = await returnedOwner(setting, { service, here, former })
    const plan = { service, owner, spec, edit, ports: [], former, here, notes: [] }
    return { ...plan, steps: stepsOf(setting, plan).slice(1, 2) }
  }
  const { owner, holder } = await findOwner(setting, spec, status, former)
  const notes = await checkStart(setting, service, [owner.pid, holder])
  const ports = holder === null ? [] : spec.ports
  const plan = { service, owner, spec, edit, ports, former, here, notes }
  return { ...plan, steps: stepsOf(setting, plan) }
}

type Here = { readonly service: string; readonly here: number; readonly former: TakeoverRecord | null }

/** The owner of a service that runs here, if it was enabled or started again since. Throws refused. */
async function returnedOwner({ owners }: TakeoverSetting, { service, here, former }: Here): Promise<Owner> {
  const owner = former === null ? null : await owners.look(former.owner.name)
  if (owner !== null && (owner.isEnabled || owner.isActive)) return owner
  const since = former === null ? '' : ` since ${former.at}; paios release ${service} gives it back`
  throw refused(`${service} is started by paios already (pid ${here})${since}`)
}

/** What a record of a takeover or release that has not come to its end says to people. */
export function interrupted({ service, step }: TakeoverRecord): string {
  const what = step === 'releasing' ? 'release' : 'takeover'
  return `a ${what} of ${service} was interrupted (${step}): paios release ${service} puts everything back`
}

function refuseState({ name, desired }: ServiceStatus, status: Status): void {
  if (status.document.problem !== null) {
    throw refused(`${status.document.problem}; a takeover would apply it: settle that first`)
  }
  if (desired === 'stopped') throw refused(`${name} was stopped by an operator: paios start ${name} first`)
}

/** The unit or job that runs the program, and the pid that listens. Throws refused. */
async function findOwner(
  { owners, place, table }: TakeoverSetting,
  { name: service, ports, preset }: ServiceSpec,
  status: Status,
  former: TakeoverRecord | null,
): Promise<{ owner: Owner; holder: number | null }> {
  const holder = await holderOf(ports)
  if (holder !== null && holder.pid === null) {
    throw refused(
      `port ${holder.port} is held by a process that this user cannot see: it belongs to another user`,
    )
  }
  const { init } = owners
  const pid = holder?.pid ?? null
  const usual = init === 'systemd' ? GATEWAY_UNIT : GATEWAY_LABEL
  const idle = former?.owner.name ?? (preset === 'openclaw-gateway' ? usual : null)
  const name = pid === null ? idle : await owners.nameOf(pid, table)
  const byHand = `set \`observe: false\` in services.${service}, then paios up`
  if (name === null) {
    if (pid === null)
      throw refused(`nobody listens on a port of ${service}, so nobody is to hand it over: ${byHand}`)
    throw refused(
      `no unit or job of ${init} runs pid ${pid} on port ${holder?.port}: stop it there, ${byHand}`,
    )
  }
  const owner = await owners.look(name)
  if (owner === null || (pid === null && !owner.isEnabled && !owner.isActive)) {
    throw refused(`${name} of ${init} neither runs nor starts at a login: ${byHand}`)
  }
  const isOurs =
    name === place.unit || name === place.label || lineage(pid ?? 0, table).includes(status.pid ?? -1)
  if (isOurs) throw refused(`pid ${pid} belongs to this supervisor`)
  if (owner.obstacle !== null) throw refused(owner.obstacle)
  for (const [who, inside] of [
    ['this command', process.pid],
    ['the supervisor', status.pid ?? 0],
  ] as const) {
    const how = who === 'this command' ? 'type it in a terminal' : 'paios down, then paios up in a terminal'
    if (owners.contains(owner, inside, table))
      throw refused(`${who} runs inside ${name} and would end with it: ${how}`)
  }
  return { owner, holder: pid }
}

/** What speaks against a start here but what its owner holds. Throws refused; returns what could not be told. */
async function checkStart(
  { asks, table }: TakeoverSetting,
  service: string,
  above: readonly (number | null)[],
): Promise<string[]> {
  const tree = above.flatMap((pid) => (pid === null ? [] : treeOf(pid, table)))
  const checks = await asks.preflight(service, [...new Set(tree)])
  const bad = checks.filter(({ outcome }) => outcome === 'fail' || outcome === 'absent')
  if (bad.length > 0) {
    const why = bad.map(({ check, reason }) => `${check}: ${reason}`).join('; ')
    throw refused(`${service} could not be started here, nothing was changed: ${why}`)
  }
  return checks.flatMap(({ check, outcome, reason }) =>
    outcome === 'unknown' ? [`${check}: ${reason}`] : [],
  )
}

function stepsOf(
  { place, document }: TakeoverSetting,
  { service, owner, spec, edit }: Omit<TakeoverPlan, 'steps'>,
): string[] {
  const { init, name, pid, stopLimitMs } = owner
  const stop =
    init === 'systemd' ? `systemctl --user disable --now ${name}` : `launchctl disable and bootout ${name}`
  const process = pid === null ? 'it does not run' : `pid ${pid}, which has ${stopLimitMs / 1000} s to end`
  const change = `change \`observe: true\` of services.${service} in ${document} to false`
  return [
    `write down how to give it back: ${recordPath(place.home, service)}`,
    `${stop} (${process}); ${owner.file} stays as it is`,
    ...(edit === null ? [] : [change]),
    `start ${service} and wait until it is ready, at most ${spec.startTimeout / 1000} s; else put everything back`,
  ]
}

/** Carries a plan out. Returns the new pid. Throws takeover-failed after everything was put back. */
export async function takeover(setting: TakeoverSetting, plan: TakeoverPlan): Promise<number> {
  const { place, owners, document, asks, tell } = setting
  const { service, owner, edit, former } = plan
  if (plan.here !== null) {
    await owners.halt(owner)
    await awaitHalted(setting, plan)
    tell(`${owner.name} is stopped and does not start at a login any more`)
    return plan.here
  }
  const record: TakeoverRecord = { ...recordOf(plan), step: 'intended' }
  const reach = (step: TakeoverRecord['step']) => writeRecord(place.home, { ...record, step })
  reach('intended')
  try {
    await owners.halt(owner)
    await awaitHalted(setting, plan)
    reach('stopped')
    tell(`${owner.name} is stopped and does not start at a login any more`)
    if (edit !== null) {
      writeDocument(document, edit.before, edit.after)
      tell(`${document} declares ${service} as started here`)
    }
    reach('declared')
    const pid = await startHere(asks, plan)
    reach('taken')
    return pid
  } catch (error) {
    // What was taken over before stays so; only what this time has changed is put back.
    const was = former === null ? record : { ...record, owner: { ...recordOf(plan).owner, ...seenOf(owner) } }
    throw await putBack(setting, was, former, error)
  }
}

const seenOf = ({ isEnabled, isActive, pid }: Owner) => ({ isEnabled, isActive, pid })

function recordOf({ service, owner, edit, ports, former }: TakeoverPlan): TakeoverRecord {
  if (former !== null) return former
  const { init, name, file } = owner
  return {
    version: 1,
    service,
    at: new Date().toISOString(),
    step: 'intended',
    owner: { init, name, file, fileHash: fileHash(file), ...seenOf(owner) },
    ports: [...ports],
    document: edit,
  }
}

/** Not only the answer of systemd or launchd counts: the process is gone, and the port is free. */
async function awaitHalted(
  { owners, table }: TakeoverSetting,
  { owner, spec, here }: TakeoverPlan,
): Promise<void> {
  const { name, pid } = owner
  await poll(`${name} is stopped, and what it ran is still there`, FREE_LIMIT_MS, async () => {
    const now = await owners.look(name)
    if (now !== null && (now.isActive || now.isEnabled)) return false
    const entry = pid === null ? null : table.entry(pid)
    const isGone = entry === null || entry.zombie
    return isGone && (here !== null || (await holderOf(spec.ports)) === null)
  })
}

async function putBack(
  setting: TakeoverSetting,
  record: TakeoverRecord,
  former: TakeoverRecord | null,
  error: unknown,
): Promise<PaiosError> {
  const { place, tell } = setting
  const why = error instanceof Error ? error.message : String(error)
  try {
    tell(`${why}: putting everything back`)
    await giveBack(setting, former === null ? record : { ...record, document: null })
    if (former === null) removeRecord(place.home, record.service)
    else writeRecord(place.home, former)
  } catch (fault) {
    const left = `not everything was put back: ${(fault as Error).message}; paios release ${record.service}`
    return new PaiosError('takeover-failed', `${why}; ${left}`, { cause: error })
  }
  return new PaiosError('takeover-failed', `${why}; everything was put back`, { cause: error })
}
