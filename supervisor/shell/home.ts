/** PAIOS_HOME and what lies where in it. */
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { PaiosError } from '../errors.ts'
import { RUNBOOKS } from '../version.ts'

/** Longest Unix socket path that both systems take (macOS: 104 bytes with the final NUL; Linux: 108). */
const SOCKET_PATH_MAX = process.platform === 'darwin' ? 103 : 107

/** Paths below one home. */
export type Home = {
  readonly root: string
  readonly document: string
  readonly env: string
  readonly journal: string
  readonly spool: string
  readonly socket: string
  readonly lock: string
  readonly lockInfo: string
  /** Held by a command that changes how this home is started, or whose a service is. */
  readonly changeLock: string
  readonly changeLockInfo: string
  readonly boot: string
  readonly keeper: string
  readonly logs: string
  readonly cache: string
  /** What hung processes were doing and what was seen before repairs, by service. */
  readonly snapshots: string
  /** What the alert rules have counted and wait for. */
  readonly rules: string
  /** Configuration files with which their service was ready. */
  readonly goodConfigs: string
  /** What was learnt of services, one file each. */
  readonly known: string
  /** The sign of life for the sentinel; gone while the mesh is down on purpose. */
  readonly alive: string
  /** What the sentinel needs to write to the chat, and where it says that it looked. */
  readonly sentinelChat: string
  readonly sentinel: string
  /** The key of the buttons in the chat. */
  readonly buttons: string
  /** The files that services touch to tell that they work. */
  readonly beats: string
}

/** The home's paths. `root` defaults to PAIOS_HOME, then ~/.paios. */
export function homeAt(root = process.env['PAIOS_HOME'] ?? join(homedir(), '.paios')): Home {
  return {
    root,
    document: join(root, 'paios.yaml'),
    env: join(root, 'env'),
    journal: join(root, 'state', 'journal.db'),
    spool: join(root, 'state', 'spool'),
    socket: join(root, 'run', 'paios.sock'),
    lock: join(root, 'run', 'lock.db'),
    lockInfo: join(root, 'run', 'supervisor.lock'),
    changeLock: join(root, 'run', 'change.db'),
    changeLockInfo: join(root, 'run', 'change.lock'),
    boot: join(root, 'run', 'boot.json'),
    keeper: join(root, 'run', 'keeper.json'),
    logs: join(root, 'logs'),
    cache: join(root, 'cache'),
    snapshots: join(root, 'snapshots'),
    rules: join(root, 'state', 'rules.json'),
    goodConfigs: join(root, 'snapshots', '.configs'),
    known: join(root, 'state', 'known'),
    alive: join(root, 'run', 'alive'),
    sentinelChat: join(root, 'run', 'sentinel.conf'),
    sentinel: join(root, 'run', 'sentinel'),
    buttons: join(root, 'secrets', 'telegram-buttons'),
    beats: join(root, 'run', 'beats'),
  }
}

/** The operator's own runbook of a service if there is one, else the one of its preset. */
export function runbookPath(home: Home, service: string, shipped: string): string {
  const own = join(home.root, 'runbooks', `${service}.md`)
  return existsSync(own) ? own : join(RUNBOOKS, shipped)
}

/** Makes the home's folders (0700). Throws home-unwritable, disk-full or socket-path-too-long. */
export function ensureHome(home: Home): void {
  const length = Buffer.byteLength(home.socket)
  if (length > SOCKET_PATH_MAX) {
    throw new PaiosError(
      'socket-path-too-long',
      `${home.socket} is ${length} bytes, it may have ${SOCKET_PATH_MAX}: set PAIOS_HOME to a shorter folder`,
    )
  }
  try {
    for (const folder of ['', 'state', 'run', 'run/beats', 'logs', 'cache', 'secrets', 'runbooks']) {
      makeFolder(join(home.root, folder))
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC')
      throw new PaiosError('disk-full', `cannot write ${home.root}: the disk is full`, { cause: error })
    throw new PaiosError(
      'home-unwritable',
      `cannot write ${home.root}: ${message}; set PAIOS_HOME to a folder of yours`,
      {
        cause: error,
      },
    )
  }
}

/**
 * Makes a folder and its parents. Node's own recursive form never returns below /proc, where nothing can be
 * made.
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  if (!existsSync(dirname(path))) makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another `up` of the same moment was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
