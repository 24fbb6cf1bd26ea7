/**
 * Lists of samples that are the same objects for as long as they say the same. The rules look at them every 5 s for
 * weeks: nearly nothing has changed, so nearly no garbage is made, and what was grouped of a list stays good.
 */
import type { Sample } from '../core/evaluate.ts'

/** Adds a sample to the list; `probe` only where it is about one. */
export type Put = (value: number, service: string, probe?: string) => void

/** One list, made again by each call: `fill` puts all of it. What is as before is the same object, also the list. */
export function steadyList(): (fill: (put: Put) => void) => Sample[] {
  let last: Sample[] = []
  let next: Sample[] = []
  let isSame = true
  const put: Put = (value, service, probe) => {
    const old = last[next.length]
    const isOld =
      old !== undefined &&
      Object.is(old.value, value) &&
      old.labels['service'] === service &&
      old.labels['probe'] === probe
    if (!isOld) isSame = false
    next.push(isOld ? old : { labels: probe === undefined ? { service } : { service, probe }, value })
  }
  return (fill) => {
    next = []
    isSame = true
    fill(put)
    if (!isSame || next.length !== last.length) last = next
    return last
  }
}

/** The list that was given before where this one holds the same objects. */
export function sameList(): (list: Sample[]) => Sample[] {
  let last: Sample[] = []
  return (list) => {
    if (list.length !== last.length || list.some((sample, at) => sample !== last[at])) last = list
    return last
  }
}
