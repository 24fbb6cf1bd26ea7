/**
 * The mesh as declared: where it comes from, and what an `up` would change.
 */
import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import type { ServiceSpec } from '../schemas/service.ts'
import type { Plan } from '../schemas/status.ts'
import type { MeshConfig } from './config.ts'
import { type Change, changeOf, refusalOf } from './core/change.ts'
import type { PreflightResult } from './core/event.ts'
import { isUp } from './core/scope.ts'
import type { Group, Mesh } from './core/state.ts'
import { readDocument } from './document/file.ts'
import { errnoOf, PaiosError } from './errors.ts'
import type { Home } from './shell/home.ts'
import type { Journal } from './shell/journal.ts'
import { specHash } from './spec-hash.ts'
import { VERSION } from './version.ts'

/** A mesh in force. `key` names document and version; `problem` says why it is not the file's own. */
export type Declared = {
  readonly key: string
  readonly specs: readonly { readonly spec: ServiceSpec; readonly hash: string }[]
  readonly groups: readonly Group[]
  /** A document that an older version has kept may lack these. */
  readonly mesh: Pick<MeshConfig, 'specs' | 'groups' | 'metrics' | 'alerts' | 'deadman' | 'hash'> &
    Partial<Pick<MeshConfig, 'logs' | 'alerting'>>
  readonly warnings: string[]
  readonly problem: string | null
}

const keyOf = (hash: string) => `${hash}:${VERSION}`

function declare(mesh: Declared['mesh'], problem: string | null, warnings: string[] = []): Declared {
  const specs = mesh.specs.map((spec) => ({ spec, hash: specHash(spec) }))
  return { key: keyOf(mesh.hash), specs, groups: mesh.groups, mesh, warnings, problem }
}

/**
 * Reads and checks the document, or what it would be with an edit that nobody has written. Throws document-invalid
 * with every problem.
 */
export async function readDeclared(home: Home, edit?: (text: string) => string): Promise<Declared> {
  const { parseMesh } = await import('./config.ts')
  const { presets } = await import('../services/index.ts')
  const bytes = readDocument(home.document)
  const result = parseMesh(edit ? edit(bytes.toString('utf8')) : bytes, { home: homedir(), presets })
  const { documentError, formatProblem } = await import('./document/problem.ts')
  if (!result.ok) throw documentError(home.document, result.problems)
  return declare(
    result.mesh,
    null,
    result.mesh.warnings.map((warning) => formatProblem(home.document, warning)),
  )
}

/**
 * The mesh to run at a start: what `up` has just handed over; else, after a crash, the one that was in force
 * (an edit is applied by `up` alone); else the document. With an invalid document the last valid one runs.
 */
export async function loadDeclared(home: Home, journal: Journal, isFresh: boolean): Promise<Declared> {
  const handed = takeHandOver(home)
  if (handed) return declare(handed, null)
  const last = journal.lastDocument()
  const kept = last ? (JSON.parse(last.mesh) as Declared['mesh']) : null
  if (kept && !isFresh && last?.hash === keyOf(kept.hash)) return declare(kept, null)
  try {
    return await readDeclared(home)
  } catch (error) {
    if (!(error instanceof PaiosError) || !kept) throw error
    return declare(kept, `the last valid document runs instead: ${error.message}`)
  }
}

/**
 * run/boot.json: a document that `up` has validated a moment ago. It is used once, and only for the same
 * bytes.
 */
function takeHandOver(home: Home): Declared['mesh'] | null {
  try {
    const { documentHash, mesh } = JSON.parse(readFileSync(home.boot, 'utf8')) as {
      documentHash: string
      mesh: Declared['mesh']
    }
    rmSync(home.boot, { force: true })
    return documentHash === hashOf(home.document) ? mesh : null
  } catch (error) {
    // A document that has just become unreadable is reported by whoever reads it next.
    if (error instanceof PaiosError || error instanceof SyntaxError || errnoOf(error) === 'ENOENT')
      return null
    throw error
  }
}

const hashOf = (path: string) => createHash('sha256').update(readDocument(path)).digest('hex')

/** What making this mesh the one in force would do. `found`: what speaks against a start of changed services. */
export function planOf(
  mesh: Mesh,
  specs: Declared['specs'],
  isRetry: boolean,
  found: Readonly<Record<string, readonly PreflightResult[]>> = {},
): Plan {
  const refused: { name: string; reason: string }[] = []
  const groups = Map.groupBy(specs, ({ spec, hash }) => {
    const child = mesh.children.get(spec.name)
    if (!child) return 'start'
    const change = changeOf(child, spec, hash, isRetry)
    const refusal = change === 'restart' && isUp(child) ? refusalOf(found[spec.name]) : null
    if (change !== 'pinned' && refusal === null) return change
    refused.push({ name: spec.name, reason: refusal ?? child.rejected?.reason ?? '' })
    return 'pinned'
  })
  const named = (change: Change) => (groups.get(change) ?? []).map(({ spec }) => spec.name)
  const declared = new Set(specs.map(({ spec }) => spec.name))
  return {
    start: named('start'),
    restart: named('restart'),
    update: named('update'),
    stop: [...mesh.children.keys()].filter((name) => !declared.has(name)),
    unchanged: named('unchanged'),
    refused,
  }
}
