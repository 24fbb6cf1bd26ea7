/**
 * One rotation of one log file. The children keep their descriptor, so the file is copied and then emptied. Most
 * of it is copied, and flushed to the disk, while they write on; only the last bytes are copied, and the file is
 * emptied, while nothing writes. Those are not flushed meanwhile, which may take long: they are some milliseconds
 * old, so that a power cut would cost them without a rotation, too. Each step leaves a state of which a reader, or
 * the next supervisor, knows what it means: `rotating` is an unfinished copy, `.full` a complete one, `.log` one
 * whose bytes are no longer in current.log.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { archiveName, parseArchiveName, readLayoutSync } from '../../probes/log-stream.ts'
import { afterCrash } from '../core/log-policy.ts'

const CURRENT = 'current.log'
/** The name of a copy that is not complete. */
const UNFINISHED = 'rotating'
/** So little is left for the standstill; more often than PASSES nobody runs after a program that floods its log. */
const REST_BYTES = 16_384
const PASSES = 8
const CHUNK_BYTES = 1024 * 1024

/** What one rotation needs. */
export type RotationOptions = {
  /** `…/current.log`. */
  readonly path: string
  readonly wall: () => number
  /** Does the work while nothing writes to the file; false: not now, and the work was not done. */
  readonly whileStill: (work: () => void) => boolean
}

/** The bytes that were moved, as the archive's name says. */
export type Rotated = { readonly name: string; readonly start: number; readonly end: number }

/**
 * Moves all of the file into an archive. Null if it could not be done now. Throws what the file system says (a
 * full disk); the file is then as it was.
 */
export async function rotateLog({ path, wall, whileStill }: RotationOptions): Promise<Rotated | null> {
  const folder = dirname(path)
  settleLog(path)
  const copyPath = join(folder, UNFINISHED)
  const from = await open(path, 'r+')
  let to: FileHandle | null = null
  try {
    to = await open(copyPath, 'w', 0o600)
    const most = await copyMost(from, to, 0)
    await to.datasync()
    // Much may have come while much was flushed, and what lies there for long must be flushed, too, however little.
    const copied = await copyUpTo(from, to, await copyMost(from, to, most))
    await to.datasync()
    const { base } = readLayoutSync(path)
    let rotated: Rotated | null = null
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    const copy = to.fd
    const finish = () => {
      // Somebody may cut the file off meanwhile; the next time will do.
      for (let bytes = copied; rotated === null && fstatSync(from.fd).size >= bytes; ) {
        bytes = copyRest(from.fd, copy, bytes, buffer)
        const name = archiveName(wall(), base, base + bytes, 'log')
        if (emptyFile(from.fd, copyPath, join(folder, name), bytes))
          rotated = { name, start: base, end: base + bytes }
      }
    }
    if (!whileStill(finish)) return null
    await to.datasync()
    return rotated
  } finally {
    await to?.close()
    await from.close()
    rmSync(copyPath, { force: true })
  }
}

/** Copies until little is left; returns how many bytes there are then. */
async function copyMost(from: FileHandle, to: FileHandle, copied: number): Promise<number> {
  let end = copied
  for (let pass = 0; pass < PASSES; pass++) {
    const { size } = await from.stat()
    if (size - end <= REST_BYTES) break
    end = await copyUpTo(from, to, end, size)
  }
  return end
}

/** Copies up to a size, that of this moment unless told; returns how many bytes there are then. */
async function copyUpTo(from: FileHandle, to: FileHandle, copied: number, wanted?: number): Promise<number> {
  const size = Math.max(wanted ?? (await from.stat()).size, copied)
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - copied))
  for (let end = copied; ; ) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, size - end), end)
    if (bytesRead === 0) return end
    await to.appendFile(buffer.subarray(0, bytesRead))
    end += bytesRead
  }
}

/** Copies to the very end, at once; returns how many bytes there are. Throws if not all can be written. */
function copyRest(from: number, to: number, copied: number, buffer: Buffer): number {
  let end = copied
  for (;;) {
    const size = readSync(from, buffer, 0, buffer.length, end)
    if (size === 0) return end
    for (let written = 0; written < size; )
      written += writeSync(to, buffer, written, size - written, end + written)
    end += size
  }
}

/**
 * The complete copy takes the place of the file's bytes. False, and nothing has changed, if the file has become
 * longer meanwhile, as it does where nobody stands still. The time of the last write stays that of the program.
 */
function emptyFile(file: number, copyPath: string, archivePath: string, bytes: number): boolean {
  const fullPath = archivePath.replace(/log$/, 'full')
  renameSync(copyPath, fullPath)
  try {
    const { size, atime, mtime } = fstatSync(file)
    if (size === bytes) {
      ftruncateSync(file, 0)
      renameSync(fullPath, archivePath)
      futimesSync(file, atime, mtime)
      return true
    }
    renameSync(fullPath, copyPath)
    return false
  } catch (error) {
    settleLog(join(dirname(archivePath), CURRENT))
    throw error
  }
}

/**
 * Finishes or takes back what a crash has left in the middle. What was not emptied stays where it is, so nothing
 * is lost or there twice.
 */
export function settleLog(path: string): void {
  const folder = dirname(path)
  for (const name of namesIn(folder)) {
    if (name === UNFINISHED) rmSync(join(folder, name))
    const archive = parseArchiveName(name)
    if (archive?.form !== 'full') continue
    const copyPath = join(folder, name)
    const { size } = statSync(copyPath)
    const current = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (afterCrash(size, current, () => beginsAlike(copyPath, path, size)) === 'discard') rmSync(copyPath)
    else renameSync(copyPath, copyPath.replace(/full$/, 'log'))
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** True if two files begin with the same so many bytes. */
function beginsAlike(left: string, right: string, bytes: number): boolean {
  const files = [openSync(left, 'r'), openSync(right, 'r')] as const
  try {
    const [a, b] = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)]
    for (let at = 0; at < bytes; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, bytes - at)
      for (const [index, buffer] of [a, b].entries()) readSync(files[index]!, buffer, 0, length, at)
      if (a.compare(b, 0, length, 0, length) !== 0) return false
    }
    return true
  } finally {
    for (const file of files) closeSync(file)
  }
}
