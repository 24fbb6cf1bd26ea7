import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ProbeReport } from '../../schemas/status.ts'
import type { Alert } from '../../supervisor/shell/command-channel.ts'
import { createMesh, kill, until } from './mesh.ts'

const LIMIT = { timeout: 180_000 }
const SLEEP = ['/bin/sh', '-c', 'exec sleep 100000', 'sh']

describe('no failure is silent', LIMIT, () => {
  const mesh = createMesh()
  const told = (service: string): Alert[] => {
    const path = join(mesh.home, 'told')
    if (!existsSync(path)) return []
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Alert).filter((alert) => alert.service === service)
  }
  const events = (service: string) => told(service).map(({ event }) => event)
  const script = (name: string, text: string) => {
    const path = join(mesh.home, name)
    writeFileSync(path, `#!/bin/sh\n${text}\n`)
    chmodSync(path, 0o755)
    return path
  }
  let pings = 0
  const switchServer: Server = createServer((_, response) => {
    pings++
    response.end()
  })
  let url = ''

  before(async () => {
    await new Promise<void>((resolve) => switchServer.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(switchServer.address() as AddressInfo).port}/`
    const tell = script('tell', `cat >> ${mesh.home}/told`)
    script('gone', 'exec sleep 100000')
    const ready = {
      kind: 'exec',
      role: 'readiness',
      command: ['test', '-e', `${mesh.home}/well`],
      every: '100ms',
      failureThreshold: 2,
    }
    mesh.write(
      {
        killed: { command: SLEEP },
        loop: { command: ['/bin/sh', '-c', 'exit 3', 'sh'], intensity: { max: 2, within: '10m' } },
        fading: { command: SLEEP, probes: [ready] },
        gone: { command: [join(mesh.home, 'gone')] },
      },
      { alerts: { command: [tell] }, deadman: { url, every: '1s' } },
    )
    writeFileSync(join(mesh.home, 'well'), '')
    await mesh.cli(['up'])
  })
  after(async () => {
    await mesh.end()
    switchServer.close()
  })

  it('a killed service is told, and its recovery', async () => {
    kill((await mesh.service('killed')).pid!)
    await until('both are told', () => events('killed').length === 2)
    const [down, back] = told('killed')
    assert.deepEqual([down?.event, back?.event], ['down', 'recovered'])
    assert.equal(down?.reason, 'killed by SIGKILL')
    assert.equal(back?.state, 'running')
    assert.match(down?.runbook ?? '', /runbooks\/process\.md$/)
    assert.ok(Date.parse(down?.at ?? '') <= Date.parse(back?.at ?? ''))
  })

  it('a service that gives up is told with its reason', async () => {
    await until('it gave up', () => events('loop').at(-1) === 'gave-up')
    assert.match(
      told('loop').at(-1)?.reason ?? '',
      /gave up: more than 2 failures in 10 min, last: exit code 3/,
    )
  })

  it('one that is not ready any more is told, and its recovery', async () => {
    rmSync(join(mesh.home, 'well'))
    await until('it is told', () => events('fading').includes('degraded'))
    writeFileSync(join(mesh.home, 'well'), '')
    await until('it is well', () => events('fading').at(-1) === 'recovered')
    assert.deepEqual(events('fading'), ['degraded', 'recovered'])
  })

  it('a program that is gone is told as missing, and status names it', async () => {
    rmSync(join(mesh.home, 'gone'))
    kill((await mesh.service('gone')).pid!)
    await until('it is missing', () => events('gone').at(-1) === 'missing')
    assert.equal((await mesh.service('gone')).state, 'missing')
  })

  it('a trouble that was told is not told again by the next supervisor', async () => {
    const before = events('loop').length
    const pid = mesh.supervisorPid()
    kill(pid)
    await until('the next one runs', () =>
      mesh.status().then(
        (found) => found.pid !== pid,
        () => false,
      ),
    )
    kill((await mesh.service('killed')).pid!)
    await until('a new one is told', () => events('killed').length === 4)
    assert.equal(events('loop').length, before)
  })

  it("the dead man's switch is asked while the supervisor is well, and its silence is a standing warning", async () => {
    await until('it was asked', () => pings >= 2)
    switchServer.closeAllConnections()
    await new Promise((resolve) => switchServer.close(resolve))
    const { warnings } = await mesh.until('the warning', (found) => found.warnings.length > 0)
    assert.match(warnings.join(), /the dead man's switch cannot be reached: ECONNREFUSED/)
  })

  it('an alert command that fails stands in status and in the journal', async () => {
    script('tell', 'echo no route to anybody >&2; exit 1')
    kill((await mesh.service('killed')).pid!)
    const { warnings } = await mesh.until('the warning', (found) =>
      found.warnings.some((text) => text.includes('alert')),
    )
    assert.match(warnings.join(), /the alert command \S+\/tell failed: exit 1: no route to anybody/)
    assert.ok((await mesh.events()).some(({ kind }) => kind === 'alert-failed'))
  })

  it('paios probe runs the probes now, and exits 1 where one fails', async () => {
    const well = await mesh.cli(['probe', 'fading'])
    assert.equal(well.code, 0)
    assert.match(well.stdout, /^pass +[\d.]+ ms {2}readiness exec-readiness$/m)
    rmSync(join(mesh.home, 'well'))
    const ill = await mesh.cli(['probe', 'fading', '--json'])
    assert.equal(ill.code, 1)
    const { probes } = JSON.parse(ill.stdout) as { probes: ProbeReport[] }
    assert.deepEqual(
      probes.map(({ name, result }) => [name, result]),
      [['exec-readiness', 'fail']],
    )
    assert.match(probes[0]?.text ?? '', /test: exit 1, expected exit 0/)
    const none = await mesh.cli(['probe', 'killed'])
    assert.deepEqual([none.code, none.stdout], [0, 'killed has no probes: it is watched by its exit alone\n'])
    const unknown = await mesh.cli(['probe', 'kiled'])
    assert.equal(unknown.code, 2)
    assert.match(unknown.stderr, /killed/)
  })
})
