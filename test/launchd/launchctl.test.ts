import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openLaunchctl } from '../../launchd/launchctl.ts'
import { renderPlist } from '../../launchd/plist.ts'
import { openLaunchd } from '../../supervisor/boot/launchd.ts'
import { placeOf } from '../../supervisor/boot/place.ts'
import { isAlive, until } from '../e2e/mesh.ts'
import { fakeLaunchd } from '../launchd.ts'

const LIMIT = { timeout: 120_000 }
const environment = { path: '/usr/bin:/bin', lang: 'C' }

/** A home whose program is a shell script in the place of the supervisor. */
function setUp(t: TestContext, script: string) {
  const userHome = mkdtempSync('/tmp/pk-')
  const launchd = fakeLaunchd(userHome)
  t.after(async () => {
    await launchd.end()
    rmSync(userHome, { recursive: true })
  })
  const place = placeOf(join(userHome, '.paios'), { userHome, configHome: null })
  for (const path of [place.supervisor, place.bootLog, place.plistPath])
    mkdirSync(dirname(path), { recursive: true })
  writeFileSync(place.supervisor, `#!/bin/sh\n${script}\n`)
  chmodSync(place.supervisor, 0o755)
  const launchctl = openLaunchctl(launchd.program)
  const port = openLaunchd(place, launchctl)
  const writePlist = (mode = 0o644) => {
    writeFileSync(place.plistPath, port.text(environment))
    chmodSync(place.plistPath, mode)
  }
  writePlist()
  return { launchd, launchctl, place, port, writePlist }
}

const SLEEP = 'exec sleep 1000'

describe('a job of launchd (a model of it)', { ...LIMIT, concurrency: true }, () => {
  it('is enabled before it is bootstrapped, and runs then', async (t) => {
    const { launchd, port, place } = setUp(t, SLEEP)
    await port.restart()
    assert.deepEqual(
      launchd.calls().map((call) => call.split(' ')[0]),
      ['enable', 'bootstrap'],
    )
    const { isKnown, isEnabled, pid, problem } = await port.state()
    assert.deepEqual([isKnown, isEnabled, problem], [true, true, null])
    assert.equal(pid, launchd.job(place.label)?.pid)
  })

  it('is enabled again where somebody has disabled it long ago', async (t) => {
    const { launchctl, port, place, launchd } = setUp(t, SLEEP)
    const disable = openLaunchctl(launchd.program)
    assert.equal(await disable.isDisabled(place.label), false)
    writeFileSync(join(dirname(launchd.program), 'launchd', 'disabled.json'), JSON.stringify([place.label]))
    assert.equal(await launchctl.isDisabled(place.label), true)
    await port.restart()
    assert.equal((await port.state()).isEnabled, true)
  })

  it('is replaced only when the former one is gone, process and all', async (t) => {
    // It takes half a second to end.
    const { launchd, port } = setUp(t, `trap 'sleep 0.5; exit 0' TERM\nwhile :; do sleep 0.05; done`)
    launchd.fault({ drainMs: 400 })
    await port.restart()
    const former = (await port.state()).pid!
    launchd.calls()
    await port.restart()
    assert.ok(!isAlive(former))
    const { pid } = await port.state()
    assert.notEqual(pid, former)
    assert.deepEqual(
      launchd.calls().map((call) => call.split(' ')[0]),
      ['bootout', 'enable', 'bootstrap'],
    )
  })

  it('takes bootout that answers "in progress" as what it is', async (t) => {
    const { launchd, port } = setUp(t, SLEEP)
    await port.restart()
    launchd.fault({ bootoutCode: 36 })
    await port.stop()
    assert.equal((await port.state()).isKnown, false)
  })

  it('tries bootstrap again while launchd says that the old one drains', async (t) => {
    const { launchd, port } = setUp(t, SLEEP)
    launchd.fault({ bootstrap: [5, 37, 17] })
    await port.restart()
    assert.equal(launchd.calls().filter((call) => call.startsWith('bootstrap')).length, 4)
    assert.notEqual((await port.state()).pid, null)
  })

  it('kicks a job that launchd has loaded and leaves lying', async (t) => {
    const { launchd, port } = setUp(t, SLEEP)
    launchd.fault({ neverSpawn: true })
    await port.restart()
    assert.equal(launchd.calls().filter((call) => call.startsWith('kickstart')).length, 1)
    assert.notEqual((await port.state()).pid, null)
  })

  it('says what is wrong with a program that cannot be started, and with one that was replaced', async (t) => {
    const { port, place } = setUp(t, SLEEP)
    chmodSync(place.supervisor, 0o644)
    await assert.rejects(port.restart(), /could not start its program \(78, EX_CONFIG\)/)
    chmodSync(place.supervisor, 0o755)
    await port.restart()
    // As an update of Node does it: another file takes the name.
    writeFileSync(`${place.supervisor}.new`, `#!/bin/sh\n${SLEEP}\n`, { mode: 0o755 })
    renameSync(`${place.supervisor}.new`, place.supervisor)
    const { pid } = await port.state()
    process.kill(pid!, 'SIGKILL')
    const { problem } = await until('launchd refuses it', async () => {
      const state = await port.state()
      return state.problem?.includes('replaced') ? state : null
    })
    assert.match(problem ?? '', /its program was replaced/)
    await port.restart()
    assert.equal((await port.state()).problem, null)
  })

  it('says that there is no desktop session, and takes that for no answer about the job', async (t) => {
    const { launchd, port } = setUp(t, SLEEP)
    launchd.fault({ noGui: true })
    for (const act of [port.restart, port.state, port.stop]) {
      await assert.rejects(act(), { code: 'init-unavailable' })
    }
  })

  it('cannot tell from an output that it does not understand, and does nothing then', async (t) => {
    const { launchd, port } = setUp(t, SLEEP)
    await port.restart()
    launchd.calls()
    launchd.fault({ garbage: true })
    await assert.rejects(port.restart(), { code: 'init-unavailable' })
    assert.deepEqual(launchd.calls(), [])
  })

  it('is started again after a failure and left alone after exit code 0', async (t) => {
    const { launchd, port, place } = setUp(t, 'trap "exit 0" TERM\nwhile :; do sleep 0.05; done')
    await port.restart()
    const first = launchd.job(place.label)!
    process.kill(first.pid!, 'SIGKILL')
    const second = await until('the next run', () => {
      const job = launchd.job(place.label)
      return job?.pid && job.pid !== first.pid ? job : null
    })
    assert.equal(second.runs, 2)
    process.kill(second.pid!, 'SIGTERM')
    await until('it rests', () => launchd.job(place.label)?.state === 'not running')
    launchd.calls()
    await port.start()
    assert.deepEqual(launchd.calls(), [`kickstart ${openLaunchctl(launchd.program).domain}/${place.label}`])
  })

  it('knows the remedy for a plist that others may write', async (t) => {
    const { launchctl, place, writePlist, launchd } = setUp(t, SLEEP)
    writePlist(0o666)
    const answer = await launchctl.bootstrap(place.plistPath)
    assert.equal(answer.code, 5)
    assert.match(answer.text, /^Bootstrap failed: 5: Input\/output error$/)
    writeFileSync(place.plistPath, renderPlist({ Label: 'x' }))
    assert.equal(launchd.job('x'), null)
  })
})
