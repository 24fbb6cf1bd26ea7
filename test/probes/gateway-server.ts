/** A WebSocket server that speaks the gateway's handshake, for the tests of the ws probe. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'

type Request = { readonly id: string; readonly method: string; readonly params: Record<string, unknown> }
/** Sends one text frame; a number closes the connection with that code. */
export type Send = (message: object | number) => void

function encode(message: object | number): Buffer {
  if (typeof message === 'number') return Buffer.from([0x88, 2, message >> 8, message & 255])
  const payload = Buffer.from(JSON.stringify(message))
  const isLong = payload.length > 65_535
  const header = Buffer.alloc(isLong ? 10 : 4)
  header[0] = 0x81
  header[1] = isLong ? 127 : 126
  if (isLong) header.writeBigUInt64BE(BigInt(payload.length), 2)
  else header.writeUInt16BE(payload.length, 2)
  return Buffer.concat([header, payload])
}

/** The text frames of masked input; close frames come out as null. */
function* decode(input: Buffer): Generator<string | null> {
  let at = 0
  while (at + 6 <= input.length) {
    const opcode = input[at]! & 15
    let length = input[at + 1]! & 127
    let start = at + 2
    if (length === 126) {
      length = input.readUInt16BE(start)
      start += 2
    } else if (length === 127) {
      length = Number(input.readBigUInt64BE(start))
      start += 8
    }
    const mask = input.subarray(start, start + 4)
    const body = Buffer.from(input.subarray(start + 4, start + 4 + length)).map(
      (byte, i) => byte ^ mask[i % 4]!,
    )
    yield opcode === 1 ? Buffer.from(body).toString('utf8') : null
    at = start + 4 + length
  }
}

/** Listens on a free loopback port, sends `greeting` to each client and hands its requests to `answer`. */
export async function serveGateway(
  t: TestContext,
  greeting: readonly object[],
  answer: (request: Request, send: Send) => void,
): Promise<{ port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createServer()
  server.on('upgrade', (request, socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    const send: Send = (message) => void socket.write(encode(message))
    for (const frame of greeting) send(frame)
    socket.on('data', (input: Buffer) => {
      for (const text of decode(input)) {
        if (text === null) socket.end(encode(1000))
        else answer(JSON.parse(text), send)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}
