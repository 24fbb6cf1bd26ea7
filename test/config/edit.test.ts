import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { entryOf, withEntry, withObserve } from '../../supervisor/document/edit.ts'
import { PaiosError } from '../../supervisor/errors.ts'

const refused = (error: unknown) => error instanceof PaiosError && error.code === 'refused'

/** Everything that an edit could lose: a byte order mark, CRLF, comments at every place, odd layout. */
const TEXT = [
  '\uFEFFversion: 1',
  'services:',
  '  # before',
  '  gateway:   # behind the key',
  '    preset: openclaw-gateway',
  '    # inside',
  '    observe:   true # why',
  '    port: 1 # the port',
  '  # after',
  '  chat: { preset: ollama, observe: true, port: 2 }',
  '',
].join('\r\n')

describe('an edit of the document', () => {
  it('changes the one word and no other byte, in a block and in braces', () => {
    assert.equal(withObserve(TEXT, 'gateway', false), TEXT.replace('observe:   true', 'observe:   false'))
    assert.equal(withObserve(TEXT, 'chat', false), TEXT.replace('observe: true', 'observe: false'))
    assert.equal(withObserve(withObserve(TEXT, 'gateway', false), 'gateway', true), TEXT)
    assert.equal(withObserve(TEXT, 'gateway', true), TEXT)
  })

  it('puts an entry back as it was, comments inside and all, and keeps the edits around it', () => {
    const { text } = entryOf(TEXT, 'gateway')!
    const edited = TEXT.replace('# inside', '# other')
      .replace('port: 1', 'port: 7')
      .replace('# after', '# more')
    assert.equal(withEntry(edited, 'gateway', text), TEXT.replace('# after', '# more'))
  })

  it('finds no entry where there is none', () => {
    assert.equal(entryOf(TEXT, 'other'), null)
    assert.equal(entryOf('version: 1\n', 'gateway'), null)
    assert.equal(entryOf('', 'gateway'), null)
    assert.throws(() => withEntry(TEXT, 'other', 'x'), refused)
  })

  it('refuses what is written by way of an anchor, or has no such key', () => {
    const anchored =
      'services:\n  a: &one { preset: ollama, observe: true }\n  b: *one\n  c: { observe: &o true }\n'
    assert.throws(() => entryOf(anchored, 'b'), refused)
    assert.throws(() => withObserve(`${anchored}  d: { observe: *o }\n`, 'd', false), refused)
    assert.throws(() => withObserve('services:\n  a: { preset: ollama }\n', 'a', false), refused)
  })
})
