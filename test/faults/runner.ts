/** Runs the rows of a group one after the other on one mesh; after a row that failed the mesh is made anew. */
import { setTimeout as wait } from 'node:timers/promises'
import type { JournalEvent, ServiceStatus, Status } from '../../schemas/status.ts'
import { request } from '../../supervisor/cli/client.ts'
import type { Ended, TestMesh } from '../e2e/mesh.ts'
import type { Fault, Group, Outcome, Sign, Stage, Well } from './fault.ts'
import { now } from './phone.ts'
import { arrivalOf, hasStanding, isFiring, isReady, objection, ruleOf } from './telling.ts'

/** Long, since it ends nothing but failures. */
const LIMIT_MS = 120_000
/** Short beside what is measured, long beside what a look costs. */
const POLL_MS = 20
/** So many events are part of a failure. */
const TOLD = 15
/** A start holds messages for 2 min; a bit more than that. */
const READY_MS = 150_000
/** The message of the hour is edited every 10 s at most. */
const INFO_MS = 30_000

/**
 * Makes a group of rows; `open` resolves to null where a program is not to be had (and says so itself), and is told
 * whether only quick rows will be run.
 */
export function defineGroup<S extends Stage>(
  id: string,
  title: string,
  open: (isQuick: boolean) => Promise<S | null>,
  faults: readonly Fault<S>[],
): Group {
  return {
    id,
    title,
    faults,
    async run({ chosen, tell, isQuick = false }) {
      const outcomes: Outcome[] = []
      const informed: Informed<S>[] = []
      let stage: S | null = null
      try {
        for (const fault of faults) {
          if (!chosen(fault) || (isQuick && !fault.quick)) continue
          const opened: S | Error | null = stage ?? (await open(isQuick).catch((error: Error) => error))
          if (opened === null) return null
          const { outcome, from, isNews } = await runFault(id, opened, fault)
          outcomes.push(outcome)
          tell(outcome)
          stage = opened instanceof Error ? null : opened
          if (outcome.failed === null) {
            if (isInfo(fault)) informed.push({ index: outcomes.length - 1, fault, from, isNews })
            continue
          }
          await stage?.end()
          stage = null
        }
        if (stage) await awaitInformed(stage, informed, outcomes)
      } finally {
        await stage?.end()
      }
      return outcomes
    },
  }
}

/** `isNews`: the alert did not fire before; what goes on is told once. */
type Informed<S extends Stage> = {
  readonly index: number
  readonly fault: Fault<S>
  readonly from: number
  readonly isNews: boolean
}

const isInfo = <S extends Stage>({ heard }: Fault<S>) => 'rule' in heard && ruleOf(heard) === null

/** Info comes by and by in the message of the hour, once for one alert: looked at when all rows were made. */
async function awaitInformed<S extends Stage>(
  stage: S,
  informed: readonly Informed<S>[],
  outcomes: Outcome[],
): Promise<void> {
  const deadline = performance.now() + INFO_MS
  for (const { index, fault, from, isNews } of informed) {
    // Another row about the same service may have begun it.
    const isNamed = () => arrivalOf(stage, fault, 0) !== null
    while (!isNamed() && performance.now() < deadline) await wait(POLL_MS)
    const told = isNews ? arrivalOf(stage, fault, from) : null
    const failed = isNamed() ? null : 'the message of the hour does not name it'
    outcomes[index] = { ...outcomes[index]!, told, failed }
  }
}

/** `stage` is an error where its mesh did not come up: then the row has failed. `from`: when the fault was made. */
async function runFault<S extends Stage>(
  group: string,
  stage: S | Error,
  fault: Fault<S>,
): Promise<{ outcome: Outcome; from: number; isNews: boolean }> {
  const { name, program, made, sign, heard, late, person } = fault
  const about = { name, program, made, sign, heard, person, ...(late === undefined ? {} : { late }) }
  const outcome = { group, fault: about, detectMs: null, told: null, recoverMs: null }
  try {
    if (stage instanceof Error) throw stage
    const { from, isNews, ...measured } = await measure(stage, fault)
    return { outcome: { ...outcome, ...measured, failed: null }, from, isNews }
  } catch (error) {
    return { outcome: { ...outcome, failed: (error as Error).message }, from: 0, isNews: false }
  }
}

