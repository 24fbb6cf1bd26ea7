import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { archiveName } from '../../probes/log-stream.ts'
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
    assert.deepEqual(end, { lines: ['a', 'b'], end: 4, openBytes: 0, by: 'nothing' })
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

/** A log of three parts, the first two of them rotated: numbered lines without times. */
async function rotated(t: TestContext): Promise<{ path: string; lines: string[]; lengths: number[] }> {
  const lines = Array.from({ length: 3_000 }, (_, index) => `line ${index} ${'ü'.repeat(40)}`)
  const parts = [0, 1000, 2000].map((from) => `${lines.slice(from, from + 1000).join('\n')}\n`)
  const lengths = parts.map((part) => Buffer.byteLength(part))
  const path = await logFile(t, parts[2]!)
  const [first = 0, second = 0] = lengths
  const folder = dirname(path)
  const at = Date.parse(instant(10))
  await writeFile(join(folder, archiveName(at, 0, first, 'log.gz')), gzipSync(parts[0]!))
  await writeFile(join(folder, archiveName(at + 60_000, first, first + second, 'log')), parts[1]!)
  return { path, lines, lengths }
}

describe('the end of a log that was rotated', () => {
  it('goes back into plain and compressed archives', async (t) => {
    const { path, lines } = await rotated(t)
    for (const count of [10, 1_500, 2_500, 9_999])
      assert.deepEqual((await readLogEnd(path, count, null))?.lines, lines.slice(-count))
  })

  it('since an instant goes by the marks of the supervisor where the lines have no times', async (t) => {
    const { path, lines, lengths } = await rotated(t)
    const position = lengths[0]! + Buffer.byteLength(`${lines.slice(1000, 1200).join('\n')}\n`)
    // In the middle of a line: all of it is shown.
    const marks = [
      [instant(10), lengths[0]! - 5],
      [instant(10), position + 20],
    ]
    const text = marks.map(([wall, at], index) => `${Date.parse(String(wall)) + index * 20_000} ${at}\n`)
    await writeFile(path.replace('.log', '.idx'), text.join(''))
    const since = async (seconds: number) => readLogEnd(path, 9_999, Date.parse(instant(10)) + seconds * 1000)
    assert.deepEqual((await since(25))?.lines, lines.slice(1200))
    assert.equal((await since(25))?.by, 'index')
    // An archive's name is a mark, too: its last byte was written by then.
    assert.deepEqual((await since(70))?.lines, lines.slice(2000))
    assert.deepEqual((await since(5))?.lines, lines.slice(1000))
    // Before all marks nothing is known, and nothing is left out.
    assert.deepEqual(await since(-60).then((end) => [end?.lines.length, end?.by]), [3000, 'nothing'])
  })

  it('since an instant goes by the times of the lines where they have them, after the index', async (t) => {
    const text = Array.from({ length: 9 }, (_, minute) => `${instant(minute)} line ${minute}\n`)
    const path = await logFile(t, text.join(''))
    await writeFile(path.replace('.log', '.idx'), `${Date.parse(instant(2))} ${text[0]!.length * 2}\n`)
    const end = await readLogEnd(path, 99, Date.parse(instant(4)))
    assert.deepEqual([end?.by, end?.lines], ['lines', text.slice(4).map((line) => line.trimEnd())])
  })

  it('says where a last line is not ended, so that who follows shows it in whole', async (t) => {
    const end = await readLogEnd(await logFile(t, 'a\nhalf'), 9, null)
    assert.deepEqual(end, { lines: ['a', 'half'], end: 6, openBytes: 4, by: 'lines' })
  })
})

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

  it('goes through rotations, however many, and what was compressed meanwhile', async (t) => {
    const path = await logFile(t, 'one\n')
    const until = follower(t, path, 0)
    await until('one\n')
    const folder = dirname(path)
    await appendFile(path, 'two\n')
    await rename(path, join(folder, archiveName(Date.now(), 0, 8, 'log')))
    await writeFile(path, 'three\n')
    await rename(path, `${path}.new`)
    await writeFile(join(folder, archiveName(Date.now(), 8, 14, 'log.gz')), gzipSync('three\n'))
    await writeFile(path, 'four\n')
    await until('one\ntwo\nthree\nfour\n')
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
