/** Looking for what `paios doctor` judges: files, modes, systemd or launchd, the disk. Changes nothing. */
import { existsSync, lstatSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PaiosError } from '../errors.ts'
import { userName } from '../shell/environment.ts'
import { homeAt } from '../shell/home.ts'
import { livingKeeper } from '../shell/keeper.ts'
import { openProcessTable } from '../shell/process-table.ts'
import { copyOf, linkedVersion } from './copy.ts'
import { textOf } from './files.ts'
import type { Facts } from './findings.ts'
import { type InitPort, initOf, openInit } from './init-port.ts'
import type { Place } from './place.ts'

const LINGER = '/var/lib/systemd/linger'
/** What nobody else may read: the home itself, and what holds secrets or what services said. */
const PRIVATE = ['', 'paios.yaml', 'env', 'secrets', 'state', 'run', 'logs', 'takeover']

/** systemd or launchd, and what they would be told. */
export async function bootFacts(place: Place): Promise<Facts['boot']> {
  const init = initOf()
  const nothing = {
    init,
    file: null,
    isInstalled: false,
    isDrifted: false,
    isWritable: false,
    isKnown: null,
    isEnabled: null,
    pid: null,
    problem: null,
    unreachable: null,
    name: null,
    look: null,
    lingers: null,
    caveat: null,
  }
  if (init === null) return nothing
  const port = await openInit(place)
  const text = textOf(port.file)
  const seen = { ...nothing, file: port.file, name: port.name, look: port.look, caveat: port.caveat }
  if (text === null) return seen
  const environment = port.environmentIn(text)
  return {
    ...seen,
    isInstalled: true,
    isDrifted: environment === null || port.text(environment) !== text,
    isWritable: (statSync(port.file).mode & 0o022) !== 0,
    lingers: init === 'systemd' ? lingers() : null,
    ...(await stateOf(port)),
  }
}

async function stateOf(port: InitPort) {
  try {
    return { ...(await port.state()), unreachable: null }
  } catch (error) {
    if (!(error instanceof PaiosError) || error.code !== 'init-unavailable') throw error
    return { unreachable: error.message }
  }
}

/** Whether this user's systemd starts at boot and outlives logouts; null where there is no logind to ask. */
function lingers(): boolean | null {
  if (!existsSync('/run/systemd/users') && !existsSync(LINGER)) return null
  return existsSync(join(LINGER, userName()))
}

/** The PATH that services have after a boot, null where nothing is installed. */
export async function bootPath(place: Place): Promise<string | null> {
  if (initOf() === null) return null
  const port = await openInit(place)
  const text = textOf(port.file)
  return text === null ? null : (port.environmentIn(text)?.path ?? null)
}

/** The version in force, and the id of the paios at `entry` if it is another. */
export async function versionFacts(place: Place, entry: string, root: string): Promise<Facts['versions']> {
  const current = linkedVersion(place.current)
  const isBroken = current === null && lstatSync(place.current, { throwIfNoEntry: false }) !== undefined
  const copy = copyOf(place, entry)
  const { sourceAt } = await import('./copy.ts')
  return { current, isBroken, asking: copy ?? sourceAt(root).id }
}

/** Files and folders of the home that others may read, or that are not ours. */
export function exposedFacts({ home }: Place): Facts['exposed'] {
  const secrets = join(home, 'secrets')
  const inSecrets = existsSync(secrets) ? readdirSync(secrets).map((name) => join('secrets', name)) : []
  return [...PRIVATE, ...inSecrets].flatMap((name): Facts['exposed'] => {
    const path = join(home, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (!stat) return []
    const isFolder = stat.isDirectory()
    // What lies in a folder that nobody else may enter is out of reach, whatever its mode.
    const isReached = name === '' || (isOpen(home) && isOpen(dirname(path)))
    if (stat.uid !== process.getuid?.()) return [{ path, why: 'owner', isFolder, isReached }]
    const isSecret = name === 'env' || name.startsWith('secrets/')
    return isOpen(path) && (isReached || isSecret) ? [{ path, why: 'others', isFolder, isReached }] : []
  })
}

const isOpen = (path: string) => (statSync(path).mode & 0o077) !== 0

/** Free space on the disk of the home; null where it cannot be told. */
export function diskFacts({ home }: Place): Facts['disk'] {
  try {
    const { bavail, blocks, bsize } = statfsSync(home)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  } catch {
    return null
  }
}

/** A keeper is recorded, and it does not live. */
export function isKeeperStale({ home }: Place): boolean {
  const paths = homeAt(home)
  return existsSync(paths.keeper) && livingKeeper(paths, openProcessTable()) === null
}
