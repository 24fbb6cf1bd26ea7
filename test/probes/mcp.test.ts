import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mcp } from '../../probes/mcp.ts'
import { createTarget, openProbe, reasonOf, requestOver, temporaryFolder } from './target.ts'

const MEMORY_SERVER = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-memory/dist/index.js'))

async function startServer(t: TestContext) {
  const folder = await temporaryFolder(t)
  const env = { PATH: process.env['PATH'], MEMORY_FILE_PATH: `${folder}/memory.json` }
  const child = spawn(process.execPath, [MEMORY_SERVER], { env, stdio: ['pipe', 'pipe', 'ignore'] })
  t.after(() => child.kill('SIGKILL'))
  return { child, target: createTarget(folder, { pid: child.pid!, request: requestOver(child) }) }
}

test('mcp passes on a real server and notes its name and version', async (t) => {
  const { target } = await startServer(t)
  const check = await openProbe(t, mcp, {}, target)
  const first = await check()
  assert.ok(first.kind === 'pass')
  assert.match(first.note ?? '', /^memory-server \d/)
  assert.deepEqual(await check(), first)
})

test('mcp initializes once and pings afterwards, until the generation changes', async (t) => {
  const { target } = await startServer(t)
  const methods: string[] = []
  const watched = {
    ...target,
    generation: 1,
    request: (message: { method: string }, signal: AbortSignal) => {
      methods.push(message.method)
      return target.request!(message, signal)
    },
  }
  const check = await openProbe(t, mcp, {}, watched)
  await check()
  await check()
  assert.deepEqual(methods, ['initialize', 'ping', 'ping'])
  watched.generation = 2
  await check()
  assert.deepEqual(methods.slice(3), ['initialize', 'ping'])
})

test('mcp fails when the server does not answer in time', async (t) => {
  const { child, target } = await startServer(t)
  const check = await openProbe(t, mcp, {}, target)
  assert.equal((await check()).kind, 'pass')
  child.kill('SIGSTOP')
  assert.equal(reasonOf(await check(AbortSignal.timeout(200))), 'ping: no answer in time')
})

test('mcp fails with the words of a server that refuses', async (t) => {
  const request = () => Promise.reject(new Error('Method not found'))
  const check = await openProbe(t, mcp, {}, createTarget(await temporaryFolder(t), { request }))
  assert.equal(reasonOf(await check()), 'initialize: Method not found')
})

test('mcp cannot tell where the supervisor owns no pipes', async (t) => {
  const check = await openProbe(t, mcp, {})
  assert.equal((await check()).kind, 'unknown')
})
