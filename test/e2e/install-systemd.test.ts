import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Status } from '../../schemas/status.ts'
import { type Systemd, startSystemd, whyNoSystemd } from '../systemd.ts'
import { ENTRY, type Ended, until } from './mesh.ts'

const skip = whyNoSystemd() ?? false

describe('paios install under a real systemd of a user', { skip, timeout: 600_000 }, () => {
  const user = mkdtempSync('/tmp/pi-')
  const home = join(user, '.paios')
  const unit = 'paios.service'
  const unitPath = join(user, '.config/systemd/user', unit)
  const bin = join(user, '.local/bin')
  let systemd: Systemd
  const env = { PATH: `${bin}:/usr/bin:/bin` }
  const paios = (...args: string[]): Promise<Ended> => systemd.run(process.execPath, [ENTRY, ...args], env)
  const status = async () => JSON.parse((await paios('status', '--json')).stdout) as Status
  const pids = async () => Object.fromEntries((await status()).services.map(({ name, pid }) => [name, pid]))
  const document = (services: object) => {
    writeFileSync(
      join(home, 'paios.yaml'),
      JSON.stringify({ version: 1, metrics: { enabled: false }, services }),
    )
  }
  const ticker = { command: ['/bin/sh', '-c', 'while :; do date; sleep 1; done'] }
  const sleeper = { command: ['/bin/sh', '-c', 'exec sleep 100000'] }
  let first: Record<string, number | null>

  before(async () => {
    mkdirSync(home, { mode: 0o700 })
    systemd = await startSystemd(user)
  })
  after(async () => {
    await systemd?.end()
    rmSync(user, { recursive: true, force: true })
  })

  it('refuses without a document, and writes nothing', async () => {
    const { code, stderr } = await paios('install')
    assert.equal(code, 3, stderr)
    assert.match(stderr, /paios up writes a first one/)
    assert.ok(!existsSync(unitPath))
  })

  it('shows the unit with --dry-run and writes nothing', async () => {
    document({ ticker, sleeper })
    const { code, stdout, stderr } = await paios('install', '--dry-run')
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^would copy this paios and its Node to /m)
    assert.match(stdout, /KillMode=process/)
    assert.ok(!existsSync(unitPath) && !existsSync(join(home, 'versions')))
  })

  it('puts everything back if the supervisor does not come up under systemd', async () => {
    assert.equal((await paios('up')).code, 0)
    first = await pids()
    // What an operator has added to the unit makes it fail, so everything of ours is well.
    mkdirSync(`${unitPath}.d`, { recursive: true })
    writeFileSync(`${unitPath}.d/fails.conf`, '[Service]\nExecStart=\nExecStart=/bin/false\n')
    const { code, stderr } = await paios('install')
    assert.equal(code, 1)
    assert.match(stderr, /systemctl --user restart paios.service: .*; everything was put back/)
    rmSync(`${unitPath}.d`, { recursive: true })
    for (const path of [
      unitPath,
      join(home, 'bin/paios'),
      join(home, 'versions/current'),
      join(bin, 'paios'),
    ]) {
      assert.equal(lstatSync(path, { throwIfNoEntry: false }), undefined, path)
    }
    const now = await status()
    assert.equal(now.keeper, 'running')
    assert.deepEqual(await pids(), first)
    assert.equal(await systemd.show(unit, 'LoadState'), 'not-found')
  })

  it('hands a mesh that a keeper looks after over without touching a service', async () => {
    const former = await status()
    const { code, stdout, stderr } = await paios('install')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.deepEqual(await pids(), first)
    const now = await status()
    assert.notEqual(now.pid, former.pid)
    assert.equal(now.keeper, 'none')
    assert.equal(await systemd.show(unit, 'MainPID'), String(now.pid))
    assert.equal(await systemd.show(unit, 'ActiveState'), 'active')
    assert.equal(await systemd.show(unit, 'UnitFileState'), 'enabled')
    const left = (await systemd.processes()).filter(({ text }) => text.includes('keeper.sh'))
    assert.deepEqual(left, [], 'the keeper has ended')
  })

  it('runs a copy with its own Node, and nothing of the clone', async () => {
    const { pid } = await status()
    const { stdout } = await systemd.run('readlink', [`/proc/${pid}/exe`])
    assert.match(stdout, new RegExp(`^${home}/versions/[^/]+/bin/node$`, 'm'))
    const { stdout: maps } = await systemd.run('cat', [`/proc/${pid}/maps`])
    assert.doesNotMatch(maps, /\/main\/node_modules/)
  })

  it('doctor has nothing to say but that nobody lingers, until something is changed', async () => {
    const ids = async () => {
      const { findings } = JSON.parse((await paios('doctor', '--json')).stdout) as {
        findings: { id: string }[]
      }
      return findings.map(({ id }) => id).filter((id) => id !== 'no-linger' && id !== 'upgrade')
    }
    assert.deepEqual(await ids(), [])
    const before = readFileSync(unitPath, 'utf8')
    writeFileSync(unitPath, before.replace('RestartSec=2', 'RestartSec=20'))
    document({ ticker, sleeper, lost: { command: ['sleep', '1'], env: { KEY: '${env:NOT_THERE}' } } })
    assert.deepEqual((await ids()).toSorted(), ['drift', 'secret', 'unapplied'])
    assert.equal((await paios('stop', 'ticker')).code, 0)
    await systemd.systemctl('disable', unit)
    const { code, stdout } = await paios('doctor')
    assert.equal(code, 1)
    assert.match(stdout, /^! paios.service is disabled: .*\n +\/.*paios.service\n +paios install$/m)
    assert.match(stdout, /^- ticker was stopped by an operator at /m)
    document({ ticker, sleeper })
    assert.equal((await paios('install')).code, 0, 'install is the repair')
    assert.equal((await paios('start', 'ticker')).code, 0)
    assert.deepEqual(await ids(), [])
    first = await pids()
  })

  it('makes a link that answers as paios', async () => {
    const link = join(bin, 'paios')
    assert.equal(readlinkSync(link), join(home, 'bin/paios'))
    const { code, stdout } = await systemd.run(link, ['version'], env)
    assert.equal(code, 0)
    assert.match(stdout, /^supervisor /m)
  })

  it('changes nothing when it is repeated, not even the time of a file', async () => {
    const { mtimeMs } = statSync(unitPath)
    const { pid } = await status()
    const { code, stdout } = await paios('install')
    assert.equal(code, 0)
    assert.match(stdout, /nothing was changed/)
    assert.equal(statSync(unitPath).mtimeMs, mtimeMs)
    assert.equal((await status()).pid, pid)
  })

  it('keeps the services over kill -9, restart and stop of the supervisor', async () => {
    for (const act of ['kill', 'restart', 'stop and start'] as const) {
      const { pid } = await status()
      if (act === 'kill') await systemd.run('kill', ['-9', String(pid)])
      if (act === 'restart') assert.equal((await systemd.systemctl('restart', unit)).code, 0)
      if (act === 'stop and start') {
        assert.equal((await systemd.systemctl('stop', unit)).code, 0)
        const lives = await systemd.processes()
        assert.ok(lives.some((one) => one.pid === first['sleeper']))
        assert.equal((await systemd.systemctl('start', unit)).code, 0)
      }
      await until(`a new supervisor after ${act}`, async () => {
        const now = await status().catch(() => null)
        return now !== null && now.pid !== null && now.pid !== pid
      })
      assert.deepEqual(await pids(), first, act)
    }
  })

  it('is started again by systemd alone after paios down and paios up', async () => {
    assert.equal((await paios('down')).code, 0)
    await until('it has ended', async () => (await systemd.show(unit, 'ActiveState')) === 'inactive')
    // A start at boot: the mesh was taken down and stays down, which is no failure.
    await systemd.systemctl('start', unit)
    await until('it ends again', async () => (await systemd.show(unit, 'ActiveState')) === 'inactive')
    assert.equal((await systemd.processes()).filter(({ text }) => text.includes('sleep 100000')).length, 0)
    const { code, stdout, stderr } = await paios('up')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.match(stdout, /at the next login systemd starts the mesh/)
    assert.equal(await systemd.show(unit, 'MainPID'), String((await status()).pid))
    first = await pids()
  })

  it('upgrades forth and back, and puts back a version that does not come up', async () => {
    const next = join(user, 'next')
    const oldId = readlinkSync(join(home, 'versions/current'))
    cpSync(join(home, 'versions', oldId, 'app'), next, { recursive: true })
    const edit = (file: string, change: (text: string) => string) =>
      writeFileSync(join(next, file), change(readFileSync(join(next, file), 'utf8')))
    edit('package.json', (text) => text.replace(/"version": "[^"]*"/, '"version": "0.1.99"'))
    const forth = await paios('upgrade', '--to', next)
    assert.equal(forth.code, 0, forth.stderr)
    assert.equal((await status()).version, '0.1.99')
    assert.equal(await systemd.show(unit, 'MainPID'), String((await status()).pid))
    assert.deepEqual(await pids(), first)
    const back = await paios('upgrade', '--to', 'previous')
    assert.equal(back.code, 0, back.stderr)
    assert.equal(readlinkSync(join(home, 'versions/current')), oldId)
    assert.deepEqual(await pids(), first)
    edit('supervisor/main.ts', (text) => text.replace('async function supervise(', 'async function never('))
    edit(
      'supervisor/main.ts',
      (text) => `${text}\nasync function supervise(_: MainOptions) {\n  return 70\n}\n`,
    )
    const failed = await paios('upgrade', '--to', next)
    assert.equal(failed.code, 1)
    assert.match(failed.stderr, /everything was put back/)
    assert.equal(readlinkSync(join(home, 'versions/current')), oldId)
    assert.equal(await systemd.show(unit, 'MainPID'), String((await status()).pid))
    assert.deepEqual(await pids(), first)
  })

  it('has the sentinel look every minute, which starts a supervisor again that is stopped', async () => {
    assert.equal(await systemd.show('paios-sentinel.timer', 'ActiveState'), 'active')
    assert.equal(await systemd.show('paios-sentinel.timer', 'UnitFileState'), 'enabled')
    assert.equal((await systemd.systemctl('start', 'paios-sentinel.service')).code, 0)
    await until('its stamp', () => existsSync(join(home, 'run/sentinel')))
    // Its own script at a faster pace, so that nobody waits for minutes.
    const script = join(home, 'bin/paios-sentinel')
    const look = () => systemd.run('/bin/sh', [script, home, 'systemd', unit], { PAIOS_SENTINEL_EVERY: '4' })
    const { pid } = await status()
    await systemd.run('kill', ['-STOP', String(pid)])
    await until('the next one', async () => {
      await look()
      await wait(3_000)
      const main = Number(await systemd.show(unit, 'MainPID'))
      return main !== 0 && main !== pid
    })
    const log = readFileSync(join(home, 'logs/supervisor/sentinel.log'), 'utf8')
    assert.match(
      log,
      /no sign of life for 8 s: starting the supervisor again through systemd \(paios.service\)/,
    )
    await until('it answers', async () => (await status().catch(() => null))?.services.length)
    assert.deepEqual(await pids(), first)
  })

  it('has a supervisor that has stopped beating ended by the watchdog of systemd', async () => {
    const { pid } = await status()
    mkdirSync(`${unitPath}.d`, { recursive: true })
    writeFileSync(`${unitPath}.d/short.conf`, '[Service]\nWatchdogSec=3\n')
    await systemd.systemctl('daemon-reload')
    assert.equal((await systemd.systemctl('restart', unit)).code, 0)
    const beating = await until('a new supervisor', async () => {
      const now = await status().catch(() => null)
      return now?.pid && now.pid !== pid ? now.pid : null
    })
    // Two spans of the watchdog go by without harm while it beats.
    await wait(6_500)
    assert.equal((await status()).pid, beating)
    await systemd.run('kill', ['-STOP', String(beating)])
    await until('the next one', async () => {
      const main = await systemd.show(unit, 'MainPID')
      return (
        main !== '0' && main !== String(beating) && (await status().catch(() => null))?.pid === Number(main)
      )
    })
    rmSync(`${unitPath}.d`, { recursive: true })
    await systemd.systemctl('daemon-reload')
    assert.deepEqual(await pids(), first)
  })

  it('uninstall leaves every service running under a keeper, and no file', async () => {
    const { code, stdout, stderr } = await paios('uninstall')
    assert.equal(code, 0, stderr)
    assert.match(stdout, /the mesh goes on/)
    assert.deepEqual(await pids(), first)
    assert.equal((await status()).keeper, 'running')
    const timer = join(user, '.config/systemd/user/paios-sentinel.timer')
    for (const path of [unitPath, timer, join(bin, 'paios'), join(home, 'bin/paios-supervisor')]) {
      assert.equal(lstatSync(path, { throwIfNoEntry: false }), undefined, path)
    }
    assert.equal(await systemd.show(unit, 'LoadState'), 'not-found')
    assert.equal((await paios('down')).code, 0)
  })
})
