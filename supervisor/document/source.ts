/**
 * From bytes to data that keeps its places. A document may be hostile or simply the wrong file, so
 * everything that could make a parser slow or blow up is refused here: size, nesting, aliases that
 * multiply, custom tags.
 */
import { isUtf8 } from 'node:buffer'
import {
  type Alias,
  isScalar,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
  YAMLMap,
  YAMLSeq,
} from 'yaml'
import type { Finding, Problem } from './problem.ts'
import { pathText } from './problem.ts'

/** A real document has a handful of aliases; a bomb needs many, or few that nest. */
const MAX_ALIASES = 64
/** The deepest place in a document is at about 8 levels. */
const MAX_DEPTH = 32

type Place = { readonly line: number; readonly column: number }

/** A parsed document: its data, and where in the text a path stands. */
export type Source = {
  readonly data: unknown
  /** Gives a finding its place: the deepest part of its path that the text has. */
  readonly locate: (finding: Finding) => Problem
}

/** What `parseSource` returns: the source, or every reason why it cannot be read. */
export type SourceResult =
  | { readonly ok: true; readonly source: Source }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Decodes UTF-8 strictly. A byte order mark is dropped; a refused byte is named by its offset from 0. */
export function decode(bytes: Uint8Array): { readonly text: string } | { readonly problem: Problem } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    // The decoder does not say where; the shortest prefix that it refuses does.
    const offset = firstBadByte(bytes)
    const before = new TextDecoder().decode(bytes.subarray(0, offset))
    const byte = (bytes[offset] ?? 0).toString(16).padStart(2, '0')
    const message = `is not UTF-8: byte 0x${byte} at offset ${offset}; save the file as UTF-8`
    return { problem: { ...placesOf(before)(before.length), path: '', message } }
  }
}

function firstBadByte(bytes: Uint8Array): number {
  const isRefused = (length: number) => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length), { stream: true })
      return false
    } catch {
      // Refused is the answer that was asked for.
      return true
    }
  }
  let low = 0
  let high = bytes.length + 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (middle <= bytes.length && isRefused(middle)) high = middle
    else low = middle
  }
  // A sequence that is cut short is refused at the byte after it: it is its first byte that is meant.
  let start = high - 1
  while (start > 0 && !isUtf8(bytes.subarray(0, start))) start--
  return start
}

/** Parses YAML 1.2 (core schema, no custom tags, unique text keys). Never throws on any text. */
export function parseSource(text: string): SourceResult {
  try {
    return parseChecked(text)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // The parser is recursive: a text of nothing but brackets exhausts the stack.
    return refused([depthProblem])
  }
}

function parseChecked(text: string): SourceResult {
  const place = placesOf(text)
  const control = /[^\P{Cc}\t\n\r\x85]/u.exec(text)
  if (control !== null) {
    const code = text.charCodeAt(control.index).toString(16).padStart(2, '0')
    return refused([
      { ...place(control.index), path: '', message: `control character 0x${code} is not allowed` },
    ])
  }
  const document = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    // The library compares every key with every other; `inspect` does it in one pass.
    uniqueKeys: false,
    logLevel: 'error',
  })
  const syntax = [...document.errors, ...document.warnings].map((error) => ({
    ...place(error.pos[0]),
    path: '',
    message: syntaxText(error.code, error.message),
  }))
  if (syntax.length > 0) return refused(document.errors.some(isOverflow) ? [depthProblem] : syntax)
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) {
    return refused([{ line: 1, column: 1, path: '', message: 'is empty: it needs at least `version: 1`' }])
  }
  const structural = inspect(root, place)
  if (structural.length > 0) return refused(structural)
  const data = toData(() => document.toJS({ maxAliasCount: MAX_ALIASES }))
  if (data === null) return refused([aliasProblem])
  return {
    ok: true,
    source: { data: data.value, locate: locator(root, (alias) => alias.resolve(document), place) },
  }
}

/**
 * Line and column of an offset, both from 1. The library's own counter misses breaks inside some broken
 * tokens.
 */
function placesOf(text: string): (offset: number) => Place {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (starts[middle]! <= offset) low = middle
      else high = middle
    }
    return { line: low + 1, column: Math.min(offset, text.length) - starts[low]! + 1 }
  }
}

const refused = (problems: readonly Problem[]): SourceResult => ({ ok: false, problems })

const isOverflow = (error: { readonly code: string }) => error.code === 'RESOURCE_EXHAUSTION'

const depthProblem: Problem = {
  line: 1,
  column: 1,
  path: '',
  message: `is nested deeper than ${MAX_DEPTH} levels`,
}

const aliasProblem: Problem = {
  line: 1,
  column: 1,
  path: '',
  message: `has aliases that multiply beyond ${MAX_ALIASES} copies; write the values out`,
}

