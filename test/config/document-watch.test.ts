import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type CheckDocument, openDocumentWatch } from '../../supervisor/document-watch.ts'

/** A document in force; each check is answered by the test. */
function stage(t: TestContext) {
  const folder = mkdtempSync('/tmp/dw-')
  const document = join(folder, 'paios.yaml')
  const write = (text: string) => writeFileSync(document, text)
  const checks: ((lines: readonly number[] | null) => void)[] = []
  const told: string[] = []
  const check: CheckDocument = () => new Promise((resolve) => void checks.push(resolve))
  const note = (event: string, text: string) => void told.push(`${event}: ${text}`)
  const watch = openDocumentWatch({ home: { document }, check, note })
  const apply = () => {
    const hash = createHash('sha256').update(readFileSync(document)).digest('hex')
    watch.apply({ problem: null, mesh: { hash } })
  }
  /** The verdict of the check that was asked for last. */
  const answer = async (lines: readonly number[] | null) => {
    checks.at(-1)?.(lines)
    await new Promise((handled) => setImmediate(handled))
  }
  write('version: 1\n')
  apply()
  t.after(() => {
    watch.close()
    rmSync(folder, { recursive: true })
  })
  return { document, write, apply, answer, watch, checks, told }
}

describe('a document that is edited', () => {
  it('is nothing to tell of while it is what runs', (t) => {
    const { watch, checks, told } = stage(t)
    for (let look = 0; look < 3; look++) watch.look()
    assert.equal(watch.state().problem, null)
    assert.deepEqual([checks.length, told.length], [0, 0])
  })

  it('is checked once, when it was left alone for a look, and its errors are told with their lines', async (t) => {
    const { write, answer, watch, checks, told } = stage(t)
    write('version: 1\nedited')
    watch.look()
    assert.equal(checks.length, 0)
    assert.match(
      watch.state().problem ?? '',
      /^paios\.yaml changed at .* UTC, not applied: `paios up` applies it$/,
    )
    for (let look = 0; look < 3; look++) watch.look()
    assert.equal(checks.length, 1)
    await answer([31, 14, 14])
    const { problem, errors, changed } = watch.state()
    assert.equal(errors, '3 errors (line 14, 31)')
    assert.match(problem ?? '', /not applied: 3 errors \(line 14, 31\); `paios check` names them$/)
    assert.ok(Math.abs(Date.parse(changed ?? '') - Date.now()) < 60_000)
    assert.deepEqual(told, [
      'document-broken: paios.yaml was changed and is not applied: 3 errors (line 14, 31); `paios check` names them',
    ])
  })

  it('that is valid, or that nobody could check, is only not applied', async (t) => {
    const { write, answer, watch, told } = stage(t)
    for (const lines of [[], null]) {
      write(`version: 1 # ${lines}`)
      watch.look()
      watch.look()
      await answer(lines)
      assert.deepEqual([watch.state().errors, told.length], [null, 0])
    }
  })

  it("and edited again before the verdict is checked again, and the old verdict is nobody's", async (t) => {
    const { write, answer, watch, checks, told } = stage(t)
    write('one edit')
    watch.look()
    watch.look()
    write('and another edit')
    watch.look()
    await answer([1])
    assert.deepEqual([watch.state().errors, told.length], [null, 0])
    watch.look()
    assert.equal(checks.length, 2)
    await answer([2])
    assert.equal(watch.state().errors, '1 error (line 2)')
  })

  it('names a few lines only, and nothing any more once it is applied', async (t) => {
    const { write, answer, apply, watch } = stage(t)
    write('very wrong')
    watch.look()
    watch.look()
    await answer([1, 2, 3, 4, 5, 6])
    assert.equal(watch.state().errors, '6 errors (line 1, 2, 3, 4, 5, …)')
    apply()
    assert.deepEqual([watch.state().problem, watch.state().errors], [null, null])
  })

  it('that is gone is told once, and in status while it lasts', (t) => {
    const { document, watch, checks, told } = stage(t)
    rmSync(document)
    for (let look = 0; look < 3; look++) watch.look()
    assert.match(watch.state().problem ?? '', /there is no such file.*; what was applied runs on$/)
    assert.equal(checks.length, 0)
    assert.equal(told.length, 1)
    assert.match(told[0]!, /^document-broken: cannot read /)
  })
})
