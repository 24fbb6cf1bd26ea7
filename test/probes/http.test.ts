import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { http } from '../../probes/http.ts'
import { blockLoop, openProbe, reasonOf, settingsOf } from './target.ts'

async function serve(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const json =
  (status: number, body: unknown): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
    response.end(JSON.stringify(body))
  }

const READY = {
  path: '/readyz',
  contentType: 'application/json',
  body: [{ path: 'ready', equals: true }],
  show: 'failing',
}

test('http passes on status, content type, body values and text together', async (t) => {
  const port = await serve(t, json(200, { ready: true, failing: [], server: { version: '2026.9.6' } }))
  const body = [...READY.body, { path: 'server.version', matches: '^2026\\.' }]
  const check = await openProbe(t, http, { ...READY, port, body, text: '"failing":\\[\\]' })
  assert.deepEqual(await check(), { kind: 'pass', note: null })
  const byUrl = await openProbe(t, http, { url: `http://localhost:${port}/readyz` })
  assert.equal((await byUrl()).kind, 'pass')
})

test('http takes any status of a list', async (t) => {
  const port = await serve(t, (request, response) => {
    response.writeHead(Number(request.url?.slice(1))).end('CSRF Error')
  })
  const settings = { port, status: [200, 403], text: '^CSRF Error' }
  for (const path of ['/200', '/403']) {
    assert.equal((await (await openProbe(t, http, { ...settings, path }))()).kind, 'pass')
  }
  assert.equal(reasonOf(await (await openProbe(t, http, { ...settings, path: '/500' }))()), 'GET /500: 500')
})

test('http sends its headers, and none that would end the line', async (t) => {
  const port = await serve(t, (request, response) => {
    response.writeHead(request.headers['x-api-key'] === 'the key' ? 200 : 403).end()
  })
  const check = await openProbe(t, http, { port, headers: { 'X-API-Key': 'the key' } })
  assert.equal((await check()).kind, 'pass')
  await assert.rejects(openProbe(t, http, { port, headers: { 'X-Key': 'a\r\nX-Other: b' } }))
  await assert.rejects(openProbe(t, http, { port, headers: { 'X: y\r\nX-Other': 'b' } }))
  // What stands behind a reference is put in after the settings were read.
  const settings = settingsOf(http).parse({ port, headers: { 'X-API-Key': 'the key' } })
  const secret = { ...settings, headers: { 'X-API-Key': 'secret\nX-Other: b' } }
  await assert.rejects(http.open(secret, {} as never), {
    message: 'the header X-API-Key holds a control character',
  })
})

test('http uses a fresh connection for each check', async (t) => {
  const ports = new Set<number | undefined>()
  const port = await serve(t, (request, response) => {
    ports.add(request.socket.remotePort)
    response.end('ok')
  })
  const check = await openProbe(t, http, { port })
  for (const _ of [1, 2, 3]) await check()
  assert.equal(ports.size, 3)
})

test('http names the list that explains a failure', async (t) => {
  const port = await serve(t, json(503, { ready: false, failing: ['telegram', 'agent-database:main'] }))
  const check = await openProbe(t, http, { ...READY, port })
  const reason = 'GET /readyz: 503, failing: telegram, agent-database:main'
  assert.deepEqual(await check(), { kind: 'fail', reason, progress: false })
})

test('http fails when a list is not empty though all else is well', async (t) => {
  const port = await serve(t, json(200, { ready: true, suppressed: ['telegram'] }))
  const failIf = [{ path: 'suppressed', nonEmpty: true as const, reason: 'channels are suppressed' }]
  const check = await openProbe(t, http, { ...READY, port, failIf })
  assert.equal(reasonOf(await check()), 'GET /readyz: channels are suppressed: telegram')
})

test('http is not taken in by the page that a program shows on any path', async (t) => {
  const port = await serve(t, (_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<html>')
  })
  const typed = await openProbe(t, http, { ...READY, port })
  assert.equal(reasonOf(await typed()), 'GET /readyz: content type text/html, expected application/json')
  const untyped = await openProbe(t, http, { port, body: READY.body })
  assert.equal(reasonOf(await untyped()), 'GET /: ready is missing, expected true')
  const textual = await openProbe(t, http, { port, text: 'Ollama' })
  assert.equal(reasonOf(await textual()), 'GET /: the body does not match Ollama')
})

test('http says progress when the answer is the declared "not yet", and only then', async (t) => {
  let status = 'starting'
  const port = await serve(t, (request, response) => json(503, { status })(request, response))
  const progress = { status: 503, path: 'status', equals: 'starting' }
  const check = await openProbe(t, http, { port, path: '/startupz', progress, show: 'status' })
  assert.deepEqual(await check(), {
    kind: 'fail',
    reason: 'GET /startupz: 503, status: starting',
    progress: true,
  })
  status = 'draining'
  assert.deepEqual(await check(), {
    kind: 'fail',
    reason: 'GET /startupz: 503, status: draining',
    progress: false,
  })
})

test('http fails with the error code when nobody listens', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const check = await openProbe(t, http, { port, path: '/healthz' })
  assert.equal(reasonOf(await check()), 'GET /healthz: ECONNREFUSED')
})

test('http fails when no answer, or only half of one, comes in time', async (t) => {
  const silent = await serve(t, () => undefined)
  const check = await openProbe(t, http, { port: silent })
  assert.equal(reasonOf(await check(AbortSignal.timeout(150))), 'GET /: no answer in time')
  const half = await serve(t, (_request, response) => response.write('{"ok":'))
  const second = await openProbe(t, http, { port: half })
  assert.equal(reasonOf(await second(AbortSignal.timeout(150))), 'GET /: no answer in time')
})

test('http cannot tell when the prober itself was late', async (t) => {
  const port = await serve(t, () => undefined)
  const check = await openProbe(t, http, { port })
  const result = check(AbortSignal.timeout(200))
  setImmediate(() => blockLoop(1700))
  assert.deepEqual(await result, { kind: 'unknown', reason: 'the prober itself was late' })
})

test('http gives up on a body longer than 1 MiB', async (t) => {
  const port = await serve(t, (_request, response) => response.end('x'.repeat(1024 ** 2 + 1)))
  const check = await openProbe(t, http, { port })
  assert.equal(reasonOf(await check()), 'GET /: the body is longer than 1 MiB')
})

test('http refuses any address that is not this machine', () => {
  const settings = settingsOf(http)
  for (const url of [
    'http://example.com/',
    'http://10.0.0.1/',
    'https://127.0.0.1/',
    'http://127.0.0.1.example.com/',
    'x',
  ]) {
    assert.equal(settings.safeParse({ url }).success, false, url)
  }
  for (const url of ['http://127.0.0.1:1/', 'http://[::1]:1/', 'http://localhost/']) {
    assert.equal(settings.safeParse({ url }).success, true, url)
  }
})

test('http wants either a url or a port', async (t) => {
  await assert.rejects(openProbe(t, http, {}), /needs either url or port/)
})
