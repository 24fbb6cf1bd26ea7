/** One hash for a service's declaration: a changed hash means a changed service. */
import { createHash } from 'node:crypto'
import type { ServiceSpec } from '../schemas/service.ts'

/** SHA-256 of a spec, the same whatever the order of its keys. */
export function specHash(spec: ServiceSpec): string {
  return createHash('sha256').update(canonical(spec)).digest('hex')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
  const sortedEntries = entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${sortedEntries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
}
