import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { makeLink, planLink, removeLink } from '../../supervisor/boot/link.ts'
import { placeOf } from '../../supervisor/boot/place.ts'

function user(t: TestContext) {
  const home = mkdtempSync('/tmp/pl-')
  t.after(() => rmSync(home, { recursive: true }))
  const place = placeOf(join(home, '.paios'), { userHome: home, configHome: null })
  return { home, place, local: join(home, '.local', 'bin') }
}

describe('the link for paios', () => {
  it('goes to ~/.local/bin, and says so where that is not on PATH', (t) => {
    const { home, place, local } = user(t)
    const plan = planLink(place, '/usr/bin:/bin', home)
    assert.equal(plan.path, join(local, 'paios'))
    assert.match(plan.note ?? '', /not on your PATH/)
  })

  it('goes to a folder of the user that is on PATH, never to one of npm', (t) => {
    const { home, place } = user(t)
    mkdirSync(join(home, 'tools'))
    mkdirSync(join(home, 'app/node_modules/.bin'), { recursive: true })
    const plan = planLink(place, `${home}/app/node_modules/.bin:${home}/tools:/usr/bin`, home)
    assert.deepEqual(plan, { path: join(home, 'tools', 'paios'), state: 'new', note: null })
  })

  it('leaves a foreign file and a foreign link as they are', (t) => {
    const { home, place, local } = user(t)
    mkdirSync(local, { recursive: true })
    const path = join(local, 'paios')
    writeFileSync(path, 'mine')
    const plan = planLink(place, local, home)
    assert.equal(plan.state, 'foreign')
    assert.equal(makeLink(place, plan), null)
    assert.equal(removeLink(place, local, home), null)
    assert.equal(readFileSync(path, 'utf8'), 'mine')
    rmSync(path)
    symlinkSync('/elsewhere/paios', path)
    assert.equal(planLink(place, local, home).state, 'foreign')
    assert.equal(removeLink(place, local, home), null)
    assert.equal(readlinkSync(path), '/elsewhere/paios')
  })

  it('is made once, found again, and removed', (t) => {
    const { home, place, local } = user(t)
    assert.notEqual(makeLink(place, planLink(place, local, home)), null)
    assert.equal(readlinkSync(join(local, 'paios')), place.command)
    assert.equal(makeLink(place, planLink(place, local, home)), null)
    assert.equal(removeLink(place, local, home), join(local, 'paios'))
    assert.equal(planLink(place, local, home).state, 'new')
  })
})
