/**
 * When which part of a log was written, for programs that print no times: marks "at this instant the stream was
 * this long", made by looking at the size of the file and never by reading it. Lines of text in current.idx
 * beside current.log; a line that was cut by a full disk is no mark.
 */
import { appendFileSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { errnoOf } from '../errors.ts'

/** Up to `position` everything was written by `wall` (Unix milliseconds), and what follows only after it. */
export type Mark = { readonly wall: number; readonly position: number }

/** The last look at a log, and the last mark that was made of one. */
export type LastLook = Mark & { readonly mark: Mark | null }

/** Two marks are at least this far apart, in time or in bytes. */
const APART_MS = 10_000
const APART_BYTES = 65_536
/** A larger index is thinned: room for some 2,500 marks. */
const INDEX_BYTES = 65_536

/**
 * Takes note of how long the stream is now. When it has grown, the look before is the tighter mark: until then
 * nothing of the new part was written. `mark` null: none is due.
 */
export function noteLength(last: LastLook | null, now: Mark): { look: LastLook; mark: Mark | null } {
  if (last === null) return { look: { ...now, mark: now }, mark: now }
  const { mark } = last
  const isApart =
    mark === null || last.wall - mark.wall >= APART_MS || last.position - mark.position >= APART_BYTES
  if (now.position <= last.position || !isApart) return { look: { ...now, mark }, mark: null }
  const made = { wall: last.wall, position: last.position }
  return { look: { ...now, mark: made }, mark: made }
}

/**
 * Where to begin for what was written since an instant: never too late, by some seconds too early. `oldest`: the
 * first position that can be read. Null if that cannot be told.
 */
export function positionAt(marks: readonly Mark[], wall: number, oldest: number): number | null {
  const before = marks.filter((mark) => mark.wall <= wall).map(({ position }) => position)
  if (before.length > 0) return Math.max(...before)
  // All that is there was written after a mark, and that after the instant.
  return marks.some(({ position }) => position <= oldest) ? oldest : null
}

/**
 * Without what lies behind `to` or before `from`, but for the last mark before that; of the older half every second
 * mark goes if there still are many.
 */
export function thinned(marks: readonly Mark[], from: number, to: number): Mark[] {
  const first = Math.max(0, ...marks.map(({ position }) => position).filter((position) => position <= from))
  const within = marks.filter(({ position }) => position >= first && position <= to)
  const half = Math.floor(within.length / 2)
  if (within.length * 26 < INDEX_BYTES / 2) return within
  return within.filter((_, index) => index >= half || index % 2 === 0)
}

/** The marks of a text. */
export function parseMarks(text: string): Mark[] {
  return [...text.matchAll(/^(\d{13}) (\d+)$/gm)].map(([, wall, position]) => ({
    wall: Number(wall),
    position: Number(position),
  }))
}

const format = ({ wall, position }: Mark) => `${wall} ${position}\n`

/** `…/current.idx` of `…/current.log`. */
export const indexPathOf = (logPath: string) => `${logPath.slice(0, -'.log'.length)}.idx`

/** The marks of a log; none if there is no index. */
export function readMarks(logPath: string): Mark[] {
  try {
    return parseMarks(readFileSync(indexPathOf(logPath), 'utf8'))
  } catch (error) {
    if (errnoOf(error) === null) throw error
    return []
  }
}

/** The index of one log as the supervisor keeps it. */
export type LogIndex = {
  /** Adds a mark, and thins the index where it is too large; what it cannot write is not marked. */
  add(mark: Mark): void
  /** Drops the marks of what is not there any more. */
  trim(from: number, to: number): void
}

/** Opens the index of a log; nothing is read until it has to be thinned. */
export function openIndex(logPath: string, bounds: () => { from: number; to: number }): LogIndex {
  const path = indexPathOf(logPath)
  let bytes: number | null = null
  const attempt = (work: () => void) => {
    try {
      work()
    } catch (error) {
      // On a full disk there are fewer marks, and nothing else is the worse for it.
      if (errnoOf(error) === null) throw error
    }
  }
  const trim = (from: number, to: number) =>
    attempt(() => {
      const marks = readMarks(logPath)
      const left = thinned(marks, from, to)
      if (left.length === marks.length) return
      const text = left.map(format).join('')
      writeFileSync(`${path}.new`, text, { mode: 0o600 })
      renameSync(`${path}.new`, path)
      bytes = text.length
    })
  return {
    add(mark) {
      attempt(() => {
        const line = format(mark)
        appendFileSync(path, line, { mode: 0o600 })
        bytes = bytes === null ? statSync(path).size : bytes + line.length
      })
      if ((bytes ?? 0) <= INDEX_BYTES) return
      const { from, to } = bounds()
      trim(from, to)
    },
    trim,
  }
}
