/** What is wrong with a mesh document, and where: the sentence that an operator reads. */
import type { z } from 'zod'
import { nearest, PaiosError } from '../errors.ts'

/** Keys and list indexes from the top of the document down to a value. */
export type Path = readonly (string | number)[]

/** One problem. Line and column count from 1; `path` is dotted, empty for the document as a whole. */
export type Problem = {
  readonly line: number
  readonly column: number
  readonly path: string
  readonly message: string
}

/** A problem before its place in the text is known. `at: 'key'` points at the key, otherwise at the value. */
export type Finding = { readonly path: Path; readonly at: 'key' | 'value'; readonly message: string }

/** More than this many are counted and not listed, so that a wrong file does not fill the terminal. */
const LISTED = 50

/** `services.kb.needs[1]` from its parts. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? part : `${text}.${part}`
  }, '')
}

/** `paios.yaml:12:5 services.kb.port: …`, the form that terminals and editors can jump to. */
export function formatProblem(file: string, problem: Problem): string {
  const where = problem.path === '' ? '' : `${problem.path}: `
  return `${file}:${problem.line}:${problem.column} ${where}${problem.message}`
}

/** All problems as one `document-invalid` error (exit code 3), a line each. */
export function documentError(file: string, problems: readonly Problem[]): PaiosError {
  const lines = problems.slice(0, LISTED).map((problem) => formatProblem(file, problem))
  const more = problems.length - lines.length
  if (more > 0) lines.push(`and ${more} more`)
  return new PaiosError('document-invalid', lines.join('\n'))
}

/** What `check` reports of a value that a schema refuses, in our words and with the known keys. */
export function findings(schema: z.ZodType, value: unknown, base: Path): Finding[] {
  const knownKeys = new WeakMap<object, readonly string[]>()
  const result = schema.safeParse(value, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys') knownKeys.set(issue.keys, shapeKeys(issue.inst))
      return message(issue)
    },
  })
  return result.success
    ? []
    : result.error.issues.flatMap((issue) => translate(issue, base, knownKeys, value))
}

type Issue = z.core.$ZodIssue
type KnownKeys = WeakMap<object, readonly string[]>

function translate(issue: Issue, base: Path, known: KnownKeys, value: unknown): Finding[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
  const here = issue.path.reduce<unknown>(child, value)
  switch (issue.code) {
    case 'unrecognized_keys': {
      const keys = known.get(issue.keys) ?? []
      return issue.keys.map((key) => ({
        path: [...path, key],
        at: 'key',
        message: unknownWord('key', key, keys),
      }))
    }
    case 'invalid_key':
      return issue.issues.map((inner) => ({ path, at: 'key', message: inner.message }))
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options)
        ? [{ path, at: 'value', message: unknownOption(issue.path.at(-1), here, issue.options) }]
        : nearestBranch(issue.errors, here).flatMap((inner) => translate(inner, path, known, here))
    default:
      return [{ path, at: 'value', message: issue.message }]
  }
}

/** Of a plain union only the branch that fits the value's own type is worth reporting. */
function nearestBranch(branches: readonly Issue[][], value: unknown): readonly Issue[] {
  const isWrongType = (issue: Issue) => issue.code === 'invalid_type' && issue.path.length === 0
  const fitting = branches.find((issues) => !issues.some(isWrongType))
  if (fitting !== undefined) return fitting
  const wanted = branches
    .flatMap((issues) => issues.filter(isWrongType))
    .map((issue) => expected('expected' in issue ? issue.expected : ''))
  const text = `expected ${[...new Set(wanted)].join(' or ')}, got ${typeText(value)}`
  return [{ code: 'custom', path: [], message: text, input: undefined }]
}

function unknownOption(key: PropertyKey | undefined, value: unknown, options: readonly unknown[]): string {
  const known = options.filter((option) => typeof option === 'string')
  const list = `expected one of ${known.join(', ')}`
  if (value === undefined) return `is missing: ${list}`
  return typeof value === 'string' ? `${unknownWord(String(key), value, known)}; ${list}` : list
}

/** "unknown key `comand` (did you mean `command`?)", or the list of what is known if nothing is near. */
export function unknownWord(what: string, word: string, known: Iterable<string>): string {
  const hint = nearest(word, known)
  return `unknown ${what} \`${word}\`${hint === null ? '' : ` (did you mean \`${hint}\`?)`}`
}

function message(issue: z.core.$ZodRawIssue): string | undefined {
  const got = typeText(issue.input)
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = ownWords(issue.inst) ?? `expected ${expected(issue.expected)}`
      if (issue.input === undefined) return `is missing: ${wanted}`
      return `${wanted}, got ${got}${writingHint(expected(issue.expected), issue.input)}`
    }
    case 'invalid_value': {
      const list = issue.values.map(String)
      const wanted = `expected ${list.length > 1 ? 'one of ' : ''}${list.join(', ')}`
      if (issue.input === undefined) return `is missing: ${wanted}`
      if (typeof issue.input !== typeof issue.values[0]) return `${wanted}, got ${got}`
      const hint = typeof issue.input === 'string' && list.length > 1 ? nearest(issue.input, list) : null
      return hint === null ? wanted : `${wanted} (did you mean \`${hint}\`?)`
    }
    case 'too_big':
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}`
    case 'too_small':
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}`
    default:
      return undefined
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
}

function expected(type: unknown): string {
  const name = String(type)
  return TYPE_WORDS[name] ?? name
}

function typeText(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a fraction'
  return TYPE_WORDS[typeof value] ?? typeof value
}

function writingHint(wanted: string, value: unknown): string {
  if (wanted === 'text' && (typeof value === 'number' || typeof value === 'boolean'))
    return ' (put it in quotes)'
  if (wanted === 'a map' && value === null) return ' (write {} for an empty one)'
  return wanted === 'a list' && value === null ? ' (write [] for an empty one)' : ''
}

function unitOf(origin: string): string {
  return origin === 'string' ? ' characters long' : origin === 'array' ? ' items long' : ''
}

/**
 * A text schema whose format says what it expects ("expected a duration such as …") says it for a wrong
 * type too.
 */
function ownWords(schema: unknown): string | null {
  const checks = (schema as z.core.$ZodType | undefined)?._zod?.def.checks ?? []
  for (const check of checks) {
    const words = check._zod.def.error?.({ code: 'custom', input: undefined } as never)
    if (typeof words === 'string' && words.startsWith('expected ')) return words
  }
  return null
}

function shapeKeys(schema: unknown): readonly string[] {
  const def = (schema as z.core.$ZodType | undefined)?._zod?.def
  return def !== undefined && 'shape' in def ? Object.keys(def.shape as object) : []
}

function child(value: unknown, part: PropertyKey): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, part)
    ? (value as Record<PropertyKey, unknown>)[part]
    : undefined
}
