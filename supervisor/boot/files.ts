/** Files that are written whole or not at all, and only when their bytes are others. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { fileError } from '../errors.ts'

/** The text of a file, null if there is none. Throws home-unwritable where it cannot be read. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw fileError(`read ${path}`, error)
  }
}

/** True if the file has these bytes and this mode already. */
export function isAsWritten(path: string, text: string, mode: number): boolean {
  return textOf(path) === text && (statSync(path).mode & 0o777) === mode
}

/**
 * Writes a file atomically and durably unless it is as it should be: a rewritten plist, even with equal
 * bytes, is a new notice to the person at a Mac. Returns what puts the former file back, null if nothing was
 * done.
 */
export function writeIfOther(path: string, text: string, mode: number): (() => void) | null {
  const former = textOf(path)
  if (former !== null && isAsWritten(path, text, mode)) return null
  const formerMode = former === null ? mode : statSync(path).mode & 0o777
  replace(path, text, mode)
  return () => (former === null ? rmSync(path, { force: true }) : replace(path, former, formerMode))
}

function replace(path: string, text: string, mode: number): void {
  const fresh = `${path}.${process.pid}`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const file = openSync(fresh, 'wx', mode)
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    // The umask has its say when a file is created.
    chmodSync(fresh, mode)
    renameSync(fresh, path)
    syncFolder(dirname(path))
  } catch (error) {
    rmSync(fresh, { force: true })
    throw fileError(`write ${path}`, error)
  }
}

/** Has a new name outlive a power cut. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
