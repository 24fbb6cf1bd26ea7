import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { mcp } from '../../probes/mcp.ts'
import { createTarget, openProbe, reasonOf, temporaryFolder } from './target.ts'

type Message = {
  readonly id?: unknown
  readonly method?: string
  readonly params?: { readonly _meta?: Record<string, string> }
  readonly error?: { readonly code: number }
}
type Asked = {
  readonly verb: string
  readonly headers: IncomingMessage['headers']
  readonly message: Message
}
type Answer = (asked: Asked, response: ServerResponse) => void

/** A server on a free loopback port that ends with the test, and what it was asked. */
async function serve(t: TestContext, answer: Answer) {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const verb = request.method ?? ''
    const message = verb === 'POST' ? ((await json(request)) as Message) : {}
    asked.push({ verb, headers: request.headers, message })
    answer(asked.at(-1)!, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, asked }
}

const tool = { name: 'look', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }
const results: Record<string, object> = {
  initialize: { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'web', version: '3' } },
  ping: {},
  'tools/list': { tools: [tool] },
  'tools/call': { content: [{ type: 'text', text: 'seen' }] },
}

/** The older era with a session, answered by JSON. */
const legacy: Answer = ({ verb, message: { id, method = '' } }, response) => {
  if (verb === 'DELETE') return void response.writeHead(200).end()
  if (id === undefined) return void response.writeHead(202).end()
  response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'session-1' })
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] }))
}

const refusing =
  (status: number, body = ''): Answer =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json', location: '/other' }).end(body)

async function check(t: TestContext, answer: Answer, settings: object = {}, limitMs = 5_000) {
  const { url, asked } = await serve(t, answer)
  const target = createTarget(await temporaryFolder(t))
  const probe = await openProbe(t, mcp, { url, ...settings }, target)
  return { result: await probe(AbortSignal.timeout(limitMs)), asked, target, probe }
}

