import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { openPipes } from '../../supervisor/shell/pipes.ts'
import { temporaryFolder } from '../probes/target.ts'

async function open(t: TestContext, log = join('log')) {
  const folder = await temporaryFolder(t)
  const stdin = new PassThrough()
  const stdout = new PassThrough()
  const logPath = join(folder, log)
  const written: unknown[] = []
  stdin.on('data', (chunk) => written.push(JSON.parse(String(chunk))))
  const say = (message: object) => stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  return { stdin, stdout, say, written, logPath, ...openPipes(stdin, stdout, logPath) }
}

const soon = () => AbortSignal.timeout(5_000)

describe('owned pipes', () => {
  test('give each answer to who asked, whatever the order', async (t) => {
    const { exchange, say, written } = await open(t)
    const [one, two] = [
      exchange.request({ method: 'a' }, soon()),
      exchange.request({ method: 'b', params: { x: 1 } }, soon()),
    ]
    say({ id: 2, result: 'second' })
    say({ id: 1, error: { code: -32601, message: 'Method not found' } })
    assert.equal(await two, 'second')
    await assert.rejects(one, { name: 'RpcError', code: -32601, message: 'Method not found (-32601)' })
    assert.deepEqual(written, [
      { jsonrpc: '2.0', id: 1, method: 'a' },
      { jsonrpc: '2.0', id: 2, method: 'b', params: { x: 1 } },
    ])
  })

  test('keep what is no JSON-RPC in the log, count it, and remember the first line', async (t) => {
    const { exchange, stdout, say, logPath } = await open(t)
    stdout.write('starting\n[1]\n{"level":30}\n\n')
    const answer = exchange.request({ method: 'a' }, soon())
    say({ id: 1, result: null })
    assert.equal(await answer, null)
    assert.deepEqual(exchange.noise(), { count: 3, first: 'starting' })
    assert.equal(readFileSync(logPath, 'utf8'), 'starting\n[1]\n{"level":30}\n')
  })

  test('read on where the log cannot be written', async (t) => {
    const { exchange, stdout, say } = await open(t, 'no/such/folder/log')
    stdout.write('starting\n')
    const answer = exchange.request({ method: 'a' }, soon())
    say({ id: 1, result: 1 })
    assert.equal(await answer, 1)
  })

  test('answer what the server asks as a client that offers nothing', async (t) => {
    const { exchange, say, written } = await open(t)
    say({ id: 'p', method: 'ping' })
    say({ id: 'r', method: 'roots/list' })
    say({ method: 'notifications/progress' })
    const answer = exchange.request({ method: 'a' }, soon())
    say({ id: 1, result: 1 })
    await answer
    assert.deepEqual(written.slice(0, 2), [
      { jsonrpc: '2.0', id: 'p', result: {} },
      { jsonrpc: '2.0', id: 'r', error: { code: -32601, message: 'Method not found' } },
    ])
    assert.equal(written.length, 3)
  })

  test('count an answer that comes too late, and know what still runs', async (t) => {
    const { exchange, say } = await open(t)
    await assert.rejects(exchange.request({ method: 'slow' }, AbortSignal.abort()), /no answer in time/)
    assert.equal(exchange.answers(), 0)
    assert.ok(exchange.silentMs('slow') !== null && exchange.silentMs('other') === null)
    const answer = exchange.request({ method: 'quick' }, soon())
    say({ id: 1, result: 1 })
    say({ id: 2, result: 2 })
    assert.equal(await answer, 2)
    assert.equal(exchange.answers(), 2)
    assert.equal(exchange.silentMs('slow'), null)
  })

  test('reject what is asked after their end, and what waited for it, and throw nothing', async (t) => {
    const { exchange, end, stdout } = await open(t)
    const waiting = exchange.request({ method: 'a' }, soon())
    end()
    end()
    exchange.notify({ method: 'b' })
    await assert.rejects(exchange.request({ method: 'c' }, soon()), /reads nothing any more/)
    stdout.destroy()
    await assert.rejects(waiting, /the server closed its output/)
    await assert.rejects(exchange.request({ method: 'd' }, soon()), /the server closed its output/)
  })
})
