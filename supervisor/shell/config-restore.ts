/**
 * Puts the last configuration file back with which its service was ready, and takes that back. What would change is
 * shown by the paths of its keys alone: the values may be secrets.
 */
import { chmodSync, existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { parseConfig } from '../../probes/config-file.ts'
import { probeName } from '../core/health.ts'
import { errnoOf, PaiosError } from '../errors.ts'
import { type GoodCopy, replace, sha256 } from './last-good.ts'
import { childOf, probeOf, type Stage } from './repair-stage.ts'
import { expandHome } from './secrets.ts'

/** More changed keys than this are counted. */
const LISTED = 20

/** What a restore would do. */
export type RestorePlan = {
  readonly file: string
  readonly copy: GoodCopy & { readonly bytes: Buffer }
  /** The bytes that are in place, null where there is no file. */
  readonly present: Buffer | null
}

/** Whether a change was taken back. */
export type Undone = { readonly ok: boolean; readonly text: string }

export type ConfigRestore = ReturnType<typeof openConfigRestore>

/** Restores over one stage. */
export function openConfigRestore(stage: Stage) {
  const plan = (service: string, probe: string | undefined): RestorePlan | { readonly refusal: string } => {
    const spec = probeOf(childOf(stage, service), 'config', probe)
    const file = realOf(expandHome(spec.file))
    const copy = stage.copies.newest(service, probeName(spec))
    if (copy === null) return { refusal: `no version of ${file} is kept with which ${service} was ready` }
    const present = readIf(file)
    if (present !== null && sha256(present) === copy.sha256)
      return { refusal: `${file} is the version with which it was ready last` }
    return { file, copy, present }
  }
  const planned = (service: string, probe: string | undefined): RestorePlan => {
    const found = plan(service, probe)
    if ('refusal' in found) throw new PaiosError('refused', found.refusal)
    return found
  }
  return {
    plan,
    /** What a person is shown: the file, the version, and which keys differ. */
    async show(service: string, probe: string | undefined): Promise<string[]> {
      const { file, copy, present } = planned(service, probe)
      const { format } = probeOf(childOf(stage, service), 'config', probe)
      const now = present === null ? 'missing' : sha256(present).slice(0, 12)
      const lines = [
        `file: ${file}`,
        `from: ${now}, to: ${copy.sha256.slice(0, 12)} (worked until ${copy.at})`,
      ]
      return [...lines, ...(await differences(present, copy.bytes, format))]
    },
    /** The bad file is kept beside the good one. Answers where. */
    restore(
      service: string,
      probe: string | undefined,
    ): { readonly text: string; readonly facts: Record<string, string> } {
      const { file, copy, present } = planned(service, probe)
      const mode = present === null ? 0o600 : statSync(file).mode & 0o777
      let kept = ''
      if (present !== null) {
        kept = freeName(`${file}.bad-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}`)
        replace(kept, present, mode)
      }
      replace(file, copy.bytes, mode)
      chmodSync(file, mode)
      const text = `${file}: the version of ${copy.at} is back${kept === '' ? '' : `; the other one is ${kept}`}`
      return { text, facts: { kept, sha256: copy.sha256 } }
    },
    /** Puts the file back that a restore has moved aside, if what the restore wrote is still in place. */
    undo(service: string, probe: string | undefined, facts: Readonly<Record<string, string>>): Undone {
      const spec = probeOf(childOf(stage, service), 'config', probe)
      const file = realOf(expandHome(spec.file))
      const kept = facts['kept'] ?? ''
      const bad = kept === '' ? null : readIf(kept)
      if (bad === null) return { ok: false, text: 'the other file is not known: nothing was put back' }
      const present = readIf(file)
      if (present !== null && sha256(present) !== facts['sha256'])
        return { ok: false, text: `${file} has been changed since: left as it is` }
      replace(file, bad, statSync(kept).mode & 0o777)
      return { ok: true, text: `${file} is as it was before` }
    },
  }
}

/** A restore must not turn a link into a file. */
const realOf = (path: string) => (existsSync(path) ? realpathSync(path) : path)

function readIf(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}

function freeName(path: string): string {
  for (let count = 1; ; count++) {
    const name = count === 1 ? path : `${path}-${count}`
    if (!existsSync(name)) return name
  }
}

async function differences(
  present: Buffer | null,
  good: Buffer,
  format: 'json' | 'json5',
): Promise<string[]> {
  if (present === null) return ['there is no file now']
  const wanted = leaves(await parseConfig(good.toString('utf8'), format))
  let now: Map<string, string>
  try {
    now = leaves(await parseConfig(present.toString('utf8'), format))
  } catch (error) {
    return [`the file cannot be read: ${(error as Error).message}`]
  }
  const lines = [
    ...[...now.keys()].filter((key) => !wanted.has(key)).map((key) => `goes: ${key}`),
    ...[...wanted.keys()].filter((key) => !now.has(key)).map((key) => `comes back: ${key}`),
    ...[...wanted]
      .filter(([key, value]) => now.has(key) && now.get(key) !== value)
      .map(([key]) => `changes: ${key}`),
  ]
  const more = lines.length - LISTED
  return more > 0 ? [...lines.slice(0, LISTED), `and ${more} more`] : lines
}

/** Every value by its dotted path, as JSON. */
function leaves(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
    for (const [key, inner] of Object.entries(value))
      leaves(inner, path === '' ? key : `${path}.${key}`, into)
  } else into.set(path, JSON.stringify(value))
  return into
}
