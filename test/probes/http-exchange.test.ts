import assert from 'node:assert/strict'
import dns from 'node:dns'
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener, request } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { AnswerReader, exchange, type HttpAnswer, targetOf } from '../../probes/http-exchange.ts'

const LIMIT = 1024 ** 2

/** Reads pieces as a socket would bring them, in memory that is used again, and then its end. */
function read(pieces: readonly Buffer[], hasBody = true): HttpAnswer {
  const reader = new AnswerReader(hasBody)
  for (const piece of pieces) {
    const shared = Buffer.from(piece)
    const isComplete = reader.feed(shared)
    shared.fill('#')
    if (isComplete) break
  }
  return reader.finish()
}

const readText = (text: string, hasBody?: boolean) => read([Buffer.from(text, 'latin1')], hasBody)
const bytewise = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.of(byte))
const ok = (fields: string, body = '') => `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${body}`
const chunked = (body: string) => ok('Transfer-Encoding: chunked', body)

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end))
}

type Coding = 'counted' | 'chunked' | 'until-close'

/** A valid answer on the wire, beside what it says. */
function onTheWire(said: HttpAnswer, coding: Coding, sizes: readonly number[], interim: number): Buffer {
  const body = Buffer.from(said.text)
  const early = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 3\r\n\r\n`.repeat(interim)
  const head = `${early}HTTP/1.1 ${said.status} \xfcber\r\nX-A:\r\nCONTENT-TYPE: ${said.contentType} ; charset=utf-8\r\n`
  const parts: Buffer[] = [Buffer.from(head, 'latin1')]
  if (coding === 'until-close') parts.push(Buffer.from('\r\n'), body)
  else if (coding === 'counted') parts.push(Buffer.from(`content-length:\t${body.length} \r\n\r\n`), body)
  else {
    parts.push(Buffer.from('Transfer-encoding: Chunked\r\n\r\n'))
    for (const chunk of split(body, sizes).filter(({ length }) => length > 0)) {
      parts.push(Buffer.from(`0${chunk.length.toString(16)};a="b"\r\n`), chunk, Buffer.from('\r\n'))
    }
    parts.push(Buffer.from('000 ;last\r\nDigest: x\r\nExpires: 0\r\n\r\n'))
  }
  return Buffer.concat(parts)
}

describe('the reader of an answer', () => {
  test('finds the same in an answer wherever its segments and its chunks are cut', () => {
    const said = fc.record(
      {
        status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
        contentType: fc.constantFrom('text/plain', 'application/json'),
        text: fc.string({ unit: 'binary', maxLength: 300 }).map((text) => Buffer.from(text).toString()),
      },
      { noNullPrototype: true },
    )
    const coding = fc.constantFrom<Coding>('counted', 'chunked', 'until-close')
    const cuts = fc.array(fc.nat(2_000), { maxLength: 20 })
    fc.assert(
      fc.property(said, coding, cuts, cuts, fc.nat(2), (answer, kind, sizes, segments, interim) => {
        const wire = onTheWire(answer, kind, sizes, interim)
        assert.deepEqual(read([wire]), answer)
        assert.deepEqual(read(split(wire, segments)), answer)
        assert.deepEqual(read(bytewise(wire)), answer)
      }),
      { numRuns: 200 },
    )
  })

  test('never throws anything but what it says of an answer, whatever the bytes are', () => {
    const piece = fc.constantFrom(
      'HTTP/1.1 200 OK',
      '\r\n',
      '\n',
      '\r',
      ':',
      'Content-Length: 2',
      '5',
      'x',
      '\0',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 5 })), { maxLength: 12 }), (pieces) => {
        try {
          read(pieces.map((text) => Buffer.from(text)))
        } catch (error) {
          assert.match((error as Error).message, /^the (answer|body|head)/)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('has no body to wait for after HEAD, 101, 204 and 304', () => {
    assert.equal(readText(ok('Content-Length: 5'), false).status, 200)
    assert.equal(readText(ok('Transfer-Encoding: chunked'), false).text, '')
    for (const status of [101, 204, 304]) {
      const answer = readText(`HTTP/1.1 ${status} x\r\nContent-Length: 5\r\n\r\nabcde`)
      assert.deepEqual(answer, { status, contentType: '', text: '' })
    }
  })

  test('takes the first content type, without its parameters', () => {
    const fields = 'Content-Type:  text/html;charset=x \r\nContent-Type: b/c\r\nContent-Length: 0'
    assert.equal(readText(ok(fields)).contentType, 'text/html')
  })

  test('takes a body of 1 MiB, and none that is longer', () => {
    const full = 'x'.repeat(LIMIT)
    const isTooLong = { message: 'the body is longer than 1 MiB' }
    assert.equal(readText(ok(`Content-Length: ${LIMIT}`, full)).text.length, LIMIT)
    assert.equal(readText(chunked(`100000\r\n${full}\r\n0\r\n\r\n`)).text.length, LIMIT)
    assert.equal(readText(`HTTP/1.0 200\r\n\r\n${full}`).text.length, LIMIT)
    for (const answer of [
      ok(`Content-Length: ${LIMIT + 1}`),
      ok(`Content-Length: ${'9'.repeat(400)}`),
      chunked('100001\r\n'),
      chunked(`100000\r\n${full}\r\n1\r\n`),
      chunked(`${'f'.repeat(400)}\r\n`),
      ok('X: y', `${full}x`),
    ]) {
      assert.throws(() => readText(answer), isTooLong, answer.slice(0, 80))
    }
  })

  test('takes a head of 16 KiB, and none that is longer', () => {
    const room = 16 * 1024 - ok('X: ').length + 4
    assert.equal(readText(ok(`X: ${'a'.repeat(room)}`)).status, 200)
    const isTooLong = { message: 'the head of the answer is longer than 16 KiB' }
    assert.throws(() => readText(ok(`X: ${'a'.repeat(room + 1)}`)), isTooLong)
    assert.throws(() => readText(`HTTP/1.1 200 OK\r\n${'X: a\r\n'.repeat(3_000)}`), isTooLong)
    assert.throws(() => readText(chunked(`1;${'a'.repeat(17_000)}`)), isTooLong)
  })

  test('says when an answer ended in its middle', () => {
    for (const wire of [ok('Content-Length: 2', 'o'), chunked('2\r\nok\r\n0\r\nDigest: x\r\n\r\n')]) {
      for (let end = 1; end < wire.length; end += 1) {
        const cut = wire.slice(0, end)
        assert.throws(() => readText(cut), { message: 'the answer ended in its middle' }, cut)
      }
    }
    assert.throws(() => readText('HTTP/1.1 100 Continue\r\n\r\n'), /ended in its middle/)
  })

  test('refuses what is not HTTP, or could be read in two ways', () => {
    for (const wire of [
      '220 mail.example ESMTP\r\n',
      'H2',
      '\r\nHTTP/1.1 200 OK\r\n\r\n',
      'HTTP/2.0 200 OK\r\n\r\n',
      'HTTP/1.1 20 OK\r\n\r\n',
      'HTTP/1.1 099 OK\r\n\r\n',
      'HTTP/1.1 2000 OK\r\n\r\n',
      'HTTP/1.1  200 OK\r\n\r\n',
      'HTTP/1.1 200 OK\n',
      'HTTP/1.1 200 O\0K\r\n\r\n',
      ok('No colon'),
      ok('A: b\r\n folded'),
      ok('A : b'),
      ok(': b'),
      ok('A: b\rc'),
      ok('A: b\nContent-Length: 0'),
      ok('A: \x7f'),
      ok('Content-Length: 2\r\nContent-Length: 2', 'ok'),
      ok('Content-Length: 2\r\nContent-Length: 3', 'ok'),
      ok('Content-Length: 2, 2', 'ok'),
      ok('Content-Length: +2', 'ok'),
      ok('Content-Length: 2\xa0', 'ok'),
      ok('Content-Length: 0x2', 'ok'),
      ok('Content-Length:', 'ok'),
      ok('Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
      ok('Transfer-Encoding: chunked\r\nContent-Length: 2', '0\r\n\r\n'),
      ok('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
      ok('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'),
      ok('Transfer-Encoding: identity', 'ok'),
      chunked('\r\n'),
      chunked('0x2\r\nok\r\n'),
      chunked('-2\r\nok\r\n'),
      chunked(' 2\r\nok\r\n'),
      chunked('2 2\r\nok\r\n'),
      chunked('2\nok\n'),
      chunked('1\r\nok\r\n'),
      chunked('2\r\nok\rx'),
      chunked('0\r\nnot a field\r\n\r\n'),
    ]) {
      assert.throws(() => readText(wire), { message: 'the answer is not HTTP' }, JSON.stringify(wire))
    }
  })
})

async function listening(t: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket.on('error', () => socket.destroy())))
  server.listen(0, host)
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const inTime = () => AbortSignal.timeout(20_000)
const get = (port: number, path = '/') =>
  exchange(targetOf(new URL(`http://127.0.0.1:${port}${path}`), 'GET'), inTime())

/** The same request by the client of `node:http`. */
function viaNode(port: number, method: string): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, method, agent: false }, async (response) => {
      const text = Buffer.concat(await response.toArray()).toString()
      const contentType = response.headers['content-type']?.split(';', 1)[0] ?? ''
      resolve({ status: response.statusCode ?? 0, contentType, text })
    })
    asked.on('error', reject).end()
  })
}

