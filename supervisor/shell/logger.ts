/**
 * The supervisor's own log: JSON lines by pino into logs/supervisor/current.log, every line redacted. Lines
 * that are written before pino is loaded (after the first services were started) are kept and written then. A
 * line is written when the turn that it belongs to is over: no start waits for it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger as Pino } from 'pino'

type Level = 'info' | 'warn' | 'error'
type Line = { time: string; level: Level; text: string; data: Record<string, unknown> }

export type Logger = {
  info(text: string, data?: Record<string, unknown>): void
  warn(text: string, data?: Record<string, unknown>): void
  error(text: string, data?: Record<string, unknown>): void
  /** Loads pino and writes what was kept. With `toTerminal`, lines also go to stderr. */
  open(toTerminal: boolean): Promise<void>
  /** Writes what was kept at once: for an end that comes before `open`. */
  flush(): void
}

/** A logger for one home's log folder. */
export function createLogger(logs: string, redact: (text: string) => string): Logger {
  const kept: Line[] = []
  let pino: Pino | null = null
  let isWaiting = false
  const writeKept = () => {
    isWaiting = false
    if (pino) for (const line of kept.splice(0)) write(pino, line)
  }
  const later = (line: Line) => {
    kept.push(line)
    if (!pino || isWaiting) return
    isWaiting = true
    setImmediate(writeKept)
  }
  const at =
    (level: Level) =>
    (text: string, data: Record<string, unknown> = {}) =>
      later({ time: new Date().toISOString(), level, text, data })
  return {
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    async open(toTerminal) {
      const { default: create, multistream, destination } = await import('pino')
      mkdirSync(join(logs, 'supervisor'), { recursive: true, mode: 0o700 })
      const file = destination({
        dest: join(logs, 'supervisor', 'current.log'),
        sync: true,
        append: true,
        mode: 0o600,
      })
      // A log that cannot be written (a full disk) must not end the supervisor.
      file.on('error', () => undefined)
      const streams = multistream([{ stream: file }, ...(toTerminal ? [{ stream: process.stderr }] : [])])
      pino = create({ base: null, timestamp: false, hooks: { streamWrite: redact } }, streams)
      writeKept()
    },
    flush() {
      for (const { time, level, text, data } of kept.splice(0)) {
        process.stderr.write(redact(`${JSON.stringify({ level, time, ...data, msg: text })}\n`))
      }
    },
  }
}

function write(pino: Pino, { time, level, text, data }: Line): void {
  pino[level]({ time, ...data }, text)
}
