/** The real OpenClaw gateway, which a real systemd of a user runs, taken over and given back. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ServiceStatus, Status } from '../../schemas/status.ts'
import { type GatewayHome, gatewayHome, installBrains, orSkip } from '../brains.ts'
import { type Systemd, startSystemd, whyNoSystemd } from '../systemd.ts'
import { START_LIMIT_MS } from './gateway-mesh.ts'
import { ENTRY, type Ended, until } from './mesh.ts'

const UNIT = 'openclaw-gateway.service'
const openclaw = whyNoSystemd() === null ? await orSkip(installBrains()) : null
const skip = whyNoSystemd() ?? (openclaw === null ? 'NOT RUN: OpenClaw is not to be had here' : false)

describe('a real gateway of a real systemd', { skip, timeout: 900_000 }, () => {
  const program = openclaw ?? ''
  const path = `${dirname(process.execPath)}:${dirname(program)}:/usr/bin:/bin`
  let gw: GatewayHome
  let systemd: Systemd
  let document: string
  let original: string
  const paios = (...args: string[]): Promise<Ended> =>
    systemd.run(process.execPath, [ENTRY, ...args], { PATH: path })
  const gateway = async (): Promise<ServiceStatus> => {
    const { services } = JSON.parse((await paios('status', '--json')).stdout) as Status
    return services.find(({ name }) => name === 'gateway')!
  }
  const answers = async () => {
    const url = `http://127.0.0.1:${gw.port}/startupz`
    const response = await fetch(url).catch(() => null)
    return response?.status === 200
  }

  before(async () => {
    gw = await gatewayHome()
    const units = join(gw.home, '.config/systemd/user')
    document = join(gw.home, '.paios/paios.yaml')
    mkdirSync(units, { recursive: true })
    mkdirSync(dirname(document), { mode: 0o700 })
    const unit = [
      '[Service]',
      `ExecStart=${process.execPath} ${program} gateway run --port ${gw.port} --bind loopback`,
      `Environment=HOME=${gw.home} PATH=${path}`,
      'Restart=always',
      'RestartSec=5',
      'RestartPreventExitStatus=78',
      'TimeoutStopSec=330',
      'SuccessExitStatus=0 143',
      'KillMode=mixed',
      '[Install]',
      'WantedBy=default.target',
      '',
    ]
    writeFileSync(join(units, UNIT), unit.join('\n'))
    original = `version: 1
metrics: { enabled: false }
services:
  gateway:
    preset: openclaw-gateway # of the house
    observe: true
    port: ${gw.port}
    env: { PATH: "${path}" }
`
    writeFileSync(document, original, { mode: 0o600 })
    systemd = await startSystemd(gw.home)
    assert.equal((await systemd.systemctl('enable', '--now', UNIT)).code, 0)
    await until('the gateway of systemd answers', answers, START_LIMIT_MS)
    const up = await paios('up')
    assert.equal(up.code, 0, up.stderr)
  })
  after(async () => {
    await systemd?.end()
    await gw?.remove()
  })

  it('is taken over: checked while it runs, stopped in order, and ready here as the only one', async () => {
    const { code, stdout, stderr } = await paios('takeover', 'gateway')
    assert.equal(code, 0, `${stdout}${stderr}`)
    const { state, ready, kind, pid } = await gateway()
    assert.deepEqual([state, ready, kind], ['running', true, 'daemon'])
    assert.equal(await systemd.show(UNIT, 'ActiveState'), 'inactive')
    assert.equal(await systemd.show(UNIT, 'UnitFileState'), 'disabled')
    const gateways = (await systemd.processes()).filter(({ text }) => text.startsWith('openclaw'))
    assert.deepEqual(
      gateways.map((found) => found.pid),
      [pid],
    )
    assert.equal(readFileSync(document, 'utf8'), original.replace('observe: true', 'observe: false'))
  })

  it('is given back, and answers there', async () => {
    const { code, stdout, stderr } = await paios('release', 'gateway')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.equal(await systemd.show(UNIT, 'ActiveState'), 'active')
    assert.equal(await systemd.show(UNIT, 'UnitFileState'), 'enabled')
    assert.equal(readFileSync(document, 'utf8'), original)
    const main = Number(await systemd.show(UNIT, 'MainPID'))
    const gateways = (await systemd.processes()).filter(({ text }) => text.startsWith('openclaw'))
    assert.deepEqual(
      gateways.map((found) => found.pid),
      [main],
    )
    await until('it answers', answers, START_LIMIT_MS)
  })
})
