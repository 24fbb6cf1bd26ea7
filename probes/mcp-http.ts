/**
 * MCP's streamable HTTP towards a loopback address: one POST a message, answered by JSON or by a stream of events. A
 * session of the older era is ended with a DELETE, since servers keep those of clients that vanish for ever. Nothing
 * is followed elsewhere: a redirection is a refusal.
 */
import type { IncomingMessage } from 'node:http'
import { urlToHttpOptions } from 'node:url'
import { httpRequest } from './http-client.ts'
import { answerTo, type Incoming, type Requests, type RpcMessage, readMessage, resultOf } from './json-rpc.ts'
import { HttpRefusal } from './mcp-session.ts'

/** As much as a line over stdio may have; hosts that cut at 10 MiB lose real results. */
const BODY_MAX = 64 * 1024 * 1024
/** The farewell is polite and may not hold up anything. */
const DELETE_MS = 1_000

/** Where a server is, and what is sent along; `signal` ends everything. */
export type HttpOptions = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** One client of a server; `end` says farewell and never fails. */
export function openHttp({ url, headers, signal }: HttpOptions): Requests & { end(): Promise<void> } {
  const known: Record<string, string> = {}
  let nextId = 1
  const post = async (message: object, until: AbortSignal) => {
    const response = await send('POST', url, { ...headers, ...known, ...describe(message) }, until, message)
    const session = response.headers['mcp-session-id']
    if (typeof session === 'string') known['mcp-session-id'] = session
    return response
  }
  const answerBack = (answer: object) => {
    // A server that asks and does not listen to the answer is its own trouble.
    post(answer, signal).then(drop, () => undefined)
  }
  return {
    async request({ method, params }, until) {
      const id = nextId++
      const both = AbortSignal.any([signal, until])
      const response = await post({ jsonrpc: '2.0', id, method, params }, both)
      const result = resultOf(await readAnswer(response, id, answerBack))
      const version = (result as { protocolVersion?: unknown } | null)?.protocolVersion
      if (method === 'initialize' && typeof version === 'string') known['mcp-protocol-version'] = version
      return result
    },
    async notify({ method, params }) {
      const response = await post({ jsonrpc: '2.0', method, params }, signal)
      drop(response)
      if (response.statusCode! >= 300) throw new HttpRefusal(response.statusCode!)
    },
    async end() {
      if (known['mcp-session-id'] === undefined) return
      const sent = send('DELETE', url, { ...headers, ...known }, AbortSignal.timeout(DELETE_MS))
      // It may refuse to end sessions (405), or be gone.
      await sent.then(drop, () => undefined)
    },
  }
}

/** The headers in which the newer era repeats what the body says. */
function describe(message: object): Record<string, string> {
  const { method = '', params } = message as Partial<RpcMessage>
  const { name, _meta } = (params ?? {}) as { name?: string; _meta?: Record<string, string> }
  const version = _meta?.['io.modelcontextprotocol/protocolVersion']
  if (version === undefined) return {}
  const said: Record<string, string> = { 'mcp-protocol-version': version, 'mcp-method': method }
  return name === undefined ? said : { ...said, 'mcp-name': name }
}

const drop = (response: IncomingMessage): void => void response.resume().on('error', () => undefined)

async function send(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  message?: object,
): Promise<IncomingMessage> {
  const body = message === undefined ? '' : JSON.stringify(message)
  const sent = {
    accept: 'application/json, text/event-stream',
    ...(message === undefined ? {} : { 'content-type': 'application/json' }),
    'content-length': Buffer.byteLength(body),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { ...urlToHttpOptions(new URL(url)), method, headers: sent, agent: false, signal },
      resolve,
    )
    request.on('error', (error) => reject(wordsOf(error, signal)))
    request.end(body)
  })
}

function wordsOf(error: NodeJS.ErrnoException, signal: AbortSignal): Error {
  if (signal.aborted) return new Error('no answer in time')
  // The code says it all, and what Node adds differs between one address and two.
  return new Error(error.code ?? error.message)
}

/** The answer with this id, from a body of JSON or out of a stream; HttpRefusal where the status says no. */
async function readAnswer(
  response: IncomingMessage,
  id: number,
  answerBack: (answer: object) => void,
): Promise<Incoming> {
  const status = response.statusCode ?? 0
  const isStream = /^text\/event-stream\b/i.test(response.headers['content-type'] ?? '')
  const body = isStream ? eventsOf(response) : [await textOf(response)]
  try {
    for await (const text of body) {
      const message = readMessage(text)
      const isError = message?.error !== undefined && message.error !== null
      if (message?.method === undefined && (message?.id === id || (message?.id === null && isError))) {
        if (status === 401 || status === 403 || status >= 500) throw new HttpRefusal(status)
        return message
      }
      const answer = message && answerTo(message)
      if (answer) answerBack(answer)
    }
  } finally {
    response.destroy()
  }
  if (status >= 300) throw new HttpRefusal(status)
  throw new Error(isStream ? 'the stream ended without an answer' : 'the answer is no JSON-RPC')
}

/** The data of each event. */
async function* eventsOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  let data: string[] = []
  for await (const chunk of textsOf(response)) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.map((each) => each.replace(/\r$/, ''))) {
      if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
      if (line !== '' || data.length === 0) continue
      yield data.join('\n')
      data = []
    }
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: string[] = []
  for await (const chunk of textsOf(response)) parts.push(chunk)
  return parts.join('')
}

/** The body in pieces of text. Rejects when it is too long, and when the signal of the request aborts. */
async function* textsOf(response: IncomingMessage): AsyncGenerator<string> {
  let length = 0
  response.setEncoding('utf8')
  for await (const chunk of response as AsyncIterable<string>) {
    length += chunk.length
    if (length > BODY_MAX) throw new Error('the answer is longer than 64 MiB')
    yield chunk
  }
}
