import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { placeOf } from '../../supervisor/boot/place.ts'
import { fakeLaunchd } from '../launchd.ts'
import { createMesh, kill, until } from './mesh.ts'
import { pidsOf, SLEEPER } from './run-cli.ts'

describe('paios install under a model of launchd, not on a Mac', { timeout: 600_000 }, () => {
  const mesh = createMesh()
  const user = mkdtempSync('/tmp/pl-')
  const launchd = fakeLaunchd(user)
  const place = placeOf(mesh.home, { userHome: user, configHome: null })
  const bin = join(user, 'bin')
  const env = { HOME: user, PAIOS_LAUNCHCTL: launchd.program, PATH: `${bin}:/usr/bin:/bin` }
  const paios = (...args: string[]) => mesh.cli(args, env)
  const pids = async () => pidsOf(await mesh.status())
  const job = () => launchd.job(place.label)
  let first: Awaited<ReturnType<typeof pids>>

  after(async () => {
    await launchd.end()
    await mesh.end()
    rmSync(user, { recursive: true, force: true })
  })

  it('says with --dry-run what it would write, and that it was tried against a model only', async () => {
    mkdirSync(bin)
    mesh.write({ one: { command: SLEEPER }, two: { command: SLEEPER } })
    assert.equal((await paios('up')).code, 0)
    first = await pids()
    const { code, stdout } = await paios('install', '--dry-run')
    assert.equal(code, 0)
    assert.match(stdout, /<key>AbandonProcessGroup<\/key>/)
    assert.match(stdout, /tried against a model, not on a Mac/)
    assert.ok(!existsSync(place.plistPath))
    assert.deepEqual(launchd.calls(), [])
  })

  it('puts everything back where there is no desktop session', async () => {
    launchd.fault({ noGui: true })
    const { code, stderr } = await paios('install')
    launchd.fault({})
    assert.equal(code, 1)
    assert.match(stderr, /no desktop session/)
    assert.ok(!existsSync(place.plistPath))
    assert.equal((await mesh.status()).keeper, 'running')
    assert.deepEqual(await pids(), first)
  })

  it('puts everything back where launchd refuses the job', async () => {
    launchd.calls()
    launchd.fault({ bootstrap: [122] })
    const { code, stderr } = await paios('install')
    launchd.fault({})
    assert.equal(code, 1)
    assert.match(stderr, /must belong to you.*everything was put back/)
    assert.ok(!existsSync(place.plistPath))
    assert.equal((await mesh.status()).keeper, 'running')
    assert.deepEqual(await pids(), first)
  })

  it('hands the mesh over to launchd without touching a service', async () => {
    const { code, stdout, stderr } = await paios('install')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.match(stdout, /tried against a model, not on a Mac/)
    const { pid, keeper } = await mesh.status()
    assert.equal(job()?.pid, pid)
    assert.equal(keeper, 'none')
    assert.deepEqual(await pids(), first)
    assert.equal(statSync(place.plistPath).mode & 0o777, 0o644)
    assert.match(readFileSync(place.bootLog, 'utf8'), new RegExp(`pid ${pid} paios .* started by launchd`))
  })

  it('changes nothing when it is repeated: not a verb, not the time of a file', async () => {
    launchd.calls()
    const times = [place.plistPath, place.supervisor].map((path) => statSync(path).mtimeMs)
    const { code, stdout } = await paios('install')
    assert.equal(code, 0)
    assert.match(stdout, /nothing was changed/)
    assert.deepEqual(launchd.calls(), [])
    assert.deepEqual(
      [place.plistPath, place.supervisor].map((path) => statSync(path).mtimeMs),
      times,
    )
  })

  it('has a killed supervisor started again, which adopts the services', async () => {
    const { pid } = await mesh.status()
    kill(pid!)
    await mesh.until('the next supervisor', (status) => status.pid !== pid)
    assert.deepEqual(await pids(), first)
    assert.equal(job()?.runs, 2)
  })

  it('stays down after paios down, and comes up again with paios up, under launchd', async () => {
    assert.equal((await paios('down')).code, 0)
    await until('launchd leaves it alone', () => job()?.state === 'not running')
    const { code, stdout, stderr } = await paios('up')
    assert.equal(code, 0, stderr)
    assert.match(stdout, /at the next login launchd starts the mesh/)
    assert.equal(job()?.pid, (await mesh.status()).pid)
    first = await pids()
  })

  it('passes its own self-test, which leaves nothing and says that this was no Mac', async () => {
    const before = readdirSync(join(user, 'Library/LaunchAgents'))
    const { code, stdout } = await paios('selftest', 'launchd')
    assert.equal(code, 0, stdout)
    assert.doesNotMatch(stdout, /^NO/m)
    assert.match(stdout, /^ok {2}a killed job is started again: after /m)
    assert.match(stdout, /^-- {2}bootstrap of a disabled label: ends with 119: /m)
    assert.match(stdout, /this was no Mac/)
    assert.deepEqual(readdirSync(join(user, 'Library/LaunchAgents')), before)
    assert.deepEqual(
      readdirSync(join(mesh.home, 'cache')).filter((name) => name.startsWith('selftest')),
      [],
    )
    assert.deepEqual(await pids(), first)
    assert.match((await paios('install', '--dry-run')).stdout, /tried against a model/)
  })

  it('fails its self-test where launchd ends what a job has started', async () => {
    launchd.fault({ sweepsSessions: true })
    const { code, stdout } = await paios('selftest', 'launchd')
    launchd.fault({})
    assert.equal(code, 1)
    assert.match(stdout, /^NO {2}what it has started lives on: /m)
  })

  it('doctor sees a plist that was changed and a job that was unloaded', async () => {
    const ids = async () => {
      const { findings } = JSON.parse((await paios('doctor', '--json')).stdout) as {
        findings: { id: string }[]
      }
      // An edit of the sources while this runs makes them another version than the one in force.
      return findings.map(({ id }) => id).filter((id) => id !== 'upgrade')
    }
    assert.deepEqual(await ids(), ['login-only', 'untried'])
    const text = readFileSync(place.plistPath, 'utf8')
    writeFileSync(place.plistPath, text.replace('<integer>45</integer>', '<integer>4</integer>'))
    assert.deepEqual(await ids(), ['drift', 'login-only', 'untried'])
    assert.equal((await paios('install')).code, 0)
    assert.equal(readFileSync(place.plistPath, 'utf8'), text)
    assert.deepEqual(await ids(), ['login-only', 'untried'])
    assert.deepEqual(await pids(), first)
  })

  it('upgrades forth and back: the same plist, another supervisor each time, and no service notices', async () => {
    const next = join(user, 'next')
    const oldId = readlinkSync(place.current)
    cpSync(join(place.versions, oldId, 'app'), next, { recursive: true })
    const manifest = join(next, 'package.json')
    writeFileSync(
      manifest,
      readFileSync(manifest, 'utf8').replace(/"version": "[^"]*"/, '"version": "0.1.99"'),
    )
    const generations = async () => (await mesh.status()).services.map(({ generation }) => generation)
    const was = await generations()
    const { mtimeMs } = statSync(place.plistPath)
    const supervisors = [(await mesh.status()).pid]
    const expected = [
      [next, '0.1.99'],
      ['previous', (await mesh.status()).version],
    ] as const
    for (const [to, version] of expected) {
      launchd.calls()
      const { code, stdout, stderr } = await paios('upgrade', '--to', to)
      assert.equal(code, 0, `${stdout}${stderr}`)
      const status = await mesh.status()
      assert.equal(status.version, version)
      assert.equal(job()?.pid, status.pid)
      supervisors.push(status.pid)
      const verbs = launchd.calls().map((call) => call.split(' ')[0])
      assert.deepEqual(verbs, ['bootout', 'enable', 'bootstrap'])
      assert.deepEqual([await pids(), await generations()], [first, was])
    }
    assert.equal(new Set(supervisors).size, 3)
    assert.equal(readlinkSync(place.current), oldId)
    assert.equal(statSync(place.plistPath).mtimeMs, mtimeMs)
  })

  it('puts the former version back where launchd cannot load the job of the new one', async () => {
    const { version } = await mesh.status()
    launchd.fault({ bootstrap: [122] })
    const { code, stderr } = await paios('upgrade', '--to', '0.1.99')
    launchd.fault({})
    assert.equal(code, 1)
    assert.match(stderr, /must belong to you.*everything was put back/)
    const status = await mesh.status()
    assert.equal(status.version, version)
    assert.equal(job()?.pid, status.pid)
    assert.deepEqual(await pids(), first)
  })

  it('uninstall leaves every service running under a keeper, no file, and the label enabled', async () => {
    const { code, stderr } = await paios('uninstall')
    assert.equal(code, 0, stderr)
    assert.deepEqual(await pids(), first)
    assert.equal((await mesh.status()).keeper, 'running')
    assert.equal(job(), null)
    for (const path of [place.plistPath, join(bin, 'paios'), place.supervisor, place.command]) {
      assert.equal(lstatSync(path, { throwIfNoEntry: false }), undefined, path)
    }
    assert.deepEqual(
      launchd.calls().filter((call) => call.startsWith('disable') && call.includes(place.label)),
      [],
    )
  })
})
