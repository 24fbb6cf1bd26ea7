/**
 * Copies of this installation, one folder per version, each with its own Node and everything it needs, so
 * that neither `npm ci` nor `git pull` in a clone, nor an update of Node, takes away what a supervisor runs
 * on. `versions/ID/app` is the program, `versions/ID/bin/node` its Node; `current` and `previous` are links.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { fileError, PaiosError } from '../errors.ts'
import { neededPackages, type Placed } from './packages.ts'
import type { Place } from './place.ts'

const run = promisify(execFile)
/** Loading everything once from a cold disk. */
const PROOF_LIMIT_MS = 60_000
/** Parts of the program; a clone has sources, a package has `dist`. */
const PARTS = [
  'bin',
  'dist',
  'supervisor',
  'probes',
  'schemas',
  'services',
  'launchd',
  'runbooks',
  'package.json',
  'LICENSE',
]

/** One copy. `madeAt` is an instant, `from` the folder that it was made from. */
export type Version = {
  readonly id: string
  readonly version: string
  readonly node: string
  readonly madeAt: string
  readonly from: string
}

/** An installation that can be copied: its parts, and the id that its copy gets. */
export type Source = {
  readonly root: string
  readonly id: string
  readonly version: string
  readonly node: string
  readonly files: readonly string[]
  readonly packages: readonly Placed[]
}

/**
 * What a copy of the installation at `root` would be. Its id is the version and 8 hex digits over the bytes
 * of the program, the versions of its packages and that of Node. Throws runtime-missing for an incomplete
 * installation.
 */
export function sourceAt(root: string): Source {
  const manifest = join(root, 'package.json')
  if (!existsSync(manifest) || !existsSync(join(root, 'bin', 'paios.mjs'))) {
    throw new PaiosError('runtime-missing', `${root} is no installation of paios: it has no bin/paios.mjs`)
  }
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  const hasSources = existsSync(join(root, 'supervisor', 'main.ts'))
  const parts = PARTS.filter((part) => existsSync(join(root, part)) && !(part === 'dist' && hasSources))
  const files = parts.flatMap((part) => filesBelow(root, part))
  const packages = neededPackages(root)
  const node = nodeOf(root)
  const digest = createHash('sha256')
  for (const file of files)
    digest
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
  for (const id of [...new Set(packages.map((one) => one.id))].toSorted()) digest.update(id)
  digest.update(process.version)
  return { root, id: `${version}-${digest.digest('hex').slice(0, 8)}`, version, node, files, packages }
}

