/**
 * What others find, guard and restart this supervisor by: its keeper, its lock and its socket. The files may be taken
 * away under it. A lost socket would make it unreachable, and a lost lock would let a second supervisor start beside
 * it, so both are looked at every second, which costs a few system calls, and made anew. If another supervisor has
 * taken the home meanwhile, that one has adopted the services, and this one ends.
 */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { PaiosError } from '../errors.ts'
import type { ControlSocket } from './control-socket.ts'
import { ensureHome, type Home } from './home.ts'
import { recordKeeper } from './keeper.ts'
import type { Lock } from './lock.ts'
import type { Logger } from './logger.ts'
import type { ProcessTable } from './process-table.ts'
import { everySlot } from './slot.ts'

const LOOK_MS = 1_000

export type PresenceOptions = {
  readonly home: Home
  readonly lock: Lock
  readonly socket: ControlSocket
  readonly table: ProcessTable
  /** A journal event about the supervisor. */
  readonly note: (event: string, text: string) => void
  readonly logger: Pick<Logger, 'warn'>
  readonly isKeeperGone: () => boolean
  /** Has a look made every so many milliseconds; returns what ends it. Default `everySlot`. */
  readonly every?: (everyMs: number, look: () => void) => () => void
  /** Asks for the end of this supervisor; called once. */
  readonly end: (why: 'keeper-gone' | 'displaced') => void
}

export type Presence = {
  /** Why something cannot be made anew, in words. */
  problems(): string[]
  close(): void
}

/** Looks regularly from now on. */
export function watchPresence(options: PresenceOptions): Presence {
  const { home, lock, socket, table, note, logger, isKeeperGone, every = everySlot } = options
  const standing = new Map<'lock' | 'socket', string>()
  const end = (why: 'keeper-gone' | 'displaced') => {
    close()
    options.end(why)
  }
  const failed = (what: 'lock' | 'socket', text: string) => {
    if (standing.get(what) === text) return
    standing.set(what, text)
    note(`${what}-lost`, text)
  }
  const made = (what: 'lock' | 'socket', text: string) => {
    standing.delete(what)
    note(`${what}-made-anew`, text)
  }
  const lookAtLock = (): void => {
    try {
      const found = lock.look()
      if (found === 'lost') {
        // The journal is the other one's now.
        logger.warn(`another supervisor holds ${home.lock}: it has the services, and this one ends`)
        return end('displaced')
      }
      if (found === 'held') return void standing.delete('lock')
      made('lock', `${home.lock} was removed or replaced: a new one is held`)
    } catch (error) {
      const consequence = 'meanwhile nothing keeps a second supervisor away'
      failed('lock', `${home.lock} is lost and cannot be made: ${whyOf(error)}; ${consequence}`)
    }
  }
  const lookAtSocket = async (): Promise<void> => {
    try {
      const found = await socket.look()
      if (found === 'there') return void standing.delete('socket')
      made('socket', `${home.socket} was removed or replaced: a new one is served`)
    } catch (error) {
      failed('socket', `${home.socket} is lost and cannot be made: ${whyOf(error)}`)
    }
  }
  let isLooking = false
  const look = async (): Promise<void> => {
    if (isKeeperGone()) {
      note('keeper-gone', 'its keeper is gone: handing over to a supervisor under a new one')
      return end('keeper-gone')
    }
    if (isLooking) return
    isLooking = true
    const isFolderGone = !existsSync(dirname(home.socket))
    if (isFolderGone) makeFolders(home)
    lookAtLock()
    if (isFolderGone && standing.size === 0) recordKeeper(home, table)
    if (!isClosed) await lookAtSocket()
    isLooking = false
  }
  let isClosed = false
  const endLooks = every(LOOK_MS, () => void look())
  const close = () => {
    isClosed = true
    endLooks()
  }
  return { problems: () => [...standing.values()], close }
}

/** What cannot be made is told by what is missing then. */
function makeFolders(home: Home): void {
  try {
    ensureHome(home)
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
  }
}

const whyOf = (error: unknown) => (error as Error).message
