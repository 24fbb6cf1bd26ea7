import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { disk } from '../../probes/disk.ts'
import { openProbe, reasonOf, temporaryFolder } from './target.ts'

test('disk passes while bytes, percent and files are enough', async (t) => {
  const path = await temporaryFolder(t)
  const check = await openProbe(t, disk, { path, free: '1KiB', freePercent: 0.001, inodes: 1 })
  assert.deepEqual(await check(), { kind: 'pass', note: null })
})

test('disk fails for each limit, and says what is left', async (t) => {
  const path = await temporaryFolder(t)
  const free = await openProbe(t, disk, { path, free: '99999999GiB' })
  assert.match(reasonOf(await free()), /^the disk of \S+ has [\d.]+ [KMGT]iB \(\d+ %\) left, needs \d+ TiB$/)
  const percent = await openProbe(t, disk, { path, freePercent: 100 })
  assert.match(reasonOf(await percent()), /\(\d+ %\) left, needs 100 %$/)
  const inodes = await openProbe(t, disk, { path, inodes: Number.MAX_SAFE_INTEGER })
  const result = await inodes()
  // A file system that does not count its files passes.
  if (result.kind !== 'pass') assert.match(reasonOf(result), /has room for \d+ more files, needs \d+$/)
})

test('disk of a path that is not there, such as an unmounted one, fails', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(`${folder}/a`, '')
  for (const path of [`${folder}/none`, `${folder}/a/b`]) {
    const check = await openProbe(t, disk, { path, free: '1B' })
    assert.equal(reasonOf(await check()), `${path} does not exist`)
  }
})

test('disk without a limit cannot be opened', async (t) => {
  await assert.rejects(openProbe(t, disk, { path: '/' }), /needs free, freePercent or inodes/)
})
