/**
 * The log files of all services under watch: their sizes are looked at on the supervisor's tick, which makes the
 * time index; what is due is rotated, one log after the other; archives are compressed and given up.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { readLayoutSync } from '../../probes/log-stream.ts'
import {
  isDue,
  LOG_DEFAULTS,
  type LogSettings,
  type LogsPolicy,
  mannerOf,
  TROUBLE_FAILURES,
} from '../core/log-policy.ts'
import type { ChildState } from '../core/state.ts'
import { errnoOf } from '../errors.ts'
import type { Told } from './heed.ts'
import type { Journal } from './journal.ts'
import { logPathOf } from './log-file.ts'
import { type LastLook, type LogIndex, noteLength, openIndex } from './log-index.ts'
import type { Logger } from './logger.ts'
import type { Entry, ProcessTable } from './process-table.ts'
import { rotateLog, settleLog } from './rotation.ts'
import { type Held, type Intent, openStandstill, type Tree } from './standstill.ts'

/** The supervisor's own log: this thread alone writes to it, so it stands still by itself. */
const OWN = 'supervisor'
/** Of a service that was removed only the total gives something up. */
const UNTOUCHED: LogSettings = { ...LOG_DEFAULTS.defaults, size: Infinity, keep: Infinity }
/** No more files than this are looked at in one tick. */
const LOOKS = 100
/** A log that has not grown for so many looks is quiet, and looked at only in every so many ticks. */
const QUIET_LOOKS = 10
const QUIET_TICKS = 5
/** All folders are put in order on this tick, then every so many, and so many after a rotation. */
const FIRST_TIDY = 30
const TIDY_TICKS = 600
const TIDY_SOON = 10

export type LogKeepingOptions = {
  readonly logs: string
  readonly table: ProcessTable
  readonly journal: Pick<Journal, 'keepIntent' | 'intents'>
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** The services that write a log. */
  readonly names: () => Iterable<string>
  /** Null if there is no such service any more. */
  readonly stateOf: (service: string) => { kind: ChildState['kind']; hasLeftovers: boolean } | null
  readonly treeOf: (service: string) => Tree | null
  /** The proven tree of a life of an earlier supervisor. */
  readonly recall: (service: string, intent: Intent) => readonly Entry[]
  /** A journal event about a service. */
  readonly note: (service: string, event: string, text: string) => void
  readonly measure: (told: Told) => void
}

/** One log under watch; `trouble`: what was told of why it is not rotated. */
type Log = {
  readonly path: string
  readonly index: LogIndex
  base: number
  sizeBytes: number
  /** Of its archives, as they were put in order last; null before that. */
  archivedBytes: number | null
  begunWall: number
  look: LastLook | null
  /** Looks in a row that found no growth, and the tick of the next one. */
  quietLooks: number
  nextTick: number
  failures: number
  failedAt: number
  trouble: string | null
}

/** Log keeping of one mesh. */
export type LogKeeping = ReturnType<typeof openLogKeeping>

