/**
 * The document while it is edited: whether the file still is what is in force, since when not, and whether it could be
 * applied. What parses it is heavy and stays out of the supervisor: once an edit has been left alone for a second, a
 * short-lived `paios check` of the same version looks at it, and its verdict is kept until the file changes again.
 */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import type { Status } from '../schemas/status.ts'
import type { Declared } from './declared.ts'
import { readDocument } from './document/file.ts'
import { errnoOf, PaiosError } from './errors.ts'
import { declaredEnvironment } from './shell/environment.ts'
import type { Home } from './shell/home.ts'
import type { ProbePrograms } from './shell/probe-programs.ts'

const CHECK_LIMIT_MS = 60_000
/** So many lines are named; `paios check` names them all. */
const LINES_SHOWN = 5

type State = Status['document']

/** The lines of all errors in a document, null if that could not be found out. */
export type CheckDocument = (signal: AbortSignal) => Promise<readonly number[] | null>

export type DocumentWatchOptions = {
  readonly home: Pick<Home, 'document'>
  readonly check: CheckDocument
  /** A journal event about the mesh. */
  readonly note: (event: string, text: string) => void
}

export type DocumentWatch = {
  /** From now on this is in force. */
  apply(declared: Pick<Declared, 'problem'> & { readonly mesh: Pick<Declared['mesh'], 'hash'> }): void
  state(): State
  /** False while the document as it lies there is known not to be valid. */
  isValid(): boolean
  /** The regular look, once a second. */
  look(): void
  close(): void
}

/** What was found at one state of the file. `errors` in words, null while none was found. */
type Found =
  | { readonly kind: 'applied' }
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'edited'; readonly changed: string; readonly errors: string | null }

/** Watches the document of a home. */
export function openDocumentWatch({ home, check, note }: DocumentWatchOptions): DocumentWatch {
  let hash = ''
  let standing: string | null = null
  let known: { readonly key: string; found: Found } | null = null
  let seen = ''
  let judged = ''
  const stop = new AbortController()

  /** The file's bytes are read again only when its identity, size or time has changed. */
  function look(): { readonly key: string; found: Found } {
    const key = keyOf(home.document)
    if (known?.key !== key) known = { key, found: find(home.document, hash) }
    return known
  }

  async function judge(one: { found: Found }): Promise<void> {
    const lines = await check(stop.signal).catch(() => null)
    // Edited again meanwhile: the next look sees to that.
    if (one !== known || one.found.kind !== 'edited' || stop.signal.aborted) return
    if (!lines?.length) return
    const errors = errorsText(lines)
    one.found = { ...one.found, errors }
    note('document-broken', `paios.yaml was changed and is not applied: ${errors}; ${NAMED}`)
  }

  return {
    apply({ mesh, problem }) {
      hash = mesh.hash
      standing = problem
      known = null
      seen = ''
    },
    state() {
      const state = { path: home.document, applied: hash.slice(0, 12), changed: null, errors: null }
      if (standing !== null) return { ...state, problem: standing }
      const { found } = look()
      if (found.kind === 'applied') return { ...state, problem: null }
      if (found.kind === 'unreadable') return { ...state, problem: `${found.why}; what was applied runs on` }
      const { changed, errors } = found
      const when = changed.slice(0, 16).replace('T', ' ')
      const what = errors === null ? '`paios up` applies it' : `${errors}; ${NAMED}`
      const problem = `paios.yaml changed at ${when} UTC, not applied: ${what}`
      return { ...state, problem, changed, errors }
    },
    isValid() {
      const found = known?.found
      if (standing !== null || found?.kind === 'unreadable') return false
      return found?.kind !== 'edited' || found.errors === null
    },
    look() {
      const one = look()
      // Somebody may still be writing: it must have been the same at the last look.
      if (one.key !== seen) {
        seen = one.key
        return
      }
      if (one.key === judged) return
      judged = one.key
      if (one.found.kind === 'unreadable')
        note('document-broken', `${one.found.why}; what was applied runs on`)
      if (one.found.kind === 'edited') void judge(one)
    },
    close: () => stop.abort(),
  }
}

const NAMED = '`paios check` names them'

/** `2 errors (line 14, 31)`. */
function errorsText(lines: readonly number[]): string {
  const places = [...new Set(lines)].toSorted((a, b) => a - b)
  const more = places.length > LINES_SHOWN ? ', …' : ''
  const count = lines.length === 1 ? '1 error' : `${lines.length} errors`
  return `${count} (line ${places.slice(0, LINES_SHOWN).join(', ')}${more})`
}

function keyOf(path: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(path)
    return `${ino} ${mtimeMs} ${size}`
  } catch (error) {
    return errnoOf(error) ?? 'unknown'
  }
}

function find(path: string, applied: string): Found {
  try {
    if (createHash('sha256').update(readDocument(path)).digest('hex') === applied) return { kind: 'applied' }
    return { kind: 'edited', changed: statSync(path).mtime.toISOString(), errors: null }
  } catch (error) {
    const why = error instanceof PaiosError ? error.message : `paios.yaml cannot be read (${errnoOf(error)})`
    return { kind: 'unreadable', why }
  }
}

/** Checks the document of a home with the entry that runs this supervisor. */
export function checkByProgram(home: Home, programs: ProbePrograms, entry: string): CheckDocument {
  return async (signal) => {
    const argv = [process.execPath, entry, 'check', '--document', '--json']
    const env = declaredEnvironment({ PAIOS_HOME: home.root }, {})
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CHECK_LIMIT_MS)])
    const { code, stdout } = await programs.run(argv, { env, cwd: homedir(), signal: limit })
    if (code !== 0 && code !== 3) return null
    const { problems } = JSON.parse(stdout) as { problems?: readonly { readonly line: number }[] }
    return problems?.map(({ line }) => line) ?? null
  }
}