type Measured = Pick<Outcome, 'told'> & { detectMs: number; recoverMs: number; from: number; isNews: boolean }

/** All times, in ms: to the sign; to the message; to well again, from the fault or, where a person must act, that act. */
async function measure<S extends Stage>(stage: S, fault: Fault<S>): Promise<Measured> {
  const { mesh } = stage
  const limitMs = fault.limitMs ?? LIMIT_MS
  await until(mesh, 'well before the fault', limitMs, async () => isQuiet(await mesh.status()))
  await fault.prepare?.(stage)
  await until(mesh, 'ready to tell', READY_MS, () => isReady(stage, fault, now()))
  const isStanding = await hasStanding(stage, fault)
  const isNews = !(await isFiring(stage, fault))
  const before = await mesh.status()
  if (await stoodBefore(mesh, fault.sign)) throw new Error('its sign was there before it was made')
  const after = (await eventsAfter(mesh, 0, 1)).at(-1)?.id ?? 0
  const from = now()
  const answer = await fault.make(stage)
  await until(mesh, `seen as ${signText(fault.sign)}`, limitMs, () => isSeen(mesh, fault.sign, after, answer))
  const seen = now()
  const detected = await instantOf(mesh, fault.sign, after).catch(() => null)
  if (ruleOf(fault.heard) !== null)
    await until(mesh, 'told', limitMs, async () => arrivalOf(stage, fault, from) !== null)
  // As a person would, so that nothing is repeated in the rows to come.
  if ('rule' in fault.heard && ruleOf(fault.heard)?.isCritical)
    await mesh.ask('/ack', { of: fault.heard.about, by: 'the fault matrix' })
  const acted = now()
  await fault.mend?.(stage)
  const isOver = wellness(stage, fault.well, before)
  const stands = 'state' in fault.sign || 'mesh' in fault.sign
  const isWell = async () => (await isOver()) && !(stands && (await isSeen(mesh, fault.sign, after, answer)))
  await until(mesh, 'well again', limitMs, isWell)
  const ended = now()
  const told = arrivalOf(stage, fault, from)
  const wrong = objection(stage, fault, { from, told, isStanding })
  if (wrong !== null) throw new Error(wrong)
  const cascade = strangersTouched(before, await mesh.status(), fault.touches)
  if (cascade.length > 0) throw new Error(`others got another process: ${cascade.join(', ')}`)
  await fault.clear?.(stage)
  return {
    detectMs: Math.max(0, Math.min(seen, detected ?? seen) - from),
    // Info comes by and by: its time is taken at the end.
    told: told && !isInfo(fault) ? { ms: told.ms, how: told.how } : null,
    recoverMs: ended - (fault.mend ? acted : from),
    from,
    isNews,
  }
}

/** When the journal has the sign, null where it is no event. */
async function instantOf(mesh: TestMesh, sign: Sign, after: number): Promise<number | null> {
  if (!('event' in sign)) return null
  const found = (await eventsAfter(mesh, after)).find((event) => isEvent(sign, event))
  return found ? Date.parse(found.at) : null
}

/** True if a status shows the sign already; a service that is not declared yet shows none. */
async function stoodBefore(mesh: TestMesh, sign: Sign): Promise<boolean> {
  if ('mesh' in sign) return isSeen(mesh, sign, 0, undefined)
  if (!('state' in sign)) return false
  const { services } = await mesh.status()
  return services.some(({ name }) => name === sign.service) && isSeen(mesh, sign, 0, undefined)
}

/** True where no row before has left anything. */
const isQuiet = ({ warnings, document, services }: Status) =>
  warnings.length === 0 &&
  document.problem === null &&
  services.every(({ ready, reason, warnings: own }) => ready && reason === null && own.length === 0)

