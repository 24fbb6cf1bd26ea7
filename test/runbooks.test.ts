/** Every runbook that ships: it parses, it is for something that exists, and what it and our docs tell people to type exists. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { presets } from '../services/index.ts'
import { RULE_NAMES, readRunbooks } from '../supervisor/document/runbook.ts'
import { mustParse, typed } from './typed.ts'

const files = readRunbooks('/nonexistent')
const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1, -'.md'.length)
const names = files.map(({ path }) => nameOf(path))

/** Names of services, groups and subjects in the examples of the docs. */
const EXAMPLES = ['gateway', 'kb', 'one', 'supervisor']

/** Words of programs in capitals; NAME is the service everywhere, as docs/runbooks.md says. */
const OWN_WORDS = new Set(['NAME', 'HOME', 'PATH', 'USER', 'TCP', 'LISTEN', 'POST'])

/** The `sh` blocks of a page, and everything else. */
function parted(body: string): { code: string; prose: string } {
  const block = /^ *```sh\n([\s\S]*?)^ *```/gm
  const code = [...body.matchAll(block)].map((match) => match[1] ?? '').join('')
  return { code, prose: body.replaceAll(block, '') }
}

/** A page of a preset says what the service is called in its commands. */
const assumed = (body: string) => /service named\s+`([a-z-]+)`/.exec(body)?.[1] ?? 'NAME'

describe('the runbooks', () => {
  for (const { path, runbook, problems, body } of files) {
    const name = nameOf(path)
    it(`${name} has no problem, and belongs to a preset or a rule`, () => {
      assert.deepEqual(problems, [])
      assert.ok(runbook)
      assert.ok(Object.hasOwn(presets, name) ? runbook.preset === name : runbook.alerts.includes(name))
      for (const preset of runbook.applies.presets ?? []) assert.ok(Object.hasOwn(presets, preset), preset)
      if (runbook.steps.length > 0) assert.ok(runbook.alerts.length > 0, 'steps that no fault leads to')
    })

    it(`${name} tells people to type commands that exist`, async () => {
      const lines = typed(body)
      assert.ok(lines.length > 0, 'no command at all')
      for (const line of lines) await mustParse(line, [assumed(body), ...Object.keys(presets)])
    })
  }

  for (const { path, body } of files)
    it(`${nameOf(path)} says what stands for what in its commands`, () => {
      const { code, prose } = parted(body)
      const placeholders = new Set(
        code.replaceAll(/"[^"]*\{[^"]*"|'[^']*'/g, '').match(/(?<![$\w./-])[A-Z]{2,}(?![\w.])/g),
      )
      for (const word of placeholders)
        assert.ok(OWN_WORDS.has(word) || new RegExp(`\\b${word}\\b`).test(prose), `${word} is not explained`)
    })

  it('docs/runbooks.md says of each how it was tried, and of none that is not there', () => {
    const page = readFileSync(join(import.meta.dirname, '../docs/runbooks.md'), 'utf8')
    const table = page.slice(page.indexOf('## How each was tried'))
    const rows = [...table.matchAll(/^\| ([\w-]+) \| [^|]+ \| [^|]+ \|$/gm)].map((match) => match[1])
    assert.deepEqual(rows.filter((name) => name !== 'Runbook').toSorted(), names.toSorted())
  })

  it('there is one for every preset and for every rule', () => {
    for (const name of [...Object.keys(presets), ...RULE_NAMES])
      assert.ok(names.includes(name), `no runbook ${name}`)
  })
})

describe('the docs', () => {
  const root = join(import.meta.dirname, '..')
  const folder = (name: string) =>
    readdirSync(join(root, name))
      .filter((file) => file.endsWith('.md'))
      .map((file) => join(name, file))
  for (const file of ['README.md', 'CHANGELOG.md', ...folder('docs'), ...folder('docs/decisions')])
    it(`${file} tells people to type commands that exist`, async () => {
      for (const line of typed(readFileSync(join(root, file), 'utf8'))) await mustParse(line, EXAMPLES, true)
    })
})
