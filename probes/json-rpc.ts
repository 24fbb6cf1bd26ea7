/**
 * JSON-RPC 2.0 over lines of text. It is not taken from a library, since it must judge programs that break the
 * protocol: what is no message is kept as noise, and an answer that comes too late still is a sign of life.
 */
import { excerpt } from './excerpt.ts'

/** What is asked or told, without its id. */
export type RpcMessage = { readonly method: string; readonly params?: unknown }

/** The way of the lines. `write` is false where nobody reads any more. */
export type Wire = {
  write(line: string): boolean
  onLine(take: (line: string) => void): void
}

/** Whoever can be asked, over lines or over HTTP. */
export type Requests = {
  /** The result. Rejects with RpcError, with the cause of an end, or with `no answer in time` once aborted. */
  request(message: RpcMessage, signal: AbortSignal): Promise<unknown>
  /** Tells something that has no answer. */
  notify(message: RpcMessage): void | Promise<void>
}

/** One exchange with one life of a program. */
export type Exchange = Requests & {
  /** Lines that were no JSON-RPC: how many, and an excerpt of the first. */
  noise(): { readonly count: number; readonly first: string | null }
  /** Requests that were answered, in time or not. */
  answers(): number
  /**
   * Since when, in milliseconds, nothing was heard while a request of this method runs; null if none runs. One that
   * nobody waits for any more still runs.
   */
  silentMs(method: string): number | null
  /** What was learnt of this life, so that several probes of it learn it once. */
  readonly learnt: Map<string, unknown>
  /** Rejects everything that waits, and what is asked later. The first reason counts. */
  close(reason: string): void
}

/** An answer that is an error: the program's own words. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** JSON-RPC's code for a method that is not there. */
export const NO_METHOD = -32601

/** A message as it came; which members it has tells what it is. */
export type Incoming = {
  readonly id?: unknown
  readonly method?: string
  readonly result?: unknown
  readonly error?: { readonly code?: number; readonly message?: string }
}

/** What a text says, null if it is no JSON-RPC. The member `jsonrpc` may be absent: Codex leaves it out. */
export function readMessage(text: string): Incoming | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null
  const message = value as Incoming
  if (typeof message.method === 'string') return message
  return 'id' in message && ('result' in message || 'error' in message) ? message : null
}

/** The result of an answer; throws RpcError if it is an error. */
export function resultOf({ result, error }: Incoming): unknown {
  if (error === undefined || error === null) return result
  const code = error.code ?? 0
  throw new RpcError(code, `${excerpt(error.message ?? '') || 'error'} (${code})`)
}

/** What a client that offers nothing answers to a request of the program; null if the message is none. */
export function answerTo({ id, method }: Incoming): object | null {
  if (method === undefined || id === undefined || id === null) return null
  const answer =
    method === 'ping' ? { result: {} } : { error: { code: NO_METHOD, message: 'Method not found' } }
  return { jsonrpc: '2.0', id, ...answer }
}

/** The promise, or a rejection with `no answer in time` when the signal aborts first. */
export function within<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error('no answer in time'))
    if (signal.aborted) late()
    signal.addEventListener('abort', late, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', late))
  })
}

type Running = {
  readonly method: string
  readonly sentMs: number
  /** Null once nobody waits. */
  waiter: { resolve(value: unknown): void; reject(error: Error): void } | null
}

/** A request that nobody waits for counts as running for this long: it may never be answered. */
const ABANDONED_MS = 600_000

/** Opens an exchange; `heard` is told every line that is no JSON-RPC. */
export function openExchange(wire: Wire, heard: (line: string) => void = () => undefined): Exchange {
  const running = new Map<number, Running>()
  let nextId = 1
  let closed: string | null = null
  let count = 0
  let first: string | null = null
  let answered = 0
  let answeredMs = 0
  const settle = (message: Incoming) => {
    const found = running.get(message.id as number)
    if (found === undefined) return
    running.delete(message.id as number)
    answered += 1
    answeredMs = performance.now()
    try {
      found.waiter?.resolve(resultOf(message))
    } catch (error) {
      found.waiter?.reject(error as Error)
    }
  }
  wire.onLine((line) => {
    const message = readMessage(line)
    if (message === null) {
      count += 1
      first ??= excerpt(line)
      return heard(line)
    }
    const answer = answerTo(message)
    if (answer !== null) return void wire.write(JSON.stringify(answer))
    if (message.method === undefined) settle(message)
  })
  return {
    request({ method, params }, signal) {
      if (closed !== null) return Promise.reject(new Error(closed))
      const id = nextId++
      const entry: Running = { method, sentMs: performance.now(), waiter: null }
      const answer = new Promise<unknown>((resolve, reject) => {
        entry.waiter = { resolve, reject }
      })
      running.set(id, entry)
      if (!wire.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }))) {
        running.delete(id)
        return Promise.reject(new Error('it reads nothing any more'))
      }
      return within(answer, signal).finally(() => {
        entry.waiter = null
      })
    },
    notify: ({ method, params }) => void wire.write(JSON.stringify({ jsonrpc: '2.0', method, params })),
    noise: () => ({ count, first }),
    answers: () => answered,
    silentMs(method) {
      const now = performance.now()
      let oldest: number | null = null
      for (const [id, entry] of running) {
        if (entry.waiter === null && now - entry.sentMs > ABANDONED_MS) running.delete(id)
        else if (entry.method === method) oldest ??= entry.sentMs
      }
      return oldest === null ? null : now - Math.max(oldest, answeredMs)
    },
    learnt: new Map(),
    close(reason) {
      closed ??= reason
      for (const { waiter } of running.values()) waiter?.reject(new Error(closed))
      running.clear()
    },
  }
}
