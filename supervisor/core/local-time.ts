/** Wall clocks as people read them, computed from an instant and a zone. */

/** The local date (`2026-11-21`), hour and minute of the day. */
export type LocalTime = { readonly date: string; readonly hour: number; readonly minute: number }

/** What a clock on the wall says at an instant. */
export function localTime(wall: number, zone: string): LocalTime {
  const local = Temporal.Instant.fromEpochMilliseconds(Math.round(wall)).toZonedDateTimeISO(zone)
  return { date: local.toPlainDate().toString(), hour: local.hour, minute: local.hour * 60 + local.minute }
}

const QUIET_FROM = 23
const QUIET_UNTIL = 8

/** True from 23:00 to 08:00. */
export function isQuietHour({ hour }: LocalTime): boolean {
  return hour >= QUIET_FROM || hour < QUIET_UNTIL
}

/** `12:01`, and the day before it where it is not the day of `now`. */
export function clockText(wall: number, zone: string, now: number = wall): string {
  const { minute, date } = localTime(wall, zone)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = date === localTime(now, zone).date ? '' : `${date} `
  return `${day}${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}

/** A span in words: `40 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}
