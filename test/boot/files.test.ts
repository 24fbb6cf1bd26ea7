import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { isAsWritten, textOf, writeIfOther } from '../../supervisor/boot/files.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync('/tmp/pf-')
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

describe('a file that is written only when it is another', () => {
  it('leaves equal bytes and their time alone', (t) => {
    const path = join(folder(t), 'a')
    writeFileSync(path, 'text', { mode: 0o644 })
    const { mtimeMs, ino } = statSync(path)
    assert.equal(writeIfOther(path, 'text', 0o644), null)
    assert.deepEqual([statSync(path).mtimeMs, statSync(path).ino], [mtimeMs, ino])
  })

  it('puts the former bytes and mode back', (t) => {
    const path = join(folder(t), 'a')
    writeFileSync(path, 'old', { mode: 0o600 })
    const back = writeIfOther(path, 'new', 0o644)
    assert.equal(textOf(path), 'new')
    back?.()
    assert.ok(isAsWritten(path, 'old', 0o600))
  })

  it('takes a new file away again, and leaves nothing beside it', (t) => {
    const root = folder(t)
    const back = writeIfOther(join(root, 'deep', 'a'), 'new', 0o755)
    assert.deepEqual(readdirSync(join(root, 'deep')), ['a'])
    assert.equal(statSync(join(root, 'deep', 'a')).mode & 0o777, 0o755)
    back?.()
    assert.deepEqual(readdirSync(join(root, 'deep')), [])
  })

  it('gives a file whose mode alone is wrong the right one', (t) => {
    const path = join(folder(t), 'a')
    writeFileSync(path, 'text')
    chmodSync(path, 0o666)
    assert.notEqual(writeIfOther(path, 'text', 0o644), null)
    assert.equal(statSync(path).mode & 0o777, 0o644)
    assert.equal(readFileSync(path, 'utf8'), 'text')
  })
})
