/**
 * One HTTP/1.1 request on a fresh socket, and the reading of its answer. It exists for its price: the client of
 * `node:http` costs several times what a check of a loopback address needs. It asks for no coding, follows nothing,
 * keeps no connection, and refuses whatever RFC 9112 leaves open to two readings.
 */
import { connect, type Socket } from 'node:net'
import { urlToHttpOptions } from 'node:url'

const HEAD_LIMIT_BYTES = 16 * 1024
const BODY_LIMIT_BYTES = 1024 ** 2
/** What a read takes at most; the answer to a check is seldom longer. */
const READ_BYTES = 8 * 1024
const BLANK_LINE = '\r\n\r\n'
const NOTHING = Buffer.alloc(0)

/** A request that can be sent any number of times. */
export type Target = {
  readonly host: string
  readonly port: number
  readonly hasBody: boolean
  readonly request: string
}

/** A whole answer. `contentType` is the media type without parameters, empty where there is none. */
export type HttpAnswer = { readonly status: number; readonly contentType: string; readonly text: string }

type Head = { status: number; contentType: string; length: number | null; isChunked: boolean }
type Headers = Readonly<Record<string, string>>
type State =
  | 'head'
  | 'counted'
  | 'until-close'
  | 'chunk-size'
  | 'chunk'
  | 'chunk-end'
  | 'trailers'
  | 'complete'

const notHttp = () => new Error('the answer is not HTTP')
const tooLong = () => new Error('the body is longer than 1 MiB')

const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: [\t -~\x80-\xff]*)?$/
/** A field: its name is a token, its value has no control character; a folded line has no name, so it is refused. */
const FIELD = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+):([\t -~\x80-\xff]*)$/
const CHUNK_SIZE = /^([\dA-Fa-f]+)[ \t]*(?:;[\t -~\x80-\xff]*)?$/

/** Calls `see` with each field: its name in lower case, its value with the blanks around it. */
function readFields(lines: readonly string[], see: (name: string, value: string) => void): void {
  for (const line of lines) {
    const field = FIELD.exec(line)
    if (!field) throw notHttp()
    see(field[1]!.toLowerCase(), field[2]!)
  }
}

/** A status line with its fields, without the blank line. A length that is given twice, in any way, is refused. */
function readHead(text: string): Head {
  const [statusLine = '', ...lines] = text.split('\r\n')
  const status = STATUS_LINE.exec(statusLine)
  if (!status) throw notHttp()
  const head: Head = { status: Number(status[1]), contentType: '', length: null, isChunked: false }
  let hasType = false
  readFields(lines, (name, value) => {
    if (name === 'content-type' && !hasType) {
      hasType = true
      head.contentType = value.split(';', 1)[0]!.trim()
    } else if (name === 'content-length') {
      if (!/^[ \t]*\d+[ \t]*$/.test(value) || head.length !== null || head.isChunked) throw notHttp()
      head.length = Number(value)
    } else if (name === 'transfer-encoding') {
      // No other coding was asked for, and one that is named twice could be read in two ways.
      if (!/^[ \t]*chunked[ \t]*$/i.test(value) || head.isChunked || head.length !== null) throw notHttp()
      head.isChunked = true
    }
  })
  return head
}

/** Reads one answer from pieces of any size. Pure: it keeps copies only, so that the caller may reuse its memory. */
export class AnswerReader {
  readonly #hasBody: boolean
  #state: State = 'head'
  /** Bytes that do not yet make a whole line or block. */
  #pending: Buffer = NOTHING
  #head: Head | null = null
  #body: Buffer = NOTHING
  #length = 0
  /** Bytes of the body or the chunk that are still to come. */
  #left = 0

  /** `hasBody` is false for the answer to HEAD. */
  constructor(hasBody: boolean) {
    this.#hasBody = hasBody
  }

