/**
 * Setting one value in a document as text: everything else, comments and line breaks too, stays byte for byte. The
 * caller checks the result before it is written, since a document may be of a form that nobody thought of.
 */
import { isMap, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'

/** A value of one line, in YAML's flow style, which is JSON's with keys that need no quotes. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const pairs = Object.entries(value).map(([key, part]) => `${key}: ${flow(part)}`)
  return `{ ${pairs.join(', ')} }`
}

/**
 * The text with `outer: { inner: value }` in it. What `outer` holds beside `inner` is kept, and of a mapping that
 * `inner` already is, the keys that `value` does not name.
 */
export function withSetting(
  text: string,
  outer: string,
  inner: string,
  value: Record<string, unknown>,
): string {
  const document = parseDocument(text, { schema: 'core' })
  const root = document.contents
  if (!isMap(root)) return `${text.trimEnd()}\n${outer}:\n  ${inner}: ${flow(value)}\n`.trimStart()
  const there = pairOf(root, outer)
  if (!there) return addedTo(text, root, `${outer}: ${flow({ [inner]: value })}`, 'last')
  if (!isMap(there.value)) return replaced(text, there, flow({ [inner]: value }))
  const old = pairOf(there.value, inner)
  if (!old) return addedTo(text, there.value, `${inner}: ${flow(value)}`, 'first')
  const kept = isMap(old.value) ? (old.value.toJS(document) as Record<string, unknown>) : {}
  return replaced(text, old, flow({ ...kept, ...value }))
}

type Entry = Pair<Node, Node | null>

const pairOf = (map: YAMLMap, key: string) =>
  map.items.find((pair) => String((pair as Entry).key) === key) as Entry | undefined

/** Puts an entry into a mapping of either style. */
function addedTo(text: string, map: YAMLMap, entry: string, where: 'first' | 'last'): string {
  const first = (map.items[0] as Entry | undefined)?.key.range?.[0]
  if (map.flow || first === undefined) {
    const at = (map.range?.[0] ?? 0) + 1
    const comma = map.items.length > 0 ? ',' : ' '
    return `${text.slice(0, at)} ${entry}${comma}${text.slice(at)}`
  }
  if (where === 'last') return `${text.trimEnd()}\n${entry}\n`
  const indent = ' '.repeat(first - (text.lastIndexOf('\n', first - 1) + 1))
  return `${text.slice(0, first)}${entry}\n${indent}${text.slice(first)}`
}

function replaced(text: string, { key, value }: Entry, fresh: string): string {
  const end = key.range?.[1] ?? 0
  const start = value?.range?.[0] ?? text.indexOf(':', end) + 1
  const old = text.slice(start, value?.range?.[1] ?? start)
  // A block ends with its last line, an empty value where the colon is.
  const tail = old.endsWith('\n') ? '\n' : ''
  return `${text.slice(0, start)}${old === '' ? ' ' : ''}${fresh}${tail}${text.slice(start + old.length)}`
}
