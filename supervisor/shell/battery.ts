/**
 * Whether the machine runs on a battery that is nearly empty. Linux tells by files, macOS by `pmset`; where nobody can
 * tell, it does not.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Below so many percent nothing is begun that the machine might not see the end of. */
const LOW_PERCENT = 10
/** What was found is believed for so long. */
const KNOWN_MS = 30_000
const LIMIT_MS = 5_000

export type BatteryOptions = {
  readonly platform?: NodeJS.Platform
  /** Where Linux shows its power supplies. */
  readonly folder?: string
  /** Runs a program to its end; answers with what it wrote. */
  readonly run: (argv: readonly string[], signal: AbortSignal) => Promise<string>
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** Opens the look at the battery; it is asked when somebody wants to know. Never rejects. */
export function openBattery({
  platform = process.platform,
  folder = '/sys/class/power_supply',
  run,
  now = () => performance.now(),
}: BatteryOptions): { readonly isLow: () => Promise<boolean> } {
  let known: { readonly at: number; readonly isLow: Promise<boolean> } | null = null
  const look = async (): Promise<boolean> => {
    const percent =
      platform === 'darwin'
        ? percentOfPmset(await run(['/usr/bin/pmset', '-g', 'batt'], AbortSignal.timeout(LIMIT_MS)))
        : percentOfSupplies(folder)
    return percent !== null && percent < LOW_PERCENT
  }
  return {
    isLow() {
      if (known === null || now() - known.at >= KNOWN_MS)
        known = { at: now(), isLow: look().catch(() => false) }
      return known.isLow
    },
  }
}

/** What is left, null unless the machine runs on it: none is discharged while a mains supply is there. */
function percentOfSupplies(folder: string): number | null {
  const supplies = namesIn(folder).map((name) => (file: string) => readOrNull(join(folder, name, file)))
  if (supplies.some((read) => read('type') === 'Mains' && read('online') === '1')) return null
  // A mouse has a battery, too (`scope` is `Device`); two batteries of a laptop are emptied one after the other.
  const own = supplies.filter(
    (read) => read('type') === 'Battery' && read('scope') !== 'Device' && read('present') !== '0',
  )
  if (!own.some((read) => read('status') === 'Discharging')) return null
  const left = own.map((read) => Number(read('capacity') ?? Number.NaN)).filter(Number.isFinite)
  return left.length === 0 ? null : left.reduce((sum, one) => sum + one, 0) / left.length
}

function percentOfPmset(text: string): number | null {
  if (!text.includes("'Battery Power'")) return null
  const percent = /InternalBattery.*?(\d+)%/.exec(text)?.[1]
  return percent === undefined ? null : Number(percent)
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // A kernel without power supplies has no such folder.
    return []
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    // Not every supply says everything, and a battery can be taken out at any time.
    return null
  }
}
