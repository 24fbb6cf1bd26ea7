import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fakeLaunchd } from '../launchd.ts'
import { createMesh, until } from './mesh.ts'
import { freePort } from './run-cli.ts'

const LABEL = 'ai.openclaw.gateway'
const DOUBLE = resolve(import.meta.dirname, '../fixtures/fake-gateway.mjs')

describe('paios takeover and release under a model of launchd, not on a Mac', { timeout: 600_000 }, () => {
  const mesh = createMesh()
  const user = mkdtempSync('/tmp/ptl-')
  const launchd = fakeLaunchd(user)
  const plist = join(user, 'Library/LaunchAgents', `${LABEL}.plist`)
  const document = join(mesh.home, 'paios.yaml')
  const record = join(mesh.home, 'takeover/gateway.json')
  const bin = join(user, 'bin')
  const env = { HOME: user, PAIOS_LAUNCHCTL: launchd.program, PATH: `${bin}:/usr/bin:/bin` }
  const paios = (...args: string[]) => mesh.cli(args, env)
  const job = () => launchd.job(LABEL)
  const disabled = () => {
    const path = join(dirname(launchd.program), 'launchd/disabled.json')
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as string[]) : []
  }
  const ids = async () => {
    const { findings } = JSON.parse((await paios('doctor', '--json')).stdout) as {
      findings: { id: string }[]
    }
    return findings.map(({ id }) => id).filter((id) => /^(takeover|owner|observed|port)/.test(id))
  }
  let original: string
  let plistText: string

  before(async () => {
    for (const folder of [bin, dirname(plist), join(user, '.openclaw')])
      mkdirSync(folder, { recursive: true })
    const port = await freePort()
    const config = {
      gateway: { mode: 'local', port, auth: { mode: 'token', token: 'of-no-use-to-anybody' } },
    }
    writeFileSync(join(user, '.openclaw/openclaw.json'), JSON.stringify(config), { mode: 0o600 })
    const refuses = `[ "$1$OPENCLAW_SUPERVISOR_MODE" = gatewayexternal ] && [ -e '${user}/broken' ] && exit 78`
    const program = join(bin, 'openclaw')
    // The tag lets the mesh find whatever is left at the end.
    const run = `MESH_TAG='${mesh.home}/gateway.tag' exec '${process.execPath}' '${DOUBLE}' "$@"`
    writeFileSync(program, `#!/bin/sh\n${refuses}\n${run}\n`)
    // As OpenClaw's installer has it: a wrapper, which here stays as the parent of the program.
    const wrapper = join(bin, 'wrapper')
    writeFileSync(
      wrapper,
      `#!/bin/sh\ntrap 'kill $child' TERM\n${program} "$@" &\nchild=$!\nwait $child\nwait $child\n`,
    )
    for (const file of [program, wrapper]) chmodSync(file, 0o755)
    const words = [wrapper, 'gateway', 'run', '--port', String(port)]
    const log = `<string>${user}/gateway.log</string>`
    plistText = [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<plist version="1.0"><dict>',
      `<key>Label</key><string>${LABEL}</string>`,
      `<key>ProgramArguments</key><array>${words.map((word) => `<string>${word}</string>`).join('')}</array>`,
      '<key>RunAtLoad</key><true/><key>KeepAlive</key><true/><key>ExitTimeOut</key><integer>20</integer>',
      '<key>ThrottleInterval</key><integer>10</integer>',
      `<key>StandardOutPath</key>${log}<key>StandardErrorPath</key>${log}`,
      `<key>EnvironmentVariables</key><dict><key>HOME</key><string>${user}</string></dict>`,
      `<key>WorkingDirectory</key><string>${user}</string>`,
      '</dict></plist>',
      '',
    ].join('\n')
    writeFileSync(plist, plistText, { mode: 0o644 })
    const gateway = `  gateway: { preset: openclaw-gateway, observe: true, port: ${port} } # the one that matters`
    original = ['version: 1', 'metrics: { enabled: false }', 'services:', gateway, ''].join('\n')
    writeFileSync(document, original, { mode: 0o600 })
    const { openLaunchctl } = await import('../../launchd/launchctl.ts')
    assert.equal((await openLaunchctl(launchd.program).bootstrap(plist)).code, 0)
    const up = await paios('up')
    assert.equal(up.code, 0, up.stderr)
    await mesh.untilService('gateway', 'is observed', ({ state }) => state === 'running')
    launchd.calls()
  })
  after(async () => {
    await mesh.cli(['down'], env)
    await launchd.end()
    await mesh.end()
    rmSync(user, { recursive: true, force: true })
  })

  it('prints each step with --dry-run, and changes nothing', async () => {
    const was = job()
    const { code, stdout, stderr } = await paios('takeover', 'gateway', '--dry-run')
    assert.equal(code, 0, stderr)
    assert.match(stdout, new RegExp(`launchctl disable and bootout ${LABEL} \\(pid ${was?.pid}, `))
    assert.deepEqual(job(), was)
    assert.deepEqual(
      launchd.calls().filter((call) => call !== 'list'),
      [],
    )
    assert.equal(readFileSync(document, 'utf8'), original)
    assert.ok(!existsSync(dirname(record)))
    assert.deepEqual(await ids(), ['observed'])
  })

  it('refuses a job that an app has registered, and says who manages it', async () => {
    launchd.fault({ submitted: true })
    const { code, stderr } = await paios('takeover', 'gateway')
    launchd.fault({})
    assert.equal(code, 5)
    assert.match(stderr, /is managed by com.apple.xpc.ServiceManagement/)
    assert.ok(job()?.pid)
  })

  it('has the job unloaded and disabled, starts the gateway here, and leaves the plist alone', async () => {
    launchd.calls()
    const { code, stdout, stderr } = await paios('takeover', 'gateway')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.equal(job(), null)
    assert.deepEqual(disabled(), [LABEL])
    const verbs = launchd.calls().map((call) => call.split(' ')[0])
    assert.deepEqual(
      verbs.filter((verb) => verb !== 'list'),
      ['disable', 'bootout'],
    )
    assert.equal(readFileSync(plist, 'utf8'), plistText)
    const { state, kind, ready } = await mesh.service('gateway')
    assert.deepEqual([state, kind, ready], ['running', 'daemon', true])
    assert.equal(readFileSync(document, 'utf8'), original.replace('observe: true', 'observe: false'))
    assert.deepEqual(await ids(), [])
  })

  it('gives it back: enabled, loaded and running, the document byte for byte', async () => {
    const { code, stdout, stderr } = await paios('release', 'gateway')
    assert.equal(code, 0, `${stdout}${stderr}`)
    assert.deepEqual(disabled(), [])
    assert.equal(job()?.state, 'running')
    assert.equal(readFileSync(document, 'utf8'), original)
    assert.deepEqual(readdirSync(dirname(record)), [])
  })

  it('puts everything back where the gateway does not get ready here', async () => {
    writeFileSync(join(user, 'broken'), '')
    const { code, stderr } = await paios('takeover', 'gateway')
    rmSync(join(user, 'broken'))
    assert.equal(code, 1)
    assert.match(stderr, /everything was put back/)
    assert.deepEqual([disabled(), job()?.state], [[], 'running'])
    assert.equal(readFileSync(document, 'utf8'), original)
  })

  it('names launchd where the gateway is declared as ours and the job holds its port', async () => {
    writeFileSync(document, original.replace('observe: true', 'observe: false'))
    await paios('up')
    const blocked = await mesh.service('gateway')
    assert.deepEqual([blocked.state, blocked.next], ['blocked', 'paios takeover gateway'])
    assert.match(blocked.reason!, /is held by pid \d+ \(.*, launchd\)/)
    assert.equal((await paios('takeover', 'gateway')).code, 0)
    assert.equal((await paios('release', 'gateway')).code, 0)
    await until('the job is back', () => job()?.state === 'running')
  })
})
