/** The document of a takeover: one word of one entry changes, and every other service stays as it is declared. */
import { realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { TakeoverRecord } from '../../schemas/takeover.ts'
import { presets } from '../../services/index.ts'
import { parseMesh } from '../config.ts'
import { entryOf, withEntry, withObserve } from '../document/edit.ts'
import { readDocument } from '../document/file.ts'
import { documentError } from '../document/problem.ts'
import { PaiosError } from '../errors.ts'
import { specHash } from '../spec-hash.ts'
import { writeIfOther } from './files.ts'

/** An edit of the document, before it is written. */
export type Edit = { readonly before: string; readonly after: string; readonly entry: string }

/** The service as it would be started here, and the edit that declares it so; null where none is needed. */
export async function planEdit(
  path: string,
  service: string,
  isObserved: boolean,
): Promise<{ readonly spec: ServiceSpec; readonly edit: Edit | null }> {
  const before = readDocument(path).toString('utf8')
  const after = isObserved ? withObserve(before, service, false) : before
  const spec = specsIn(path, after).find(({ name }) => name === service)
  if (spec === undefined) throw new PaiosError('refused', `${path} has no services.${service}`)
  if (!isObserved) return { spec, edit: null }
  const entry = entryOf(before, service)!.text
  requireOthersSame(path, before, after, service)
  return { spec, edit: { before, after, entry } }
}

/** Writes a text in the place of the one that was read. Throws refused if the document has changed meanwhile. */
export function writeDocument(path: string, from: string, to: string): void {
  if (readDocument(path).toString('utf8') !== from) {
    throw new PaiosError('refused', `${path} was edited just now, so it was left alone: try again`)
  }
  // A document that is a link stays one.
  const file = realpathSync(path)
  writeIfOther(file, to, statSync(file).mode & 0o777)
}

/**
 * The document with the entry as it was before a takeover: byte for byte if nobody has edited it since, else that one
 * entry. null where nothing is to be done. Throws refused where the entry cannot be put back on its own.
 */
export function planReturn(
  path: string,
  { service, document }: TakeoverRecord,
): { readonly from: string; readonly to: string } | null {
  if (document === null) return null
  const from = readDocument(path).toString('utf8')
  if (from === document.before) return null
  if (from === document.after) return { from, to: document.before }
  const entry = entryOf(from, service)
  // It was taken out of the document, or is observed already.
  if (entry === null || entry.observe?.value === true) return null
  const to = withEntry(from, service, document.entry)
  try {
    requireOthersSame(path, from, to, service)
    return { from, to }
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    const how = `write \`observe: true\` into services.${service} of ${path} yourself`
    throw new PaiosError('refused', `its entry cannot be put back as it was (${error.message}): ${how}`, {
      cause: error,
    })
  }
}

function specsIn(path: string, text: string): readonly ServiceSpec[] {
  const result = parseMesh(text, { home: homedir(), presets })
  if (!result.ok) throw documentError(path, result.problems)
  return result.mesh.specs
}

function requireOthersSame(path: string, before: string, after: string, service: string): void {
  const others = (text: string) =>
    specsIn(path, text).flatMap((spec) => (spec.name === service ? [] : [`${spec.name} ${specHash(spec)}`]))
  const [old, fresh] = [others(before), others(after)]
  if (old.length === fresh.length && old.every((one) => fresh.includes(one))) return
  const what = `services.${service} shares its \`observe\` with another service (an anchor?)`
  throw new PaiosError('refused', `${what}: write it out for each`)
}