/** The sign in the words of the document. */
export function signText(sign: Sign): string {
  if ('state' in sign) return `${sign.state}: ${sign.text.source}`
  if ('event' in sign) return `event ${sign.event}: ${sign.text.source}`
  if ('mesh' in sign) return `warning: ${sign.mesh.source}`
  return `exit ${sign.code}: ${sign.text.source}`
}

async function isSeen(
  mesh: TestMesh,
  sign: Sign,
  after: number,
  answer: Ended | undefined,
): Promise<boolean> {
  if ('state' in sign) {
    const found = serviceIn(await mesh.status(), sign.service)
    return found.state === sign.state && wordsOf(found).some((text) => sign.text.test(text))
  }
  if ('event' in sign) return (await eventsAfter(mesh, after)).some((event) => isEvent(sign, event))
  if ('mesh' in sign) {
    const { warnings, document } = await mesh.status()
    return [...warnings, document.problem ?? ''].some((text) => sign.mesh.test(text))
  }
  const said = `${answer?.stdout ?? ''}\n${answer?.stderr ?? ''}`
  if (answer?.code === sign.code && sign.text.test(said)) return true
  // No later look can change what a command has answered.
  throw new Refuted(`the command answered ${answer?.code}: ${said.trim()}`)
}

const isEvent = (sign: Extract<Sign, { event: string }>, { subject, kind, text }: JournalEvent) =>
  subject === sign.subject && kind === sign.event && sign.text.test(text)

class Refuted extends Error {}

const wordsOf = ({ reason, note, warnings }: ServiceStatus) =>
  [reason, note, ...warnings].filter((text) => text !== null)

function serviceIn(status: Status, name: string): ServiceStatus {
  const found = status.services.find((service) => service.name === name)
  if (!found) throw new Error(`status has no service ${name}`)
  return found
}

async function eventsAfter(mesh: TestMesh, id: number, limit = 10_000): Promise<JournalEvent[]> {
  const { body } = await request(mesh.home, 'GET', `/events?after=${id}&limit=${limit}`)
  return body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JournalEvent)
}

function wellness<S extends Stage>(stage: S, well: Well<S>, before: Status): () => Promise<boolean> {
  if ('what' in well) return async () => well.holds(stage)
  const old = new Map(before.services.map(({ name, pid }) => [name, pid]))
  return async () => {
    const status = await stage.mesh.status()
    return well.services.every((name) => {
      const { state, ready, reason, warnings, pid } = serviceIn(status, name)
      if (state !== 'running' || !ready || reason !== null || warnings.length > 0) return false
      if (well.process === 'none') return pid === null
      return pid !== null && (pid === old.get(name)) === (well.process === 'same')
    })
  }
}

/** Services that no fault concerned and whose process is another one now. */
function strangersTouched(before: Status, now: Status, touches: readonly string[]): string[] {
  return before.services
    .filter(({ name, pid }) => !touches.includes(name) && pid !== null)
    .filter(({ name, pid }) => now.services.find((service) => service.name === name)?.pid !== pid)
    .map(({ name }) => name)
}

/** Polls, also while no supervisor answers. The error says what was seen last. */
async function until(
  mesh: TestMesh,
  what: string,
  limitMs: number,
  holds: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + limitMs
  for (let trouble = ''; ; ) {
    try {
      if (await holds()) return
      trouble = ''
    } catch (error) {
      if (error instanceof Refuted) throw error
      trouble = ` (${(error as Error).message})`
    }
    if (performance.now() > deadline) {
      const services = await mesh.status().then(
        (status) => JSON.stringify({ ...status, services: status.services.map(shortened) }),
        (error: Error) => error.message,
      )
      const told = await eventsAfter(mesh, 0, TOLD).catch(() => [])
      const story = told
        .map(({ at, subject, kind, text }) => `\n  ${at} ${subject} ${kind}: ${text}`)
        .join('')
      throw new Error(`not ${what} within ${limitMs / 1000} s${trouble}; last seen: ${services}${story}`)
    }
    await wait(POLL_MS)
  }
}

const shortened = ({ name, state, ready, pid, reason, note, warnings }: ServiceStatus) =>
  [name, state, ready ? 'ready' : 'not ready', pid, reason, note, ...warnings].filter(Boolean).join(' | ')
