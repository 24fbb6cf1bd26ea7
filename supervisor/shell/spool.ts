/**
 * Where the journal goes while its database cannot be written: a file whose blocks were allocated while the
 * disk had room, so that writing into it needs none. Lines of JSON; a zero byte ends them.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'

/** Room for some thousands of state rows and events. */
const SIZE_BYTES = 4 * 1024 * 1024

export type Spool = {
  /** Adds a line; says false if it does not fit. */
  append(line: string): boolean
  read(): string[]
  clear(): void
  close(): void
}

/** Opens the spool, allocating it if it is new. */
export function openSpool(path: string): Spool {
  const isNew = !existsSync(path)
  const fd = openSync(path, isNew ? 'w+' : 'r+', 0o600)
  if (isNew) allocate(fd)
  let used = isNew ? 0 : endOf(readFileSync(path))
  return {
    append(line) {
      // Zeros follow anyway, unless a crash has cut a clearing.
      const bytes = Buffer.from(`${line}\n\0`)
      if (used + bytes.length > SIZE_BYTES) return false
      // Without its blocks the file may end within the line; the next one is written over what got in.
      if (writeSync(fd, bytes, 0, bytes.length, used) < bytes.length) return false
      fsyncSync(fd)
      used += bytes.length - 1
      return true
    },
    read() {
      const bytes = readFileSync(path)
      return bytes
        .subarray(0, endOf(bytes))
        .toString('utf8')
        .split('\n')
        .filter((line) => line !== '')
    },
    clear() {
      writeSync(fd, Buffer.alloc(Math.max(used, 1)), 0, Math.max(used, 1), 0)
      fsyncSync(fd)
      used = 0
    },
    close: () => closeSync(fd),
  }
}

/**
 * A sparse file would need room later: every block is written once. A disk that is full now leaves it
 * shorter.
 */
function allocate(fd: number): void {
  try {
    writeSync(fd, Buffer.alloc(SIZE_BYTES), 0, SIZE_BYTES, 0)
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    ftruncateSync(fd, 0)
  }
}

/** Where the zeros begin. A line that was cut in its middle by a crash has no newline and is dropped. */
function endOf(bytes: Buffer): number {
  const zero = bytes.indexOf(0)
  return bytes.subarray(0, zero === -1 ? bytes.length : zero).lastIndexOf(10) + 1
}
