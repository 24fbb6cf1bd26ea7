/** Resident memory of processes. Linux only: elsewhere it would take a `ps` for each scrape. */
import { readFileSync } from 'node:fs'

/**
 * Size of a page on every Linux that Node runs on here; arm64 kernels with larger pages would be
 * under-counted.
 */
const PAGE_BYTES = 4_096

/**
 * Sum of the resident bytes of these processes; those that are gone count as 0. Null where it cannot be read.
 */
export function residentBytes(pids: readonly number[]): number | null {
  if (process.platform !== 'linux') return null
  let pages = 0
  for (const pid of pids) {
    try {
      pages += Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
  return pages * PAGE_BYTES
}
