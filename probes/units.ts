/** Durations and sizes as people write them, parsed to milliseconds and bytes. */
import type { z } from 'zod'

const MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** `500ms 10s 5m 2h 14d` as milliseconds, or null if the text is no duration. */
export function parseDurationMs(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  return match ? Math.round(Number(match[1]) * MS[match[2] as keyof typeof MS]) : null
}

/** `512MiB` as bytes, or null if the text is no size. */
export function parseSizeBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/.exec(text)
  return match ? Math.round(Number(match[1]) * BYTES[match[2] as keyof typeof BYTES]) : null
}

/** What the shape of a probe's settings is made of: Zod, and the schemas of what people write. */
export type Schemas = ReturnType<typeof schemasOf>

/**
 * Zod is handed in: a supervisor obeys specs that were checked before it started, so it never loads the 8 MiB that
 * Zod's code takes.
 */
export const schemasOf = (zod: typeof z) => ({
  z: zod,
  /** A duration such as `10s`; the program sees milliseconds. */
  duration: zod
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'expected a duration such as 500ms, 10s, 5m, 2h or 14d')
    .transform((text) => parseDurationMs(text) ?? 0),
  /** A size such as `512MiB`; the program sees bytes. */
  size: zod
    .string()
    .regex(/^\d+(\.\d+)?(B|KiB|MiB|GiB)$/, 'expected a size such as 512MiB')
    .transform((text) => parseSizeBytes(text) ?? 0),
  /** A JavaScript regular expression as text, kept as text (a spec is plain data). */
  pattern: zod.string().refine(isPattern, { error: 'is not a valid regular expression' }),
})

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp
  } catch {
    return false
  }
}
