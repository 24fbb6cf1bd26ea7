/** A file or folder that a service needs or writes: that it is there, how old, how large, what it says. */
import type { Stats } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { durationText, instantText, modeText, sizeText } from './figures.ts'
import { homePath } from './home-path.ts'
import { defineProbe, fail, pass, type Schemas, type SettingsOf, unknown } from './probe.ts'

/** Only the end of a file is looked at, whatever its size. */
const TAIL_BYTES = 64 * 1024

const shape = ({ z, duration, size, pattern }: Schemas) => ({
  path: z.string().min(1),
  /** `false`: it must not be there, and nothing else is looked at. */
  exists: z.boolean().default(true),
  /** Since its last change; of a folder, since an entry came or went. */
  maxAge: duration.optional(),
  minSize: size.optional(),
  maxSize: size.optional(),
  /** Exactly these permissions. */
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'expected permissions such as 0600')
    .optional(),
  /** Must match within the last 64 KiB; `^` and `$` are the ends of a line. */
  matches: pattern.optional(),
  /** The entries of a folder, those that begin with a dot included. */
  fewerThan: z.int().min(1).optional(),
})
type Settings = SettingsOf<typeof shape>

/** The end of a file; a character that was cut in two is one that matches nothing. */
async function tailOf(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size: length } = await file.stat()
    const buffer = Buffer.alloc(Math.min(length, TAIL_BYTES))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, Math.max(0, length - TAIL_BYTES))
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** What is wrong with what stat tells. */
function faultsOf(found: Stats, { maxAge, minSize, maxSize, mode }: Settings): string[] {
  const faults: string[] = []
  const bytes = found.size
  if (maxAge !== undefined && Date.now() - found.mtimeMs > maxAge)
    faults.push(`last changed ${instantText(found.mtimeMs)}, allowed age ${durationText(maxAge)}`)
  if (minSize !== undefined && bytes < minSize)
    faults.push(`has ${sizeText(bytes)}, needs ${sizeText(minSize)}`)
  if (maxSize !== undefined && bytes > maxSize)
    faults.push(`has ${sizeText(bytes)}, allowed ${sizeText(maxSize)}`)
  const permissions = found.mode & 0o7777
  if (mode !== undefined && permissions !== Number.parseInt(mode, 8))
    faults.push(`mode ${modeText(permissions)}, must be ${modeText(Number.parseInt(mode, 8))}`)
  return faults
}

/** Opening anything but a regular file could wait for ever, as a pipe does, so only those are read. */
async function contentFaults(
  path: string,
  found: Stats,
  { matches, fewerThan }: Settings,
  wanted: RegExp | null,
): Promise<string[]> {
  const faults: string[] = []
  if (wanted !== null) {
    if (!found.isFile()) faults.push('is not a regular file')
    else if (!wanted.test(await tailOf(path))) faults.push(`does not match ${matches}`)
  }
  if (fewerThan !== undefined) {
    if (!found.isDirectory()) return [...faults, 'is not a folder']
    const { length } = await readdir(path)
    if (length >= fewerThan) faults.push(`has ${length} entries, fewer than ${fewerThan} are allowed`)
  }
  return faults
}

/** Passes when everything that is set holds; all that does not is told at once. */
export const file = defineProbe(
  'file',
  shape,
  async (settings) => {
    const path = homePath(settings.path)
    const wanted = settings.matches === undefined ? null : new RegExp(settings.matches, 'm')
    return {
      async check() {
        try {
          const found = await stat(path)
          if (!settings.exists) return fail(`${path} exists`)
          const faults = faultsOf(found, settings)
          faults.push(...(await contentFaults(path, found, settings, wanted)))
          return faults.length === 0 ? pass() : fail(`${path} ${faults.join('; ')}`)
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException
          const isGone = code === 'ENOENT' || code === 'ENOTDIR'
          if (isGone) return settings.exists ? fail(`${path} does not exist`) : pass()
          return unknown(`${path} cannot be looked at: ${code ?? String(error)}`)
        }
      },
      close: () => Promise.resolve(),
    }
  },
  // A file that is written all the time would call for a check all the time.
  ({ path, maxAge, minSize, maxSize, matches, fewerThan }) =>
    [maxAge, minSize, maxSize, matches, fewerThan].every((set) => set === undefined) ? [path] : [],
)
