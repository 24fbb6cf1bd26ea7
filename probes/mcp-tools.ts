/**
 * The set of tools of an MCP server, as something that can be compared. A tool counts with everything that a model or
 * a client reads of it (description, schemas, annotations), since a description that was changed behind the operator's
 * back can instruct a model as well as a new tool can.
 */
import { createHash } from 'node:crypto'
import { valueAt } from './dotted-path.ts'
import { excerpt } from './excerpt.ts'
import { isObject, type Members, textAt } from './json.ts'
import type { Session } from './mcp-session.ts'
import type { ToolCounts } from './probe.ts'

/** Servers send some ten to some hundred tools a page; more pages than this never end. */
const MAX_PAGES = 100
/** So many changed tools are named. */
const NAMED = 10

/** One tool as the server describes it. */
export type Tool = Members & { readonly name: string }

const isTool = (value: unknown): value is Tool => textAt(value, 'name') !== null
const isListOfTools = (value: unknown): value is Tool[] => Array.isArray(value) && value.every(isTool)

/** True if the server says that the tool changes nothing. */
export const isReadOnly = (tool: Tool): boolean => valueAt(tool, 'annotations.readOnlyHint') === true

/** SHA-256 of each tool's description, by its name. */
export type ToolSet = Readonly<Record<string, string>>

/** All pages of `tools/list`; only the first one if that is enough. Rejects if there is no end to them. */
export async function listTools(session: Session, signal: AbortSignal, isFirstEnough = false) {
  const tools: Tool[] = []
  let cursor: string | null = null
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const answer = await session.request('tools/list', cursor === null ? {} : { cursor }, signal)
    const page = valueAt(answer, 'tools')
    if (!isListOfTools(page)) throw new Error('the answer is no list of tools')
    tools.push(...page)
    cursor = textAt(answer, 'nextCursor')
    if (cursor === null || isFirstEnough) return tools
  }
  throw new Error(`more than ${MAX_PAGES} pages`)
}

/** The fingerprints of tools. What is only for display or for one run (`icons`, `_meta`) does not count. */
export function toolSetOf(tools: readonly Tool[]): ToolSet {
  const prints = tools.map(({ name, icons: _i, _meta: _m, ...described }) => {
    const print = createHash('sha256').update(canonical(described)).digest('hex')
    return [name, print] as const
  })
  return Object.fromEntries(prints.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** JSON with the members of each object in order, so that equal values are equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

/** What is new (+), gone (-) and other (~) against the accepted set; null if nothing. */
export function difference(accepted: ToolSet, seen: ToolSet): string | null {
  const words = [
    ...Object.keys(seen)
      .filter((name) => !Object.hasOwn(accepted, name))
      .map((name) => `+${name}`),
    ...Object.keys(accepted)
      .filter((name) => !Object.hasOwn(seen, name))
      .map((name) => `-${name}`),
    ...Object.keys(seen)
      .filter((name) => Object.hasOwn(accepted, name) && accepted[name] !== seen[name])
      .map((name) => `~${name}`),
  ]
  if (words.length === 0) return null
  const more = words.length > NAMED ? ` and ${words.length - NAMED} more` : ''
  return excerpt(words.slice(0, NAMED).join(' ')) + more
}

/** How the tools seen differ from the accepted ones, and from the names that are expected. */
export function countTools(seen: ToolSet, accepted: ToolSet | null, expected: readonly string[]): ToolCounts {
  const wanted = new Set([...expected, ...Object.keys(accepted ?? {})])
  return {
    listed: Object.keys(seen).length,
    missing: [...wanted].filter((name) => !Object.hasOwn(seen, name)).length,
    changed: accepted === null ? 0 : Object.keys(seen).filter((name) => accepted[name] !== seen[name]).length,
  }
}

/** A set as it was kept; null if there is none that can be read. */
export function readToolSet(value: unknown): ToolSet | null {
  return isObject(value) && Object.values(value).every((print) => typeof print === 'string')
    ? (value as ToolSet)
    : null
}

/** What is wrong with the result of a call, null if nothing; the result itself is not shown unless it is an error. */
export function judgeCall(result: unknown, expected: string | undefined): string | null {
  if (!isObject(result)) return 'the answer is no result of a call'
  const { isError = false, resultType, content = [] } = result
  if (typeof isError !== 'boolean' || !Array.isArray(content)) return 'the answer is no result of a call'
  const text = content.map((part) => textAt(part, 'text') ?? '').join('\n')
  if (isError) return `it failed: ${excerpt(text)}`
  if (resultType === 'input_required') return 'it asks for more input'
  if (expected === undefined || text.includes(expected)) return null
  return `its result does not hold "${excerpt(expected)}"`
}