function toData(make: () => unknown): { readonly value: unknown } | null {
  try {
    return { value: make() }
  } catch (error) {
    // The library refuses aliases that multiply with a ReferenceError.
    if (error instanceof ReferenceError) return null
    throw error
  }
}

function syntaxText(code: string, text: string): string {
  if (code === 'TAG_RESOLVE_FAILED') return 'tags such as `!name` are not known here; write plain values'
  if (code === 'MULTIPLE_DOCS') return 'there is more than one document in the file (a line `---`)'
  if (code === 'NON_STRING_KEY') return 'a key must be text'
  return `is not valid YAML: ${text.charAt(0).toLowerCase()}${text.slice(1)}`
}

/**
 * What the grammar allows and a mesh document does not: duplicate keys, loops of aliases, depth, NUL in
 * text.
 */
function inspect(root: Node, place: (offset: number) => Place): Problem[] {
  const problems: Problem[] = []
  const anchors = new Set<string>()
  let aliases = 0
  const report = (node: Node | null, message: string) => {
    problems.push({ ...place(node?.range?.[0] ?? 0), path: '', message })
  }
  visit(root, {
    Map: (_key, node, path) => {
      if (node.anchor !== undefined) anchors.add(node.anchor)
      for (const [key, text] of repeatedKeys(node)) report(key, text)
      return tooDeep(path, node)
    },
    Seq: (_key, node, path) => {
      if (node.anchor !== undefined) anchors.add(node.anchor)
      return tooDeep(path, node)
    },
    Scalar: (_key, node) => {
      if (node.anchor !== undefined) anchors.add(node.anchor)
      if (typeof node.value === 'string' && node.value.includes('\0'))
        report(node, 'a NUL character is not allowed')
    },
    Alias: (_key, node, path) => {
      aliases++
      const isLoop = path.some((above) => 'anchor' in above && above.anchor === node.source)
      if (isLoop) report(node, `alias \`*${node.source}\` contains itself`)
      else if (!anchors.has(node.source)) report(node, `alias \`*${node.source}\` has no anchor before it`)
      else if (aliases === MAX_ALIASES + 1)
        report(node, `more than ${MAX_ALIASES} aliases; write the values out`)
    },
  })
  function tooDeep(path: readonly unknown[], node: Node) {
    if (path.filter((above) => above instanceof YAMLMap || above instanceof YAMLSeq).length < MAX_DEPTH)
      return undefined
    report(node, `is nested deeper than ${MAX_DEPTH} levels`)
    return visit.SKIP
  }
  return problems
}

function* repeatedKeys(map: YAMLMap): Generator<readonly [Node, string]> {
  const seen = new Set<string>()
  for (const { key } of map.items) {
    if (!isScalar(key)) continue
    const name = String(key.value)
    // YAML to JavaScript would set a prototype, and the schema would not even see the key.
    if (name === '__proto__') yield [key, 'unknown key `__proto__`']
    else if (seen.has(name)) yield [key, `the key \`${name}\` is written twice`]
    seen.add(name)
  }
}

function locator(root: Node, resolve: (alias: Alias) => Node | undefined, place: (offset: number) => Place) {
  const index = new WeakMap<YAMLMap, Map<string, Pair>>()
  const pairOf = (map: YAMLMap, key: string): Pair | undefined => {
    let pairs = index.get(map)
    if (pairs === undefined) {
      pairs = new Map(map.items.map((pair) => [String((pair.key as Scalar).value), pair]))
      index.set(map, pairs)
    }
    return pairs.get(key)
  }
  return (finding: Finding): Problem => {
    let node: unknown = root
    let offset = root.range?.[0] ?? 0
    for (const [depth, part] of finding.path.entries()) {
      const isLast = depth === finding.path.length - 1
      const inside = isAliasNode(node) ? resolve(node) : node
      if (inside instanceof YAMLMap) {
        const pair = pairOf(inside, String(part))
        if (pair === undefined) break
        const key = pair.key as Scalar
        offset = startOf(isLast && finding.at === 'value' ? pair.value : key) ?? startOf(key) ?? offset
        node = pair.value
      } else if (inside instanceof YAMLSeq && typeof part === 'number') {
        node = inside.items[part]
        offset = startOf(node) ?? offset
      } else break
    }
    return { ...place(offset), path: pathText(finding.path), message: finding.message }
  }
}

const isAliasNode = (node: unknown): node is Alias =>
  typeof node === 'object' && node !== null && 'source' in node && 'resolve' in node

/** Where a node's own text begins; an empty value has none worth pointing at. */
function startOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined
  const range = node.range as readonly [number, number, number] | null | undefined
  return range === null || range === undefined || (isScalar(node) && range[0] === range[1])
    ? undefined
    : range[0]
}
