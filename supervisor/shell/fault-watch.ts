/**
 * Sees what the alert rules find of services and has repairs considered for it: at once, and again while the service is
 * in trouble; what is too soon or too much is refused there. A trouble that is over withdraws what waits for a person.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Finding } from '../core/alert.ts'

/** While a trouble lasts its repair is considered again this often. */
const AGAIN_MS = 30_000
/** Findings wait this long at most until it is known whether they are being repaired. */
const HOLD_MS = 3_000

const keyOf = ({ rule, labels }: Finding) => JSON.stringify([rule, Object.entries(labels).sort()])

export type FaultWatchOptions = {
  readonly isInTrouble: (service: string) => boolean
  /** Settles once it is known whether a repair has begun. */
  readonly consider: (service: string, rule: string) => Promise<unknown>
  /** What incidents are made of; called once it is known which of it is being repaired. */
  readonly tell: (findings: readonly Finding[]) => void
  readonly over: (service: string) => void
}

/** Opens the watch. `found` is given everything that fires, `look` is called every second; both a monotonic time. */
export function openFaultWatch({ isInTrouble, consider, tell, over }: FaultWatchOptions) {
  let latest: readonly Finding[] = []
  let isHeld = false
  /** What fired while findings were held, by rule and labels: what is over by then is told all the same. */
  const heldBack = new Map<string, Finding>()
  const hold = (findings: readonly Finding[]) => {
    for (const finding of findings) heldBack.set(keyOf(finding), finding)
  }
  const release = () => {
    const still = new Set(latest.map(keyOf))
    const over = [...heldBack].flatMap(([key, finding]) => (still.has(key) ? [] : [finding]))
    heldBack.clear()
    if (over.length > 0) tell([...latest, ...over])
    tell(latest)
  }
  let isClosed = false
  let firing: readonly { readonly service: string; readonly rule: string }[] = []
  const considered = new Map<string, number>()
  const troubled = new Set<string>()
  const consult = (now: number): Promise<unknown>[] => {
    const begun: Promise<unknown>[] = []
    const keys = new Set(firing.map(({ service, rule }) => `${service} ${rule}`))
    for (const key of considered.keys()) if (!keys.has(key)) considered.delete(key)
    for (const { service, rule } of firing) {
      const key = `${service} ${rule}`
      const last = considered.get(key)
      if (last !== undefined && (now - last < AGAIN_MS || !isInTrouble(service))) continue
      considered.set(key, now)
      const known = consider(service, rule)
      if (last === undefined) begun.push(known)
    }
    return begun
  }
  return {
    found(findings: readonly Finding[], now: number): void {
      const about = findings.filter(({ subject }) => subject.kind === 'service')
      const before = new Set(firing.map(({ service }) => service))
      firing = about.map(({ subject, rule }) => ({ service: subject.name, rule }))
      for (const { service } of firing) before.delete(service)
      for (const service of before) over(service)
      const begun = consult(now)
      latest = findings
      if (isHeld) return hold(findings)
      if (begun.length === 0) return tell(findings)
      hold(findings)
      // A repair that begins with its incident keeps its message silent; a second is not waited for longer.
      isHeld = true
      const known = Promise.allSettled(begun)
      void Promise.race([known, wait(HOLD_MS, undefined, { ref: false })]).then(() => {
        isHeld = false
        if (!isClosed) release()
      })
    },
    look(now: number): void {
      for (const service of new Set([...troubled, ...firing.map((one) => one.service)])) {
        if (isInTrouble(service)) troubled.add(service)
        else if (troubled.delete(service)) over(service)
      }
      consult(now)
    },
    close(): void {
      isClosed = true
    },
  }
}
