import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { socket } from '../../probes/socket.ts'
import { openProbe, reasonOf, temporaryFolder } from './target.ts'

/** A Unix socket whose connections are handed over; its path. */
async function listen(t: TestContext, take: (connection: Socket) => void): Promise<string> {
  const path = join(await temporaryFolder(t), 's')
  const connections = new Set<Socket>()
  const server = createServer((connection) => {
    connections.add(connection.on('error', () => connection.destroy()))
    take(connection)
  })
  server.listen(path)
  await once(server, 'listening')
  t.after(() => {
    for (const connection of connections) connection.destroy()
    server.close()
  })
  return path
}

/** Answers each line with `answer`, and stays open. */
const answering = (answer: string) => (connection: Socket) => {
  connection.setEncoding('utf8').on('data', (line: string) => connection.write(answer.replace('?', line)))
}

test('socket passes when a connection opens, and sends nothing unless told', async (t) => {
  const sent: string[] = []
  const ended = Promise.withResolvers<void>()
  const path = await listen(t, (connection) => {
    connection.setEncoding('utf8').on('data', (text: string) => sent.push(text))
    connection.on('close', () => ended.resolve())
  })
  const check = await openProbe(t, socket, { path })
  assert.deepEqual(await check(), { kind: 'pass', note: null })
  await ended.promise
  assert.deepEqual(sent, [])
})

test('socket sends its line and judges the first line of the answer', async (t) => {
  const path = await listen(t, answering('got ?second line\n'))
  const good = await openProbe(t, socket, { path, send: 'hello', expect: '^got hello$' })
  assert.equal((await good()).kind, 'pass')
  assert.equal((await good()).kind, 'pass')
  const bad = await openProbe(t, socket, { path, send: 'hello', expect: 'second' })
  assert.equal(reasonOf(await bad()), `${path}: the answer does not match second`)
})

test('socket takes an answer without a line end when the other side closes', async (t) => {
  const path = await listen(t, (connection) => connection.once('data', () => connection.end('{"ok":true}')))
  const check = await openProbe(t, socket, { path, send: 'hello', expect: '"ok":true' })
  assert.equal((await check()).kind, 'pass')
})

test('socket fails when the other side closes without an answer', async (t) => {
  const path = await listen(t, (connection) => connection.once('data', () => connection.end()))
  const check = await openProbe(t, socket, { path, send: 'hello' })
  assert.equal(reasonOf(await check()), `${path}: closed without an answer`)
})

test('socket fails when no answer comes in time', async (t) => {
  const path = await listen(t, () => undefined)
  const check = await openProbe(t, socket, { path, send: 'hello' })
  assert.equal(reasonOf(await check(AbortSignal.timeout(50))), `${path}: no answer in time`)
})

test('socket gives up on an answer that does not end', async (t) => {
  const path = await listen(t, answering('x'.repeat(2 * 1024 ** 2)))
  const check = await openProbe(t, socket, { path, send: 'hello' })
  assert.equal(reasonOf(await check()), `${path}: the answer is longer than 1 MiB`)
})

test('socket tells a path that is not there from one that nobody listens on', async (t) => {
  const folder = await temporaryFolder(t)
  const gone = await openProbe(t, socket, { path: join(folder, 'gone') })
  assert.equal(reasonOf(await gone()), `${join(folder, 'gone')}: ENOENT`)
  writeFileSync(join(folder, 'file'), '')
  const file = await openProbe(t, socket, { path: join(folder, 'file') })
  assert.match(reasonOf(await file()), /: (ECONNREFUSED|ENOTSOCK)$/)
})

test('socket refuses more than one line', async (t) => {
  await assert.rejects(openProbe(t, socket, { path: '/x', send: 'a\nb' }), /must be one line/)
})
