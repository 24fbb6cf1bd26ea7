/**
 * The program that looks into a database for the sqlite probe: one question as JSON on stdin, one answer on stdout.
 *
 * It is a process of its own, not a thread: waiting for a lock blocks nobody, a damaged -shm file, which SQLite maps
 * into memory, can end it with SIGBUS and nothing else, it can be killed in the middle of a check, and POSIX locks
 * belong to a process, so it cannot release those that the supervisor holds on a database of its own.
 *
 * It must leave no trace. It never opens in a way that creates the file; it opens a WAL database only where its
 * -wal and -shm are there already; and it never closes, since the last one to close a WAL database writes the WAL
 * back and removes it: SIGKILL is its end.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

/** What is to be looked at in `file`, a real path. `sql` is one statement that only reads. */
export type Question = {
  readonly file: string
  readonly lock: boolean
  readonly integrity: 'quick' | 'full' | false
  readonly sql: string | null
}

/** The parts of a look, in their order. */
export type Part = 'lock' | 'integrity' | 'query'

/**
 * The state in which the file was found. `at-rest`: WAL mode and closed. `left`: WAL mode, a -wal to be written back
 * and nobody who has it open in the usual way. `interrupted`: a rollback journal of a writer that is gone.
 */
export type Mode = 'rollback' | 'interrupted' | 'wal' | 'at-rest' | 'left'

/**
 * What was found. `trouble` ended the look: SQLite's extended result code, or the system's error. `faults` are what
 * the integrity check found. `row` is the query's first row, null for none. `skipped` was not possible without
 * leaving a trace, `unsteady` not possible since the file changed all the time.
 */
export type Answer = {
  mode: Mode
  steps: { part: Part; ms: number }[]
  trouble: { part: Part | 'open'; code: number; text: string } | null
  faults: string[]
  row: (string | number | null)[] | null
  skipped: Part[]
  unsteady: Part[]
}

/** A lock must be had within this. */
const LOCK_MS = 1_000
/** Most that an integrity check tells. */
const FAULTS = 5
/** Longer texts of a row are cut. */
const TEXT_LENGTH = 4096
/** SQLite's code for a journal that must be rolled back first. */
const READONLY_ROLLBACK = 776
/** So often a file that changed meanwhile is read again, after a pause. */
const READINGS = 4
const PAUSE_MS = 250

/** Reads bytes of a file; to be done before a connection is open, since closing any descriptor drops its locks. */
function bytesOf(path: string, length: number): Buffer {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(length)
    return bytes.subarray(0, readSync(fd, bytes, 0, length, 0))
  } finally {
    closeSync(fd)
  }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** True if there is a rollback journal with something in it: one that was zeroed or cut is none. */
