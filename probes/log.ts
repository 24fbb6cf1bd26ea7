/** What a service writes into its log: a pattern that must not, or must, appear, and silence. */
import { stat } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'
import { excerpt } from './excerpt.ts'
import { readLayout, streamLog } from './log-stream.ts'
import {
  defineProbe,
  fail,
  type ProbeResult,
  type ProbeTarget,
  pass,
  type Schemas,
  type SettingsOf,
  unknown,
} from './probe.ts'

/** What one check reads at most; the next one goes on from there. */
const CHECK_BYTES = 8 * 1024 ** 2
/** Longer lines are cut before they are matched. */
const LINE_LENGTH = 4096

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`

/** Hands over each complete line appended since the last call; survives rotation, truncation and a new file. */
function createTail(target: ProbeTarget) {
  let generation = target.generation
  let position = target.logOffset
  let inode: number | null = null
  let decoder = new StringDecoder('utf8')
  let rest = ''

  const startAt = (offset: number) => {
    position = offset
    decoder = new StringDecoder('utf8')
    rest = ''
  }

  const take = (bytes: Buffer, onLine: (line: string) => void) => {
    const lines = (rest + decoder.write(bytes)).split('\n')
    rest = (lines.pop() ?? '').slice(0, LINE_LENGTH)
    for (const line of lines) onLine(stripVTControlCharacters(line.slice(0, LINE_LENGTH)).trimEnd())
  }

  return {
    /** True if another generation writes since the last call: what was seen before counts no more. */
    isRenewed(): boolean {
      if (generation === target.generation) return false
      generation = target.generation
      inode = null
      startAt(target.logOffset)
      return true
    },
    async read(path: string, onLine: (line: string) => void): Promise<void> {
      const { ino } = await stat(path)
      if (inode !== null && ino !== inode) startAt((await readLayout(path)).base)
      inode = ino
      const until = position + CHECK_BYTES
      for await (const { position: from, bytes } of streamLog(path, position)) {
        // Somebody has cut the file short, or what came next is deleted by now.
        if (from !== position) startAt(from)
        position = from + bytes.length
        take(bytes, onLine)
        if (position >= until) break
      }
    },
  }
}

const shape = ({ z, duration, pattern }: Schemas) => ({
  pattern: pattern.optional(),
  /** `absent`: a matching line is a failure; `present`: its lack is one. */
  expect: z.enum(['absent', 'present']).default('absent'),
  /** `present`: the last matching line may be this old; without it, one in this generation is enough. */
  within: duration.optional(),
  /** `absent`: the failure ends this long after the last matching line. */
  clearAfter: duration.optional(),
  /** `absent`: a later line that matches this ends the failure. */
  clearPattern: pattern.optional(),
  /** `absent`: said in place of the matching line, where that one would tell an operator nothing. */
  reason: z.string().min(1).optional(),
  /** Fails when nothing at all was written for so long. */
  silence: duration.optional(),
})

type Settings = SettingsOf<typeof shape>
type Seen = { readonly line: string; readonly at: number } | null

function judge(settings: Settings, seen: Seen, now: number): ProbeResult {
  const { expect, within, clearAfter, reason } = settings
  if (expect === 'absent') {
    const isOver = seen === null || (clearAfter !== undefined && now - seen.at > clearAfter)
    return isOver ? pass() : fail(reason ?? excerpt(seen.line))
  }
  if (seen === null) return fail(`no line matches ${settings.pattern}`)
  const isOld = within !== undefined && now - seen.at > within
  return isOld
    ? fail(`no line matched ${settings.pattern} for ${seconds(now - seen.at)}`)
    : pass(excerpt(seen.line))
}

/** Judges this generation's lines. Without `clearAfter` or `clearPattern` a failure lasts as long as it. */
export const log = defineProbe('log', shape, async (settings, target) => {
  const { silence } = settings
  if (settings.pattern === undefined && silence === undefined)
    throw new Error('a log probe needs pattern or silence')
  const wanted = settings.pattern === undefined ? null : new RegExp(settings.pattern)
  const clearing = settings.clearPattern === undefined ? null : new RegExp(settings.clearPattern)
  const tail = createTail(target)
  let seen: Seen = null
  return {
    async check() {
      if (target.logPath === null) return unknown('the service has no log file')
      if (tail.isRenewed()) seen = null
      const now = Date.now()
      try {
        const { mtimeMs } = await stat(target.logPath)
        const lastMs = Math.max(mtimeMs, target.startedAtMs ?? 0)
        if (silence !== undefined && now - lastMs > silence)
          return fail(`nothing was logged for ${seconds(now - lastMs)}`)
        if (wanted === null) return pass()
        // A line is no younger than the last write: after an adoption old lines must not look new.
        const at = Math.min(now, mtimeMs)
        await tail.read(target.logPath, (line) => {
          if (wanted.test(line)) seen = { line, at }
          else if (clearing?.test(line)) seen = null
        })
        return judge(settings, seen, now)
      } catch (error) {
        return unknown(
          `${target.logPath} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
        )
      }
    },
    close: () => Promise.resolve(),
  }
})
