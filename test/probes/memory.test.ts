import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory } from '../../probes/memory.ts'
import { createTarget, openProbe, reasonOf, startProgram, temporaryFolder } from './target.ts'

test('memory passes below the limit and fails above it, with the figure', async (t) => {
  const child = await startProgram(t, [process.execPath, '-e', 'console.log(1); setInterval(() => {}, 1000)'])
  const target = createTarget(await temporaryFolder(t), { pid: child.pid! })
  const roomy = await openProbe(t, memory, { max: '4GiB' }, target)
  assert.equal((await roomy()).kind, 'pass')
  const tight = await openProbe(t, memory, { max: '5MiB' }, target)
  assert.match(reasonOf(await tight()), /^\d{2,} MiB in 1 process, allowed 5 MiB$/)
})

test('memory sums over the process tree', async (t) => {
  const script = 'console.log(1); setInterval(() => {}, 1000)'
  const [a, b] = await Promise.all([1, 2].map(() => startProgram(t, [process.execPath, '-e', script])))
  const folder = await temporaryFolder(t)
  const figure = async (pids: number[]) => {
    const check = await openProbe(
      t,
      memory,
      { max: '1B' },
      createTarget(folder, { tree: () => Promise.resolve(pids) }),
    )
    return Number.parseInt(reasonOf(await check()), 10)
  }
  assert.ok((await figure([a!.pid!, b!.pid!])) > (await figure([a!.pid!])) + 10)
})

test('memory cannot tell without a process', async (t) => {
  const check = await openProbe(t, memory, { max: '1GiB' })
  assert.deepEqual(await check(), { kind: 'unknown', reason: 'the service has no process' })
})

test('memory asks ps where there is no /proc', async (t) => {
  const real = process.platform
  Object.defineProperty(process, 'platform', { value: 'darwin' })
  t.after(() => Object.defineProperty(process, 'platform', { value: real }))
  const check = await openProbe(
    t,
    memory,
    { max: '1MiB' },
    createTarget(await temporaryFolder(t), { pid: process.pid }),
  )
  assert.match(reasonOf(await check()), /^\d{2,} MiB in 1 process, allowed 1 MiB$/)
})
