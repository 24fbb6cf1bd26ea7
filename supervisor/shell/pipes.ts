/**
 * The stdin and stdout of a service that the supervisor owns, as one JSON-RPC exchange for all who have something
 * to ask; always drained, so that the server never stalls.
 */
import { appendFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { type Exchange, openExchange } from '../../probes/json-rpc.ts'
import { splitLines } from './lines.ts'

export type Pipes = {
  readonly exchange: Exchange
  /** Closes its stdin. */
  end(): void
}

/** What a server leaves unread is kept in memory up to this size. */
const UNREAD_MAX = 16 * 1024 * 1024

/** Takes over both pipes. Lines that are no JSON-RPC go to the log file. */
export function openPipes(stdin: Writable, stdout: Readable, logPath: string): Pipes {
  const wire = {
    write(line: string) {
      if (!stdin.writable || stdin.writableLength > UNREAD_MAX) return false
      stdin.write(`${line}\n`)
      return true
    },
    onLine: (take: (line: string) => void) => splitLines(stdout, take),
  }
  const exchange = openExchange(wire, (line) => keep(logPath, line))
  stdout.on('close', () => exchange.close('the server closed its output'))
  stdin.on('error', (error) => exchange.close(`the server does not read: ${error.message}`))
  return { exchange, end: () => void stdin.end() }
}

function keep(logPath: string, line: string): void {
  try {
    appendFileSync(logPath, `${line}\n`, { mode: 0o600 })
  } catch (error) {
    // A line that cannot be kept, such as on a full disk, is no reason to stop reading; the exchange counts it.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
  }
}
