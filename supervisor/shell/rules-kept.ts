/** What the rule engine keeps over a restart of the supervisor: what was counted lately, and what is pending. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { METRICS } from '../../schemas/metrics.ts'
import { RULES } from '../core/alert-rules.ts'
import type { Instance, Instances } from '../core/alert-state.ts'
import type { Windows } from '../core/windows.ts'

export type KeptState = {
  readonly moves: Windows
  readonly instances: Map<string, Instances>
  /** Unix seconds at which the supervisor that wrote this was started. */
  startedAt: number | null
  /** The last event of the journal that is counted in it, null where nobody has written one. */
  lastEvent: number | null
}
/** `isBroken`: there was a file that could not be read. */
export type Kept = { readonly state: KeptState; isBroken: boolean; isDirty: boolean; save(): void }
type Written = {
  readonly moves: readonly (readonly [string, ReturnType<typeof seriesOf>])[]
  readonly instances: readonly (readonly [string, readonly (readonly [string, Instance])[]])[]
  readonly startedAt: number | null
  readonly lastEvent?: number
}

const seriesOf = (series: Windows extends Map<string, infer Series> ? Series : never) => [...series]

/** The file: read once, written where something has changed. What cannot be read is begun anew. */
export function openKept(path: string, lastEvent: () => number, failed: () => void): Kept {
  const kept: Kept = {
    state: { moves: new Map(), instances: new Map(), startedAt: null, lastEvent: null },
    isBroken: false,
    isDirty: false,
    save() {
      if (!kept.isDirty) return
      const { moves, instances, startedAt } = kept.state
      const written: Written = {
        moves: [...moves].map(([metric, series]) => [metric, seriesOf(series)]),
        instances: [...instances].map(([rule, all]) => [rule, [...all]]),
        startedAt,
        lastEvent: lastEvent(),
      }
      try {
        writeFileSync(`${path}.new`, JSON.stringify(written), { mode: 0o600 })
        renameSync(`${path}.new`, path)
        kept.isDirty = false
      } catch {
        // A full disk: what it holds is in memory, and the next evaluation tries again.
        failed()
      }
    },
  }
  try {
    const { moves, instances, startedAt, lastEvent: last } = JSON.parse(readFileSync(path, 'utf8')) as Written
    for (const [metric, series] of moves) if (metric in METRICS) kept.state.moves.set(metric, new Map(series))
    for (const [rule, all] of instances) if (rule in RULES) kept.state.instances.set(rule, new Map(all))
    kept.state.startedAt = startedAt
    kept.state.lastEvent = last ?? null
  } catch (error) {
    kept.isBroken = (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
  return kept
}
