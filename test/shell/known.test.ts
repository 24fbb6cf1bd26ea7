import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openKnown } from '../../supervisor/shell/known.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pk-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'known')
}

describe('what was learnt of services', () => {
  it('outlives the supervisor, one private file a service', (t) => {
    const folder = folderOf(t)
    const known = openKnown(folder)
    assert.equal(known.get('kb', 'tools'), undefined)
    known.set('kb', 'tools', ['a', 'b'])
    known.set('kb', 'version', '1.0')
    assert.deepEqual(openKnown(folder).get('kb', 'tools'), ['a', 'b'])
    assert.equal(openKnown(folder).get('kb', 'version'), '1.0')
    assert.deepEqual(readdirSync(folder), ['kb.json'])
    assert.equal(statSync(join(folder, 'kb.json')).mode & 0o777, 0o600)
  })

  it('is learnt anew where its file is damaged', (t) => {
    const folder = folderOf(t)
    openKnown(folder).set('kb', 'version', '1.0')
    writeFileSync(join(folder, 'kb.json'), '{"version":')
    assert.equal(openKnown(folder).get('kb', 'version'), undefined)
  })
})