function hasJournal(file: string): boolean {
  try {
    return (bytesOf(`${file}-journal`, 1)[0] ?? 0) !== 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** What the collector of garbage found unused it would close. */
const opened: DatabaseSync[] = []

/** Opens without creating anything. `still`: as a file that nobody writes, without a lock. */
function open(file: string, how: 'write' | 'read' | 'still'): DatabaseSync {
  const query = { write: 'mode=rw', read: 'mode=ro', still: 'mode=ro&immutable=1' }[how]
  const options = { readOnly: how !== 'write', timeout: LOCK_MS }
  const database = new DatabaseSync(`${pathToFileURL(file).href}?${query}`, options)
  opened.push(database)
  return database
}

const READ_ONE = 'SELECT 1 FROM sqlite_schema LIMIT 1'

/** True if a read finds a journal whose writer is gone: the next one to open the file for writing rolls it back. */
function isInterrupted(file: string): boolean {
  try {
    open(file, 'read').prepare(READ_ONE).get()
    return false
  } catch (error) {
    return (error as { errcode?: number }).errcode === READONLY_ROLLBACK
  }
}

function modeOf(file: string): Mode {
  // Bytes 18 and 19 of the header are 2 in WAL mode.
  const header = bytesOf(file, 20)
  if (header.length < 20 || header[18] !== 2)
    return hasJournal(file) && isInterrupted(file) ? 'interrupted' : 'rollback'
  if (existsSync(`${file}-shm`) && existsSync(`${file}-wal`)) return 'wal'
  return sizeOf(`${file}-wal`) > 0 ? 'left' : 'at-rest'
}

/** What changes when anybody writes. */
function stampOf(file: string): string {
  const { mtimeNs, size } = statSync(file, { bigint: true })
  const wal = statSync(`${file}-wal`, { bigint: true, throwIfNoEntry: false })
  return `${mtimeNs} ${size} ${wal?.size ?? 'none'} ${hasJournal(file)}`
}

/** Reads a file that is not locked for it, again if it changed meanwhile; null if it changed every time. */
function undisturbed<T>(file: string, read: (database: DatabaseSync) => T): { value: T } | null {
  for (let reading = 0; reading < READINGS; reading++) {
    if (reading > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    const before = stampOf(file)
    let outcome: { value: T } | { error: unknown }
    try {
      outcome = { value: read(open(file, 'still')) }
    } catch (error) {
      outcome = { error }
    }
    if (hasJournal(file) || stampOf(file) !== before) continue
    if ('error' in outcome) throw outcome.error
    return outcome
  }
  return null
}

function checkLock(file: string, mode: Mode): void {
  if (mode === 'interrupted') return
  if (mode === 'at-rest') {
    // Nobody has it open, so nobody holds a lock; it must be a database all the same.
    open(file, 'still').prepare(READ_ONE).get()
    return
  }
  // SQLite would open a file that it may not write for reading, and call a read transaction immediate.
  accessSync(file, constants.W_OK)
  // In one call, so that the lock is held for microseconds: not every program waits for one.
  open(file, 'write').exec('BEGIN IMMEDIATE; ROLLBACK')
}

function checkIntegrity(database: DatabaseSync, depth: 'quick' | 'full'): string[] {
  const pragma = depth === 'quick' ? 'quick_check' : 'integrity_check'
  const rows = database.prepare(`PRAGMA ${pragma}(${FAULTS})`).all()
  const told = rows.map((row) => String(Object.values(row)[0]))
  return told.length === 1 && told[0] === 'ok' ? [] : told
}

function ask(database: DatabaseSync, sql: string): Answer['row'] {
  const statement = database.prepare(sql)
  statement.setReadBigInts(true)
  // As an object, a column whose name is a number would come first.
  statement.setReturnArrays(true)
  const row = statement.get() as unknown as readonly SQLOutputValue[] | undefined
  if (row === undefined) return null
  return row.map((value) => {
    if (typeof value === 'bigint') return Number(value)
    return value === null || typeof value === 'number' ? value : String(value).slice(0, TEXT_LENGTH)
  })
}

/**
 * A reader keeps nobody from writing in WAL mode. In a rollback mode it does, so what takes long reads the file
 * without a lock and counts only if nobody wrote meanwhile.
 */
function readSteadily<T>(
  answer: Answer,
  part: Part,
  { file }: Question,
  read: (database: DatabaseSync) => T,
): T | null {
  const takesLong = part === 'integrity'
  if (answer.mode === 'wal' || (answer.mode === 'rollback' && !takesLong)) return read(open(file, 'read'))
  if (answer.mode === 'left' || answer.mode === 'interrupted') {
    answer.skipped.push(part)
    return null
  }
  const outcome = undisturbed(file, read)
  if (outcome === null) answer.unsteady.push(part)
  return outcome?.value ?? null
}

function look(question: Question): Answer {
  const { file, lock, integrity, sql } = question
  const answer: Answer = {
    mode: 'rollback',
    steps: [],
    trouble: null,
    faults: [],
    row: null,
    skipped: [],
    unsteady: [],
  }
  const step = (part: Part, run: () => void) => {
    if (answer.trouble !== null) return
    const begun = performance.now()
    try {
      run()
    } catch (error) {
      const { errcode = 0, code = '', message } = error as NodeJS.ErrnoException & { errcode?: number }
      answer.trouble = { part, code: errcode, text: errcode === 0 ? code || message : message }
    }
    answer.steps.push({ part, ms: performance.now() - begun })
  }
  try {
    answer.mode = modeOf(file)
  } catch (error) {
    answer.trouble = { part: 'open', code: 0, text: (error as NodeJS.ErrnoException).code ?? String(error) }
  }
  if (lock && answer.mode !== 'left') step('lock', () => checkLock(file, answer.mode))
  else if (lock) answer.skipped.push('lock')
  if (integrity)
    step('integrity', () => {
      const faults = readSteadily(answer, 'integrity', question, (it) => checkIntegrity(it, integrity))
      answer.faults = faults ?? []
    })
  if (sql !== null)
    step('query', () => {
      answer.row = readSteadily(answer, 'query', question, (it) => ask(it, sql))
    })
  return answer
}

const question = JSON.parse(readFileSync(0, 'utf8')) as Question
writeSync(1, JSON.stringify(look(question)))
process.kill(process.pid, 'SIGKILL')
