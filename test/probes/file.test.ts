import assert from 'node:assert/strict'
import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { file } from '../../probes/file.ts'
import { openProbe, reasonOf, startProgram, temporaryFolder } from './target.ts'

test('file passes for what is there, a folder and a link included, and fails for what is not', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(`${folder}/a`, '')
  await symlink(`${folder}/a`, `${folder}/link`)
  for (const path of [folder, `${folder}/a`, `${folder}/link`])
    assert.deepEqual(await (await openProbe(t, file, { path }))(), { kind: 'pass', note: null })
  for (const path of [`${folder}/b`, `${folder}/a/b`]) {
    const check = await openProbe(t, file, { path })
    assert.equal(reasonOf(await check()), `${path} does not exist`)
  }
})

test('file that must not exist fails while it does', async (t) => {
  const folder = await temporaryFolder(t)
  const path = `${folder}/stop`
  const check = await openProbe(t, file, { path, exists: false })
  assert.equal((await check()).kind, 'pass')
  await writeFile(path, '')
  assert.equal(reasonOf(await check()), `${path} exists`)
})

test('file tells age, size and mode at once', async (t) => {
  const folder = await temporaryFolder(t)
  const path = `${folder}/backup`
  await writeFile(path, 'x'.repeat(100), { mode: 0o644 })
  await chmod(path, 0o644)
  const then = new Date('2026-01-02T03:04:05Z')
  await utimes(path, then, then)
  const settings = { path, maxAge: '36h', minSize: '1KiB', mode: '0600' }
  const check = await openProbe(t, file, settings)
  const reason =
    `${path} last changed 2026-01-02 03:04 UTC, allowed age 36h; has 100 B, needs 1.0 KiB; ` +
    'mode 0644, must be 0600'
  assert.equal(reasonOf(await check()), reason)
  await writeFile(path, 'x'.repeat(2000))
  await chmod(path, 0o600)
  assert.equal((await check()).kind, 'pass')
  const smaller = await openProbe(t, file, { path, maxSize: '1KiB' })
  assert.equal(reasonOf(await smaller()), `${path} has 2.0 KiB, allowed 1.0 KiB`)
})

test('file matches a line within the last 64 KiB only', async (t) => {
  const folder = await temporaryFolder(t)
  const path = `${folder}/job.log`
  const check = await openProbe(t, file, { path, matches: '^posted \\d+$' })
  await writeFile(path, `started\nposted 12\n${'.'.repeat(60_000)}\n`)
  assert.equal((await check()).kind, 'pass')
  await writeFile(path, `posted 12\n${'.'.repeat(70_000)}\n`)
  assert.equal(reasonOf(await check()), `${path} does not match ^posted \\d+$`)
})

test('file counts the entries of a folder', async (t) => {
  const folder = await temporaryFolder(t)
  const path = `${folder}/inbox`
  await mkdir(path)
  const check = await openProbe(t, file, { path, fewerThan: 2 })
  await writeFile(`${path}/.one`, '')
  assert.equal((await check()).kind, 'pass')
  await writeFile(`${path}/two`, '')
  assert.equal(reasonOf(await check()), `${path} has 2 entries, fewer than 2 are allowed`)
  const wrong = await openProbe(t, file, { path: `${path}/two`, fewerThan: 2 })
  assert.equal(reasonOf(await wrong()), `${path}/two is not a folder`)
})

test('file does not open a pipe, which could wait for ever', async (t) => {
  const folder = await temporaryFolder(t)
  await startProgram(t, ['sh', '-c', 'mkfifo "$0/pipe"; echo made; sleep 60', folder])
  const check = await openProbe(t, file, { path: `${folder}/pipe`, matches: 'x' })
  assert.equal(reasonOf(await check()), `${folder}/pipe is not a regular file`)
})
