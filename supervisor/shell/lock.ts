/**
 * One supervisor per home: an exclusive transaction held on run/lock.db. The kernel frees it on kill -9, so
 * there is nothing stale to clean up. Somebody may delete the file; then the lock holds nobody off any more, until
 * `look` has taken it again. run/supervisor.lock only tells people who holds it.
 */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { fileError, PaiosError } from '../errors.ts'
import { fileIdentity } from './file-identity.ts'
import type { Home } from './home.ts'

/** After so many looks in a row that find the new file held the home is lost: `paios down` may hold it for a moment. */
const REFUSALS = 3

export type Lock = {
  /**
   * Looks whether the file still is the one that is held, and takes the new one if not. `lost`: another supervisor
   * has it. Throws what SQLite or the file system says.
   */
  look(): 'held' | 'retaken' | 'lost'
  release(): void
}

/** A database that nothing refers to is closed by the garbage collector, and the lock with it. */
const held = new Set<Database.Database>()

/** Takes the lock. Throws supervisor-running with the holder's pid. */
export function takeLock(home: Home, version: string): Lock {
  const first = seize(home.lock)
  if (first === null) throw alreadyRuns(home)
  const startedAt = new Date().toISOString()
  const tell = () => writeInfo(home.lockInfo, { pid: process.pid, version, startedAt })
  tell()
  let taken = first
  let refusals = 0
  let read: string | null = null
  /** Looked at every second, so it is read where it has changed only. */
  const isTold = () => {
    const found = statSync(home.lockInfo, { throwIfNoEntry: false })
    if (found === undefined) return false
    const now = `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`
    if (now === read) return true
    if (readHolder(home) !== process.pid) return false
    read = now
    return true
  }
  return {
    look() {
      if (fileIdentity(home.lock) === taken.identity) {
        refusals = 0
        if (!isTold()) tell()
        return 'held'
      }
      const fresh = seize(home.lock)
      if (fresh === null) return ++refusals < REFUSALS ? 'held' : 'lost'
      letGo(taken.database)
      taken = fresh
      refusals = 0
      tell()
      return 'retaken'
    },
    release() {
      if (readHolder(home) === process.pid) rmSync(home.lockInfo, { force: true })
      letGo(taken.database)
    },
  }
}

/**
 * One command at a time that changes how this home is started or whose a service is: install, uninstall, upgrade,
 * takeover, release. Throws lock-held with the holder's command and pid. The home must be there.
 */
export function takeChangeLock(
  { root, changeLock, changeLockInfo }: Home,
  command: string,
): { release(): void } {
  const taken = seize(changeLock)
  if (taken === null) {
    const { pid, command: other } = readInfo(changeLockInfo)
    const who = typeof other === 'string' ? `paios ${other} (pid ${pid})` : 'another command'
    throw new PaiosError('lock-held', `${who} is at work on ${root}: wait until it has ended, then try again`)
  }
  writeInfo(changeLockInfo, { pid: process.pid, command, startedAt: new Date().toISOString() })
  return {
    release() {
      rmSync(changeLockInfo, { force: true })
      letGo(taken.database)
    },
  }
}

/** What a second supervisor of a home is told. */
export function alreadyRuns(home: Home): PaiosError {
  const pid = readHolder(home)
  const who = pid === null ? 'another supervisor' : `a supervisor with pid ${pid}`
  return new PaiosError('supervisor-running', `${who} already runs for ${home.root}: see \`paios status\``)
}

/** Holds the file, made if need be; null if another process holds it. */
function seize(
  path: string,
): { readonly database: Database.Database; readonly identity: string | null } | null {
  const database = new Database(path, { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    return null
  }
  held.add(database)
  return { database, identity: fileIdentity(path) }
}

function letGo(database: Database.Database): void {
  database.close()
  held.delete(database)
}

function writeInfo(path: string, info: Readonly<Record<string, unknown>>): void {
  try {
    writeFileSync(path, `${JSON.stringify(info)}\n`, { mode: 0o600 })
  } catch (error) {
    // It is information only, and a supervisor must start on a full disk, to look after what lives.
    if (fileError(`write ${path}`, error).code !== 'disk-full') throw error
  }
}

/** The pid in run/supervisor.lock, null if it cannot be read. Information only: it proves nothing. */
export function readHolder(home: Home): number | null {
  const { pid } = readInfo(home.lockInfo)
  return typeof pid === 'number' ? pid : null
}

function readInfo(path: string): { readonly pid?: unknown; readonly command?: unknown } {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { pid?: unknown; command?: unknown }
  } catch {
    // It may just be written, or be gone with its holder.
    return {}
  }
}
