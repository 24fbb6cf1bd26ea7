/**
 * Edits of the document that `paios` makes itself: the bytes of one entry change and nothing else, so comments, order
 * and layout stay as they were written. Offsets are those of the text, which is never printed anew from its data.
 */
import { isMap, isScalar, parseDocument, type Scalar, type YAMLMap } from 'yaml'
import { PaiosError } from '../errors.ts'

/** Where the value of one service stands in the text: from `start` to before `end`. */
type Span = { readonly start: number; readonly end: number }

/** One service as it is written. */
export type Entry = Span & {
  readonly text: string
  /** The value of its key `observe`; null if it has none. */
  readonly observe: (Span & { readonly value: boolean }) | null
}

/**
 * The entry of a service; null if the document has none. Throws refused where it cannot be edited on its own, such as
 * an alias.
 */
export function entryOf(text: string, service: string): Entry | null {
  const root = parseDocument(text, { schema: 'core', merge: false, logLevel: 'error' }).contents
  const services = isMap(root) ? itemOf(root, 'services') : undefined
  const entry = isMap(services) ? itemOf(services, service) : undefined
  if (entry === undefined || entry === null) return null
  if (!isMap(entry)) {
    const how = `services.${service} is not written out where it stands (an alias?): write it out`
    throw new PaiosError('refused', `${how}, then try again`)
  }
  const { start, end } = spanOf(entry)
  const observe = itemOf(entry, 'observe')
  return {
    start,
    end,
    text: text.slice(start, end),
    observe:
      isScalar(observe) && typeof observe.value === 'boolean'
        ? { ...spanOf(observe), value: observe.value }
        : null,
  }
}

/** The text in which a service is observed, or not. Throws refused where the key is not written as true or false. */
export function withObserve(text: string, service: string, isObserved: boolean): string {
  const observe = entryOf(text, service)?.observe ?? null
  if (observe === null) {
    throw new PaiosError(
      'refused',
      `services.${service} has no \`observe: ${!isObserved}\` that could be changed`,
    )
  }
  return observe.value === isObserved ? text : replaced(text, observe, String(isObserved))
}

/** The text with another entry for a service that it has. */
export function withEntry(text: string, service: string, entry: string): string {
  const found = entryOf(text, service)
  if (found === null) throw new PaiosError('refused', `the document has no services.${service} any more`)
  return replaced(text, found, entry)
}

const replaced = (text: string, { start, end }: Span, by: string) =>
  `${text.slice(0, start)}${by}${text.slice(end)}`

/** The value of a key, undefined if the map does not have it. */
function itemOf(map: YAMLMap, name: string): unknown {
  return map.items.find(({ key }) => isScalar(key) && (key as Scalar).value === name)?.value ?? undefined
}

/** A node's own text, without the comments and the line break behind it. */
function spanOf({ range }: { readonly range?: readonly [number, number, number] | null }): Span {
  if (!range) throw new Error('a parsed node has a range')
  return { start: range[0], end: range[1] }
}
