/** Dotted paths such as `server.bootId` or `failing.0` into parsed JSON. */

/** The value at the path, undefined where there is none. Own members only, so `constructor` finds nothing. */
export function valueAt(data: unknown, path: string): unknown {
  let value = data
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}
