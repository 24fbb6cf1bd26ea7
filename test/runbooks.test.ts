/** Every runbook that ships: it parses, it is for something that exists, and what it tells people to type exists. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { presets } from '../services/index.ts'
import { parseWords } from '../supervisor/cli/command.ts'
import { commands } from '../supervisor/cli/paios.ts'
import { RULE_NAMES, readRunbooks } from '../supervisor/document/runbook.ts'

const files = readRunbooks('/nonexistent')
const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1, -'.md'.length)
const names = files.map(({ path }) => nameOf(path))

/** What follows `paios` in the code of a section: lines of blocks, and what stands in backticks. */
function typed(body: string): string[] {
  const blocks = [...body.matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].flatMap((match) =>
    (match[1] ?? '').split('\n'),
  )
  const inline = [...body.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(
    (match) => match[1] ?? '',
  )
  return [...blocks, ...inline]
    .flatMap((line) => line.split(/&&|\||;/))
    .map((part) => part.trim())
    .filter((part) => /^(npx )?paios( |$)/.test(part))
    .map((part) => part.replace(/^(npx )?paios ?/, '').replace(/\s+#.*$/, ''))
}

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
      for (const line of lines) {
        const [command = '', ...words] = line.split(/\s+/).filter((word) => word !== '' && word !== '…')
        assert.ok(Object.hasOwn(commands, command), `there is no paios ${command}`)
        parseWords(words, (await commands[command]!.load()).command)
      }
    })
  }

  it('there is one for every preset and for every rule', () => {
    for (const name of [...Object.keys(presets), ...RULE_NAMES])
      assert.ok(names.includes(name), `no runbook ${name}`)
  })
})
