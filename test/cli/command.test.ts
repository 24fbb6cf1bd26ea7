import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { helpText, parseWords } from '../../supervisor/cli/command.ts'
import { commands } from '../../supervisor/cli/paios.ts'

const stop = {
  usage: 'stop NAME',
  flags: { for: { value: 'DURATION', help: '' }, follow: { short: 'f', value: null, help: '' } },
  operands: { min: 1, max: 1 },
}

describe('the words of a command', () => {
  it('are its flags, long and short, and its operands', () => {
    const { values, operands } = parseWords(['kb', '--for', '2h', '-f', '--json'], stop)
    assert.deepEqual(operands, ['kb'])
    assert.deepEqual(
      [...values],
      [
        ['for', '2h'],
        ['follow', true],
        ['json', true],
      ],
    )
  })

  for (const [words, message] of [
    [['kb', '--fro', '2h'], /there is no flag --fro \(did you mean --for\?\)/],
    [['kb', '-x'], /there is no flag -x/],
    [['kb', '--for'], /--for/],
    [['kb', '--json=1'], /--json/],
    [[], /something is missing: paios stop NAME/],
    [['kb', 'web'], /'web' is one word too many/],
  ] as const) {
    it(`are refused as usage: ${words.join(' ') || 'nothing'}`, () => {
      assert.throws(() => parseWords(words, stop), { code: 'usage', exitCode: 2, message })
    })
  }

  it('are not counted where help is asked for', () => {
    assert.equal(parseWords(['--help'], stop).values.has('help'), true)
  })
})

describe('the register', () => {
  for (const [name, { load, summary }] of Object.entries(commands)) {
    it(`has a summary, a usage line and an example of its own for ${name}`, async () => {
      const { command } = await load()
      assert.ok(summary.length > 0)
      assert.ok(command.usage.split(' ')[0] === name, command.usage)
      const text = helpText(command)
      for (const flag of Object.keys(command.flags)) assert.ok(text.includes(`--${flag}`), flag)
      assert.ok(command.examples.length > 0)
      for (const [, meaning] of command.examples) assert.ok(meaning.length > 0)
      for (const line of text.split('\n')) assert.ok(line.length <= 120, line)
    })
  }
})
