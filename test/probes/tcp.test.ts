import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { tcp } from '../../probes/tcp.ts'
import { openProbe, reasonOf } from './target.ts'

async function listen(t: TestContext): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

test('tcp passes when a connection opens, and again at the next check', async (t) => {
  const check = await openProbe(t, tcp, { port: await listen(t) })
  assert.equal((await check()).kind, 'pass')
  assert.equal((await check()).kind, 'pass')
})

test('tcp fails with the error code when nobody listens', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const check = await openProbe(t, tcp, { port })
  assert.deepEqual(await check(), {
    kind: 'fail',
    reason: `127.0.0.1:${port}: ECONNREFUSED`,
    progress: false,
  })
})

test('tcp fails, and does not hang, when its time is over', async (t) => {
  const check = await openProbe(t, tcp, { port: await listen(t) })
  assert.match(reasonOf(await check(AbortSignal.abort())), /no connection in time$/)
})
