import assert from 'node:assert/strict'
import { appendFile, rename, truncate, utimes, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { log } from '../../probes/log.ts'
import { archiveName } from '../../probes/log-stream.ts'
import { createTarget, openProbe, reasonOf, temporaryFolder } from './target.ts'

async function logFile(t: TestContext, text: string) {
  const folder = await temporaryFolder(t)
  const path = `${folder}/current.log`
  await writeFile(path, text)
  return { path, target: createTarget(folder, { logPath: path, logOffset: 0 }) }
}

/** Makes the file look as if it was last written so long ago. */
async function age(path: string, ms: number): Promise<void> {
  const at = new Date(Date.now() - ms)
  await utimes(path, at, at)
}

test('log fails with the line, without colours, and goes on failing', async (t) => {
  const { path, target } = await logFile(t, 'start\n')
  const check = await openProbe(t, log, { pattern: 'database is locked' }, target)
  assert.equal((await check()).kind, 'pass')
  await appendFile(path, '\u001b[31merror:\u001b[0m database is locked\nnext\n')
  assert.equal(reasonOf(await check()), 'error: database is locked')
  assert.equal(reasonOf(await check()), 'error: database is locked')
})

test('log says the declared reason in place of the line', async (t) => {
  const { target } = await logFile(t, 'error: database is locked\n')
  const check = await openProbe(
    t,
    log,
    { pattern: 'database is locked', reason: 'somebody holds a lock' },
    target,
  )
  assert.equal(reasonOf(await check()), 'somebody holds a lock')
})

test('log cuts a long line', async (t) => {
  const { target } = await logFile(t, `boom ${'x'.repeat(10_000)}\n`)
  const check = await openProbe(t, log, { pattern: '^boom' }, target)
  assert.equal(reasonOf(await check()).length, 200)
})

test('log ends the failure at a clearing line, or after a while', async (t) => {
  const { path, target } = await logFile(t, 'link down\n')
  const byLine = await openProbe(t, log, { pattern: 'link down', clearPattern: 'link up' }, target)
  assert.equal((await byLine()).kind, 'fail')
  await appendFile(path, 'link up\n')
  assert.equal((await byLine()).kind, 'pass')
  await age(path, 61_000)
  const byTime = await openProbe(t, log, { pattern: 'link down', clearAfter: '1m' }, target)
  assert.equal((await byTime()).kind, 'pass')
})

test('log reads only what this generation wrote', async (t) => {
  const { path, target } = await logFile(t, 'panic\nfresh\n')
  const live = { ...target, logOffset: 6 }
  const check = await openProbe(t, log, { pattern: 'panic' }, live)
  assert.equal((await check()).kind, 'pass')
  await appendFile(path, 'panic\n')
  assert.equal((await check()).kind, 'fail')
  live.generation = 2
  live.logOffset = 18
  await appendFile(path, 'fine\n')
  assert.equal((await check()).kind, 'pass')
})

test('log joins a line that was written in two pieces, inside a character too', async (t) => {
  const { path, target } = await logFile(t, '')
  const check = await openProbe(t, log, { pattern: '^grün$' }, target)
  const bytes = Buffer.from('grün\n')
  await appendFile(path, bytes.subarray(0, 3))
  assert.equal((await check()).kind, 'pass')
  await appendFile(path, bytes.subarray(3))
  assert.equal((await check()).kind, 'fail')
})

test('log survives truncation and a new file of the same name', async (t) => {
  const { path, target } = await logFile(t, 'a long first line\n')
  const check = await openProbe(t, log, { pattern: 'panic', clearPattern: 'ok' }, target)
  assert.equal((await check()).kind, 'pass')
  await truncate(path)
  await appendFile(path, 'panic\n')
  assert.equal((await check()).kind, 'fail')
  await rename(path, `${path}.1`)
  await writeFile(path, 'everything is ok again\n')
  assert.equal((await check()).kind, 'pass')
})

test('log misses no line of what was rotated between two checks, compressed or not', async (t) => {
  const { path, target } = await logFile(t, 'a first line\n')
  const check = await openProbe(t, log, { pattern: 'panic', clearPattern: 'ok' }, target)
  assert.equal((await check()).kind, 'pass')
  await writeFile(
    `${dirname(path)}/${archiveName(Date.now(), 0, 19, 'log.gz')}`,
    gzipSync('a first line\npanic\n'),
  )
  await writeFile(`${dirname(path)}/${archiveName(Date.now(), 19, 23, 'log')}`, 'half')
  await truncate(path)
  await appendFile(path, ' a line\n')
  assert.equal(reasonOf(await check()), 'panic')
  await appendFile(path, 'ok\n')
  assert.equal((await check()).kind, 'pass')
})

test('log with expect present fails until the line comes, and when it is too old', async (t) => {
  const { path, target } = await logFile(t, 'starting\n')
  const check = await openProbe(t, log, { pattern: 'listening', expect: 'present', within: '1m' }, target)
  assert.equal(reasonOf(await check()), 'no line matches listening')
  await appendFile(path, 'listening on 1\n')
  assert.deepEqual(await check(), { kind: 'pass', note: 'listening on 1' })
  await age(path, 90_000)
  const later = await openProbe(t, log, { pattern: 'listening', expect: 'present', within: '1m' }, target)
  assert.equal(reasonOf(await later()), 'no line matched listening for 90 s')
})

test('log fails on silence, but not before a new process could write', async (t) => {
  const { path, target } = await logFile(t, 'hello\n')
  await age(path, 400_000)
  const check = await openProbe(t, log, { silence: '5m' }, target)
  assert.equal(reasonOf(await check()), 'nothing was logged for 400 s')
  const young = await openProbe(t, log, { silence: '5m' }, { ...target, startedAtMs: Date.now() - 1000 })
  assert.equal((await young()).kind, 'pass')
  await appendFile(path, 'still here\n')
  assert.equal((await check()).kind, 'pass')
})

test('log cannot tell without a file, and refuses to watch for nothing', async (t) => {
  const without = await openProbe(t, log, { pattern: 'x' })
  assert.deepEqual(await without(), { kind: 'unknown', reason: 'the service has no log file' })
  const folder = await temporaryFolder(t)
  const gone = await openProbe(
    t,
    log,
    { pattern: 'x' },
    createTarget(folder, { logPath: `${folder}/none.log` }),
  )
  assert.equal((await gone()).kind, 'unknown')
  await assert.rejects(openProbe(t, log, {}), /needs pattern or silence/)
})
