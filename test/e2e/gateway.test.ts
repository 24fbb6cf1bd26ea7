/** A life of the real OpenClaw gateway under a real supervisor: each step begins where the last one ended. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import Database from 'better-sqlite3'
import type { JournalEvent, ServiceStatus } from '../../schemas/status.ts'
import { request } from '../../supervisor/cli/client.ts'
import {
  createGatewayMesh,
  createStory,
  FOREIGN_MARKERS,
  type GatewayMesh,
  isWell,
  START_LIMIT_MS,
} from './gateway-mesh.ts'
import { ASIDE, isAlive, kill, until } from './mesh.ts'

const READY_PROBES = ['startup', 'ready', 'rpc', 'database', 'disk', 'database-lock']

const verdictOf = (service: ServiceStatus, probe: string) =>
  service.probes.find((one) => one.name === probe)?.verdict ?? null

function pidOf({ pid }: ServiceStatus): number {
  assert.ok(pid !== null)
  return pid
}

function environmentOf(pid: number): Record<string, string> {
  const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  )
}

function canBind(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** How the last process ended, read from the journal: after `down` nobody answers for it. */
function endingOf(journal: string): unknown {
  const database = new Database(journal, { readonly: true })
  try {
    const query = "SELECT data FROM event WHERE kind IN ('exited', 'killed') ORDER BY id DESC LIMIT 1"
    return JSON.parse(database.prepare<[], { data: string }>(query).get()?.data ?? 'null')
  } finally {
    database.close()
  }
}

