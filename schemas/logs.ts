/** How log files are kept, as people write it: under `defaults`, and in a service over it. */
import { z } from 'zod'
import { duration, size } from './units.ts'

/** Less than this is what one exit signature looks at. */
const LEAST_BYTES = 64 * 1024
const MOST_BYTES = 1024 ** 3

const shape = {
  size: size
    .refine((bytes) => bytes >= LEAST_BYTES && bytes <= MOST_BYTES, {
      error: 'must be between 64KiB and 1GiB',
    })
    .optional(),
  age: duration.refine((ms) => ms >= 60_000, { error: 'must be at least 1m' }).optional(),
  keep: z.int().min(1).max(1000).optional(),
  rotate: z.enum(['stop', 'copytruncate']).optional(),
} as const

/** One service's settings; what it does not say is taken from `defaults.logs`. */
export const serviceLogs = z.strictObject(shape)

/** The settings of all services; `total` bounds all log files together. */
export const defaultLogs = z.strictObject({
  ...shape,
  total: size.refine((bytes) => bytes >= 1024 ** 2, { error: 'must be at least 1MiB' }).optional(),
})