  /** Takes the next bytes; true once the answer is complete. Throws on what is not HTTP, and on a body too long. */
  feed(piece: Buffer): boolean {
    const bytes = this.#pending.length === 0 ? piece : Buffer.concat([this.#pending, piece])
    let at = 0
    for (let next = 0; next !== -1 && this.#state !== 'complete'; ) {
      next = this.#advance(bytes, at)
      if (next !== -1) at = next
    }
    this.#pending = at === bytes.length ? NOTHING : Buffer.from(bytes.subarray(at))
    return this.#state === 'complete'
  }

  /** The answer, after the peer closed or `feed` said true. Throws if it is not whole. */
  finish(): HttpAnswer {
    if (this.#state !== 'complete' && this.#state !== 'until-close') {
      throw new Error('the answer ended in its middle')
    }
    const { status, contentType } = this.#head!
    return { status, contentType, text: this.#body.toString('utf8', 0, this.#length) }
  }

  /** One step from this place: where the next one begins, or -1 if more bytes are needed. */
  #advance(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#takeHead(bytes, at)
      case 'chunk-size':
        return this.#takeChunkSize(bytes, at)
      case 'chunk-end':
        return this.#takeChunkEnd(bytes, at)
      case 'trailers':
        return this.#takeTrailers(bytes, at)
      default:
        return this.#takeBody(bytes, at)
    }
  }

  #takeHead(bytes: Buffer, at: number): number {
    const end = endOf(bytes, at, BLANK_LINE)
    const start = bytes.toString('latin1', at, end === -1 ? Math.min(bytes.length, at + 7) : end)
    // Said at once: a program that speaks first and then waits would else be seen as one that is silent.
    if (end === -1 && !start.startsWith('HTTP/1.') && !'HTTP/1.'.startsWith(start)) throw notHttp()
    if (end === -1) return -1
    const head = readHead(start)
    // 101 is the last that HTTP says on a connection; the others announce an answer.
    if (head.status >= 200 || head.status === 101) this.#begin(head)
    return end + BLANK_LINE.length
  }

  #begin(head: Head): void {
    const { status, length, isChunked } = head
    this.#head = head
    const isBare = !this.#hasBody || status === 101 || status === 204 || status === 304
    if (isBare || (length === 0 && !isChunked)) this.#state = 'complete'
    else if (isChunked) this.#state = 'chunk-size'
    else if (length === null) {
      this.#state = 'until-close'
    } else {
      if (length > BODY_LIMIT_BYTES) throw tooLong()
      this.#left = length
      this.#state = 'counted'
    }
  }

  #takeChunkSize(bytes: Buffer, at: number): number {
    const end = endOf(bytes, at, '\r\n')
    if (end === -1) return -1
    const line = CHUNK_SIZE.exec(bytes.toString('latin1', at, end))
    if (!line) throw notHttp()
    this.#left = Number.parseInt(line[1]!, 16)
    if (this.#length + this.#left > BODY_LIMIT_BYTES) throw tooLong()
    this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    return end + 2
  }

  #takeChunkEnd(bytes: Buffer, at: number): number {
    if (at < bytes.length && bytes[at] !== 13) throw notHttp()
    if (at + 1 >= bytes.length) return -1
    if (bytes[at + 1] !== 10) throw notHttp()
    this.#state = 'chunk-size'
    return at + 2
  }

  /** Fields after the last chunk: nothing here needs them. */
  #takeTrailers(bytes: Buffer, at: number): number {
    const end = endOf(bytes, at, '\r\n')
    if (end === -1) return -1
    if (end === at) this.#state = 'complete'
    else readFields([bytes.toString('latin1', at, end)], () => undefined)
    return end + 2
  }

  #takeBody(bytes: Buffer, at: number): number {
    const isOpen = this.#state === 'until-close'
    const end = isOpen ? bytes.length : Math.min(bytes.length, at + this.#left)
    if (end === at) return -1
    this.#keep(bytes, at, end)
    if (!isOpen) {
      this.#left -= end - at
      if (this.#left === 0) this.#state = this.#state === 'chunk' ? 'chunk-end' : 'complete'
    }
    return end
  }

  /** The room doubles, so that a body in a million pieces costs no more than in one. */
  #keep(bytes: Buffer, from: number, to: number): void {
    const length = this.#length + to - from
    if (length > BODY_LIMIT_BYTES) throw tooLong()
    if (length > this.#body.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#body.length))
      this.#body.copy(larger, 0, 0, this.#length)
      this.#body = larger
    }
    bytes.copy(this.#body, this.#length, from, to)
    this.#length = length
  }
}