describe('the OpenClaw gateway under a supervisor', { timeout: 900_000 }, () => {
  const step = createStory()
  let own: GatewayMesh
  before(async () => {
    own = await createGatewayMesh()
    await own.declare()
  })
  after(() => own.end())

  /** Restarts taken and planned ones must show in the story; the last life's events, oldest first. */
  const since = async (id: number): Promise<JournalEvent[]> =>
    (await own.mesh.events({ service: 'gateway' })).filter(({ id: at, kind }) => at > id && !ASIDE.has(kind))
  const lastId = async () => (await own.mesh.events()).at(-1)?.id ?? 0
  const well = (generation: number) =>
    own.untilGateway(`life ${generation} is ready`, (one) => isWell(one) && one.generation === generation)
  /** A life that was ready for 10 s is stable: its end is not taken for a failed start. */
  const stable = (generation: number) =>
    own.untilGateway(
      `life ${generation} is stable`,
      (one) => isWell(one) && one.generation === generation && Date.now() - Date.parse(one.since) > 10_500,
    )

  step(
    'shows what the start waits for, and is running only once every check of the start has passed',
    async () => {
      const seen: ServiceStatus[] = []
      const up = own.paios('up').then((ended) => {
        assert.equal(ended.code, 0, ended.stdout + ended.stderr)
        return ended
      })
      const watched = own.untilGateway('the gateway is ready', (service) => {
        seen.push(service)
        return isWell(service)
      })
      const [{ stdout }] = await Promise.all([up, watched])
      assert.match(stdout, /^gateway +running/m)
      const waited = new Set(seen.filter((one) => one.state === 'starting').map((one) => one.reason))
      assert.ok(
        [...waited].some((reason) => reason?.startsWith('GET /startupz: ')),
        [...waited].join(),
      )
      for (const service of seen) {
        const hasPassed = READY_PROBES.every((probe) => verdictOf(service, probe) === 'pass')
        assert.equal(service.state === 'running', hasPassed, JSON.stringify(service))
      }
      assert.deepEqual(
        (await since(0)).map((event) => event.kind),
        ['starting', 'started', 'ready'],
      )
    },
  )

  step('gets a declared environment without the markers of other managers', async () => {
    const environment = environmentOf(pidOf(await own.gateway()))
    assert.equal(environment['OPENCLAW_SUPERVISOR_MODE'], 'external')
    assert.match(environment['PAIOS_RUN'] ?? '', /^[0-9A-Z]{26}$/)
    const supervisor = environmentOf(own.mesh.supervisorPid())
    for (const [name, value] of Object.entries(FOREIGN_MARKERS)) {
      assert.equal(supervisor[name], value, 'the supervisor itself has the marker')
      assert.equal(environment[name], undefined, `${name} reached the gateway`)
    }
  })

  step('is started again at once after a kill, and events tell it', async () => {
    await stable(1)
    const from = await lastId()
    kill(pidOf(await own.gateway()))
    const service = await well(2)
    assert.equal(service.restarts, 1)
    const told = await since(from)
    assert.deepEqual(
      told.map((event) => event.kind),
      ['exited', 'starting', 'started', 'ready'],
    )
    assert.equal(told[0]?.text, 'killed by SIGKILL')
    const [, starting] = told
    assert.deepEqual((await own.mesh.events()).find((event) => event.id === starting?.cause)?.kind, 'exited')
  })

  step(
    'shows a file that was broken while it runs, and refuses to restart a healthy gateway onto it',
    async () => {
      const pid = pidOf(await own.gateway())
      await own.gw.writeConfig({ ...own.gw.config, bogusKey: 1 })
      const warned = await own.untilGateway('the warning', (service) => service.warnings.length > 0)
      assert.deepEqual(warned.warnings, ['would not start again: openclaw.json: bogusKey: unknown key'])
      assert.deepEqual([warned.state, warned.pid, warned.next], ['running', pid, 'paios status gateway'])
      const { code, stderr } = await own.paios('restart', 'gateway')
      assert.equal(code, 5)
      assert.match(stderr, /not restarted.*keeps running: gateway: openclaw\.json: bogusKey: unknown key/)
      assert.equal((await own.gateway()).pid, pid)
    },
  )

  step('is blocked with the error of the file instead of crashing again and again', async () => {
    const from = await lastId()
    kill(pidOf(await own.gateway()))
    const blocked = await own.untilGateway('blocked', (service) => service.state === 'blocked')
    assert.match(blocked.reason ?? '', /^openclaw\.json: bogusKey: unknown key; looked at again in \d+ s$/)
    assert.deepEqual([blocked.warnings, blocked.pid, blocked.generation], [[], null, 2])
    const told = await since(from)
    assert.deepEqual(
      told.map((event) => event.kind),
      ['exited', 'backoff', 'blocked'],
    )
    const delayMs = Number(told[1]?.data['delayMs'])
    assert.ok(
      delayMs >= 320 && delayMs <= 480,
      `the second failure in a row waits 400 ms ± 20 %, not ${delayMs}`,
    )
    const { code, stdout } = await own.paios('status')
    assert.equal(code, 1)
    assert.match(stdout, /^gateway +blocked .*bogusKey.* paios status gateway$/m)
  })

  step('starts by itself when the file is good again', async () => {
    await own.gw.writeConfig(own.gw.config)
    const service = await well(3)
    assert.deepEqual([service.warnings, service.restarts], [[], 2])
  })

  step('gives up after the third failure in 10 min, and comes back when it is asked to', async () => {
    kill(pidOf(await own.gateway()))
    const failed = await own.untilGateway('failed', (service) => service.state === 'failed')
    assert.match(
      failed.reason ?? '',
      /^gave up: more than 2 failures in 10 min, last: killed by SIGKILL; looked at again in 15 min$/,
    )
    assert.equal(failed.next, 'paios logs gateway; then paios start gateway')
    const { code } = await own.paios('start', 'gateway')
    assert.equal(code, 0)
    await well(4)
  })

  step('keeps its process when the supervisor is killed, and is checked again', async () => {
    const { pid } = await own.gateway()
    const from = await lastId()
    const supervisor = own.mesh.supervisorPid()
    kill(supervisor)
    const adopted = await own.untilGateway('adopted', isWell)
    assert.notEqual(own.mesh.supervisorPid(), supervisor)
    assert.deepEqual([adopted.pid, adopted.generation], [pid, 4])
    assert.deepEqual(
      (await since(from)).map((event) => event.kind),
      ['adopted'],
    )
    const answered = /^paios_probe_runs_total\{service="gateway",probe="rpc",result="ok"\} [1-9]/m
    await until(
      'the WebSocket check goes on',
      async () => {
        const { body } = await request(own.mesh.home, 'GET', '/metrics')
        return answered.test(body)
      },
      START_LIMIT_MS,
    )
  })

  /**
   * What `openclaw gateway restart` and a change of its settings come to: exit 0 that no supervisor asked for. One
   * that comes within a second of ready would be taken for a loop.
   */
  const restartItself = async () => {
    const isAged = ({ since }: ServiceStatus) => Date.now() - Date.parse(since) > 1_500
    kill(pidOf(await own.untilGateway('it was ready for a moment', isAged)), 'SIGUSR2')
  }

  step(
    'starts again at once after a restart of its own, which counts as none, though it was adopted',
    async () => {
      const from = await lastId()
      const { restarts } = await own.gateway()
      await restartItself()
      const service = await well(5)
      assert.equal(service.restarts, restarts)
      const [exited, starting] = await since(from)
      assert.match(exited?.text ?? '', /nobody saw its exit code: a restart that it asked for itself/)
      assert.equal(starting?.kind, 'starting')
    },
  )

  step('does the same with a child of its own, whose exit code is seen', async () => {
    const from = await lastId()
    const { restarts } = await own.gateway()
    await restartItself()
    const service = await well(6)
    assert.equal(service.restarts, restarts)
    const [exited, starting] = await since(from)
    assert.match(exited?.text ?? '', /^exit code 0: a restart that it asked for itself \(.+\)$/)
    assert.equal(starting?.kind, 'starting')
  })

  step('drains at down, and leaves no process, no lock and no port', async () => {
    const pid = pidOf(await own.gateway())
    const tree = own.mesh.processesOf('gateway').map((process) => process.pid)
    assert.ok(tree.includes(pid) && tree.length > 1, 'it has processes of its own')
    const { code, stdout } = await own.paios('down')
    assert.equal(code, 0, stdout)
    assert.deepEqual(endingOf(own.mesh.journal), {
      code: 0,
      signal: null,
      class: 'success',
      asked: true,
      isFinal: false,
      isFailure: false,
    })
    assert.match(own.log(), /received SIGTERM; shutting down[\s\S]*drain settled[\s\S]*completed cleanly/)
    assert.deepEqual(tree.filter(isAlive), [])
    await until('supervisor and keeper are gone', () => own.mesh.processes().length === 0)
    const locks = join(own.gw.stateDir, 'tmp')
    const held = readdirSync(locks, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.lock'),
    )
    assert.deepEqual(held, [])
    assert.ok(await canBind(own.gw.port))
    assert.ok(!existsSync(join(own.mesh.home, 'run', 'paios.sock')))
  })
})