describe('mcp over HTTP', () => {
  test('keeps to its session, sends its headers with each request, and says farewell', async (t) => {
    const headers = { authorization: 'Bearer secret-of-a-test' }
    const { result, asked } = await check(t, legacy, { headers, call: { name: 'look', expect: 'seen' } })
    assert.deepEqual(result, { kind: 'pass', note: 'web 3; 1 tool; look answered' })
    assert.deepEqual(
      asked.map(({ verb, message }) => message.method ?? verb),
      ['initialize', 'notifications/initialized', 'ping', 'tools/list', 'tools/call', 'DELETE'],
    )
    for (const [index, { headers: sent }] of asked.entries()) {
      assert.equal(sent.authorization, headers.authorization)
      assert.equal(sent['mcp-session-id'], index === 0 ? undefined : 'session-1')
      assert.equal(sent['mcp-protocol-version'], index === 0 ? undefined : '2025-06-18')
    }
  })

  test('reads answers out of streams of events, and answers what the server asks in them', async (t) => {
    const { result, asked } = await check(t, ({ verb, message: { id, method = '' } }, response) => {
      if (verb !== 'POST' || id === undefined || method === '') return void response.writeHead(202).end()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const asking = { jsonrpc: '2.0', id: 'mine', method: 'roots/list' }
      if (method === 'ping') response.write(`event: message\r\ndata: ${JSON.stringify(asking)}\r\n\r\n`)
      const text = JSON.stringify({ jsonrpc: '2.0', id, result: results[method] }, null, 1)
      // In pieces that end anywhere, over several data lines; the stream itself stays open.
      const event = `: keep-alive\n\n${text.replace(/^/gm, 'data: ')}\n\n`
      response.write(event.slice(0, 20))
      setImmediate(() => response.write(event.slice(20)))
    })
    assert.deepEqual(result, { kind: 'pass', note: 'web 3; 1 tool' })
    const back = asked.find(({ message }) => message.id === 'mine')
    assert.equal(back?.message.error?.code, -32601)
  })

  test('speaks the era without sessions: versions and methods in each body and header', async (t) => {
    const modern = { ...results, 'server/discover': { supportedVersions: ['2026-07-28'] } }
    const { result, asked, target } = await check(
      t,
      ({ message: { id, method = '', params } }, response) => {
        const isModern = params?._meta?.['io.modelcontextprotocol/protocolVersion'] === '2026-07-28'
        const error = { code: -32601, message: 'Method not found' }
        const body = isModern ? { result: modern[method as keyof typeof modern] } : { error }
        response.writeHead(isModern ? 200 : 404, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...body }))
      },
      { call: { name: 'look' } },
    )
    assert.deepEqual(result, { kind: 'pass', note: 'a server without a name; 1 tool; look answered' })
    assert.equal(target.memory.get('era'), 'modern')
    const spoken = asked.slice(1).map(({ headers }) => [headers['mcp-method'], headers['mcp-name']])
    assert.deepEqual(spoken, [
      ['server/discover', undefined],
      ['server/discover', undefined],
      ['tools/list', undefined],
      ['tools/call', 'look'],
    ])
    assert.ok(asked.slice(1).every(({ headers }) => headers['mcp-protocol-version'] === '2026-07-28'))
  })

  for (const status of [401, 403]) {
    test(`row: ${status} is an auth problem: readiness cannot tell, and it lives`, async (t) => {
      const reason = `auth problem (HTTP ${status})`
      assert.deepEqual((await check(t, refusing(status))).result, {
        kind: 'unknown',
        reason: `initialize: ${reason}`,
      })
      const life = await check(t, refusing(status, '{"jsonrpc":"2.0","id":1,"error":{}}'), { check: 'life' })
      assert.deepEqual(life.result, { kind: 'pass', note: reason })
    })
  }

  for (const status of [302, 404, 405, 500, 503]) {
    test(`row: ${status} is a failure, and nothing is followed`, async (t) => {
      const { result, asked } = await check(t, refusing(status))
      assert.equal(reasonOf(result), `initialize: HTTP ${status}`)
      assert.ok(asked.length <= 2 && asked.every(({ verb }) => verb === 'POST'))
    })
  }

  test('row: a refused connection is a failure', async (t) => {
    const { url } = await serve(t, legacy)
    const closed = await openProbe(t, mcp, { url: url.replace(/:\d+/, ':1') })
    assert.equal(reasonOf(await closed()), 'initialize: ECONNREFUSED')
  })

  test('fails with the words of a server that refuses both handshakes', async (t) => {
    const error = { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'No valid session' } }
    const { result } = await check(t, refusing(400, JSON.stringify(error)))
    assert.equal(reasonOf(result), 'initialize: No valid session (-32000)')
  })

  test('fails on what is no MCP', async (t) => {
    const { result } = await check(t, refusing(200, '<html>'))
    assert.equal(reasonOf(result), 'initialize: the answer is no JSON-RPC')
  })

  test('fails when it takes no notice of `initialized`', async (t) => {
    const { result } = await check(t, (asked, response) =>
      asked.message.id === undefined ? refusing(500)(asked, response) : legacy(asked, response),
    )
    assert.equal(reasonOf(result), 'initialize: HTTP 500')
  })

  test('fails in time on a server that is silent, with or without a begun answer', async (t) => {
    const mute = await check(t, () => undefined, {}, 300)
    assert.equal(reasonOf(mute.result), 'initialize: no answer in time')
    const begun = await check(
      t,
      (_, response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(),
      {},
      300,
    )
    assert.equal(reasonOf(begun.result), 'initialize: no answer in time')
  })

  test('ends its session also when its time is over', async (t) => {
    const { result, asked, probe } = await check(
      t,
      (request, response) => {
        if (request.message.method !== 'tools/list') legacy(request, response)
      },
      {},
      500,
    )
    assert.equal(reasonOf(result), 'tools/list: no answer in time')
    await probe(AbortSignal.abort())
    assert.ok(asked.some(({ verb }) => verb === 'DELETE'))
  })

  test('goes to no other machine', async (t) => {
    for (const url of [
      'http://192.168.0.1/mcp',
      'https://127.0.0.1/mcp',
      'http://127.0.0.1.example.org/mcp',
    ]) {
      await assert.rejects(openProbe(t, mcp, { url }), /of this machine/)
    }
  })
})
