import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openSpool, type Spool } from '../../supervisor/shell/spool.ts'

const SPOOL = resolve(import.meta.dirname, '../../supervisor/shell/spool.ts')
const SIZE_BYTES = 4 * 1024 ** 2

function place(t: TestContext): string {
  const folder = mkdtempSync('/tmp/ps-')
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'spool')
}

function open(t: TestContext, path: string): Spool {
  const spool = openSpool(path)
  t.after(() => spool.close())
  return spool
}

/** What somebody reads who opens the spool anew. */
const readAnew = (t: TestContext, path: string) => open(t, path).read()

describe('the spool', () => {
  it('is a file of the owner alone that has all its blocks before anything is written', (t) => {
    const path = place(t)
    assert.deepEqual(open(t, path).read(), [])
    const { mode, size, blocks } = statSync(path)
    assert.equal(mode & 0o777, 0o600)
    assert.equal(size, SIZE_BYTES)
    assert.ok(blocks * 512 >= SIZE_BYTES, `${blocks} blocks`)
  })

  it('keeps lines in order, for whoever opens it next, too', (t) => {
    const path = place(t)
    const first = open(t, path)
    for (const line of ['one', 'zwölf', '{"x":"a\\nb"}']) assert.equal(first.append(line), true)
    const second = open(t, path)
    assert.deepEqual(second.read(), ['one', 'zwölf', '{"x":"a\\nb"}'])
    second.append('last')
    assert.deepEqual(readAnew(t, path), ['one', 'zwölf', '{"x":"a\\nb"}', 'last'])
    assert.equal(statSync(path).size, SIZE_BYTES)
  })

  it('says that it is full instead of growing, and takes what still fits', (t) => {
    const path = place(t)
    const spool = open(t, path)
    const mebibyte = 'x'.repeat(1024 ** 2)
    const taken = [1, 2, 3, 4, 5].map(() => spool.append(mebibyte))
    assert.deepEqual(taken, [true, true, true, false, false])
    assert.equal(spool.append('short'), true)
    assert.equal(readAnew(t, path).length, 4)
    assert.equal(statSync(path).size, SIZE_BYTES)
  })

  it('is empty once it was cleared, and keeps its blocks', (t) => {
    const path = place(t)
    const spool = open(t, path)
    spool.clear()
    spool.append('old '.repeat(1_000))
    spool.append('old')
    spool.clear()
    assert.deepEqual(readAnew(t, path), [])
    spool.append('new')
    assert.deepEqual(readAnew(t, path), ['new'])
    assert.equal(statSync(path).size, SIZE_BYTES)
  })

  it('drops a line that a crash has cut, and writes over it', (t) => {
    const path = place(t)
    const spool = open(t, path)
    spool.append('whole')
    spool.append('cut in its middle')
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0, 'whole\ncut in'.length))
    const next = open(t, path)
    assert.deepEqual(next.read(), ['whole'])
    next.append('a')
    assert.deepEqual(readAnew(t, path), ['whole', 'a'])
  })

  it('does not find old lines again where a crash has cut the clearing', (t) => {
    const path = place(t)
    const spool = open(t, path)
    for (let index = 0; index < 100; index++) spool.append(`old ${index}`)
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0, 0, 12))
    const next = open(t, path)
    assert.deepEqual(next.read(), [])
    next.append('new and longer than what was cleared')
    assert.deepEqual(readAnew(t, path), ['new and longer than what was cleared'])
  })

  it('takes lines without its blocks while there is room, and says that a line did not fit', (t) => {
    const path = place(t)
    // A limit of the system on the size of files cuts a write in its middle, as the end of a disk does.
    const script = `
      const { openSpool } = await import(${JSON.stringify(SPOOL)})
      const spool = openSpool(${JSON.stringify(path)})
      const taken = ['a', 'b', 'c'].map((line) => spool.append(line.repeat(1_500)))
      console.log(JSON.stringify([...taken, spool.append('short')]))`
    const argv = ['-c', 'ulimit -f 8; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', script]
    const { stdout, stderr } = spawnSync('/bin/sh', argv, { encoding: 'utf8', timeout: 30_000 })
    assert.equal(stdout, '[true,true,false,true]\n', stderr)
    assert.equal(statSync(path).size, 4_096)
    assert.deepEqual(readAnew(t, path), ['a'.repeat(1_500), 'b'.repeat(1_500), 'short'])
  })

  it('reads a file that a full disk has kept from getting its blocks', (t) => {
    const path = place(t)
    open(t, path)
    truncateSync(path, 0)
    const spool = open(t, path)
    assert.deepEqual(spool.read(), [])
    assert.equal(spool.append('there is room again'), true)
    assert.deepEqual(readAnew(t, path), ['there is room again'])
  })
})
