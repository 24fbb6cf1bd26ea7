/**
 * JSON-RPC over the stdin and stdout that the supervisor owns; always drained, so that the server never
 * stalls.
 */
import { appendFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { splitLines } from './lines.ts'

type Answer = { resolve(value: unknown): void; reject(error: Error): void }

export type Pipes = {
  /** One request; rejects with the server's error, when the signal aborts, or when the pipe ends. */
  request(message: { method: string; params?: unknown }, signal: AbortSignal): Promise<unknown>
  end(): void
}

/** Takes over both pipes. Lines that are no JSON go to the log file. */
export function openPipes(stdin: Writable, stdout: Readable, logPath: string): Pipes {
  const waiting = new Map<number, Answer>()
  let nextId = 1
  const fail = (why: string) => {
    for (const answer of waiting.values()) answer.reject(new Error(why))
    waiting.clear()
  }
  splitLines(stdout, (line) => {
    const message = parse(line)
    if (message === null) return appendFileSync(logPath, `${line}\n`, { mode: 0o600 })
    const answer = waiting.get(message.id as number)
    if (!answer) return refuseRequest(stdin, message)
    waiting.delete(message.id as number)
    if (message.error)
      answer.reject(new Error(`${message.error.message ?? 'error'} (${message.error.code ?? '?'})`))
    else answer.resolve(message.result)
  })
  stdout.on('close', () => fail('the server closed its output'))
  stdin.on('error', (error) => fail(`the server does not read: ${error.message}`))
  return {
    request(message, signal) {
      const id = nextId++
      return new Promise((resolve, reject) => {
        const abort = () => {
          waiting.delete(id)
          reject(new Error('no answer in time'))
        }
        signal.addEventListener('abort', abort, { once: true })
        const settle = (end: () => void) => {
          signal.removeEventListener('abort', abort)
          end()
        }
        waiting.set(id, {
          resolve: (value) => settle(() => resolve(value)),
          reject: (error) => settle(() => reject(error)),
        })
        stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...message })}\n`)
      })
    },
    end: () => stdin.end(),
  }
}

type Message = {
  id?: unknown
  method?: string
  result?: unknown
  error?: { code?: number; message?: string }
}

/**
 * The server may ask us (ping, roots/list): an owner that offers nothing answers so, as the protocol wants.
 */
function refuseRequest(stdin: Writable, { id, method }: Message): void {
  if (method === undefined || id === undefined) return
  const answer = method === 'ping' ? { result: {} } : { error: { code: -32601, message: 'Method not found' } }
  stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...answer })}\n`)
}

function parse(line: string): Message | null {
  try {
    const value: unknown = JSON.parse(line)
    return value !== null && typeof value === 'object' ? (value as Message) : null
  } catch {
    return null
  }
}
