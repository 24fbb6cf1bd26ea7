/**
 * Reads runbooks: YAML front matter between two lines `---`, then Markdown with the six sections. All problems of a
 * file are found in one go, each with its line. A runbook with a problem is never run; people may still read it.
 */
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Runbook, runbookHead } from '../../schemas/runbook.ts'
import { PROMETHEUS_RULES, RULES } from '../core/alert-rules.ts'
import { errnoOf, nearest, PaiosError } from '../errors.ts'
import { RUNBOOKS } from '../version.ts'
import { readDocument } from './file.ts'
import { documentError, type Finding, findings, type Problem, unknownWord } from './problem.ts'
import { decode, parseSource } from './source.ts'

/** The sections of every runbook, in their order. */
export const SECTIONS = ['Symptoms', 'Impact', 'Check', 'Recover', 'Verify', 'Escalate'] as const

/** A file as it was found: `runbook` is null where there is a problem. */
export type RunbookFile = {
  readonly path: string
  /** True for one below PAIOS_HOME. */
  readonly own: boolean
  readonly runbook: Runbook | null
  /** The Markdown below the front matter; empty where the file cannot be read. */
  readonly body: string
  readonly problems: readonly Problem[]
}

/** Parses one runbook; `name` is its file's name without `.md`, which its id must be. Never throws on any text. */
export function parseRunbook(
  bytes: Uint8Array,
  name: string,
): Pick<RunbookFile, 'runbook' | 'body' | 'problems'> {
  const decoded = decode(bytes)
  if ('problem' in decoded) return { runbook: null, body: '', problems: [decoded.problem] }
  const { head, body, bodyLine } = split(decoded.text)
  if (head === null) {
    const message = 'begins with no front matter: a line `---`, YAML, and another line `---`'
    return { runbook: null, body, problems: [{ line: 1, column: 1, path: '', message }] }
  }
  const missing = sectionProblems(body, bodyLine)
  const source = parseSource(head)
  const below = (problem: Problem): Problem => ({ ...problem, line: problem.line + 1 })
  if (!source.ok) return { runbook: null, body, problems: [...source.problems.map(below), ...missing] }
  const { data, locate } = source.source
  const wrong = findings(runbookHead, data, [])
  wrong.push(...unknownRules(data))
  const id = (data as { id?: unknown } | null)?.id
  if (typeof id === 'string' && id !== name)
    wrong.push({ path: ['id'], at: 'value', message: `must be the name of the file, \`${name}\`` })
  const problems = [...wrong.map(locate).map(below), ...missing].toSorted((a, b) => a.line - b.line)
  return { runbook: problems.length > 0 ? null : runbookHead.parse(data), body, problems }
}

/** Every rule that a runbook may be for. */
export const RULE_NAMES: readonly string[] = [...Object.keys(RULES), ...Object.keys(PROMETHEUS_RULES)]

function unknownRules(data: unknown): Finding[] {
  const alerts = (data as { alerts?: unknown } | null)?.alerts
  if (!Array.isArray(alerts)) return []
  return alerts.flatMap((rule, index) =>
    typeof rule !== 'string' || RULE_NAMES.includes(rule)
      ? []
      : [{ path: ['alerts', index], at: 'value', message: unknownWord('alert rule', rule, RULE_NAMES) }],
  )
}

function split(text: string): { head: string | null; body: string; bodyLine: number } {
  const match = /^---\r?\n([\s\S]*?\n)---\r?\n/.exec(text)
  if (match === null) return { head: null, body: text, bodyLine: 1 }
  const bodyLine = match[0].split('\n').length
  return { head: match[1] ?? '', body: text.slice(match[0].length), bodyLine }
}

/** Each section once, in the order, with something in it, and none beside them. */
function sectionProblems(body: string, bodyLine: number): Problem[] {
  const lines = body.split('\n')
  const found = lines.flatMap((line, index) => {
    const title = /^## (.+?)\s*$/.exec(line)?.[1]
    return title === undefined ? [] : [{ title, index }]
  })
  const at = (index: number, message: string): Problem => ({
    line: bodyLine + index,
    column: 1,
    path: '',
    message,
  })
  const problems: Problem[] = []
  for (const section of SECTIONS) {
    const place = found.findIndex(({ title }) => title === section)
    if (place < 0) problems.push(at(lines.length - 1, `the section \`## ${section}\` is missing`))
    else {
      const { index } = found[place]!
      const text = lines.slice(index + 1, found[place + 1]?.index ?? lines.length).join('')
      if (text.trim() === '') problems.push(at(index, `the section \`## ${section}\` is empty`))
    }
  }
  for (const { title, index } of found)
    if (!(SECTIONS as readonly string[]).includes(title))
      problems.push(at(index, `\`## ${title}\` is none of the six sections (${SECTIONS.join(', ')})`))
  const titles = found.map(({ title }) => title)
  if (problems.length === 0 && titles.join() !== SECTIONS.join())
    problems.push(at(0, `each section once, in this order: ${SECTIONS.join(', ')}`))
  return problems
}

