import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemdUnit, unitEnvironment } from '../../supervisor/export/systemd.ts'

const settings = {
  home: '/home/x/.paios',
  program: '/home/x/.paios/bin/paios-supervisor',
  bootLog: '/home/x/.paios/logs/supervisor/boot.log',
  path: '/home/x/bin:/usr/bin:/bin',
  lang: 'de_DE.UTF-8',
}
const analyze = '/usr/bin/systemd-analyze'
const skip = existsSync(analyze) ? false : 'NOT RUN: systemd-analyze is not installed'

describe('the unit of systemd', () => {
  it('signals the supervisor alone, so that its services live on', () => {
    assert.match(systemdUnit(settings), /^KillMode=process$/m)
  })

  it('restarts after a failure, but not what must not run', () => {
    const text = systemdUnit(settings)
    assert.match(text, /^Restart=on-failure$/m)
    assert.match(text, /^RestartPreventExitStatus=77$/m)
  })

  it('gives back the PATH and LANG that it was made with, whatever is in them', () => {
    for (const path of ['/bin', '/a b/bin:/c%d/e', String.raw`/q"uote:/back\slash:/$HOME/bin`]) {
      assert.deepEqual(unitEnvironment(systemdUnit({ ...settings, path })), { path, lang: settings.lang })
    }
  })

  it('has no environment where it is not one of ours', () => {
    assert.equal(unitEnvironment('[Service]\nExecStart=/bin/true\n'), null)
  })

  it('refuses a path that would end a line', () => {
    assert.throws(() => systemdUnit({ ...settings, home: '/home/x\nExecStart=/bin/sh' }), /control character/)
  })

  it('passes systemd-analyze with blanks, percent signs, quotes and dollars in its paths', { skip }, (t) => {
    const folder = mkdtempSync('/tmp/pu-')
    t.after(() => rmSync(folder, { recursive: true }))
    const home = join(folder, 'a b%c"d$e')
    const program = join(home, 'paios-supervisor')
    mkdirSync(home)
    writeFileSync(program, '#!/bin/sh\n')
    chmodSync(program, 0o755)
    const unit = join(folder, 'paios.service')
    writeFileSync(unit, systemdUnit({ ...settings, home, program, bootLog: join(home, 'boot.log') }))
    const args = ['--user', '--recursive-errors=no', 'verify', unit]
    const { status, stderr } = spawnSync(analyze, args, {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', HOME: folder, XDG_RUNTIME_DIR: folder },
    })
    assert.equal(status, 0, stderr)
    appendFileSync(unit, '\n[Service]\nNonsense=1\n')
    const wrong = spawnSync(analyze, args, { env: { PATH: '/usr/bin:/bin', XDG_RUNTIME_DIR: folder } })
    assert.notEqual(wrong.status, 0, 'the check can fail')
  })
})