/** Opens it; nothing is written before the first `look`. */
export function openLogKeeping(options: LogKeepingOptions) {
  const { logs, journal, table, logger, names, stateOf, treeOf, recall, note, measure } = options
  const standstill = openStandstill({ table, journal, kill: process.kill.bind(process) })
  const watched = new Map<string, Log>()
  const due = new Set<string>()
  /** Null until a document is in force: nothing is rotated or deleted by rules that nobody has asked for. */
  let policy: LogsPolicy | null = null
  let turn = 0
  let ticks = 0
  let tidyAt = FIRST_TIDY
  let isRotating = false
  let isClosed = false
  let tidying: Promise<void> = Promise.resolve()
  const settingsOf = (service: string): LogSettings =>
    policy?.services[service] ?? policy?.defaults ?? LOG_DEFAULTS.defaults
  const mannerNow = (service: string) => {
    if (service === OWN) return 'copy'
    const state = stateOf(service)
    return state ? mannerOf(state.kind, state.hasLeftovers, settingsOf(service).rotate) : 'wait'
  }

  function watch(service: string): Log {
    const path = logPathOf(logs, service)
    settleLog(path)
    const bounds = () => ({
      from: readLayoutSync(path).archives[0]?.start ?? log.base,
      to: Number.POSITIVE_INFINITY,
    })
    const { base, archives } = readLayoutSync(path)
    const begunWall = archives.at(-1)?.wall ?? bornWall(path)
    const index = openIndex(path, bounds)
    const log: Log = {
      ...{ path, index, base, begunWall, sizeBytes: 0, archivedBytes: null },
      ...{ look: null, quietLooks: 0, nextTick: 0, failures: 0, failedAt: 0, trouble: null },
    }
    watched.set(service, log)
    return log
  }

  function lookAt(service: string, wall: number): void {
    const known = watched.get(service)
    const size = statSync(known?.path ?? logPathOf(logs, service), { throwIfNoEntry: false })?.size
    if (size === undefined) return
    const log = known ?? watch(service)
    if (size === 0) log.begunWall = wall
    log.quietLooks = size === log.sizeBytes ? log.quietLooks + 1 : 0
    log.nextTick = ticks + (log.quietLooks < QUIET_LOOKS ? 1 : QUIET_TICKS)
    log.sizeBytes = size
    const now = { wall, position: log.base + size }
    if (log.look !== null && now.position < log.look.position) log.index.trim(0, now.position)
    const { look, mark } = noteLength(log.look, now)
    log.look = look
    if (mark) log.index.add(mark)
    const { begunWall, failures, failedAt } = log
    if (isDue(settingsOf(service), { sizeBytes: size, begunWall, failures, failedAt }, wall)) due.add(service)
  }

  async function rotateDue(): Promise<void> {
    if (isRotating) return
    isRotating = true
    try {
      for (const service of due) {
        due.delete(service)
        const log = watched.get(service)
        if (log && !isClosed && mannerNow(service) !== 'wait') await rotate(service, log)
      }
    } finally {
      isRotating = false
    }
  }

  async function rotate(service: string, log: Log): Promise<void> {
    let held: Held | null = null
    const whileStill = (work: () => void): boolean => {
      const manner = isClosed ? 'wait' : mannerNow(service)
      if (manner === 'wait') return false
      if (manner === 'copy') work()
      else held = standstill.hold(service, () => treeOf(service), work)
      log.base = readLayoutSync(log.path).base
      return manner === 'copy' || held?.kind === 'held'
    }
    try {
      const rotated = await rotateLog({ path: log.path, wall: Date.now, whileStill })
      if (rotated) rotationDone(service, log, rotated, held)
      else if (held !== null) failed(service, log, whyNot(held))
    } catch (error) {
      if (errnoOf(error) === null) throw error
      const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')
      failed(service, log, isFull ? 'the disk is full' : (error as Error).message)
    }
  }

  function rotationDone(
    service: string,
    log: Log,
    { start, end }: { start: number; end: number },
    held: Held | null,
  ): void {
    if (log.trouble !== null) note(service, 'log-rotated', 'its log file is rotated again')
    Object.assign(log, { begunWall: Date.now(), failures: 0, trouble: null })
    const pause = held?.kind === 'held' ? { pauseMs: held.pauseMs, processes: held.processes } : {}
    if (service !== OWN) measure((to) => to.rotated(service, held?.kind === 'held' ? held.pauseMs : null))
    logger.info('log rotated', { service, start, end, ...pause })
    tidySoon(() => tidy(service))
    tidyAt = Math.min(tidyAt, ticks + TIDY_SOON)
  }

  function failed(service: string, log: Log, why: string): void {
    log.failures++
    if (service !== OWN) measure((to) => to.rotationFailed(service))
    log.failedAt = Date.now()
    if (log.trouble === why || log.failures < TROUBLE_FAILURES) return
    log.trouble = why
    if (service === OWN) logger.warn('log not rotated', { service, why })
    else note(service, 'log-not-rotated', `its log file is not rotated: ${why}`)
  }

  function tidySoon(work: () => Promise<void>): void {
    const tried = async () => {
      try {
        if (!isClosed) await work()
      } catch (error) {
        if (errnoOf(error) === null) throw error
        logger.warn('archives of logs were not put in order', { why: (error as Error).message })
      }
    }
    tidying = tidying.then(tried)
  }

  async function tidy(service: string): Promise<void> {
    const { tidyFolder } = await import('./archives.ts')
    const isKnown = service === OWN || stateOf(service) !== null
    const settings = isKnown ? settingsOf(service) : UNTOUCHED
    const { first, archivedBytes } = await tidyFolder(join(logs, service), settings)
    const log = watched.get(service)
    if (log === undefined) return
    log.index.trim(first, Number.POSITIVE_INFINITY)
    log.archivedBytes = archivedBytes
  }

  async function tidyAll(): Promise<void> {
    const { tidyTotal } = await import('./archives.ts')
    await tidyTotal(logs, tidy, policy?.total ?? LOG_DEFAULTS.total)
  }

  return {
    /** How the document in force wants logs to be kept. */
    apply(wanted: LogsPolicy | undefined): void {
      policy = wanted ?? LOG_DEFAULTS
    },
    /** What the last supervisor has left stopped goes on, before anything else is done. */
    mend: () => standstill.mend(recall, (service) => settleLog(logPathOf(logs, service))),
    /** The regular look, once a tick. */
    look(): void {
      if (policy === null) return
      const all = [...names(), OWN]
      const wall = Date.now()
      for (let count = 0; count < Math.min(LOOKS, all.length); count++) {
        const service = all[turn++ % all.length]!
        if (ticks < (watched.get(service)?.nextTick ?? 0)) continue
        try {
          lookAt(service, wall)
        } catch (error) {
          // A folder that somebody has made unreadable is no reason to end.
          if (errnoOf(error) === null) throw error
        }
      }
      if (due.size > 0) void rotateDue()
      if (ticks++ >= tidyAt) {
        tidyAt = ticks + TIDY_TICKS
        tidySoon(tidyAll)
      }
    },
    forget: (service: string) => void watched.delete(service),
    /** What a log and its archives take on the disk, null while nobody has looked. */
    bytesOf(service: string): number | null {
      const log = watched.get(service)
      return log?.archivedBytes == null ? null : log.sizeBytes + log.archivedBytes
    },
    close(): void {
      isClosed = true
    },
  }
}

const whyNot = (held: Held): string =>
  held.kind === 'not-held' ? held.why : 'somebody else cut it off meanwhile'

/** When a file was made; now, where the file system does not tell. */
function bornWall(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.birthtimeMs || Date.now()
}
