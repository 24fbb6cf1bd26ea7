/** A supervisor that sees a battery which is nearly empty: the folder of the kernel's power supplies is another one here. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { runbookText } from '../runbook-text.ts'
import { createMesh, ENTRY, until } from './mesh.ts'
import { freePort } from './run-cli.ts'

const SUPPLIES = '/sys/class/power_supply'
const skip =
  process.getuid?.() === 0 && existsSync(SUPPLIES)
    ? false
    : 'NOT RUN: only root puts a folder over that of Linux'
const RUNBOOK = runbookText(
  'kb',
  "alerts: [ProbeFailing]\nsteps:\n  - { id: people, action: tell, with: { text: 'Call whoever wrote it.' } }\n",
)

describe('on a battery that is nearly empty', { skip, timeout: 300_000 }, () => {
  it('nothing is done by itself until it is charged; then it is, and counts', async (t) => {
    const mesh = createMesh()
    t.after(() => mesh.end())
    const battery = join(mesh.home, 'supplies', 'BAT0')
    const say = (file: string, text: string) => writeFileSync(join(battery, file), `${text}\n`)
    mkdirSync(battery, { recursive: true })
    for (const [file, text] of [
      ...[['type', 'Battery'] as const, ['present', '1'] as const],
      ...[['status', 'Discharging'] as const, ['capacity', '7'] as const],
    ])
      say(file, text)
    mkdirSync(join(mesh.home, 'runbooks'))
    writeFileSync(join(mesh.home, 'runbooks', 'kb.md'), RUNBOOK)
    const port = await freePort()
    const flag = join(mesh.home, 'flag')
    writeFileSync(flag, '')
    const ready = { kind: 'exec', role: 'readiness', command: ['test', '-e', flag] }
    const kb = {
      command: ['/bin/sh', '-c', 'exec sleep 100000', 'sh'],
      probes: [{ ...ready, every: '1s', failureThreshold: 1 }],
    }
    mesh.write({ kb }, { metrics: { port } })
    const script = `mount --bind "$0" ${SUPPLIES} && exec "$@"`
    await promisify(execFile)(
      'unshare',
      ['-m', 'sh', '-c', script, join(mesh.home, 'supplies'), process.execPath, ENTRY, 'up'],
      { env: { ...process.env, PAIOS_HOME: mesh.home } },
    )
    const texts = async () => (await mesh.events('kb')).map(({ text }) => text)
    rmSync(flag)
    await until('it is held', async () =>
      (await texts()).some((text) =>
        /^not repaired by itself: .* on a battery that is nearly empty$/.test(text),
      ),
    )
    assert.ok(!(await texts()).some((text) => /^run 1 /.test(text)))
    say('status', 'Charging')
    await until(
      'it is done',
      async () => (await texts()).includes('run 1 of kb is over: told: Call whoever wrote it.'),
      150_000,
    )
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    assert.match(metrics, /^paios_remediation_actions_total\{runbook="kb",result="told"\} 1$/m)
    assert.match(metrics, /^paios_remediation_actions_total\{runbook="kb",result="failed"\} 0$/m)
  })
})
