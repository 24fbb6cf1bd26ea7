/** What people write in a document, as Zod schemas. */
import { z } from 'zod'
import { schemasOf } from '../probes/units.ts'

/** Everything that the shapes of probes are made of. */
export const schemas = schemasOf(z)
/** The schemas of durations, patterns and sizes by themselves. */
export const { duration, pattern, size } = schemas
