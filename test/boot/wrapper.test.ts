import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { placeOf } from '../../supervisor/boot/place.ts'
import { commandWrapper, supervisorWrapper } from '../../supervisor/boot/wrapper.ts'

const SHELL = resolve(import.meta.dirname, '../../supervisor/shell')

/** A home with a copy whose Node only says what it was given. */
function homeWith(t: TestContext, name: string): string {
  const root = mkdtempSync('/tmp/pw-')
  t.after(() => rmSync(root, { recursive: true }))
  const home = join(root, name)
  const copy = join(home, 'versions', '1.0.0-aa')
  mkdirSync(join(copy, 'bin'), { recursive: true })
  mkdirSync(join(copy, 'app', 'supervisor', 'shell'), { recursive: true })
  writeFileSync(
    join(copy, 'bin', 'node'),
    '#!/bin/sh\numask\necho "$PAIOS_HOME"\nfor word; do echo "$word"; done\n',
  )
  chmodSync(join(copy, 'bin', 'node'), 0o755)
  writeFileSync(join(copy, 'app/supervisor/shell/supervise.sh'), readFileSync(join(SHELL, 'supervise.sh')))
  symlinkSync('1.0.0-aa', join(home, 'versions', 'current'))
  return home
}

function run(text: string, home: string, args: string[] = [], env: Record<string, string> = {}): string[] {
  const path = join(home, 'wrapper')
  writeFileSync(path, text)
  chmodSync(path, 0o755)
  const all = { PATH: '/usr/bin:/bin', ...env }
  return execFileSync(path, args, { encoding: 'utf8', env: all }).trimEnd().split('\n')
}

const ODD = `a b'c"d$e\`f\\g`

describe('the program that systemd or launchd starts', () => {
  for (const name of ['.paios', ODD]) {
    it(`becomes the supervisor of the version in force in a home called ${name}`, (t) => {
      const home = homeWith(t, name)
      const [umask, itsHome, ...words] = run(supervisorWrapper(home), home, [], { PAIOS_KEEPER: '1' })
      assert.equal(umask, '0077')
      assert.equal(itsHome, home)
      assert.deepEqual(words.slice(-2), [join(home, 'versions/1.0.0-aa/app/bin/paios.mjs'), 'supervise'])
    })
  }

  it('gives Node the options and variables of memory that the keeper gives it', () => {
    const memory = (script: string) => {
      const text = readFileSync(join(SHELL, script), 'utf8')
      return [...(text.match(/^MALLOC_\w+=.*$|--m\w+-semi-space-size=\d+/gm) ?? [])].toSorted()
    }
    assert.ok(memory('keeper.sh').length >= 2)
    assert.deepEqual(memory('supervise.sh'), memory('keeper.sh'))
  })
})

describe('paios of the version in force', () => {
  it('hands every word on as it is, and means its own home', (t) => {
    const home = homeWith(t, ODD)
    const [, itsHome, entry, ...words] = run(commandWrapper(home), home, ['events', '--since', 'a  b$c'])
    assert.equal(itsHome, home)
    assert.equal(entry, join(home, 'versions/1.0.0-aa/app/bin/paios.mjs'))
    assert.deepEqual(words, ['events', '--since', 'a  b$c'])
  })

  it('means another home where PAIOS_HOME says so', (t) => {
    const home = homeWith(t, '.paios')
    assert.equal(run(commandWrapper(home), home, [], { PAIOS_HOME: '/other' })[1], '/other')
  })
})

describe('the place of a home', () => {
  it('has the plain names for ~/.paios and names of its own for every other', () => {
    const around = { userHome: '/home/x', configHome: null }
    const usual = placeOf('/home/x/.paios', around)
    assert.equal(usual.unitPath, '/home/x/.config/systemd/user/paios.service')
    assert.equal(usual.plistPath, '/home/x/Library/LaunchAgents/dev.paios.supervisor.plist')
    const [one, two] = [placeOf('/srv/one', around), placeOf('/srv/two', around)]
    assert.match(one.unit, /^paios-[0-9a-f]{8}\.service$/)
    assert.notEqual(one.unit, two.unit)
    assert.notEqual(one.label, two.label)
  })
})
