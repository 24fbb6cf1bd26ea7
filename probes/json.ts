/** Parsed JSON of which nothing is known yet. */

/** An object of JSON. */
export type Members = Record<string, unknown>

/** True for an object of JSON: no list, and not null. */
export const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The member if it is text, else null. */
export function textAt(value: unknown, key: string): string | null {
  const found = isObject(value) ? value[key] : null
  return typeof found === 'string' ? found : null
}
