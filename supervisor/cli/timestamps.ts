/** Instants as operators type them, and as programs write them at the start of their log lines. */
import { PaiosError } from '../errors.ts'

/**
 * `10m`, `2h` before now, or an instant such as `2026-11-20T13:30` (local time where it names no zone), as
 * epoch ms.
 */
export async function sinceMs(written: string, nowMs: number): Promise<number> {
  const { parseDurationMs } = await import('../../probes/units.ts')
  const agoMs = parseDurationMs(written)
  if (agoMs !== null) return nowMs - agoMs
  const instant = /^\d{4}-\d\d-\d\d/.test(written) ? Date.parse(written) : Number.NaN
  if (!Number.isNaN(instant)) return instant
  throw new PaiosError(
    'usage',
    `--since '${written}' is neither a duration such as 10m nor an instant such as 2026-11-20T13:30`,
  )
}

const ISO = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?/
const EPOCH = /^(\d{10})(?:\.(\d{1,9}))?(?!\d)|^(\d{13})(?!\d)/
/** The time of a JSON line as pino, bunyan and zap write it, within the line's first members. */
const JSON_TIME = /^\{.{0,200}?"(?:time|timestamp|ts|@timestamp)":\s*"?([0-9T:.,+Z -]{10,35})/

/**
 * The instant that a log line leads with, as epoch ms: ISO 8601 (also with a space, and local where it has no
 * zone), epoch seconds or milliseconds, any of them in brackets or as the time of a JSON line. Null if it has
 * none.
 */
export function leadingInstantMs(line: string): number | null {
  const start = line.startsWith('{') ? (JSON_TIME.exec(line)?.[1] ?? '') : line.replace(/^\[/, '')
  const iso = ISO.exec(start)
  if (iso !== null) {
    const [, date, time, fraction = '0', zone = ''] = iso
    const instant = Date.parse(`${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${zone}`)
    return Number.isNaN(instant) ? null : instant
  }
  const epoch = EPOCH.exec(start)
  if (epoch === null) return null
  return epoch[3] === undefined ? Number(`${epoch[1]}.${epoch[2] ?? '0'}`) * 1000 : Number(epoch[3])
}
