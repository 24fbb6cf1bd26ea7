import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { port } from '../../probes/port.ts'
import { createTarget, openProbe, reasonOf, startProgram, temporaryFolder } from './target.ts'

/** A program with a title of its own that listens, and tells its port over a connection to this test. */
async function listener(t: TestContext, host: string) {
  const { promise, resolve } = Promise.withResolvers<number>()
  const server = createServer((socket) => socket.on('data', (text) => resolve(Number(text))))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const home = (server.address() as AddressInfo).port
  const script = `process.title = 'my-gateway'
    const net = require('node:net')
    const own = net.createServer().listen(0, '${host}', () => {
      console.log('up')
      net.connect(${home}, '127.0.0.1').end(String(own.address().port))
    })`
  const child = await startProgram(t, [process.execPath, '-e', script])
  return { pid: child.pid!, number: await promise }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: number } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return number
}

test('port is free when nobody listens, and then not ours', async (t) => {
  const number = await freePort()
  const free = await openProbe(t, port, { port: number, expect: 'free' })
  assert.deepEqual(await free(), { kind: 'pass', note: null })
  const ours = await openProbe(t, port, { port: number, expect: 'ours' })
  assert.equal(reasonOf(await ours()), `nobody listens on port ${number}`)
})

for (const host of ['127.0.0.1', '0.0.0.0', '::1', '::']) {
  test(`port names the stranger that listens on ${host}`, async (t) => {
    const { pid, number } = await listener(t, host)
    for (const expect of ['free', 'ours'] as const) {
      const check = await openProbe(t, port, { port: number, expect })
      assert.equal(reasonOf(await check()), `port ${number} is held by pid ${pid} (my-gateway)`)
    }
  })
}

test('port looks only at listeners that are in the way of the host', async (t) => {
  const { number } = await listener(t, '127.0.0.2')
  const other = await openProbe(t, port, { port: number, host: '127.0.0.1', expect: 'free' })
  assert.equal((await other()).kind, 'pass')
  const same = await openProbe(t, port, { port: number, host: '127.0.0.2', expect: 'free' })
  assert.equal((await same()).kind, 'fail')
  const all = await listener(t, '0.0.0.0')
  const wildcard = await openProbe(t, port, { port: all.number, host: '127.0.0.1', expect: 'free' })
  assert.equal((await wildcard()).kind, 'fail')
})

test('port passes when a process of the own tree listens', async (t) => {
  const { pid, number } = await listener(t, '127.0.0.1')
  const target = createTarget(await temporaryFolder(t), { pid })
  for (const expect of ['free', 'ours'] as const) {
    const check = await openProbe(t, port, { port: number, expect }, target)
    assert.deepEqual(await check(), { kind: 'pass', note: `held by our own pid ${pid}` })
  }
})

test('port sees a listener of this very process', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const check = await openProbe(t, port, { port: (server.address() as AddressInfo).port, expect: 'free' })
  assert.match(reasonOf(await check()), new RegExp(`is held by pid ${process.pid} `))
})

const hasLsof = spawnSync('lsof', ['-v']).error === undefined

test('port asks lsof where there is no /proc', { skip: !hasLsof && 'lsof is not installed' }, async (t) => {
  const real = process.platform
  const { pid, number } = await listener(t, '127.0.0.1')
  Object.defineProperty(process, 'platform', { value: 'darwin' })
  t.after(() => Object.defineProperty(process, 'platform', { value: real }))
  const free = await openProbe(t, port, { port: number, host: '127.0.0.1', expect: 'free' })
  assert.match(reasonOf(await free()), new RegExp(`^port ${number} is held by pid ${pid} \\(.+\\)$`))
  const ours = await openProbe(
    t,
    port,
    { port: number, expect: 'ours' },
    createTarget(await temporaryFolder(t), { pid }),
  )
  assert.equal((await ours()).kind, 'pass')
})