function filesBelow(root: string, part: string): string[] {
  const entries = readdirSync(root, { withFileTypes: true }).find(({ name }) => name === part)
  if (!entries?.isDirectory()) return [part]
  return readdirSync(join(root, part), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted()
}

/**
 * The Node for a copy: the one that this installation has pinned, since it is one file that needs nothing
 * beside it; else the one that runs now, which the proof of the copy then tries out.
 */
function nodeOf(root: string): string {
  const copied = join(dirname(root), 'bin', 'node')
  if (existsSync(join(dirname(root), 'version.json')) && existsSync(copied)) return copied
  const { platform, arch } = process
  const names = [`node-${platform}-${arch}`, `node-bin-${platform}-${arch}`]
  for (const name of names) {
    try {
      const manifest = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`)
      const program = join(dirname(manifest), 'bin', 'node')
      if (existsSync(program)) return realpathSync(program)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  return process.execPath
}

/**
 * Makes the copy of a source unless it is there, proves that it runs, and gives it back. An unfinished copy
 * has another name, so that one that is there is whole. Throws disk-full, home-unwritable or
 * runtime-missing.
 */
export async function makeCopy(place: Place, source: Source): Promise<Version> {
  const folder = join(place.versions, source.id)
  const there = readVersion(folder)
  if (there !== null) return there
  const fresh = join(place.versions, `.new-${process.pid}`)
  try {
    rmSync(fresh, { recursive: true, force: true })
    copyInto(fresh, source)
    const node = await proveCopy(fresh)
    const version: Version = {
      id: source.id,
      version: source.version,
      node,
      madeAt: new Date().toISOString(),
      from: source.root,
    }
    writeFileSync(join(fresh, 'version.json'), `${JSON.stringify(version, null, 2)}\n`, { mode: 0o600 })
    // A power cut must not leave the link on files that were never written.
    await run('sync', [], { timeout: PROOF_LIMIT_MS })
    renameSync(fresh, folder)
    return version
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    throw error instanceof PaiosError ? error : fileError(`copy ${source.root} to ${folder}`, error)
  }
}

function copyInto(fresh: string, { root, files, packages, node }: Source): void {
  // A clone of the bytes where the file system can.
  const mode = constants.COPYFILE_FICLONE
  mkdirSync(join(fresh, 'bin'), { recursive: true, mode: 0o700 })
  copyFileSync(node, join(fresh, 'bin', 'node'), mode)
  for (const file of files) {
    const target = join(fresh, 'app', file)
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(join(root, file), target, mode)
  }
  for (const { from, to } of packages) {
    const own = join(from, 'node_modules')
    const filter = (path: string) => path !== own
    cpSync(from, join(fresh, 'app', to), { recursive: true, dereference: true, mode, filter })
  }
}

/** What a copy must be able to do: load the whole program, and open a database by its native module. */
const PROOF = `
const { existsSync } = await import('node:fs')
const main = existsSync('supervisor/main.ts') ? 'supervisor/main.ts' : 'dist/supervisor/main.js'
await import(process.cwd() + '/' + main)
const loaded = new Map()
for (const name of ['fastify', 'pino', 'prom-client', 'yaml', 'zod', 'better-sqlite3']) {
  loaded.set(name, await import(name))
}
const { default: Database } = loaded.get('better-sqlite3')
new Database(':memory:').prepare('select 1').get()
process.stdout.write(process.version)
`

/** Runs the proof in a copy; the version of its Node. Throws runtime-missing with what Node said. */
async function proveCopy(folder: string): Promise<string> {
  const options = { cwd: join(folder, 'app'), env: { PATH: '/usr/bin:/bin' }, timeout: PROOF_LIMIT_MS }
  try {
    const { stdout } = await run(join(folder, 'bin', 'node'), ['--input-type=module', '-e', PROOF], options)
    return stdout
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string }
    const why = stderr.split('\n').find((line) => /Error/.test(line)) ?? message
    throw new PaiosError('runtime-missing', `the copy does not run, nothing was changed: ${why.trim()}`, {
      cause: error,
    })
  }
}

/** The version in a folder of `versions`, null if there is no whole one. */
export function readVersion(folder: string): Version | null {
  try {
    return JSON.parse(readFileSync(join(folder, 'version.json'), 'utf8')) as Version
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return null
    throw error
  }
}

/** The version in force, or the one before it; null if there is none. */
export function linkedVersion(link: string): Version | null {
  return readVersion(link)
}

/** Every whole copy, newest first. */
export function listVersions(place: Place): Version[] {
  if (!existsSync(place.versions)) return []
  return readdirSync(place.versions, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readVersion(join(place.versions, name)) ?? [])
    .toSorted((a, b) => b.madeAt.localeCompare(a.madeAt))
}

/** Puts a version in force, atomically; null takes the link away. */
export function switchTo(link: string, id: string | null): void {
  if (id === null) return rmSync(link, { force: true })
  const fresh = `${link}.${process.pid}`
  rmSync(fresh, { force: true })
  symlinkSync(id, fresh)
  renameSync(fresh, link)
}

/** Removes every copy but those in force and before, and what an ended copying has left. Names them. */
export function pruneVersions(place: Place): string[] {
  const kept = [place.current, place.previous].flatMap((link) => linkedVersion(link)?.id ?? [])
  const isLeft = (name: string) => name.startsWith('.new-') && name !== `.new-${process.pid}`
  const names = readdirSync(place.versions, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !kept.includes(entry.name))
    .map(({ name }) => name)
    .filter((name) => isLeft(name) || readVersion(join(place.versions, name)) !== null)
  for (const name of names) rmSync(join(place.versions, name), { recursive: true, force: true })
  return names
}

/**
 * The id of the copy that an entry such as `versions/ID/app/bin/paios.mjs` lies in, null if it is no copy.
 */
export function copyOf(place: Place, entry: string): string | null {
  const folder = dirname(dirname(dirname(realpathSync(entry))))
  const versions = existsSync(place.versions) ? realpathSync(place.versions) : null
  return versions !== null && dirname(folder) === versions ? basename(folder) : null
}
