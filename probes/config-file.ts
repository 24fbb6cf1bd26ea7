/** Reading a configuration file of another program: its text, its syntax, its includes. */
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isObject } from './json.ts'

const SIZE_LIMIT_BYTES = 10 * 1024 ** 2
const INCLUDE_DEPTH = 10

/** A fault of the file itself, in words for the operator. */
export class ConfigFault extends Error {}

/** The file's text without byte order mark. Throws ConfigFault if it is missing, not regular or too large. */
export async function readConfig(path: string): Promise<string> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') throw new ConfigFault('no such file')
    throw error
  })
  if (!found.isFile()) throw new ConfigFault('is not a regular file')
  if (found.size > SIZE_LIMIT_BYTES) throw new ConfigFault('is larger than 10 MiB')
  return (await readFile(path, 'utf8')).replace(/^\uFEFF/, '')
}

type Json5Error = SyntaxError & { readonly lineNumber?: number; readonly columnNumber?: number }

/**
 * Parses JSON or JSON5. Throws ConfigFault with line and column, in our own words: the engine's message may
 * quote a piece of the file. JSON.parse goes first in both formats:
 * it is native.
 */
export async function parseConfig(text: string, format: 'json' | 'json5'): Promise<unknown> {
  try {
    return JSON.parse(text)
  } catch (error) {
    const { default: json5 } = await import('json5')
    let document: unknown
    try {
      document = json5.parse(text)
    } catch (cause) {
      const { lineNumber, columnNumber, message } = cause as Json5Error
      const what = /invalid end of input/.test(message) ? 'ends too early' : 'unexpected character'
      throw new ConfigFault(`${lineNumber}:${columnNumber}: ${what}`)
    }
    if (format === 'json5') return document
    const place = /\(line (\d+) column (\d+)\)/.exec((error as Error).message)
    const where = place === null ? '' : `${place[1]}:${place[2]}: `
    throw new ConfigFault(`${where}not JSON (comments, single quotes or trailing commas are JSON5)`)
  }
}

/** Objects are merged member by member, lists are joined, otherwise the later one wins. */
function merge(earlier: unknown, later: unknown): unknown {
  if (Array.isArray(earlier) && Array.isArray(later)) return [...earlier, ...later]
  if (!isObject(earlier) || !isObject(later)) return later
  const merged = { ...earlier }
  for (const [key, value] of Object.entries(later)) {
    merged[key] = Object.hasOwn(merged, key) ? merge(merged[key], value) : value
  }
  return merged
}

/** True if any object of the document has the key. */
export function hasKey(document: unknown, key: string): boolean {
  if (typeof document !== 'object' || document === null) return false
  return Object.hasOwn(document, key) || Object.values(document).some((value) => hasKey(value, key))
}

/**
 * The document with the files put in that its include key names (one or a list, relative to the file that
 * names them); members beside the key win over included ones. Throws ConfigFault.
 */
export async function resolveIncludes(
  document: unknown,
  key: string,
  format: 'json' | 'json5',
  path: string,
  depth = 0,
): Promise<unknown> {
  const inner = (value: unknown) => resolveIncludes(value, key, format, path, depth)
  if (Array.isArray(document)) return Promise.all(document.map(inner))
  if (!isObject(document)) return document
  const { [key]: includes, ...rest } = document
  const own: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(rest)) own[name] = await inner(value)
  if (includes === undefined) return own
  if (depth >= INCLUDE_DEPTH) throw new ConfigFault(`${key}: more than ${INCLUDE_DEPTH} files deep`)
  let merged: unknown = {}
  for (const name of [includes].flat()) {
    if (typeof name !== 'string') throw new ConfigFault(`${key}: must be a path or a list of paths`)
    const file = resolve(dirname(path), name)
    try {
      const content = await parseConfig(await readConfig(file), format)
      merged = merge(merged, await resolveIncludes(content, key, format, file, depth + 1))
    } catch (error) {
      if (!(error instanceof ConfigFault)) throw error
      throw new ConfigFault(`${key} ${name}: ${error.message}`)
    }
  }
  return Object.keys(own).length === 0 ? merged : merge(merged, own)
}
