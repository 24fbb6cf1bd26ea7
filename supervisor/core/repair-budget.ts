/**
 * How much may be done by itself: per service and for the host, a pause between runs, and a breaker that only a person
 * closes. Every time is in awake milliseconds, so a night of sleep uses up nothing and gives nothing back.
 */
import type { Held, Run, RunRequest, Work } from './recovery-state.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** Changing acts without anybody's leave, of one service, in an hour and in a day. */
export const PER_SERVICE = { hour: 3, day: 10 } as const
/** The same of all services, in an hour. */
export const PER_HOST_HOUR = 10
/** So many verifications in a row that fail open the breaker. */
const VERIFY_FAILURES = 2
/** More than this of a service's latest runs are not remembered. */
const TRIED = 50

/** Something that was changed without a person's leave. */
type Act = { readonly at: number; readonly run: number }

/** What is remembered of one service. `acts`: when something was changed without a person's leave. */
export type Ledger = {
  readonly acts: readonly Act[]
  readonly verifyFailures: number
  /** Why nothing is done by itself any more, null if nothing speaks against it. */
  readonly open: string | null
  /** Runs that began by themselves. */
  readonly tried: readonly { readonly key: string; readonly runbook: string; readonly at: number }[]
}

const NONE: Ledger = { acts: [], verifyFailures: 0, open: null, tried: [] }
const ledgerOf = ({ ledgers }: Pick<Work, 'ledgers'>, service: string): Ledger =>
  Object.hasOwn(ledgers, service) ? ledgers[service]! : NONE
const keyOf = ({ rule, incident }: Pick<RunRequest, 'rule' | 'incident'>) => `${incident ?? ''} ${rule ?? ''}`

const HELD: Readonly<Record<Held, string>> = {
  maintenance: 'in maintenance',
  flapping: 'while it is flapping',
  battery: 'on a battery that is nearly empty',
  quiet: 'from 23:00 to 08:00 (`auto: { quietHours: hold }`)',
}

/** Why a run does not begin by itself, null if it may. */
export function refusalOf(
  work: Work,
  { service, auto, held, runbook, rule, incident }: RunRequest,
): string | null {
  const { open, tried } = ledgerOf(work, service)
  if (!auto.enabled) return `${runbook.id} is for people to run (\`auto: { enabled: false }\`)`
  const [why] = held.filter((one) => one !== 'quiet' || auto.quietHours === 'hold')
  if (why !== undefined) return `nothing is done by itself ${HELD[why]}`
  if (open !== null) return `${open}; a run by hand ends this`
  // A fault is considered for the first time before its incident is there.
  const keys = [keyOf({ rule, incident }), keyOf({ rule, incident: null })]
  const last = tried.findLast(({ key }) => keys.includes(key))?.at ?? Number.NEGATIVE_INFINITY
  if (work.at - last < auto.cooldown) {
    return `tried ${seconds(work.at - last)} s ago; again after ${seconds(auto.cooldown)} s`
  }
  const runs = tried.filter((one) => one.runbook === runbook.id && work.at - one.at < auto.window)
  if (runs.length >= auto.maxRuns) return `${runbook.id} ran ${runs.length} times in its window`
  return null
}

type Counted = { readonly hour: number; readonly day: number; readonly host: number }

function counted(work: Pick<Work, 'ledgers' | 'at'>, service: string): Counted {
  const since = (acts: readonly Act[], ms: number) => acts.filter(({ at }) => work.at - at < ms).length
  const { acts } = ledgerOf(work, service)
  const all = Object.values(work.ledgers).flatMap((ledger) => ledger.acts)
  return { hour: since(acts, HOUR_MS), day: since(acts, DAY_MS), host: since(all, HOUR_MS) }
}

/** Why nothing more is changed without a person's leave, null if it may be. A run may take several steps at once. */
export function limitOf(work: Pick<Work, 'ledgers' | 'at'>, { id, service, runbook }: Run): string | null {
  const { hour, day, host } = counted(work, service)
  if (hour >= PER_SERVICE.hour) return `${hour} automatic actions of ${service} in an hour are the limit`
  if (day >= PER_SERVICE.day) return `${day} automatic actions of ${service} in a day are the limit`
  if (host >= PER_HOST_HOUR) return `${host} automatic actions on this machine in an hour are the limit`
  const last = ledgerOf(work, service).acts.findLast(({ run }) => run !== id)?.at
  if (last === undefined || work.at - last >= runbook.cooldown) return null
  return `repaired ${seconds(work.at - last)} s ago; by itself again after ${seconds(runbook.cooldown)} s`
}

const seconds = (ms: number) => Math.round(ms / 1_000)

/** Automatic actions that a service has left now, by all three limits. */
export function budgetLeft(work: Pick<Work, 'ledgers' | 'at'>, service: string): number {
  const { hour, day, host } = counted(work, service)
  return Math.max(0, Math.min(PER_SERVICE.hour - hour, PER_SERVICE.day - day, PER_HOST_HOUR - host))
}

/** Remembers that a run has begun; one by hand closes the breaker, since somebody looks. */
export function noteTried(work: Work, request: RunRequest): void {
  const ledger = ledgerOf(work, request.service)
  if (request.by !== null) {
    if (ledger.open !== null) work.effects.push({ kind: 'breaker', service: request.service, reason: null })
    work.ledgers[request.service] = { ...ledger, open: null, verifyFailures: 0 }
    return
  }
  const tried = ledger.tried.filter(({ at }) => work.at - at < DAY_MS)
  const entry = { key: keyOf(request), runbook: request.runbook.id, at: work.at }
  work.ledgers[request.service] = { ...ledger, tried: [...tried, entry].slice(-TRIED) }
}

/** Counts something that is changed without a person's leave. */
export function countAct(work: Work, { id, service }: Run): void {
  const ledger = ledgerOf(work, service)
  const acts = [...ledger.acts.filter(({ at }) => work.at - at < DAY_MS), { at: work.at, run: id }]
  work.ledgers[service] = { ...ledger, acts }
}

/** Counts verifications that failed in a row; the second opens the breaker. */
export function countVerify(work: Work, { service, runbook }: Run, ok: boolean): void {
  const ledger = ledgerOf(work, service)
  const verifyFailures = ok ? 0 : ledger.verifyFailures + 1
  const isOpened = ledger.open === null && verifyFailures >= VERIFY_FAILURES
  const open = isOpened ? `${verifyFailures} repairs in a row did not help, last ${runbook.id}` : ledger.open
  if (isOpened) work.effects.push({ kind: 'breaker', service, reason: open })
  work.ledgers[service] = { ...ledger, verifyFailures, open }
}
