/**
 * A SQLite database as its service meets it: can it be written, is it whole, does it hold what it should. A program
 * whose database another process has locked answers every health check and gets nothing done.
 *
 * Another process looks (sqlite-look.ts says why). Measured, a check costs 35 ms of CPU there and 9 ms here, against
 * 0.3 ms in a worker thread, which would keep 11 MiB resident and which a damaged file could end with the supervisor.
 */
import type { Stats } from 'node:fs'
import { realpath, stat, statfs } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { excerpt } from './excerpt.ts'
import { sizeText } from './figures.ts'
import { homePath } from './home-path.ts'
import {
  defineProbe,
  fail,
  type ProbeResult,
  type ProbeTarget,
  pass,
  type Schemas,
  type SettingsOf,
  unknown,
} from './probe.ts'
import { nameProcess } from './process-table.ts'
import { lockHolders } from './sqlite-locks.ts'
import type { Answer, Part, Question } from './sqlite-look.ts'

/** The looking program lies beside this file, compiled or not. */
const LOOK = fileURLToPath(new URL(`./sqlite-look${extname(import.meta.url)}`, import.meta.url))
/** More holders than this are not named. */
const NAMED = 3

/** PRAGMAs that only tell, written without a value. */
const TELLING = [
  'application_id',
  'auto_vacuum',
  'encoding',
  'freelist_count',
  'journal_mode',
  'page_count',
  'page_size',
  'schema_version',
  'user_version',
  String.raw`table_info\(\w+\)`,
]
const READING_PRAGMA = new RegExp(String.raw`^pragma\s+(${TELLING.join('|')})$`, 'i')

/** One statement, and one that the read-only connection would not have to refuse. */
function isReading(sql: string): boolean {
  const text = sql.trim().replace(/;$/, '').trim()
  return !text.includes(';') && (/^(select|with)\b/i.test(text) || READING_PRAGMA.test(text))
}

const query = ({ z, pattern }: Schemas) =>
  z
    .strictObject({
      sql: z.string().refine(isReading, { error: 'must be one SELECT or reading PRAGMA without `;`' }),
      equals: z.union([z.string(), z.number(), z.null()]).optional(),
      atLeast: z.number().optional(),
      matches: pattern.optional(),
    })
    .refine((set) => [set.equals, set.atLeast, set.matches].filter((one) => one !== undefined).length === 1, {
      error: 'needs one of equals, atLeast and matches',
    })

const shape = (schemas: Schemas) => ({
  file: schemas.z.string().min(1),
  /** `true`: no file yet is no failure. */
  optional: schemas.z.boolean().default(false),
  /**
   * The write lock is taken and given back; it must be had within 1 s. `others`: what the service's own processes
   * hold does not count, for a question about the next start, by which they are gone.
   */
  lock: schemas.z.literal([true, false, 'others']).default(true),
  /** Give this a probe of its own, with a longer period and time-out. */
  integrity: schemas.z.union([schemas.z.literal(false), schemas.z.enum(['quick', 'full'])]).default(false),
  /** Most that the -wal file may have. */
  wal: schemas.size.optional(),
  /** The first value of the first row is compared. */
  query: query(schemas).optional(),
})
type Settings = SettingsOf<typeof shape>
type Query = NonNullable<Settings['query']>

/** Extended result codes of SQLite: the low byte is the sort of error. */
const SORT = { busy: 5, locked: 6, ioerr: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 }
/** Growing the -shm file failed, which happens on a full disk first. */
const IOERR_SHMSIZE = 4874
const READONLY_ROLLBACK = 776

async function namesOf(pids: readonly number[], target: ProbeTarget, signal: AbortSignal): Promise<string> {
  const tree = await target.tree()
  const names = pids.slice(0, NAMED).map(async (pid) => {
    const name = await nameProcess(pid, target, signal)
    return tree.includes(pid) ? `its own ${name}` : name
  })
  const rest = pids.length > NAMED ? ` and ${pids.length - NAMED} more` : ''
  return (await Promise.all(names)).join(', ') + rest
}

type Lock = Settings['lock']

async function lockedBy(
  file: string,
  lock: Lock,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { writers } = await lockHolders(file, target, signal)
  if (writers.length === 0) return fail('database locked for 1 s, by a process that cannot be seen')
  return judgeWriters(writers, lock, target, signal)
}

async function judgeWriters(
  writers: readonly number[],
  lock: Lock,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const text = `database locked by ${await namesOf(writers, target, signal)}`
  if (lock !== 'others') return fail(text)
  const tree = await target.tree()
  return writers.every((pid) => tree.includes(pid)) ? pass(text) : fail(text)
}

/** What SQLite's refusal means, in an operator's words. */
function judgeTrouble({ part, code, text }: NonNullable<Answer['trouble']>): ProbeResult {
  if (code === READONLY_ROLLBACK)
    return unknown('an interrupted write waits for the next program that opens it, not checked')
  if (code === SORT.full || code === IOERR_SHMSIZE) return fail('the disk is full')
  switch (code & 0xff) {
    case SORT.notadb:
      return fail('is not a database')
    case SORT.corrupt:
      return fail(`is damaged: ${excerpt(text)}`)
    case SORT.cantopen:
      return unknown('may not be opened by this user: not checked')
    case SORT.ioerr:
      return fail(`cannot be read: ${excerpt(text)}`)
  }
  if (code === 0 && ['EACCES', 'EPERM', 'EROFS'].includes(text))
    return unknown(`may not be ${part === 'lock' ? 'written' : 'read'} by this user: not checked`)
  return unknown(`${part}: ${excerpt(text)}`)
}

