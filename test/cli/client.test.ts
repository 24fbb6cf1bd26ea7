import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { call, follow, isListening, request, socketPath } from '../../supervisor/cli/client.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function home(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'paios-client-'))
  await mkdir(join(path, 'run'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function served(t: TestContext, handler: Handler): Promise<string> {
  const path = await home(t)
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(socketPath(path), resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return path
}

describe('the client, against a real HTTP server on a Unix socket', () => {
  it('sends a body and gets status and body, letters outside ASCII whole', async (t) => {
    const path = await served(t, async (incoming, response) => {
      const body = JSON.parse(await text(incoming)) as { name: string }
      response.writeHead(202, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ got: body.name, method: incoming.method, url: incoming.url }))
    })
    const answer = await request(path, 'POST', '/start?x=1', { name: 'käse · ☃' })
    assert.equal(answer.status, 202)
    assert.deepEqual(JSON.parse(answer.body), { got: 'käse · ☃', method: 'POST', url: '/start?x=1' })
  })

  it('reads an answer that comes in pieces and without a length to its end', async (t) => {
    const long = 'ä'.repeat(300_000)
    const path = await served(t, (_incoming, response) => {
      response.write(long)
      setImmediate(() => response.end(long))
    })
    assert.equal((await request(path, 'GET', '/')).body.length, 600_000)
  })

  it("throws the supervisor's own error", async (t) => {
    const path = await served(t, (_incoming, response) => {
      response.writeHead(409)
      response.end(JSON.stringify({ error: { code: 'refused-dependents', message: 'web needs db' } }))
    })
    await assert.rejects(call(path, 'POST', '/stop', {}), {
      code: 'refused-dependents',
      message: 'web needs db',
      exitCode: 5,
    })
  })

  it('hands on NDJSON line by line while it comes', async (t) => {
    let release: () => unknown = assert.fail
    const path = await served(t, (_incoming, response) => {
      response.write('{"id":1}\n{"id"')
      release = () => response.end(':2}\n')
    })
    const lines: string[] = []
    await follow(path, '/events?follow=1', (line) => {
      lines.push(line)
      if (lines.length === 1) release()
    })
    assert.deepEqual(lines, ['{"id":1}', '{"id":2}'])
  })

  it('stops following when it is told to', async (t) => {
    const path = await served(t, (_incoming, response) => void response.write('{"id":1}\n'))
    const stop = new AbortController()
    await follow(path, '/events?follow=1', () => stop.abort(), stop.signal)
  })

  it('throws the error of a refused follow', async (t) => {
    const path = await served(t, (_incoming, response) => {
      response.writeHead(404)
      response.end(JSON.stringify({ error: { code: 'unknown-service', message: 'there is no kbb' } }))
    })
    await assert.rejects(follow(path, '/events', assert.fail), { code: 'unknown-service', exitCode: 2 })
  })

  it('says that the supervisor ended where an answer is cut short', async (t) => {
    const path = await served(t, (_incoming, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{')
      setImmediate(() => response.destroy())
    })
    await assert.rejects(request(path, 'GET', '/status'), { code: 'no-supervisor' })
  })

  it('says so where something else listens', async (t) => {
    const path = await home(t)
    const server = createSocketServer((socket) => socket.end('220 mail ready\r\n\r\n'))
    await new Promise<void>((resolve) => server.listen(socketPath(path), resolve))
    t.after(() => server.close())
    await assert.rejects(request(path, 'GET', '/status'), {
      code: 'internal',
      message: /does not speak HTTP/,
    })
  })
})

describe('without a server', () => {
  it('no socket means no supervisor, exit code 4', async (t) => {
    const path = await home(t)
    await assert.rejects(request(path, 'GET', '/status'), {
      code: 'no-supervisor',
      exitCode: 4,
      message: `no supervisor is running for ${path} (start it: paios up)`,
    })
    assert.equal(await isListening(path), false)
  })

  it('a path too long for a socket names the setting that shortens it', async () => {
    await assert.rejects(request(`/tmp/${'x'.repeat(200)}`, 'GET', '/status'), { message: /PAIOS_HOME/ })
  })
})

describe('a supervisor that answers nothing', () => {
  const limits = { patienceMs: 20, silentMs: 200 }

  it('is an error of its own, and no wait without end', async (t) => {
    const path = await home(t)
    const sockets = new Set<{ destroy(): void }>()
    const server = createSocketServer((socket) => void sockets.add(socket))
    await new Promise<void>((resolve) => server.listen(socketPath(path), resolve))
    t.after(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    await assert.rejects(request(path, 'GET', '/status', undefined, limits), {
      code: 'supervisor-silent',
      exitCode: 4,
      message: /answered nothing for \d+ s: paios runbook SupervisorStalled/,
    })
  })

  it('is none that takes its time for what was asked, as long as it answers at all', async (t) => {
    let asked = 0
    let answer: () => unknown = assert.fail
    const path = await served(t, (incoming, response) => {
      if (incoming.url !== '/version') {
        answer = () => response.end('{"ok":true}')
        return
      }
      response.end('{}')
      if (++asked === 15) answer()
    })
    // Fifteen questions beside it: longer than a silent one is waited for.
    assert.equal((await request(path, 'POST', '/restart', {}, limits)).body, '{"ok":true}')
    assert.equal(asked, 15)
  })
})
