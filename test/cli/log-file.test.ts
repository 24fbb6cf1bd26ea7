import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { followLog, readLogEnd } from '../../supervisor/cli/log-file.ts'

async function logFile(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'paios-log-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'current.log')
  await writeFile(path, text)
  return path
}

const instant = (minute: number) => `2026-11-20T12:${String(minute).padStart(2, '0')}:00Z`

describe('the end of a log', () => {
  it('is its last lines, also where they are far from its end and the last one is not ended', async (t) => {
    const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index} ${'ü'.repeat(60)}`)
    const path = await logFile(t, lines.join('\n'))
    const end = await readLogEnd(path, 3_000, null)
    assert.deepEqual(end?.lines, lines.slice(2_000))
  })

  it('holds no line for a count of 0', async (t) => {
    assert.deepEqual((await readLogEnd(await logFile(t, 'a\nb\n'), 0, null))?.lines, [])
  })

  it('since an instant goes by the times of the lines, and undated ones belong to the one before', async (t) => {
    const path = await logFile(
      t,
      `${instant(1)} a\n  trace of a\n${instant(5)} b\n  trace of b\n${instant(6)} c\n`,
    )
    const end = await readLogEnd(path, 10, Date.parse(instant(4)))
    assert.deepEqual(end?.lines, [`${instant(5)} b`, '  trace of b', `${instant(6)} c`])
  })

  it('says where no line bears a time, and leaves nothing out then', async (t) => {
    const end = await readLogEnd(await logFile(t, 'a\nb\n'), 10, 0)
    assert.deepEqual(end, { lines: ['a', 'b'], endBytes: 4, dated: false })
  })

  it('is null for a file that is not there', async () => {
    assert.equal(await readLogEnd('/nowhere/current.log', 10, null), null)
  })
})

/** Follows a file and hands out what came, once `wanted` has come in whole. */
function follower(t: TestContext, path: string, from: number) {
  const stop = new AbortController()
  let seen = ''
  let check: () => void = () => undefined
  const done = followLog(
    path,
    from,
    (bytes) => {
      seen += Buffer.from(bytes).toString()
      check()
    },
    stop.signal,
  )
  t.after(async () => {
    stop.abort()
    await done
  })
  return (wanted: string) =>
    new Promise<void>((resolve) => {
      check = () => seen === wanted && resolve()
      check()
    })
}

describe('following a log', () => {
  it('begins where it is told to and goes on as the file grows', async (t) => {
    const path = await logFile(t, 'old\n')
    const until = follower(t, path, 4)
    await appendFile(path, 'new\n')
    await until('new\n')
    await appendFile(path, 'newer\n')
    await until('new\nnewer\n')
  })

  it('goes on in the new file after a rotation by rename', async (t) => {
    const path = await logFile(t, 'old\n')
    const until = follower(t, path, 0)
    await until('old\n')
    await rename(path, `${path}.1`)
    await appendFile(`${path}.1`, 'late\n')
    await until('old\nlate\n')
    await writeFile(path, 'new\n')
    await until('old\nlate\nnew\n')
  })

  it('begins again in a file that was cut short', async (t) => {
    const path = await logFile(t, 'a long old line\n')
    const until = follower(t, path, 0)
    await until('a long old line\n')
    await truncate(path, 0)
    await appendFile(path, 'new\n')
    await until('a long old line\nnew\n')
  })
})