function judgeRow(row: Answer['row'], { equals, atLeast, matches }: Query): ProbeResult {
  if (row === null) return fail('the query found no row')
  const value = row[0] ?? null
  const found = excerpt(String(value))
  if (equals !== undefined)
    return value === equals ? pass() : fail(`the query found ${found}, expected ${equals}`)
  if (atLeast !== undefined) {
    const isEnough = typeof value === 'number' && value >= atLeast
    return isEnough ? pass() : fail(`the query found ${found}, expected at least ${atLeast}`)
  }
  return new RegExp(matches ?? '').test(String(value))
    ? pass()
    : fail(`the query found ${found}, expected ${matches}`)
}

/** Why a part could not be done without leaving a trace. */
const STATE: Partial<Record<Answer['mode'], string>> = {
  left: 'was not closed by the program that wrote it last',
  interrupted: 'an interrupted write waits for the next program that opens it',
}

async function judge(
  answer: Answer,
  file: string,
  settings: Settings,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { mode, trouble, faults, skipped, unsteady } = answer
  const sort = trouble === null ? null : trouble.code & 0xff
  if (sort === SORT.busy || sort === SORT.locked) return lockedBy(file, settings.lock, target, signal)
  if (trouble !== null) return judgeTrouble(trouble)
  if (skipped.includes('lock')) {
    // Whoever keeps a WAL database for himself alone needs no -shm: his lock is on the file.
    const { writers } = await lockHolders(file, target, signal)
    if (writers.length > 0) return judgeWriters(writers, settings.lock, target, signal)
  }
  if (faults.length > 0) return fail(`is damaged: ${excerpt(faults.join('; '))}`)
  const without = (parts: readonly Part[]) => `${parts.join(' and ')} not checked`
  const left = skipped.filter((part) => part !== 'lock')
  if (left.length > 0) return unknown(`${STATE[mode]}: ${without(left)}`)
  if (unsteady.length > 0) return unknown(`was written to all the time: ${without(unsteady)}`)
  if (settings.query === undefined) return pass(STATE[mode] ?? null)
  return judgeRow(answer.row, settings.query)
}

/** Has another process look, and judges what it found. */
async function look(
  file: string,
  settings: Settings,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { lock, integrity } = settings
  const question: Question = { file, lock: lock !== false, integrity, sql: settings.query?.sql ?? null }
  const { stdout, stderr, code } = await target.run([process.execPath, LOOK], {
    // What the service sets for its own Node is not for this one.
    env: { NODE_OPTIONS: '', NODE_NO_WARNINGS: '1' },
    stdin: JSON.stringify(question),
    signal,
  })
  if (signal.aborted) return unknown('not looked at in time')
  if (stdout === '') return unknown(`the check itself ended (${code ?? 'killed'}) ${excerpt(stderr)}`.trim())
  const answer = JSON.parse(stdout) as Answer
  for (const { part, ms } of answer.steps) target.step(part, ms)
  return judge(answer, file, settings, target, signal)
}

/** A WAL grows as long as one reader keeps to an old state of it; then every read has to search it. */
async function walFault(
  file: string,
  limit: number | undefined,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult | null> {
  if (limit === undefined) return null
  const found = await stat(`${file}-wal`).catch(() => null)
  if (found === null || found.size <= limit) return null
  const { readers } = await lockHolders(file, target, signal)
  const who = readers.length === 0 ? '' : `, read by ${await namesOf(readers, target, signal)}`
  return fail(`its WAL has ${sizeText(found.size)}, allowed ${sizeText(limit)}${who}`)
}

async function isDiskFull(file: string): Promise<boolean> {
  const { bfree, bavail, blocks } = await statfs(file)
  return blocks > 0 && (process.getuid?.() === 0 ? bfree : bavail) === 0
}

/** The file itself, since SQLite puts its -wal and -shm beside that and not beside a link; null if it is not there. */
async function locate(path: string): Promise<{ file: string; found: Stats } | null> {
  try {
    const file = await realpath(path)
    return { file, found: await stat(file) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw error
  }
}

/** The first of its faults; a lock is given back at once, and the file and what lies beside it stay as they are. */
async function check(
  path: string,
  settings: Settings,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const located = await locate(path)
  if (located === null) return settings.optional ? pass('no database yet') : fail('no such file')
  const { file, found } = located
  if (found.isDirectory()) return fail('is a folder, not a database')
  if (!found.isFile()) return fail('is not a regular file')
  const isLockAsked = settings.lock !== false
  if (isLockAsked && (await isDiskFull(file))) return fail('the disk is full')
  const needsLook = isLockAsked || settings.integrity !== false || settings.query !== undefined
  const result = needsLook ? await look(file, settings, target, signal) : pass()
  if (result.kind === 'fail') return result
  return (await walFault(file, settings.wal, target, signal)) ?? result
}

/** Passes when nothing that is set is wrong. Reasons begin with the name of the file. */
export const sqlite = defineProbe('sqlite', shape, async (settings, target) => {
  const path = homePath(settings.file)
  const name = basename(path)
  const named = (result: ProbeResult): ProbeResult =>
    result.kind === 'pass' ? result : { ...result, reason: `${name}: ${result.reason}` }
  return {
    async check(signal) {
      try {
        return named(await check(path, settings, target, signal))
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        if (signal.aborted) return unknown(`${name}: not looked at in time`)
        const isRefused = code === 'EACCES' || code === 'EPERM'
        return unknown(
          `${name}: ${isRefused ? 'may not be read by this user: not checked' : excerpt(code ?? message)}`,
        )
      }
    },
    close: () => Promise.resolve(),
  }
})
