/** Figures as an operator reads them in a reason. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.2 GiB`, from bytes. */
export function sizeText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`
}

/** `2026-11-21 08:00 UTC`, from milliseconds since 1970; a date, since an age would differ at every check. */
export function instantText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime())
    ? 'at no date'
    : `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** `10s`, `36h`, `14d`: the largest unit that divides the milliseconds, as a document writes them. */
export function durationText(ms: number): string {
  for (const [unit, length] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const)
    if (ms >= length && ms % length === 0) return `${ms / length}${unit}`
  return `${ms}ms`
}

/** `0644`, from the mode that stat tells. */
export function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}
