/**
 * What has been counted lately: for each series the moments at which it moved, and by how much. Sparse, since nearly
 * all counters stand still nearly always. It is plain data that outlives the supervisor.
 */
import { type Labels, type Sample, seriesKey } from './evaluate.ts'

/** Moves this close together are one, in milliseconds. */
const TOGETHER_MS = 1_000

type Moves = { readonly labels: Labels; readonly at: number[]; readonly by: number[] }
/** By metric and series. Changed in place by `count` and `forgetBefore` alone. Times are Unix milliseconds. */
export type Windows = Map<string, Map<string, Moves>>

/** Adds one move. */
export function count(windows: Windows, metric: string, labels: Labels, by: number, at: number): void {
  const series = windows.get(metric) ?? new Map<string, Moves>()
  windows.set(metric, series)
  const key = seriesKey(labels)
  const moves = series.get(key)
  if (!moves) {
    series.set(key, { labels, at: [at], by: [by] })
    return
  }
  const last = moves.at.length - 1
  const isTogether = Math.abs(at - moves.at[last]!) < TOGETHER_MS
  if (isTogether) moves.by[last]! += by
  else {
    moves.at.push(at)
    moves.by.push(by)
  }
}

/** How much each series has moved in (at - windowMs, at]; those that have not are left out. */
export function movedIn(windows: Windows, metric: string, windowMs: number, at: number): Sample[] {
  const samples: Sample[] = []
  for (const { labels, at: times, by } of windows.get(metric)?.values() ?? []) {
    let value = 0
    for (let index = times.length - 1; index >= 0; index--) {
      if (times[index]! <= at && times[index]! > at - windowMs) value += by[index]!
    }
    if (value > 0) samples.push({ labels, value })
  }
  return samples
}

/** Drops what is older, and what a clock that was set back has left in the future. True if anything was dropped. */
export function forgetOutside(windows: Windows, from: number, until: number): boolean {
  let hasDropped = false
  for (const [metric, series] of windows) {
    for (const [key, { at, by }] of series) {
      for (let index = at.length - 1; index >= 0; index--) {
        if (at[index]! > from && at[index]! <= until) continue
        at.splice(index, 1)
        by.splice(index, 1)
        hasDropped = true
      }
      if (at.length === 0) series.delete(key)
    }
    if (series.size === 0) windows.delete(metric)
  }
  return hasDropped
}
