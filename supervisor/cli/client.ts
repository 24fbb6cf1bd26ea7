/**
 * The way from the command line to the supervisor: HTTP over its Unix socket, written straight onto node:net,
 * because loading node:http alone doubles the start-up time of `paios status`. A request says HTTP/1.0 and
 * `Connection: close`, so an answer is never chunked and ends when the socket ends.
 */
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { type ErrorCode, errorCodes, PaiosError } from '../errors.ts'
import { SILENCE_LIMITS, type SilenceLimits, watchSilence } from './silence.ts'

/** An answer as it came; `body` is the text, JSON for every path but /metrics. */
type Answer = { readonly status: number; readonly body: string }

/** The supervisor's socket in a home. */
export function socketPath(home: string): string {
  return join(home, 'run', 'paios.sock')
}

/**
 * One request. Resolves with any answer, of whatever status. Throws PaiosError `no-supervisor` if nothing
 * listens or if the supervisor ended before the whole answer had come, `supervisor-silent` if it takes
 * connections and answers nothing at all.
 */
export async function request(
  home: string,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  limits = SILENCE_LIMITS,
): Promise<Answer> {
  const parts: string[] = []
  const take = (text: string) => void parts.push(text)
  const { status, length, receivedBytes } = await exchange(home, method, path, body, take, limits)
  const text = parts.join('')
  if (length !== null && receivedBytes < length) throw lost(home)
  return { status, body: text }
}

/**
 * One request whose answer is JSON. Throws PaiosError with the supervisor's own code and message for an
 * answer that is no success, besides what `request` throws.
 */
export async function call<T>(
  home: string,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<T> {
  return accepted<T>(await request(home, method, path, body))
}

/** The JSON of an answer; throws the supervisor's error as PaiosError where it refused. */
export function accepted<T>(answer: Answer): T {
  let value: unknown
  try {
    value = JSON.parse(answer.body)
  } catch (cause) {
    const start = answer.body.slice(0, 80)
    throw new PaiosError('internal', `the supervisor answered ${answer.status} with no JSON: ${start}`, {
      cause,
    })
  }
  if (answer.status < 400) return value as T
  const { error } = value as { error?: { code?: string; message?: string } }
  const message = error?.message ?? `the supervisor answered ${answer.status}`
  throw new PaiosError(isErrorCode(error?.code) ? error.code : 'internal', message)
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(errorCodes, code)
}

/**
 * Reads an answer of NDJSON line by line while it comes. Resolves when the supervisor ends it, or when
 * `signal` aborts. Throws like `call`.
 */
export async function follow(
  home: string,
  path: string,
  onLine: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  let rest = ''
  let refusal = ''
  const onText = (text: string, status: number) => {
    if (status >= 400) {
      refusal += text
      return
    }
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') onLine(line)
  }
  const { status } = await exchange(home, 'GET', path, undefined, onText, SILENCE_LIMITS, signal)
  if (status >= 400) accepted({ status, body: refusal })
  if (rest !== '') onLine(rest)
}

/** True if something accepts connections on the home's socket now. */
export function isListening(home: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath(home))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

type Head = { readonly status: number; readonly length: number | null }
type Exchange = Head & { readonly receivedBytes: number }

function exchange(
  home: string,
  method: string,
  path: string,
  body: unknown,
  onText: (text: string, status: number) => void,
  limits: SilenceLimits,
  signal?: AbortSignal,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath(home))
    const decoder = new StringDecoder('utf8')
    let buffered: Buffer = Buffer.alloc(0)
    let head: Head | null = null
    let receivedBytes = 0
    const endWatch = watchSilence(socketPath(home), limits, (seconds) => {
      reject(silent(home, seconds))
      socket.destroy()
    })
    const take = (chunk: Buffer) => {
      receivedBytes += chunk.length
      if (head !== null) onText(decoder.write(chunk), head.status)
    }
    socket.on('connect', () => send(socket, method, path, body))
    socket.on('data', (chunk: Buffer) => {
      try {
        if (head !== null) return take(chunk)
        buffered = Buffer.concat([buffered, chunk])
        const end = buffered.indexOf('\r\n\r\n')
        if (end < 0) return
        endWatch()
        head = parseHead(buffered.subarray(0, end).toString('latin1'))
        take(buffered.subarray(end + 4))
      } catch (error) {
        reject(error)
        socket.destroy()
      }
    })
    const stop = () => {
      resolve({ status: head?.status ?? 0, length: null, receivedBytes })
      socket.destroy()
    }
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted) stop()
    socket.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(home, error)))
    socket.on('close', () => {
      endWatch()
      signal?.removeEventListener('abort', stop)
      if (head === null) reject(lost(home))
      else resolve({ ...head, receivedBytes })
    })
  })
}

function send(socket: Socket, method: string, path: string, body: unknown): void {
  const text = body === undefined ? '' : JSON.stringify(body)
  const lines = [`${method} ${path} HTTP/1.0`, 'Host: localhost', 'Connection: close']
  if (text !== '') lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`)
  socket.write(`${lines.join('\r\n')}\r\n\r\n${text}`)
}

function parseHead(text: string): Head {
  const [first = '', ...rest] = text.split('\r\n')
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1]
  if (status === undefined) throw new PaiosError('internal', 'what listens on the socket does not speak HTTP')
  const header = rest.find((line) => /^content-length:/i.test(line))
  return { status: Number(status), length: header === undefined ? null : Number(header.split(':')[1]) }
}

function lost(home: string): PaiosError {
  return new PaiosError('no-supervisor', `the supervisor for ${home} ended before it had answered`)
}

function silent(home: string, seconds: number): PaiosError {
  const what = `the supervisor for ${home} takes connections and has answered nothing for ${seconds} s`
  return new PaiosError('supervisor-silent', `${what}: paios runbook SupervisorStalled`)
}

function unreachable(home: string, error: NodeJS.ErrnoException): PaiosError {
  const path = socketPath(home)
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new PaiosError('no-supervisor', `no supervisor is running for ${home} (start it: paios up)`, {
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
      return new PaiosError(
        'home-unwritable',
        `${path} may not be opened: run paios as the user that owns it`,
        {
          cause: error,
        },
      )
    case 'ENAMETOOLONG':
    case 'EINVAL':
      return new PaiosError(
        'socket-path-too-long',
        `${path} is too long for a socket: set PAIOS_HOME to a shorter path`,
        {
          cause: error,
        },
      )
    case 'ECONNRESET':
    case 'EPIPE':
      return lost(home)
    default:
      return new PaiosError('internal', `cannot talk to ${path}: ${error.message}`, { cause: error })
  }
}
