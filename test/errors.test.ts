import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { errnoOf, errorCodes, fileError, nearest, PaiosError } from '../supervisor/errors.ts'

const docs = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const rows = [...docs.matchAll(/^\| `([a-z-]+)` \| (\d) \| (.+?) \| (.+?) \|$/gm)].map((row) => row.slice(1))

describe('the table of error codes', () => {
  it('has exactly one row in docs/errors.md per code, with the same exit code, meaning and remedy', () => {
    const wanted = Object.entries(errorCodes).map(([code, entry]) => [
      code,
      String(entry.exitCode),
      entry.meaning,
      entry.remedy,
    ])
    assert.deepEqual(rows.toSorted(), wanted.toSorted())
  })

  it('gives an error the exit code of its row and keeps the cause', () => {
    const cause = new Error('underneath')
    const error = new PaiosError('supervisor-running', 'pid 12 holds run/lock.db', { cause })
    assert.equal(error.exitCode, 5)
    assert.equal(error.code, 'supervisor-running')
    assert.equal(error.cause, cause)
    assert.ok(error instanceof Error)
  })

  it('names a full disk, an unwritable home and our own faults differently', () => {
    const system = (code: string) => Object.assign(new Error(`${code}: said the system`), { code, errno: -1 })
    assert.equal(fileError('write x', system('ENOSPC')).code, 'disk-full')
    assert.equal(fileError('write x', system('EACCES')).code, 'home-unwritable')
    assert.equal(fileError('write x', new TypeError('oops')).code, 'internal')
    assert.equal(errnoOf(system('ENOENT')), 'ENOENT')
    assert.equal(errnoOf('ENOENT'), null)
  })
})

describe('nearest', () => {
  it('finds the word that was meant through a missing, doubled, wrong or swapped letter', () => {
    const known = ['command', 'cwd', 'env', 'needs', 'group']
    assert.equal(nearest('comand', known), 'command')
    assert.equal(nearest('commmand', known), 'command')
    assert.equal(nearest('cummand', known), 'command')
    assert.equal(nearest('nedes', known), 'needs')
    assert.equal(nearest('ENV', known), 'env')
  })

  it('stays silent when nothing is near, and never turns a short word into a wholly different one', () => {
    assert.equal(nearest('telegram', ['command', 'env']), null)
    assert.equal(nearest('x', ['y', 'env']), null)
    assert.equal(nearest('ab', ['cd']), null)
    assert.equal(nearest('', ['a']), null)
  })

  it('always finds a word that was mistyped by one swap of neighbours', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{3,12}$/), fc.nat(20), (word, at) => {
        const i = at % (word.length - 1)
        const typed = word.slice(0, i) + word[i + 1] + word[i] + word.slice(i + 2)
        assert.equal(nearest(typed, [word]), word)
      }),
    )
  })
})
