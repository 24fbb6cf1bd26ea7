import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { lock } from '../../probes/lock.ts'
import { createTarget, openProbe, reasonOf, startProgram, temporaryFolder } from './target.ts'

const IDLE = [process.execPath, '-e', 'console.log(1); setInterval(() => {}, 1000)']

test('lock is free when there is no file, also behind a star', async (t) => {
  const folder = await temporaryFolder(t)
  for (const file of [`${folder}/a.lock`, `${folder}/*/gateway.*.lock`]) {
    const check = await openProbe(t, lock, { file })
    assert.deepEqual(await check(), { kind: 'pass', note: null })
  }
})

test('lock fails on a living stranger and names pid and program', async (t) => {
  const folder = await temporaryFolder(t)
  const { pid } = await startProgram(t, IDLE)
  await mkdir(`${folder}/openclaw-0`)
  await writeFile(`${folder}/openclaw-0/gateway.1a2b.lock`, JSON.stringify({ pid, startTime: 12 }))
  const check = await openProbe(t, lock, { file: `${folder}/openclaw-*/gateway.*.lock` })
  assert.match(reasonOf(await check()), new RegExp(`gateway.1a2b.lock is held by pid ${pid} \\(node\\)$`))
})

test('lock passes when a process of the own tree holds it', async (t) => {
  const folder = await temporaryFolder(t)
  const { pid } = await startProgram(t, IDLE)
  await writeFile(`${folder}/a.lock`, JSON.stringify({ owner: { id: pid } }))
  const target = createTarget(folder, { pid: pid! })
  for (const expect of ['free', 'ours'] as const) {
    const check = await openProbe(t, lock, { file: `${folder}/a.lock`, pidField: 'owner.id', expect }, target)
    assert.deepEqual(await check(), { kind: 'pass', note: `held by our own pid ${pid}` })
  }
})

test('lock of a dead process is free, and said to be stale', async (t) => {
  const folder = await temporaryFolder(t)
  const child = await startProgram(t, [process.execPath, '-e', 'console.log(1)'])
  if (child.exitCode === null) await once(child, 'exit')
  await writeFile(`${folder}/a.lock`, JSON.stringify({ pid: child.pid }))
  const check = await openProbe(t, lock, { file: `${folder}/a.lock` })
  const result = await check()
  assert.ok(result.kind === 'pass')
  assert.match(result.note ?? '', /^stale lock .*a\.lock of pid \d+, which is gone$/)
  const ours = await openProbe(t, lock, { file: `${folder}/a.lock`, expect: 'ours' })
  assert.match(reasonOf(await ours()), /^stale lock/)
})

test('lock cannot tell from a file that names no pid', async (t) => {
  const folder = await temporaryFolder(t)
  for (const text of ['', 'not json', '{}', '{"pid":"12"}', '{"pid":-1}']) {
    await writeFile(`${folder}/a.lock`, text)
    const check = await openProbe(t, lock, { file: `${folder}/a.lock` })
    assert.equal((await check()).kind, 'unknown', text)
  }
})
