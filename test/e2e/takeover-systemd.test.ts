import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Status } from '../../schemas/status.ts'
import { type Systemd, startSystemd, whyNoSystemd } from '../systemd.ts'
import { ENTRY, type Ended, until } from './mesh.ts'
import { freePort } from './run-cli.ts'

const skip = whyNoSystemd() ?? false
const UNIT = 'openclaw-gateway.service'
const DOUBLE = resolve(import.meta.dirname, '../fixtures/fake-gateway.mjs')

describe('paios takeover and release under a real systemd of a user', { skip, timeout: 300_000 }, () => {
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
  const paios = (...args: string[]): Promise<Ended> => systemd.run(process.execPath, [ENTRY, ...args], env)
  const status = async () => JSON.parse((await paios('status', '--json')).stdout) as Status
  const gateway = async () => (await status()).services.find(({ name }) => name === 'gateway')!
  const ids = async () => {
    const { findings } = JSON.parse((await paios('doctor', '--json')).stdout) as { findings: { id: string }[] }
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
  const seen = () => until('the gateway is observed', async () => (await gateway()).state === 'running')

  before(async () => {
    mkdirSync(home, { mode: 0o700 })
    mkdirSync(units, { recursive: true })
    mkdirSync(bin)
    mkdirSync(join(user, '.openclaw'), { mode: 0o700 })
    port = await freePort()
    const config = { gateway: { mode: 'local', port, auth: { mode: 'token', token: 'of-no-use-to-anybody' } } }
    writeFileSync(join(user, '.openclaw/openclaw.json'), JSON.stringify(config), { mode: 0o600 })
    writeFileSync(wishes, '{}')
    writeFileSync(
      join(bin, 'openclaw'),
      `#!/bin/sh\nFAKE_GATEWAY='${wishes}' exec '${process.execPath}' '${DOUBLE}' "$@"\n`,
    )
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
    const up = await paios('up')
    assert.equal(up.code, 0, up.stderr)
  })
  after(async () => {
    await systemd?.end()
    rmSync(user, { recursive: true, force: true })
  })

  it('is suggested for a gateway that is only observed', async () => {
    await seen()
    assert.equal((await gateway()).next, 'paios takeover gateway')
    console.log(await ids())
  })

  it('prints with --dry-run who runs it and each step, and changes nothing', async () => {
    const [was, pid] = [await ownerState(), await listener()]
    const { code, stdout, stderr } = await paios('takeover', 'gateway', '--dry-run')
    console.log(stdout, stderr)
    assert.equal(code, 0, stderr)
    assert.deepEqual([await ownerState(), await listener()], [was, pid])
    assert.equal(readFileSync(document, 'utf8'), original)
    assert.ok(!existsSync(dirname(record)))
  })

  it('takes it over, and gives it back exactly as it was', async () => {
    const [was, former] = [await ownerState(), await listener()]
    const { code, stdout, stderr } = await paios('takeover', 'gateway')
    console.log(stdout, stderr)
    assert.equal(code, 0, `${stdout}${stderr}`)
    const back = await paios('release', 'gateway')
    console.log(back.stdout, back.stderr)
    assert.deepEqual(await ownerState(), was)
    console.log(former, await listener())
  })
})
