/**
 * One supervisor per home: an exclusive transaction held on run/lock.db. The kernel frees it on kill -9, so
 * there is nothing stale to clean up. run/supervisor.lock only tells people who holds it.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { fileError, PaiosError } from '../errors.ts'
import type { Home } from './home.ts'

export type Lock = { release(): void }

/** A database that nothing refers to is closed by the garbage collector, and the lock with it. */
const held = new Set<Database.Database>()

/** Takes the lock. Throws supervisor-running with the holder's pid. */
export function takeLock(home: Home, version: string): Lock {
  const database = new Database(home.lock, { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    const pid = readHolder(home)
    const who = pid === null ? 'another supervisor' : `a supervisor with pid ${pid}`
    throw new PaiosError('supervisor-running', `${who} already runs for ${home.root}: see \`paios status\``)
  }
  held.add(database)
  const info = { pid: process.pid, version, startedAt: new Date().toISOString() }
  try {
    writeFileSync(home.lockInfo, `${JSON.stringify(info)}\n`, { mode: 0o600 })
  } catch (error) {
    // It is information only, and a supervisor must start on a full disk, to look after what lives.
    if (fileError(`write ${home.lockInfo}`, error).code !== 'disk-full') throw error
  }
  return {
    release() {
      rmSync(home.lockInfo, { force: true })
      database.close()
      held.delete(database)
    },
  }
}

/** The pid in run/supervisor.lock, null if it cannot be read. Information only: it proves nothing. */
export function readHolder(home: Home): number | null {
  try {
    const info = JSON.parse(readFileSync(home.lockInfo, 'utf8')) as { pid?: unknown }
    return typeof info.pid === 'number' ? info.pid : null
  } catch {
    return null
  }
}
