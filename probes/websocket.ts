/**
 * A WebSocket client for one short conversation of text messages. Node's own one cannot be cut off: after
 * `close` it waits without limit for a peer that hangs, so that each check of a hung service would leave a
 * socket behind (measured: all of them still open after 8 s). This one ends with `destroy`.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { httpRequest } from './http-client.ts'

const MESSAGE_LIMIT_BYTES = 4 * 1024 ** 2
const TEXT = 1
const CLOSE = 8
const PING = 9
const PONG = 10

/** What happens on the connection. `onEnd` comes at most once, with the reason in words. */
export type WebSocketEvents = { onText(text: string): void; onEnd(reason: string): void }

type ServerFrame = { opcode: number; isFinal: boolean; payload: Buffer; size: number }

/** A frame as clients must send it: masked, in one piece. */
function encodeFrame(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4)
  const masked = Buffer.from(payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0)))
  if (payload.length < 126)
    return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked])
  const header = Buffer.alloc(10)
  header[0] = 0x80 | opcode
  header[1] = 0x80 | 127
  header.writeBigUInt64BE(BigInt(payload.length), 2)
  return Buffer.concat([header, mask, masked])
}

/** The first frame in the input, null if it is not complete. Throws if it is longer than 4 MiB. */
function decodeFrame(input: Buffer): ServerFrame | null {
  if (input.length < 2) return null
  const [first = 0, second = 0] = input
  const short = second & 127
  const start = short === 126 ? 4 : short === 127 ? 10 : 2
  if (input.length < start) return null
  const length =
    short === 126 ? input.readUInt16BE(2) : short === 127 ? Number(input.readBigUInt64BE(2)) : short
  if (length > MESSAGE_LIMIT_BYTES) throw new Error('a message is longer than 4 MiB')
  if (input.length < start + length) return null
  const payload = input.subarray(start, start + length)
  return { opcode: first & 15, isFinal: first >= 0x80, payload, size: start + length }
}

/** Feeds the socket's bytes to the events; answers pings. */
function readFrames(socket: Socket, head: Buffer, { onText, onEnd }: WebSocketEvents): void {
  let input: Buffer = Buffer.alloc(0)
  let message: Buffer[] = []
  const onFrame = ({ opcode, isFinal, payload }: ServerFrame) => {
    if (opcode === PING) socket.write(encodeFrame(PONG, payload))
    if (opcode === CLOSE) {
      onEnd(`closed with code ${payload.length >= 2 ? payload.readUInt16BE(0) : 1005}`)
    }
    if (opcode > TEXT) return
    message.push(payload)
    if (!isFinal) return
    onText(Buffer.concat(message).toString('utf8'))
    message = []
  }
  const take = (bytes: Buffer) => {
    input = Buffer.concat([input, bytes])
    try {
      for (let next = decodeFrame(input); next !== null; next = decodeFrame(input)) {
        input = input.subarray(next.size)
        onFrame(next)
      }
    } catch (error) {
      onEnd((error as Error).message)
    }
  }
  socket.on('data', take)
  socket.on('close', () => onEnd('closed'))
  take(head)
}

/** Connects to a `ws:` URL. What is sent before it is up is lost: let the server speak first. */
export function connectWebSocket(
  url: URL,
  events: WebSocketEvents,
): { send(text: string): void; destroy(): void } {
  let socket: Socket | null = null
  let isEnded = false
  const once: WebSocketEvents = {
    onText: (text) => {
      if (!isEnded) events.onText(text)
    },
    onEnd: (reason) => {
      if (isEnded) return
      isEnded = true
      events.onEnd(reason)
    },
  }
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const headers = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
  }
  const { hostname, port, pathname, search } = url
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const asked = httpRequest({ host, port, path: pathname + search, headers, agent: false })
  asked.on('upgrade', (response, upgraded, head) => {
    socket = upgraded as Socket
    socket.on('error', (error: NodeJS.ErrnoException) => once.onEnd(error.code ?? error.message))
    if (response.headers['sec-websocket-accept'] === accept) readFrames(socket, head, once)
    else once.onEnd('the answer is no WebSocket handshake')
  })
  asked.on('response', (response) => {
    response.resume()
    once.onEnd(`the answer is no WebSocket handshake: ${response.statusCode}`)
  })
  asked.on('error', (error: NodeJS.ErrnoException) => once.onEnd(error.code ?? error.message))
  asked.end()
  return {
    send: (text) => void socket?.write(encodeFrame(TEXT, Buffer.from(text))),
    /** Says goodbye where somebody listens, and drops the socket whether or not anybody answers. */
    destroy() {
      isEnded = true
      asked.destroy()
      socket?.write(encodeFrame(CLOSE, Buffer.from([0x03, 0xe8])))
      socket?.destroy()
    },
  }
}