/** Reads one file. A file that cannot be read is a problem of it, like any other. */
export function readRunbook(path: string, own: boolean): RunbookFile {
  try {
    return { path, own, ...parseRunbook(readDocument(path), basename(path, '.md')) }
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    const problem = { line: 1, column: 1, path: '', message: error.message }
    return { path, own, runbook: null, body: '', problems: [problem] }
  }
}

const folderOf = (home: string) => join(home, 'runbooks')

/** Every runbook: the operator's own first, then those that ship with paios, each by name. */
export function readRunbooks(home: string): RunbookFile[] {
  return [
    ...namesIn(folderOf(home)).map((name) => readRunbook(join(folderOf(home), name), true)),
    ...namesIn(RUNBOOKS).map((name) => readRunbook(join(RUNBOOKS, name), false)),
  ]
}

/** Where the runbook of this name is, the operator's own before ours; null if there is none. */
export const findRunbook = (home: string, name: string): string | null =>
  !/^[\w-]+$/.test(name)
    ? null
    : ([folderOf(home), RUNBOOKS].map((folder) => join(folder, `${name}.md`)).find(existsSync) ?? null)

/** The names of all runbooks, for hints. */
export const runbookNames = (home: string): string[] =>
  [...namesIn(folderOf(home)), ...namesIn(RUNBOOKS)].map((name) => basename(name, '.md'))

/** The problems of a runbook as an error. */
export const runbookError = ({ path, problems }: Pick<RunbookFile, 'path' | 'problems'>): PaiosError =>
  documentError(path, problems)

/** The operator's own runbooks alone. */
export function readOwnRunbooks(home: string): RunbookFile[] {
  return namesIn(folderOf(home)).map((name) => readRunbook(join(folderOf(home), name), true))
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

/** Whom a runbook is looked for. */
export type Wanted = { readonly service: string; readonly preset: string; readonly rule: string | null }

/**
 * The runbook whose steps are for this fault: the operator's own for the service, then those of the preset, then the
 * rule's own, the operator's before ours. Null if none has steps for it. Files with problems are left out.
 */
export function chooseRunbook(home: string, wanted: Wanted): Runbook | null {
  const { service, preset, rule } = wanted
  const own = (name: string) => ({ path: join(folderOf(home), `${name}.md`), own: true })
  const ours = (name: string) => ({ path: join(RUNBOOKS, `${name}.md`), own: false })
  // What belongs to a service is the operator's alone.
  const places = [own(service), own(preset), ours(preset), ...(rule === null ? [] : [own(rule), ours(rule)])]
  for (const place of places) {
    if (!existsSync(place.path)) continue
    const { runbook } = readRunbook(place.path, place.own)
    if (runbook !== null && runbook.steps.length > 0 && isFor(runbook, wanted)) return runbook
  }
  return null
}

/** The runbook of this name. Throws PaiosError if there is none, or with all problems of its file. */
export function namedRunbook(home: string, name: string): Runbook {
  const path = findRunbook(home, name)
  if (path === null) {
    const hint = nearest(name, runbookNames(home))
    const way = hint === null ? 'paios runbook list shows them' : `did you mean ${hint}?`
    throw new PaiosError('unknown-runbook', `there is no service or runbook '${name}' (${way})`)
  }
  const file = readRunbook(path, false)
  if (file.runbook === null) throw runbookError(file)
  return file.runbook
}

/** True if the steps are for this service and fault; with no rule, for the service alone. */
export function isFor({ alerts, applies }: Runbook, { service, preset, rule }: Wanted): boolean {
  if (rule !== null && !alerts.includes(rule)) return false
  if (applies.presets !== undefined && !applies.presets.includes(preset)) return false
  return applies.services === undefined || applies.services.includes(service)
}
