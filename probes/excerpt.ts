/** Text from programs, made fit for a one-line reason. */
import { stripVTControlCharacters } from 'node:util'

const LENGTH = 200

/** One line of at most 200 characters without terminal colours. */
export function excerpt(text: string): string {
  const line = stripVTControlCharacters(text).replace(/\s+/g, ' ').trim()
  return line.length > LENGTH ? `${line.slice(0, LENGTH - 1)}…` : line
}

/** The last line that is not blank, as an excerpt; empty if there is none. */
export function lastLine(text: string): string {
  return excerpt(text.trimEnd().split('\n').at(-1) ?? '')
}
