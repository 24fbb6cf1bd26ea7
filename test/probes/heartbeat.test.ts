import assert from 'node:assert/strict'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { heartbeat } from '../../probes/heartbeat.ts'
import { createTarget, openProbe, reasonOf, temporaryFolder } from './target.ts'

const AGO = (ms: number) => Date.now() - ms

test('heartbeat cannot tell without a process', async (t) => {
  const check = await openProbe(t, heartbeat, { within: '1m' })
  assert.equal(reasonOf(await check()), 'the service has no process')
})

test('heartbeat counts from the start of the generation until the first beat', async (t) => {
  const folder = await temporaryFolder(t)
  const young = createTarget(folder, { pid: process.pid, startedAtMs: AGO(1_000) })
  assert.equal((await (await openProbe(t, heartbeat, { within: '1m' }, young))()).kind, 'pass')
  const old = createTarget(folder, { pid: process.pid, startedAtMs: AGO(120_000) })
  const check = await openProbe(t, heartbeat, { within: '1m' }, old)
  assert.equal(reasonOf(await check()), 'no beat since its start, expected one within 1m')
})

test('heartbeat passes after a beat, and fails when the last one is too old', async (t) => {
  const folder = await temporaryFolder(t)
  const target = createTarget(folder, { pid: process.pid, startedAtMs: AGO(3_600_000) })
  const check = await openProbe(t, heartbeat, { within: '1m' }, target)
  await writeFile(target.heartbeatPath, '')
  assert.deepEqual(await check(), { kind: 'pass', note: null })
  const then = new Date(AGO(90_000))
  await utimes(target.heartbeatPath, then, then)
  const date = then.toISOString().slice(0, 16).replace('T', ' ')
  assert.equal(reasonOf(await check()), `no beat since ${date} UTC, expected one within 1m`)
})

test('heartbeat of an earlier generation does not count for this one', async (t) => {
  const folder = await temporaryFolder(t)
  const target = createTarget(folder, { pid: process.pid, startedAtMs: AGO(120_000) })
  await writeFile(target.heartbeatPath, '')
  const before = new Date(AGO(130_000))
  await utimes(target.heartbeatPath, before, before)
  const check = await openProbe(t, heartbeat, { within: '1m' }, target)
  assert.equal(reasonOf(await check()), 'no beat since its start, expected one within 1m')
})

test('heartbeat cannot tell if the file cannot be looked at', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(`${folder}/beats`)
  await writeFile(`${folder}/beats/file`, '')
  const heartbeatPath = `${folder}/beats/file/beat`
  const target = createTarget(folder, { pid: process.pid, startedAtMs: AGO(0), heartbeatPath })
  const check = await openProbe(t, heartbeat, { within: '1m' }, target)
  assert.match(reasonOf(await check()), /cannot be looked at: ENOTDIR$/)
})
