/** The document as a file: what may be read, and how without ever waiting for it. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { errnoOf, PaiosError } from '../errors.ts'

/** A document of 1,000 services is about 100 KiB; ten times that is not a document. */
export const MAX_DOCUMENT_BYTES = 1024 ** 2
/**
 * The bytes of a document. Throws PaiosError `document-unreadable` (missing, a folder, a pipe, not permitted)
 * or `document-too-large` (over 1 MiB, not read). Never blocks on a pipe.
 */
export function readDocument(path: string): Buffer {
  let descriptor: number | null = null
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) {
      const what = stat.isDirectory() ? 'a folder' : 'not a regular file'
      throw new PaiosError('document-unreadable', `${path} is ${what}; name the document itself`)
    }
    if (stat.size > MAX_DOCUMENT_BYTES) throw tooLarge(path, stat.size)
    const bytes = readFileSync(descriptor)
    // The file may have grown since it was measured.
    if (bytes.length > MAX_DOCUMENT_BYTES) throw tooLarge(path, bytes.length)
    return bytes
  } catch (error) {
    if (error instanceof PaiosError) throw error
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such file; `paios up` writes a first one',
      EACCES: 'this user may not read it',
      ENXIO: 'it is not a regular file',
    }
    const errno = errnoOf(error) ?? String(error)
    throw new PaiosError('document-unreadable', `cannot read ${path}: ${reasons[errno] ?? errno}`, {
      cause: error,
    })
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

function tooLarge(path: string, sizeBytes: number): PaiosError {
  const size = (sizeBytes / 1024 ** 2).toFixed(1)
  return new PaiosError(
    'document-too-large',
    `${path} is ${size} MiB large; a document may have at most 1 MiB`,
  )
}
