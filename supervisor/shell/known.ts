/**
 * Small facts about services that outlive the supervisor, such as an accepted set of tools: one JSON file a
 * service, replaced as a whole. They are not in the journal, since an operator may look at them and remove one.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Facts = Record<string, unknown>

export type Known = {
  get(service: string, key: string): unknown
  /** Throws the system's error if it cannot be written; then nothing has changed. */
  set(service: string, key: string, value: unknown): void
}

/** The facts below a folder, which is made with the first one. */
export function openKnown(folder: string): Known {
  const cache = new Map<string, Facts>()
  const read = (service: string): Facts => {
    const found = cache.get(service) ?? readFacts(join(folder, `${service}.json`))
    cache.set(service, found)
    return found
  }
  return {
    get: (service, key) => read(service)[key],
    set(service, key, value) {
      const facts = { ...read(service), [key]: value }
      const path = join(folder, `${service}.json`)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      writeFileSync(`${path}.new`, `${JSON.stringify(facts, null, 1)}\n`, { mode: 0o600 })
      renameSync(`${path}.new`, path)
      cache.set(service, facts)
    },
  }
}

/** What a file holds; one that was damaged counts as none, so that it is learnt anew. */
function readFacts(path: string): Facts {
  try {
    const facts: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return facts !== null && typeof facts === 'object' ? (facts as Facts) : {}
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return {}
    throw error
  }
}
