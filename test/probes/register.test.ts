import assert from 'node:assert/strict'
import { access, readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { probeKinds } from '../../probes/index.ts'
import { schemas } from '../../schemas/units.ts'

const docs = await readFile(new URL('../../docs/probes.md', import.meta.url), 'utf8')
const rows = docs.split('\n').filter((line) => line.startsWith('| `'))
const scheduleFields = ['kind', 'name', 'role', 'every', 'timeout', 'failureThreshold', 'successThreshold']

for (const [word, kind] of Object.entries(probeKinds)) {
  describe(`probe kind ${word}`, () => {
    test('is registered under its own id', () => assert.equal(kind.id, word))

    test('has a test file', () => access(new URL(`./${word}.test.ts`, import.meta.url)))

    test('has a row in the documentation that names all its settings', () => {
      const row = rows.find((line) => line.startsWith(`| \`${word}\` |`))
      assert.ok(row, 'no row')
      for (const setting of Object.keys(kind.shape(schemas)))
        assert.ok(row.includes(`\`${setting}\``), `${setting} is missing`)
    })

    test('has no setting that the schedule of a probe already names', () => {
      assert.deepEqual(
        Object.keys(kind.shape(schemas)).filter((setting) => scheduleFields.includes(setting)),
        [],
      )
    })
  })
}

test('the documentation has no row for a kind that does not exist', () => {
  const documented = rows.map((line) => /^\| `([a-z-]+)` \|/.exec(line)?.[1])
  assert.deepEqual(documented.sort(), Object.keys(probeKinds).sort())
})
