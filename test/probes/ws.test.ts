import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ws } from '../../probes/ws.ts'
import { type Send, serveGateway } from './gateway-server.ts'
import { blockLoop, openProbe, reasonOf, settingsOf } from './target.ts'

const TOKEN = 'gateway-secret-1234'
const CHALLENGE = { type: 'event', event: 'connect.challenge', payload: { nonce: 'n', ts: 1 } }
const HELLO = { type: 'hello-ok', protocol: 4, server: { version: '2026.9.6', bootId: 'b' } }

/** A gateway that answers well, with an event between, unless the step is overridden. */
function gateway(t: TestContext, overrides: Record<string, (id: string, send: Send) => void> = {}) {
  return serveGateway(t, [CHALLENGE], ({ id, method, params }, send) => {
    const override = overrides[method]
    if (override !== undefined) return override(id, send)
    if (method === 'connect') {
      assert.deepEqual(params['auth'], { token: TOKEN })
      send({ type: 'event', event: 'health', payload: { ok: true } })
      return send({ type: 'res', id, ok: true, payload: HELLO })
    }
    return send({ type: 'res', id, ok: true, payload: { ok: true, channels: {} } })
  })
}

const refuse = (error: object, close: number) => (id: string, send: Send) => {
  send({ type: 'res', id, ok: false, error })
  send(close)
}

test('ws passes after challenge, connect and health, events between', async (t) => {
  const { port } = await gateway(t)
  const check = await openProbe(t, ws, { port, token: TOKEN })
  assert.deepEqual(await check(), { kind: 'pass', note: null })
  assert.equal((await check()).kind, 'pass')
})

test('ws calls a gateway that is still starting progress', async (t) => {
  const starting = {
    code: 'UNAVAILABLE',
    message: 'gateway starting',
    details: { reason: 'startup-sidecars' },
  }
  const { port } = await gateway(t, { connect: refuse(starting, 1013) })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  const reason = 'connect: UNAVAILABLE startup-sidecars: gateway starting'
  assert.deepEqual(await check(), { kind: 'fail', reason, progress: true })
})

test('ws says that the token is refused, without the token', async (t) => {
  const mismatch = {
    code: 'INVALID_REQUEST',
    message: `bad ${TOKEN}`,
    details: { code: 'AUTH_TOKEN_MISMATCH' },
  }
  const { port } = await gateway(t, { connect: refuse(mismatch, 1008) })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  const reason = reasonOf(await check())
  assert.equal(
    reason,
    'connect: INVALID_REQUEST AUTH_TOKEN_MISMATCH: the gateway runs with another token: restart it, or put its own back',
  )
})

test('ws never repeats the token that a message quotes', async (t) => {
  const { port } = await gateway(t, { health: refuse({ code: 'X', message: `no ${TOKEN}` }, 1008) })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  assert.equal(reasonOf(await check()), 'health: X: no (token)')
})

test('ws explains a gateway that wants a paired device', async (t) => {
  const unpaired = { code: 'NOT_PAIRED', message: 'x', details: { code: 'DEVICE_IDENTITY_REQUIRED' } }
  const { port } = await gateway(t, { connect: refuse(unpaired, 1008) })
  const check = await openProbe(t, ws, { port })
  assert.match(
    reasonOf(await check()),
    /^connect: NOT_PAIRED DEVICE_IDENTITY_REQUIRED: the gateway asks for a device/,
  )
})

test('ws fails when health is not ok', async (t) => {
  const { port } = await gateway(t, {
    health: (id, send) => send({ type: 'res', id, ok: true, payload: { ok: false } }),
  })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  assert.equal(reasonOf(await check()), 'health: the answer is not ok')
})

test('ws asks for the channels where it is told to, and says what is wrong with them', async (t) => {
  const account = { enabled: true, configured: true, connected: false, lastError: 'getUpdates conflict' }
  const told = { ts: 1, channelAccounts: { telegram: [account] } }
  const { port } = await gateway(t, {
    'channels.status': (id, send) => send({ type: 'res', id, ok: true, payload: told }),
  })
  const plain = await openProbe(t, ws, { port, token: TOKEN })
  assert.equal((await plain()).kind, 'pass')
  const check = await openProbe(t, ws, { port, token: TOKEN, channels: true })
  assert.equal(reasonOf(await check()), 'telegram: another program uses the same token: stop that one')
  const well = await gateway(t)
  assert.equal(
    (await (await openProbe(t, ws, { port: well.port, token: TOKEN, channels: true }))()).kind,
    'pass',
  )
})

test('ws names the step that got no answer in time', async (t) => {
  const { port } = await gateway(t, { health: () => undefined })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  assert.equal(reasonOf(await check(AbortSignal.timeout(300))), 'health: no answer in time')
})

test('ws fails when the connection is closed early or refused', async (t) => {
  const closing = await gateway(t, { connect: (_id, send) => send(1011) })
  const check = await openProbe(t, ws, { port: closing.port, token: TOKEN })
  assert.equal(reasonOf(await check()), 'connect: closed with code 1011')
  const refused = await openProbe(t, ws, { url: 'ws://127.0.0.1:1' })
  assert.equal(reasonOf(await refused()), 'challenge: ECONNREFUSED')
})

test('ws cannot tell when the prober itself was late', async (t) => {
  const { port } = await gateway(t, { connect: () => undefined })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  const result = check(AbortSignal.timeout(200))
  setImmediate(() => blockLoop(1700))
  assert.deepEqual(await result, { kind: 'unknown', reason: 'the prober itself was late' })
})

test('ws refuses any address that is not this machine', () => {
  const settings = settingsOf(ws)
  assert.equal(settings.safeParse({ url: 'ws://example.com/' }).success, false)
  assert.equal(settings.safeParse({ url: 'ws://[::1]:1/' }).success, true)
})

test('ws leaves no connection behind, even to a gateway that hangs', async (t) => {
  const { port, sockets } = await gateway(t, { health: () => undefined })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  await check(AbortSignal.timeout(100))
  for (const socket of sockets) await once(socket, 'close')
  assert.equal(sockets.size, 0)
})

test('ws fails on a server that speaks no WebSocket', async (t) => {
  const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const check = await openProbe(t, ws, { port: (server.address() as AddressInfo).port })
  assert.equal(reasonOf(await check()), 'challenge: the answer is no WebSocket handshake: 200')
})

test('ws reads long messages that come in pieces', async (t) => {
  const methods = Array.from({ length: 20_000 }, (_, i) => `method.${i}`)
  const { port } = await gateway(t, {
    connect: (id, send) => send({ type: 'res', id, ok: true, payload: { ...HELLO, features: { methods } } }),
  })
  const check = await openProbe(t, ws, { port, token: TOKEN })
  assert.equal((await check()).kind, 'pass')
})
