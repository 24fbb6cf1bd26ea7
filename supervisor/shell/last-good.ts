/**
 * Copies of other programs' configuration files with which their service was ready, below `snapshots/.configs`: each
 * version once, under the SHA-256 of its bytes, and one index a service. They may hold tokens: files 0600, folder 0700.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../errors.ts'

/** So many versions of one file are kept. */
const KEEP = 10

/** One version that worked. `at` is an ISO instant: when it was last seen to work. */
export type GoodCopy = { readonly file: string; readonly sha256: string; readonly at: string }
/** Newest first, by the name of the probe that checks the file. */
type Index = Readonly<Record<string, readonly GoodCopy[]>>

export type LastGood = ReturnType<typeof openLastGood>

/** SHA-256, hexadecimal. */
export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** The copies below a folder, which is made with the first one. */
export function openLastGood(folder: string) {
  const indexOf = (service: string): Index => {
    try {
      return JSON.parse(readFileSync(join(folder, `${service}.json`), 'utf8')) as Index
    } catch (error) {
      // One that was damaged counts as none: the next version that works is kept anew.
      if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return {}
      throw error
    }
  }
  const named = (): Set<string> => {
    const services = readdirSync(folder).flatMap((name) =>
      name.endsWith('.json') ? [name.slice(0, -5)] : [],
    )
    return new Set(services.flatMap((name) => Object.values(indexOf(name)).flat()).map((copy) => copy.sha256))
  }
  return {
    /** Keeps these bytes as the version that works now; true if they were not the newest before. */
    keep(service: string, probe: string, file: string, bytes: Uint8Array): boolean {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const index = indexOf(service)
      const hash = sha256(bytes)
      const before = index[probe] ?? []
      const isNew = before[0]?.sha256 !== hash
      if (isNew) replace(join(folder, hash), bytes)
      const copy: GoodCopy = { file, sha256: hash, at: new Date().toISOString() }
      const copies = [copy, ...before.filter((one) => one.sha256 !== hash)].slice(0, KEEP)
      replace(join(folder, `${service}.json`), `${JSON.stringify({ ...index, [probe]: copies }, null, 1)}\n`)
      if (before.length >= KEEP) {
        const wanted = named()
        for (const name of readdirSync(folder))
          if (/^[0-9a-f]{64}$/.test(name) && !wanted.has(name)) rmSync(join(folder, name), { force: true })
      }
      return isNew
    },
    /** The newest version that worked, null if there is none or its copy is damaged. */
    newest(service: string, probe: string): (GoodCopy & { readonly bytes: Buffer }) | null {
      const [copy] = indexOf(service)[probe] ?? []
      if (copy === undefined) return null
      try {
        const bytes = readFileSync(join(folder, copy.sha256))
        return sha256(bytes) === copy.sha256 ? { ...copy, bytes } : null
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return null
        throw error
      }
    },
  }
}

/** Replaces a file as a whole; `mode` is that of the new one. */
export function replace(path: string, content: Uint8Array | string, mode = 0o600): void {
  const temporary = `${path}.paios-${process.pid}`
  writeFileSync(temporary, content, { mode })
  renameSync(temporary, path)
}