const LISTENERS: Record<string, RequestListener> = {
  'a counted body': (_request, response) => response.end('counted'),
  'no body': (_request, response) => response.writeHead(204).end(),
  'not modified': (_request, response) => response.writeHead(304, { 'content-length': 9 }).end(),
  'an empty body with an error': (_request, response) => response.writeHead(503).end(),
  'chunks and trailers': ({ method }, response) => {
    if (method === 'HEAD') return response.end()
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', trailer: 'Digest' })
    response.write('grüße ')
    response.write('€'.repeat(40_000))
    response.addTrailers({ Digest: 'x' })
    response.end()
  },
  'slow chunks': (_request, response) => {
    response.write('{"a":')
    setImmediate(() => setTimeout(() => response.end('1}'), 30))
  },
  'a body until the close': (_request, response) => {
    response.sendDate = false
    response.useChunkedEncodingByDefault = false
    response.removeHeader('transfer-encoding')
    response.writeHead(200, { connection: 'close' })
    response.write('until ')
    response.end('close')
  },
  'interim answers': (_request, response) => {
    response.writeContinue()
    response.writeProcessing()
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.writeHead(201, { 'content-type': 'application/json' }).end('{}')
  },
  'a connection that is kept': (_request, response) => {
    response.shouldKeepAlive = true
    response.writeHead(200, { connection: 'keep-alive' }).end('kept')
  },
}

