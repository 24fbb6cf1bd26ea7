import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Status } from '../../schemas/status.ts'
import { type Systemd, startSystemd, whyNoSystemd } from '../systemd.ts'
import { ENTRY, type Ended, kill, until } from './mesh.ts'
import { freePort } from './run-cli.ts'

const skip = whyNoSystemd() ?? false
const UNIT = 'openclaw-gateway.service'
const DOUBLE = resolve(import.meta.dirname, '../fixtures/fake-gateway.mjs')

describe('paios takeover and release under a real systemd of a user', { skip, timeout: 600_000 }, () => {
  const user = mkdtempSync('/tmp/pt-')
  const home = join(user, '.paios')
  const units = join(user, '.config/systemd/user')
  const document = join(home, 'paios.yaml')
  const record = join(home, 'takeover/gateway.json')
  const wishes = join(user, 'wishes.json')
  const bin = join(user, 'bin')
  const env = { PATH: `${bin}:/usr/bin:/bin` }
  let port: number
  let systemd: Systemd
  let original: string
  let unitText: string
  let pristine: Awaited<ReturnType<typeof ownerState>>
  const paios = (...args: string[]): Promise<Ended> => systemd.run(process.execPath, [ENTRY, ...args], env)
  const status = async () => JSON.parse((await paios('status', '--json')).stdout) as Status
  const gateway = async () => (await status()).services.find(({ name }) => name === 'gateway')!
  const isAboutOwners = (id: string) => /^(takeover|owner|observed|port)/.test(id)
  const ids = async () => {
    const { findings } = JSON.parse((await paios('doctor', '--json')).stdout) as {
      findings: { id: string }[]
    }
    return findings.map(({ id }) => id)
  }
  /** Every file that says what starts, and the unit's state. */
  const ownerState = async () => ({
    files: readdirSync(units, { recursive: true }).toSorted(),
    text: readFileSync(join(units, UNIT), 'utf8'),
    state: await systemd.show(UNIT, 'UnitFileState'),
    active: await systemd.show(UNIT, 'ActiveState'),
    failed: (await systemd.systemctl('--failed', '--plain', '--no-legend')).stdout,
  })
  const listener = async () => {
    const { stdout } = await systemd.run('ss', ['-Hltnp', `sport = :${port}`])
    return Number(/pid=(\d+)/.exec(stdout)?.[1])
  }
  const recorded = () => JSON.parse(readFileSync(record, 'utf8')) as { step: string }
  /** Kills a command as soon as it has written down that it has come this far; resolves to the step that it left. */
  const killedAt = async (steps: readonly string[], ...words: string[]) => {
    mkdirSync(dirname(record), { recursive: true })
    const running = paios(...words)
    const mine = `${process.execPath} ${ENTRY} ${words.join(' ')}`
    const pid = await until('it runs', () => {
      const table = execFileSync('ps', ['-e', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n')
      return Number.parseInt(
        table.find((line) => line.trim().replace(/^\d+ /, '').startsWith(mine)) ?? '',
        10,
      )
    })
    const look = () => {
      if (existsSync(record) && steps.includes(recorded().step)) kill(pid)
    }
    const watcher = watch(dirname(record), look)
    look()
    const { code } = await running
    watcher.close()
    assert.notEqual(code, 0)
    return recorded().step
  }
  /** It may take half a minute until every probe has looked again, which nothing here waits for. */
  const isObserved = async () => {
    const { kind, pid, rejected } = await gateway()
    return kind === 'external' && pid === null && rejected === null
  }

  before(async () => {
    mkdirSync(home, { mode: 0o700 })
    mkdirSync(units, { recursive: true })
    mkdirSync(bin)
    mkdirSync(join(user, '.openclaw'), { mode: 0o700 })
    port = await freePort()
    const config = {
      gateway: { mode: 'local', port, auth: { mode: 'token', token: 'of-no-use-to-anybody' } },
    }
    writeFileSync(join(user, '.openclaw/openclaw.json'), JSON.stringify(config), { mode: 0o600 })
    writeFileSync(wishes, '{}')
    // Only the one that PAIOS starts has this variable: it alone refuses to start where the test wants it to.
    const refuses = `[ "$1$OPENCLAW_SUPERVISOR_MODE" = gatewayexternal ] && [ -e '${user}/broken' ] && exit 78`
    const program = `FAKE_GATEWAY='${wishes}' exec '${process.execPath}' '${DOUBLE}' "$@"`
    writeFileSync(join(bin, 'openclaw'), `#!/bin/sh\n${refuses}\n${program}\n`)
    chmodSync(join(bin, 'openclaw'), 0o755)
    // As OpenClaw's own installer writes it.
    writeFileSync(
      join(units, UNIT),
      [
        '[Unit]',
        'Description=OpenClaw Gateway',
        '[Service]',
        `ExecStart=${bin}/openclaw gateway run --port ${port}`,
        'Restart=always',
        'RestartSec=5',
        'TimeoutStopSec=330',
        'SuccessExitStatus=0 143',
        'KillMode=mixed',
        '[Install]',
        'WantedBy=default.target',
        '',
      ].join('\n'),
    )
    original = [
      'version: 1',
      'metrics: { enabled: false }',
      'services:',
      '  # the one that matters',
      '  gateway:   # of the house',
      '    preset: openclaw-gateway',
      '    observe: true   # for now',
      `    port: ${port}`,
      "  other: { command: ['/bin/sh', '-c', 'exec sleep 100000'] } # untouched",
      '',
    ].join('\n')
    writeFileSync(document, original, { mode: 0o600 })
    systemd = await startSystemd(user)
    assert.equal((await systemd.systemctl('enable', '--now', UNIT)).code, 0)
    await until('the owner listens', listener)
    unitText = readFileSync(join(units, UNIT), 'utf8')
    pristine = await ownerState()
    const up = await paios('up')
    assert.equal(up.code, 0, up.stderr)
  })
  after(async () => {
    await systemd?.end()
    rmSync(user, { recursive: true, force: true })
  })

  it('is suggested for a gateway that is only observed, by status and doctor', async () => {
    await until('it is observed', async () => (await gateway()).state === 'running')
    assert.equal((await gateway()).next, 'paios takeover gateway')
    const { stdout } = await paios('doctor')
    assert.match(
      stdout,
      /^- gateway is only watched: openclaw-gateway.service of systemd .*\n.*\n +paios takeover gateway$/m,
    )
  })

  it('prints with --dry-run who runs it and each step, and changes nothing', async () => {
    const [was, pid] = [await ownerState(), await listener()]
    const { code, stdout, stderr } = await paios('takeover', 'gateway', '--dry-run')
    assert.equal(code, 0, stderr)
    assert.match(stdout, new RegExp(`disable --now ${UNIT} \\(pid ${pid}, which has 330 s to end\\)`))
    assert.equal(stdout.match(/^would /gm)?.length, 4)
    assert.deepEqual([await ownerState(), await listener()], [was, pid])
    assert.equal(readFileSync(document, 'utf8'), original)
    assert.ok(!existsSync(dirname(record)))
  })

  it('refuses what it could not start, what nobody hands over, and what is ours', async () => {
    const [was, pid] = [await ownerState(), await listener()]
    const config = join(user, '.openclaw/openclaw.json')
    const valid = readFileSync(config, 'utf8')
    writeFileSync(config, valid.replace('"local"', '"nowhere"'))
    const broken = await paios('takeover', 'gateway')
    writeFileSync(config, valid)
    assert.equal(broken.code, 5)
    assert.match(broken.stderr, /could not be started here, nothing was changed: config: .*gateway.mode/)
    const other = await paios('takeover', 'other')
    assert.deepEqual([other.code, /started by paios already/.test(other.stderr)], [5, true])
    const nothing = await paios('release', 'gateway')
    assert.deepEqual([nothing.code, /was not taken over/.test(nothing.stderr)], [5, true])
    assert.equal((await paios('takeover', 'nobody')).code, 2)
    const procs = `/sys/fs/cgroup${await systemd.show(UNIT, 'ControlGroup')}/cgroup.procs`
    const words = `echo $$ >"$0" && exec '${process.execPath}' '${ENTRY}' takeover gateway`
    const inside = await systemd.run('/bin/sh', ['-c', words, procs], env)
    assert.deepEqual(
      [inside.code, /this command runs inside openclaw-gateway/.test(inside.stderr)],
      [5, true],
    )
    const timer = join(units, 'openclaw-gateway.timer')
    writeFileSync(timer, '[Timer]\nOnBootSec=10y\n')
    assert.equal((await systemd.systemctl('start', 'openclaw-gateway.timer')).code, 0)
    const timed = await paios('takeover', 'gateway')
    assert.deepEqual([timed.code, /gateway.timer would start/.test(timed.stderr)], [5, true])
    await systemd.systemctl('stop', 'openclaw-gateway.timer')
    rmSync(timer)
    await systemd.systemctl('daemon-reload')
    assert.deepEqual([await ownerState(), await listener()], [was, pid])
  })

  it('starts it here, keeps every comment and leaves the unit file and other services alone', async () => {
    const { pid } = (await status()).services.find(({ name }) => name === 'other')!
    const { code, stdout, stderr } = await paios('takeover', 'gateway')
    assert.equal(code, 0, `${stdout}${stderr}`)
    const service = await gateway()
    assert.deepEqual([service.state, service.ready, service.kind], ['running', true, 'daemon'])
    assert.equal(await listener(), service.pid)
    assert.equal(readFileSync(document, 'utf8'), original.replace('observe: true ', 'observe: false '))
    const { state, active, failed, text } = await ownerState()
    assert.deepEqual([state, active, failed], ['disabled', 'inactive', ''])
    assert.equal(text, unitText)
    assert.equal((await status()).services.find(({ name }) => name === 'other')?.pid, pid)
    assert.equal(recorded().step, 'taken')
    const again = await paios('takeover', 'gateway')
    assert.deepEqual([again.code, /paios release gateway gives it back/.test(again.stderr)], [5, true])
    assert.deepEqual((await ids()).filter(isAboutOwners), [])
  })

  it('says so when an installer has enabled the unit again, and disables it again', async () => {
    await systemd.systemctl('enable', UNIT)
    assert.deepEqual((await ids()).filter(isAboutOwners), ['owner-back'])
    const { pid } = await gateway()
    const { code, stderr } = await paios('takeover', 'gateway')
    assert.equal(code, 0, stderr)
    assert.deepEqual([(await ownerState()).state, (await gateway()).pid], ['disabled', pid])
    assert.deepEqual((await ids()).filter(isAboutOwners), [])
  })

  it('gives nothing back where the unit file is gone, and says with --dry-run what it would do', async () => {
    rmSync(join(units, UNIT))
    const { code, stderr } = await paios('release', 'gateway')
    writeFileSync(join(units, UNIT), unitText)
    await systemd.systemctl('daemon-reload')
    assert.equal(code, 5)
    assert.match(stderr, /openclaw-gateway.service is gone: install it again/)
    const { pid } = await gateway()
    const { stdout } = await paios('release', 'gateway', '--dry-run')
    assert.match(stdout, /^would put services.gateway of .* back as it was$/m)
    assert.match(stdout, new RegExp(`^would stop gateway \\(pid ${pid}\\), in order$`, 'm'))
    assert.match(stdout, /^would enable and start openclaw-gateway.service with systemd, as it was$/m)
    assert.equal((await gateway()).pid, pid)
  })

  it('gives it back as it was, and keeps what was edited elsewhere since', async () => {
    const edited = readFileSync(document, 'utf8').replace('untouched', 'touched')
    writeFileSync(document, edited)
    const early = await paios('release', 'gateway')
    assert.deepEqual([early.code, /settle that first/.test(early.stderr)], [5, true])
    assert.equal((await paios('up')).code, 0)
    const { code, stdout, stderr } = await paios('release', 'gateway')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.deepEqual(await ownerState(), pristine)
    assert.equal(readFileSync(document, 'utf8'), original.replace('untouched', 'touched'))
    assert.deepEqual(readdirSync(dirname(record)), [])
    assert.ok(await isObserved())
    assert.equal(String(await listener()), await systemd.show(UNIT, 'MainPID'))
    writeFileSync(document, original)
    assert.equal((await paios('up')).code, 0)
  })

  it('puts everything back where the service does not get ready here', async () => {
    writeFileSync(join(user, 'broken'), '')
    const { code, stdout, stderr } = await paios('takeover', 'gateway')
    rmSync(join(user, 'broken'))
    assert.equal(code, 1, `${stdout}${stderr}`)
    assert.match(stderr, /did not get ready here: .*78.*; everything was put back/)
    assert.deepEqual(await ownerState(), pristine)
    assert.equal(readFileSync(document, 'utf8'), original)
    assert.deepEqual(readdirSync(dirname(record)), [])
    assert.ok(await isObserved())
  })

  for (const step of ['intended', 'stopped', 'declared'] as const) {
    it(`is healed by release after kill -9 once it has written down \`${step}\``, async () => {
      // It drains for a while and starts for a while, so that the kill comes in the middle.
      writeFileSync(wishes, JSON.stringify({ stop: 'slow', stopMs: 700, startMs: 3_000 }))
      // What comes after `stopped` takes some milliseconds only.
      const steps = step === 'stopped' ? [step, 'declared'] : [step]
      const left = await killedAt(steps, 'takeover', 'gateway')
      writeFileSync(wishes, '{}')
      assert.ok(steps.includes(left), left)
      assert.deepEqual(
        (await ids()).filter((id) => id === 'takeover-unfinished'),
        ['takeover-unfinished'],
      )
      const again = await paios('takeover', 'gateway')
      assert.equal(again.code, 5)
      assert.match(again.stderr, /a takeover of gateway was interrupted .*: paios release gateway/)
      const { code, stdout, stderr } = await paios('release', 'gateway')
      assert.equal(code, 0, `${stdout}${stderr}`)
      assert.deepEqual(await ownerState(), pristine)
      assert.equal(readFileSync(document, 'utf8'), original)
      assert.deepEqual(readdirSync(dirname(record)), [])
      assert.ok(await isObserved())
    })
  }

  it('shuts out every other change of the home meanwhile, and a killed release is finished by the next', async () => {
    assert.equal((await paios('takeover', 'gateway')).code, 0)
    writeFileSync(wishes, JSON.stringify({ stop: 'slow', stopMs: 3_000 }))
    await killedAt(['releasing'], 'release', 'gateway')
    writeFileSync(wishes, '{}')
    assert.match((await paios('takeover', 'gateway')).stderr, /a release of gateway was interrupted/)
    writeFileSync(wishes, JSON.stringify({ stop: 'slow', stopMs: 3_000 }))
    const releasing = paios('release', 'gateway')
    await until('it is at work', () => existsSync(join(home, 'run/change.lock')))
    for (const words of [
      ['install'],
      ['upgrade'],
      ['uninstall'],
      ['takeover', 'gateway'],
      ['release', 'gateway'],
    ]) {
      const { code, stderr } = await paios(...words)
      assert.equal(code, 5, stderr)
      assert.match(stderr, /paios release gateway \(pid \d+\) is at work on .*: wait until it has ended/)
    }
    const { code, stdout, stderr } = await releasing
    writeFileSync(wishes, '{}')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.deepEqual(await ownerState(), pristine)
    assert.equal(readFileSync(document, 'utf8'), original)
  })

  it('gives it back while the mesh is down, too', async () => {
    assert.equal((await paios('takeover', 'gateway')).code, 0)
    assert.equal((await paios('down')).code, 0)
    const { code, stdout, stderr } = await paios('release', 'gateway')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.deepEqual(await ownerState(), pristine)
    assert.equal(readFileSync(document, 'utf8'), original)
    assert.equal((await paios('takeover', 'gateway')).code, 4)
    assert.equal((await paios('up')).code, 0)
  })

  it('takes over what is declared as ours and is blocked, and gives that back, too', async () => {
    const declared = original.replace('observe: true ', 'observe: false ')
    writeFileSync(document, declared)
    assert.equal((await paios('up')).code, 1)
    const blocked = await gateway()
    assert.deepEqual([blocked.state, blocked.next], ['blocked', 'paios takeover gateway'])
    assert.match(
      blocked.reason!,
      new RegExp(`port ${port} is held by pid ${await listener()} \\(.*, systemd\\)`),
    )
    assert.deepEqual((await ids()).filter(isAboutOwners), ['port-owner'])
    const { code, stderr } = await paios('takeover', 'gateway')
    assert.equal(code, 0, stderr)
    assert.equal((await gateway()).pid, await listener())
    const back = await paios('release', 'gateway')
    assert.equal(back.code, 0, `${back.stdout}${back.stderr}`)
    assert.deepEqual(await ownerState(), pristine)
    assert.equal(readFileSync(document, 'utf8'), declared)
    await until('it is blocked again', async () => (await gateway()).state === 'blocked')
  })

  it('refuses a gateway that somebody has started by hand', async () => {
    await systemd.systemctl('disable', '--now', UNIT)
    writeFileSync(document, original)
    await systemd.run('/bin/sh', ['-c', `${bin}/openclaw gateway run --port ${port} >/dev/null 2>&1 &`], env)
    await until('it listens', listener)
    await paios('up')
    const { code, stderr } = await paios('takeover', 'gateway')
    assert.equal(code, 5)
    assert.match(
      stderr,
      /no unit or job of systemd runs pid \d+ on port \d+: stop it there, set `observe: false`/,
    )
  })
})
