/** How old runbooks are: when somebody last compared them with their program, and last followed them. */
import type { Report } from '../../schemas/report.ts'
import type { Runbook } from '../../schemas/runbook.ts'

const DAY_MS = 86_400_000
/** A runbook that nobody has compared with its program for longer may be wrong. */
const REVIEW_DAYS = 180

/** Ages at one moment. `lastRuns`: when each runbook's steps last repaired something, Unix milliseconds. */
export type AgesAt = { readonly wall: number; readonly lastRuns: ReadonlyMap<string, number> }

/** `drilled`: the later day of its front matter and of its last run, null where there is neither. */
export type RunbookAge = {
  readonly drilled: string | null
  readonly reviewDays: number
  readonly isDue: boolean
}

/** How old one runbook is. */
export function ageOf({ id, reviewed, drilled }: Runbook, { wall, lastRuns }: AgesAt): RunbookAge {
  const last = lastRuns.get(id)
  const days = [drilled, last === undefined ? undefined : new Date(last).toISOString().slice(0, 10)]
  const reviewDays = daysSince(reviewed, wall)
  return {
    drilled:
      days
        .filter((day) => day !== undefined)
        .toSorted()
        .at(-1) ?? null,
    reviewDays,
    isDue: reviewDays > REVIEW_DAYS,
  }
}

/** All of them in one line of the report. */
export function agesOf(runbooks: readonly Runbook[], at: AgesAt): Report['runbooks'] {
  const ages = runbooks.map((runbook) => ageOf(runbook, at))
  const drilled = ages.flatMap((age) => (age.drilled === null ? [] : [daysSince(age.drilled, at.wall)]))
  return {
    count: ages.length,
    drilled: drilled.length,
    oldestDrillDays: drilled.length === 0 ? null : Math.max(...drilled),
    reviewDue: ages.filter(({ isDue }) => isDue).length,
  }
}

const daysSince = (day: string, wall: number) => Math.max(0, Math.floor((wall - Date.parse(day)) / DAY_MS))