describe('an exchange', () => {
  for (const [name, listener] of Object.entries(LISTENERS)) {
    test(`finds what node:http finds in ${name}`, async (t) => {
      const port = await listening(t, createHttpServer(listener))
      for (const method of ['GET', 'HEAD', 'POST'] as const) {
        const mine = await exchange(targetOf(new URL(`http://127.0.0.1:${port}/`), method), inTime())
        assert.deepEqual(mine, await viaNode(port, method), method)
      }
    })
  }

  test('closes its socket once the answer is whole, though the peer does not', async (t) => {
    const closed = Promise.withResolvers<void>()
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.once('data', () => socket.write(ok('Content-Length: 2', 'ok')))
      socket.once('close', () => closed.resolve())
      socket.once('end', () => socket.end())
    })
    assert.equal((await get(await listening(t, server))).text, 'ok')
    await closed.promise
  })

  test('reads an answer that comes byte by byte', async (t) => {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.once('data', async () => {
        for (const byte of bytewise(Buffer.from(chunked('3\r\nabc\r\n0\r\n\r\n')))) {
          await new Promise((resolve) => socket.write(byte, resolve))
        }
      })
    })
    assert.equal((await get(await listening(t, server))).text, 'abc')
  })

  test('ends when its signal aborts, before or after it was sent, and closes its socket', async (t) => {
    const isLate = { message: 'no answer in time' }
    const asked = Promise.withResolvers<Socket>()
    const server = createServer((socket) => socket.once('data', () => asked.resolve(socket)))
    const target = targetOf(new URL(`http://127.0.0.1:${await listening(t, server)}/`), 'GET')
    await assert.rejects(exchange(target, AbortSignal.abort()), isLate)
    const controller = new AbortController()
    const answer = assert.rejects(exchange(target, controller.signal), isLate)
    const socket = await asked.promise
    controller.abort()
    await Promise.all([answer, once(socket.resume(), 'close')])
  })

  test('tells a peer that closed unasked from one that reset and one that stopped in its middle', async (t) => {
    const close = createServer((socket) => socket.once('data', () => socket.end()))
    await assert.rejects(get(await listening(t, close)), { code: 'ECONNRESET', message: /without an answer/ })
    const reset = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
    await assert.rejects(get(await listening(t, reset)), { code: 'ECONNRESET', message: /^read/ })
    const half = createServer((socket) => socket.once('data', () => socket.end(ok('Content-Length: 3', 'x'))))
    await assert.rejects(get(await listening(t, half)), { message: 'the answer ended in its middle' })
  })

  test('does not wait for a program that speaks first and is not HTTP', async (t) => {
    const server = createServer((socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n'))
    await assert.rejects(get(await listening(t, server)), { message: 'the answer is not HTTP' })
  })

  test('sends these bytes and no others', async (t) => {
    const asked: string[] = []
    const server = createServer((socket) => {
      socket.once('data', (bytes) => {
        asked.push(bytes.toString('latin1').replace(/:\d+\r\n/, ':PORT\r\n'))
        socket.end(ok('Content-Length: 0'))
      })
    })
    const port = await listening(t, server)
    const at = (rest: string, user = '') => new URL(`http://${user}127.0.0.1:${port}${rest}`)
    await exchange(targetOf(at('/a?b=c#d'), 'GET'), inTime())
    await exchange(targetOf(at('/'), 'POST'), inTime())
    await exchange(targetOf(at('/', 'me:p%0d%0aw@'), 'HEAD'), inTime())
    const rest = '/ HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nConnection: close\r\n'
    assert.deepEqual(asked, [
      `GET /a?b=c${rest.slice(1)}\r\n`,
      `POST ${rest}Content-Length: 0\r\n\r\n`,
      `HEAD ${rest}Authorization: Basic ${Buffer.from('me:p\r\nw').toString('base64')}\r\n\r\n`,
    ])
  })

  test('cannot be made to send another line by what is configured', () => {
    const anything = fc.array(
      fc.oneof(fc.constantFrom('\r', '\n', '\r\nX: y', ' ', '\t', '\0', '?', '#'), fc.string()),
    )
    fc.assert(
      fc.property(anything, (parts) => {
        const url = URL.parse(`http://127.0.0.1:1/${parts.join('')}`)
        if (url === null) return
        const { host, port, request } = targetOf(url, 'GET')
        assert.deepEqual({ host, port }, { host: '127.0.0.1', port: 1 })
        assert.match(
          request,
          /^GET \/[!-~]* HTTP\/1\.1\r\nHost: 127\.0\.0\.1:1\r\nConnection: close\r\n\r\n$/,
        )
      }),
    )
  })

  test('looks up names only', async (t) => {
    const port = await listening(
      t,
      createHttpServer((_request, response) => response.end('ok')),
    )
    const lookup = t.mock.method(dns, 'lookup')
    await get(port)
    assert.equal(lookup.mock.callCount(), 0)
    await exchange(targetOf(new URL(`http://localhost:${port}/`), 'GET'), inTime())
    assert.equal(lookup.mock.callCount(), 1)
  })

  const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address === '::1'),
  )
  test('reaches a server on the other family', { skip: !hasIpv6 }, async (t) => {
    const server = createHttpServer((request, response) => response.end(request.headers.host))
    const port = await listening(t, server, '::1')
    const { text } = await exchange(targetOf(new URL(`http://[::1]:${port}/`), 'GET'), inTime())
    assert.equal(text, `[::1]:${port}`)
    assert.equal(targetOf(new URL('http://localhost/'), 'GET').port, 80)
  })
})
