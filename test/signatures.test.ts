/** The table of failures names tests; a test that was renamed or removed must not be named any more. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

const root = join(import.meta.dirname, '..')
const rows = readFileSync(join(root, 'docs/signatures.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))

it('the table of failures has all 34 in order', () => {
  assert.deepEqual(
    rows.map((row) => Number(row.split('|')[1])),
    Array.from({ length: 34 }, (_, index) => index + 1),
  )
})

for (const row of rows) {
  const [, number = '', what = ''] = row.split('|').map((cell) => cell.trim())
  it(`${number}, ${what}: the tests that show it are there`, () => {
    const named = [...row.matchAll(/`(test\/[\w./-]+\.test\.ts)` "([^"]+)"/g)]
    assert.ok(named.length > 0 || number === '33', 'no test is named')
    for (const [, file = '', name = ''] of named) {
      // A name that is long is broken over the arguments of a call, never inside itself.
      assert.ok(readFileSync(join(root, file), 'utf8').includes(name), `${file} has no "${name}"`)
    }
  })
}
