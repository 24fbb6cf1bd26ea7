/**
 * A program: looks which runbooks have steps for faults, or reads one, and ends. What reads runbooks (Zod, YAML) takes
 * 15 MiB, which a supervisor would keep for weeks after its first fault.
 */
import { readFileSync } from 'node:fs'
import type { Runbook } from '../../schemas/runbook.ts'
import { PaiosError } from '../errors.ts'
import { chooseRunbook, namedRunbook, type Wanted } from './runbook.ts'

/** What it reads from its stdin as JSON. `name` is that of a runbook. */
export type RunbookQuestion =
  | { readonly home: string; readonly wanted: readonly Wanted[] }
  | { readonly home: string; readonly name: string }

/**
 * What it answers: each runbook once, and for each question the place of its runbook among them, null if it has none;
 * or why the named one cannot be had.
 */
export type RunbookAnswer =
  | { readonly runbooks: readonly Runbook[]; readonly places: readonly (number | null)[] }
  | { readonly error: Pick<PaiosError, 'code' | 'message'> }

function answerTo(question: RunbookQuestion): RunbookAnswer {
  const { home } = question
  try {
    return 'wanted' in question
      ? eachOnce(question.wanted.map((wanted) => chooseRunbook(home, wanted)))
      : eachOnce([namedRunbook(home, question.name)])
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    return { error: { code: error.code, message: error.message } }
  }
}

function eachOnce(found: readonly (Runbook | null)[]): RunbookAnswer {
  const texts = found.map((runbook) => runbook && JSON.stringify(runbook))
  const distinct = [...new Set(texts)].filter((text) => text !== null)
  return {
    runbooks: distinct.map((text) => JSON.parse(text) as Runbook),
    places: texts.map((text) => (text === null ? null : distinct.indexOf(text))),
  }
}

process.stdout.write(JSON.stringify(answerTo(JSON.parse(readFileSync(0, 'utf8')) as RunbookQuestion)))
