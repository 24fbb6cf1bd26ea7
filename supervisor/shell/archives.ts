/** The archives of rotated logs on the disk: which there are, how they are compressed, and how they go. */
import { createReadStream, createWriteStream } from 'node:fs'
import { readdir, rename, rm, stat, truncate } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Archive, archiveName, parseArchiveName } from '../../probes/log-stream.ts'
import { type LogSettings, overTotal, surplus } from '../core/log-policy.ts'
import { errnoOf } from '../errors.ts'

const CHUNK_BYTES = 256 * 1024
/** The ending of a compressed archive that is not complete. */
const PART = '.part'

/** An archive with its full path and what it takes on the disk. */
type StoredArchive = Archive & { readonly path: string; readonly bytes: number }

/** What lies in one folder of logs: its archives by position, and the bytes of everything else. */
type Stored = { readonly archives: readonly StoredArchive[]; readonly otherBytes: number }

const isGone = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')

/** Names in a folder; none if there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

/** Looks at one folder. */
async function readStored(folder: string): Promise<Stored> {
  const archives: StoredArchive[] = []
  let otherBytes = 0
  for (const name of await namesIn(folder)) {
    const path = join(folder, name)
    const size = await stat(path).then(
      (found) => found.size,
      (error) => (isGone(error) ? 0 : Promise.reject(error)),
    )
    const archive = parseArchiveName(name)
    if (archive && archive.form !== 'full') archives.push({ ...archive, path, bytes: size })
    else otherBytes += size
  }
  return { archives: archives.sort((a, b) => a.start - b.start), otherBytes }
}

/** Removes compressed copies that were not completed. */
async function removeParts(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (name.endsWith(PART)) await rm(join(folder, name), { force: true })
  }
}

/**
 * Deletes an archive. Of the newest one an empty file stays, since its name tells where current.log begins.
 */
async function removeArchive(archive: StoredArchive, isNewest: boolean): Promise<void> {
  if (!isNewest) return rm(archive.path, { force: true })
  const { wall, start, end } = archive
  const empty = join(dirname(archive.path), archiveName(wall, start, end, 'gone'))
  await rename(archive.path, empty)
  await truncate(empty, 0)
}

/**
 * Replaces an archive by a compressed one, off the main thread; complete at every moment under one of its two
 * names. Throws what the file system says; the plain one stays then.
 */
async function compress(archive: StoredArchive): Promise<void> {
  const { wall, start, end, path } = archive
  const packed = join(dirname(path), archiveName(wall, start, end, 'log.gz'))
  const part = `${packed}${PART}`
  try {
    const to = createWriteStream(part, { mode: 0o600, flush: true })
    await pipeline(
      createReadStream(path, { highWaterMark: CHUNK_BYTES }),
      createGzip({ chunkSize: CHUNK_BYTES }),
      to,
    )
    await rename(part, packed)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  await rm(path, { force: true })
}

/**
 * Gives up what one service has too many of and compresses the rest but the newest: readers that are a little
 * behind, and the tails of lives, are in that. Says the position of the first byte that can still be read, and how
 * much the archives take.
 */
export async function tidyFolder(
  folder: string,
  settings: LogSettings,
): Promise<{ readonly first: number; readonly archivedBytes: number }> {
  const { archives } = await readStored(folder)
  const newest = archives.at(-1)
  const [gone, kept] = [true, false].map((isGone) =>
    archives.filter(({ form }) => (form === 'gone') === isGone),
  )
  const doomed = new Set([...surplus(kept!, settings), ...gone!.filter((archive) => archive !== newest)])
  for (const archive of doomed) await removeArchive(archive, false)
  const left = kept!.filter((archive) => !doomed.has(archive))
  for (const archive of left) if (archive !== newest && archive.form === 'log') await compress(archive)
  const now = await readStored(folder)
  const archivedBytes = now.archives.reduce((sum, { bytes }) => sum + bytes, 0)
  return { first: left[0]?.start ?? newest?.end ?? 0, archivedBytes }
}

/**
 * Puts every folder of logs in order, those of removed services too, and deletes the oldest archives until all log
 * files together take at most `total` bytes.
 */
export async function tidyTotal(
  logs: string,
  tidy: (service: string) => Promise<void>,
  total: number,
): Promise<void> {
  const all: Stored[] = []
  for (const service of await namesIn(logs)) {
    await removeParts(join(logs, service))
    await tidy(service)
    all.push(await readStored(join(logs, service)))
  }
  const newest = new Set(all.map(({ archives }) => archives.at(-1)))
  const otherBytes = all.reduce((sum, stored) => sum + stored.otherBytes, 0)
  const archives = all.flatMap((stored) => stored.archives).filter(({ form }) => form !== 'gone')
  for (const archive of overTotal(archives, otherBytes, total)) {
    await removeArchive(archive, newest.has(archive))
  }
}
