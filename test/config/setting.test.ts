import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { withSetting } from '../../supervisor/document/setting.ts'

const VALUE = { token: '${file:~/.paios/secrets/telegram}', chat: 12345 }
const set = (text: string) => withSetting(text, 'alerts', 'telegram', VALUE)

/** Every line of the old text is in the new one, in order. */
function keepsLines(before: string, after: string): void {
  const left = after.split('\n')
  for (const line of before.split('\n').filter((one) => one.trim() !== '')) {
    const at = left.findIndex((one) => one.includes(line.trim()))
    assert.ok(at >= 0, `lost: ${line}\n${after}`)
    left.splice(0, at)
  }
}

describe('an entry that is set in a document', () => {
  for (const [what, text, alerts] of [
    [
      'without alerts',
      '# mine\nversion: 1   # one\n\nservices:\n  kb: { command: [a] } # kb\n',
      { telegram: VALUE },
    ],
    [
      'with another channel',
      'version: 1\nalerts:\n  # loud\n  command: [tell]  # this\n',
      { telegram: VALUE, command: ['tell'] },
    ],
    [
      'with channels in one line',
      'version: 1\nalerts: { command: [tell] } # x\nmetrics: {}\n',
      { telegram: VALUE, command: ['tell'] },
    ],
    ['with empty alerts', 'version: 1\nalerts:\nmetrics: { port: 1 }\n', { telegram: VALUE }],
    ['with an empty mapping', 'version: 1\nalerts: {}\n', { telegram: VALUE }],
    ['that is JSON', '{"version": 1, "services": {"kb": {"command": ["a"]}}}', { telegram: VALUE }],
    [
      'that is JSON with alerts',
      '{"version": 1,\n "alerts": {"command": ["tell"]}}',
      { telegram: VALUE, command: ['tell'] },
    ],
    ['that ends without a newline', 'version: 1', { telegram: VALUE }],
  ] as const) {
    it(`is there in one ${what}, and everything else as it was`, () => {
      const after = set(text)
      const { alerts: found, ...rest } = parse(after) as Record<string, unknown>
      const { alerts: _, ...before } = parse(text) as Record<string, unknown>
      assert.deepEqual(found, alerts)
      assert.deepEqual(rest, before)
    })
  }

  it('leaves comments and line breaks alone', () => {
    const text = '# a\nversion: 1   # one\n\n\nservices:\n    kb: { command: [a] } # kb\n# the end\n'
    keepsLines(text, set(text))
    assert.ok(set(text).startsWith('# a\nversion: 1   # one\n\n\nservices:\n    kb:'))
  })

  for (const [what, text] of [
    [
      'block',
      'version: 1\nalerts:\n  telegram:\n    token: "${file:old}"\n    chat: 1\n    allow: [7]\n  command: [tell]\n# end\n',
    ],
    [
      'one line',
      'version: 1\nalerts: { telegram: { token: "${file:old}", chat: 1, allow: [7] }, command: [tell] }\n# end\n',
    ],
  ] as const) {
    it(`takes the place of an older one, and keeps what it does not name (${what})`, () => {
      const after = set(text)
      const telegram = { ...VALUE, allow: [7] }
      assert.deepEqual(parse(after), { version: 1, alerts: { telegram, command: ['tell'] } })
      assert.ok(after.endsWith('# end\n'))
    })
  }
})
