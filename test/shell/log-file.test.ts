import assert from 'node:assert/strict'
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { archiveName } from '../../probes/log-stream.ts'
import { logPathOf, openLog, readTail, TAIL_BYTES, watchForLine } from '../../supervisor/shell/log-file.ts'
import { readMarks } from '../../supervisor/shell/log-index.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync('/tmp/pf-')
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** A log with this text in it. */
function logOf(t: TestContext, text: string): string {
  const path = join(folderOf(t), 'current.log')
  writeFileSync(path, text)
  return path
}

/** A watch, and a promise of its line. */
function watch(t: TestContext, path: string, pattern: string) {
  const { promise, resolve } = Promise.withResolvers<void>()
  let count = 0
  const end = watchForLine(path, pattern, () => {
    count++
    resolve()
  })
  t.after(end)
  return { promise, end, count: () => count }
}

/** Resolves once every watch that was begun before has looked at the file again. */
async function looked(t: TestContext, path: string): Promise<void> {
  const later = watch(t, path, 'a mark of the test')
  appendFileSync(path, 'a mark of the test\n')
  await later.promise
}

describe('opening a log', { timeout: 20_000 }, () => {
  it('makes the file and its folder for the owner alone, and appends to what is there', (t) => {
    const logs = folderOf(t)
    const first = openLog(logs, 'kb')
    const path = logPathOf(logs, 'kb')
    assert.equal(path, join(logs, 'kb', 'current.log'))
    assert.equal(first.offset, 0)
    assert.deepEqual(
      readMarks(path).map(({ position }) => position),
      [0],
    )
    writeSync(first.fd, 'one\n')
    closeSync(first.fd)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(join(logs, 'kb')).mode & 0o777, 0o700)
    const second = openLog(logs, 'kb')
    assert.equal(second.offset, 4)
    truncateSync(path, 0)
    writeSync(second.fd, 'two\n')
    closeSync(second.fd)
    assert.equal(readFileSync(path, 'utf8'), 'two\n')
  })

  it('counts from the first byte of the stream on, also what was rotated', (t) => {
    const logs = folderOf(t)
    closeSync(openLog(logs, 'kb').fd)
    writeFileSync(logPathOf(logs, 'kb'), 'four')
    writeFileSync(join(logs, 'kb', archiveName(Date.now(), 100, 200, 'gone')), '')
    const { fd, offset } = openLog(logs, 'kb')
    closeSync(fd)
    assert.equal(offset, 204)
  })

  it('makes the folder again if somebody has removed it', (t) => {
    const logs = folderOf(t)
    closeSync(openLog(logs, 'kb').fd)
    rmSync(join(logs, 'kb'), { recursive: true })
    closeSync(openLog(logs, 'kb').fd)
    assert.equal(statSync(logPathOf(logs, 'kb')).size, 0)
  })
})

describe('the tail of a log', { timeout: 20_000 }, () => {
  it('is what was written since the offset', (t) => {
    const path = logOf(t, 'old\nnew äöü\n')
    assert.equal(readTail(path, 4), 'new äöü\n')
    assert.equal(readTail(path, 0), 'old\nnew äöü\n')
    assert.equal(readTail(path, statSync(path).size), '')
  })

  it('is at most 64 KiB', (t) => {
    const path = logOf(t, `${'x'.repeat(100_000)}END`)
    const tail = readTail(path, 0)
    assert.equal(tail.length, TAIL_BYTES)
    assert.ok(tail.endsWith('xEND'))
  })

  it('goes back into what was rotated since the offset, and into a compressed archive that is small', (t) => {
    const path = logOf(t, 'third\n')
    const archive = (start: number, end: number, form: 'log' | 'log.gz') =>
      join(path, '..', archiveName(Date.now(), start, end, form))
    writeFileSync(archive(0, 6, 'log.gz'), gzipSync('first\n'))
    writeFileSync(archive(6, 13, 'log'), 'second\n')
    assert.equal(readTail(path, 0), 'first\nsecond\nthird\n')
    assert.equal(readTail(path, 8), 'cond\nthird\n')
    assert.equal(readTail(path, 13), 'third\n')
    assert.equal(readTail(path, 16), 'rd\n')
    writeFileSync(path, 'x'.repeat(TAIL_BYTES - 3))
    assert.equal(readTail(path, 0), `nd\n${'x'.repeat(TAIL_BYTES - 3)}`)
  })

  it('is all of a file that was truncated since, and nothing where there is none', (t) => {
    const path = logOf(t, 'a long line of an earlier life\n')
    const offset = statSync(path).size
    writeFileSync(path, 'after\n')
    assert.equal(readTail(path, offset), 'after\n')
    assert.equal(readTail(join(path, '..', 'nothing'), 0), '')
  })
})

describe('watching a log for a line', { timeout: 20_000 }, () => {
  it('sees it once, and only if it is written from now on', async (t) => {
    const path = logOf(t, 'drained\n')
    const early = watch(t, path, '^drained$')
    await looked(t, path)
    assert.equal(early.count(), 0)
    appendFileSync(path, 'drained\n')
    await early.promise
    appendFileSync(path, 'drained\n')
    await looked(t, path)
    assert.equal(early.count(), 1)
  })

  it('sees a line that is split over several writes, in the middle of a letter, too', async (t) => {
    const path = logOf(t, '')
    const { promise, count } = watch(t, path, '^überall fertig: \\d+$')
    const bytes = Buffer.from('überall fertig: 7\n')
    for (const [from, to] of [
      [0, 1],
      [1, 10],
      [10, bytes.length],
    ]) {
      assert.equal(count(), 0)
      const { promise: lookedAt, end } = watch(t, path, '[^]')
      appendFileSync(path, bytes.subarray(from, to))
      await lookedAt
      end()
    }
    await promise
  })

  it('sees a line in the middle of far more than one look takes', async (t) => {
    const path = logOf(t, '')
    const { promise } = watch(t, path, '^drained$')
    const flood = `${'x'.repeat(99)}\n`.repeat(10_000)
    appendFileSync(path, `${flood}drained\n${flood}`)
    await promise
  })

  it('goes on in a file that is truncated, replaced or made only later', async (t) => {
    const path = logOf(t, 'a long line of an earlier life\n')
    const truncated = watch(t, path, '^ready$')
    writeFileSync(path, 'ready\n')
    await truncated.promise
    const replaced = watch(t, path, '^again$')
    renameSync(path, `${path}.1`)
    writeFileSync(path, 'again\n')
    await replaced.promise
    rmSync(path)
    const made = watch(t, path, '^made$')
    writeFileSync(path, 'made\n')
    await made.promise
  })

  it('sees nothing any more once it was ended', async (t) => {
    const path = logOf(t, '')
    const { end, count } = watch(t, path, 'drained')
    end()
    appendFileSync(path, 'drained\n')
    await looked(t, path)
    assert.equal(count(), 0)
  })
})