/** Where the next `mark` begins, or -1 if it is not there yet. Throws if it is further than a head may be long. */
function endOf(bytes: Buffer, at: number, mark: string): number {
  const end = bytes.indexOf(mark, at, 'latin1')
  if (end === -1) {
    // A line end without its return would be waited for in vain.
    const feed = bytes.indexOf(10, at)
    if (feed !== -1 && bytes[feed - 1] !== 13) throw notHttp()
  }
  if ((end === -1 ? bytes.length : end) - at > HEAD_LIMIT_BYTES) {
    throw new Error('the head of the answer is longer than 16 KiB')
  }
  return end
}

/**
 * What is sent to this URL, made once for all checks. Whatever the URL holds was encoded by its parser, so that
 * no line end and no space of it can reach the request. Throws if a header holds one, as a secret may.
 */
export function targetOf(url: URL, method: 'GET' | 'HEAD' | 'POST', headers: Headers = {}): Target {
  const { hostname, path, auth } = urlToHttpOptions(url)
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${url.host}`, 'Connection: close']
  if (auth) lines.push(`Authorization: Basic ${Buffer.from(auth).toString('base64')}`)
  for (const [name, value] of Object.entries(headers)) {
    if (!FIELD.test(`${name}:${value}`)) throw new Error(`the header ${name} holds a control character`)
    lines.push(`${name}: ${value}`)
  }
  if (method === 'POST') lines.push('Content-Length: 0')
  return {
    host: hostname ?? '',
    port: url.port === '' ? 80 : Number(url.port),
    hasBody: method !== 'HEAD',
    request: lines.join('\r\n') + BLANK_LINE,
  }
}

/**
 * Every read of every exchange goes here: it skips the stream's queue, and the 64 KiB that a read takes otherwise.
 * A read and its callback are one step of the event loop, and the reader keeps copies only.
 */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)

/**
 * One request and its answer, on a socket of its own that is destroyed once the answer is whole, without
 * waiting for the peer to close. Rejects with the socket's error, with what is wrong with the answer, or with
 * 'no answer in time' when the signal aborts.
 */
export function exchange({ host, port, hasBody, request }: Target, signal: AbortSignal): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error('no answer in time'))
    const reader = new AnswerReader(hasBody)
    let socket: Socket | null = null
    let hasBytes = false
    const settle = (error: Error | null) => {
      if (socket === null) return
      signal.removeEventListener('abort', abort)
      socket.destroy()
      socket = null
      if (error) return reject(error)
      try {
        resolve(reader.finish())
      } catch (thrown) {
        reject(thrown)
      }
    }
    const abort = () => settle(new Error('no answer in time'))
    const read = (count: number) => {
      hasBytes = true
      try {
        if (reader.feed(readBuffer.subarray(0, count))) settle(null)
      } catch (thrown) {
        settle(thrown as Error)
      }
      return true
    }
    signal.addEventListener('abort', abort, { once: true })
    socket = connect({ host, port, onread: { buffer: readBuffer, callback: read } })
    socket.on('error', settle)
    // A peer that takes the request and says nothing is told apart from one that stopped in its middle.
    socket.on('end', () => settle(hasBytes ? null : closedUnanswered()))
    socket.write(request, 'latin1')
  })
}

function closedUnanswered(): Error {
  return Object.assign(new Error('the connection was closed without an answer'), { code: 'ECONNRESET' })
}
