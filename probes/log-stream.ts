/**
 * A service's log as one stream of bytes, of which the file that it writes to is only the end. Rotation moves
 * what was written into archives beside `current.log`, named by when and by which bytes they hold, so that a
 * position (bytes since the first one) stays good for ever: an archive `20261120T201500Z.0-4096.log` says that
 * `current.log` begins at 4096. Archives are `.log`, `.log.gz`, `.gone` (deleted; the name keeps the count), or
 * for an instant `.full`: complete, while `current.log` still holds the same bytes or was emptied just now.
 */
import { createReadStream, readdirSync, statSync } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** What the name of an archive says of it, by its ending. */
export type ArchiveForm = 'log' | 'log.gz' | 'full' | 'gone'

/** One archive: bytes `start` up to `end` of the stream; `wall` is when it was made (Unix ms, of a full second). */
export type Archive = {
  readonly name: string
  readonly wall: number
  readonly start: number
  readonly end: number
  readonly form: ArchiveForm
}

/** Where the bytes of a log are: in readable archives, oldest first, and from `base` on in current.log. */
export type Layout = {
  readonly archives: readonly Archive[]
  readonly base: number
  readonly currentBytes: number
}

/** A piece of the stream and where it begins. */
export type Piece = { readonly position: number; readonly bytes: Buffer }

const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.(\d+)-(\d+)\.(log|log\.gz|full|gone)$/
const CHUNK_BYTES = 64 * 1024

/** The name of an archive of the bytes `start` up to `end`, made at `wall` (Unix milliseconds). */
export function archiveName(wall: number, start: number, end: number, form: ArchiveForm): string {
  const instant = new Date(wall).toISOString().replace(/\.\d+/, '').replace(/[-:]/g, '')
  return `${instant}.${start}-${end}.${form}`
}

/** What a file name says; null if it is not that of an archive. */
export function parseArchiveName(name: string): Archive | null {
  const match = NAME.exec(name)
  if (!match) return null
  const [year, month, day, hour, minute, second, start, end] = match.slice(1, 9).map(Number) as number[]
  const wall = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!)
  return { name, wall, start: start!, end: end!, form: match[9] as ArchiveForm }
}

/**
 * The layout that these file names tell. A `.full` counts only if current.log is too short to hold the same
 * bytes still.
 */
export function layoutOf(names: readonly string[], currentBytes: number): Layout {
  const found = names.map(parseArchiveName).filter((archive) => archive !== null)
  const moved = found.filter(({ form, start, end }) => form !== 'full' || currentBytes < end - start)
  const plain = new Set(moved.filter(({ form }) => form === 'log').map(({ start }) => start))
  const archives = moved
    .filter(({ form, start }) => form !== 'gone' && (form === 'log' || !plain.has(start)))
    .sort((a, b) => a.start - b.start)
  return { archives, base: moved.reduce((base, { end }) => Math.max(base, end), 0), currentBytes }
}

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT'

/**
 * The layout now, in one turn: for the one process that rotates. What is not there counts as empty; other
 * errors are thrown.
 */
export function readLayoutSync(path: string): Layout {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  try {
    return layoutOf(readdirSync(dirname(path)), size)
  } catch (error) {
    if (isMissing(error)) return layoutOf([], size)
    throw error
  }
}

/** A layout of one moment, while another process may rotate. What is not there counts as empty. */
export async function readLayout(path: string): Promise<Layout> {
  const list = async () =>
    (await readdir(dirname(path)).catch((error) => (isMissing(error) ? [] : Promise.reject(error)))).sort()
  for (let names = await list(); ; ) {
    const size = await stat(path).then(
      (found) => found.size,
      (error) => (isMissing(error) ? 0 : Promise.reject(error)),
    )
    const again = await list()
    if (again.join('/') === names.join('/')) return layoutOf(names, size)
    names = again
  }
}

/**
 * All that is there from `from` on, oldest first, without gap or duplicate while the log is being rotated; ends
 * at the end of current.log. What was deleted is skipped. A file that somebody else has cut short is read from its
 * beginning.
 */
export async function* streamLog(path: string, from: number): AsyncGenerator<Piece> {
  let position = from
  const unreadable = new Set<string>()
  for (;;) {
    const layout = await readLayout(path)
    const archive = layout.archives.find(({ end, name }) => end > position && !unreadable.has(name))
    if (archive) {
      try {
        for await (const piece of readArchive(join(dirname(path), archive.name), archive, position)) {
          yield piece
          position = piece.position + piece.bytes.length
        }
        position = archive.end
      } catch (error) {
        // It was compressed or deleted a moment ago, or its bytes are damaged: what can be read, is.
        if (!isMissing(error) && !String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw error
        unreadable.add(archive.name)
      }
      continue
    }
    if (position < layout.base || position > layout.base + layout.currentBytes) position = layout.base
    const bytes = await readCurrent(path, position - layout.base)
    if ((await readLayout(path)).base !== layout.base) continue
    if (bytes.length === 0) return
    yield { position, bytes }
    position += bytes.length
  }
}

async function* readArchive(path: string, { start, form }: Archive, from: number): AsyncGenerator<Piece> {
  const skip = Math.max(0, from - start)
  const isPacked = form === 'log.gz'
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES, start: isPacked ? 0 : skip })
  // A supervisor needs it once in a while only.
  const bytes = isPacked
    ? file.pipe((await import('node:zlib')).createGunzip({ chunkSize: CHUNK_BYTES }))
    : file
  if (isPacked) file.on('error', (error) => bytes.destroy(error))
  let position = isPacked ? start : start + skip
  try {
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      const wanted = chunk.subarray(Math.max(0, start + skip - position))
      position += chunk.length
      if (wanted.length > 0) yield { position: position - wanted.length, bytes: wanted }
    }
  } finally {
    file.destroy()
    bytes.destroy()
  }
}

async function readCurrent(path: string, offset: number): Promise<Buffer> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0)
    throw error
  }
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    return buffer.subarray(0, (await file.read(buffer, 0, buffer.length, offset)).bytesRead)
  } finally {
    await file.close()
  }
}
