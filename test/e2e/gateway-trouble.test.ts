/** What goes wrong around the real OpenClaw gateway. The stories run side by side: most of them only wait. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import type { ServiceStatus } from '../../schemas/status.ts'
import { freePort, type GatewayHome, gatewayHome, installBrains } from '../brains.ts'
import { BOT_TOKEN, startDoubles, telegram } from './gateway-doubles.ts'
import {
  createGatewayMesh,
  createStory,
  type GatewayMesh,
  isWell,
  START_LIMIT_MS,
  type Stranger,
  startStranger,
  strangerOf,
} from './gateway-mesh.ts'
import { ASIDE, isAlive, kill, until } from './mesh.ts'

const LISTEN = `
import { createServer } from 'node:net'
createServer().listen(Number(process.argv[1]), '127.0.0.1', () => console.log('listening'))`
const LOCK = `
import Database from 'better-sqlite3'
const database = new Database(process.argv[1])
database.exec('BEGIN EXCLUSIVE')
console.log('locked')
setInterval(() => undefined, 60_000)`

function pidOf({ pid }: ServiceStatus): number {
  assert.ok(pid !== null)
  return pid
}

/** Events of what belongs to a hang and has no fixed place among those of the life. */
const BESIDE = new Set([...ASIDE, 'degraded', 'backoff', 'evidence'])

describe('trouble around the OpenClaw gateway', { concurrency: true, timeout: 900_000 }, () => {
  describe('a gateway that hangs', { concurrency: false }, () => {
    const step = createStory()
    let own: GatewayMesh
    before(async () => {
      own = await createGatewayMesh()
      await own.declare()
    })
    after(() => own.end())

    const kinds = async () => (await own.mesh.events({ service: 'gateway' })).map((event) => event.kind)

    for (const life of [1, 2]) {
      step(`is found by its liveness, killed at once and started again (${life} of 2)`, async () => {
        if (life === 1) assert.equal((await own.paios('up')).code, 0)
        const from = (await kinds()).length
        kill(pidOf(await own.gateway()), 'SIGSTOP')
        const service = await own.untilGateway('the next life', (one) => isWell(one) && one.generation > life)
        assert.equal(service.restarts, life)
        const told = (await own.mesh.events({ service: 'gateway' })).slice(from)
        assert.deepEqual(
          told.map((event) => event.kind).filter((kind) => !BESIDE.has(kind)),
          ['hung', 'stopping', 'killed', 'exited', 'starting', 'started', 'ready'],
          told.map(({ kind, text }) => `${kind}: ${text}`).join('\n'),
        )
        assert.match(
          told.find((event) => event.kind === 'hung')?.text ?? '',
          /^hung: GET \/healthz: no answer in time$/,
        )
        assert.equal(told.find((event) => event.kind === 'killed')?.text, 'SIGKILL at once')
        assert.match(
          told.find((event) => event.kind === 'evidence')?.text ?? '',
          /^what it was doing is in \//,
        )
      })
    }

    step('is not killed a third time within 5 min: hung, and the reason says the limit', async () => {
      const pid = pidOf(await own.gateway())
      kill(pid, 'SIGSTOP')
      const hung = await own.untilGateway('hung', (one) => one.state === 'hung')
      assert.match(
        hung.reason ?? '',
        /^GET \/healthz: no answer in time; not killed for another \d+ (s|min): 2 kills in 5 min are the limit$/,
      )
      assert.deepEqual([hung.pid, hung.generation, hung.next], [pid, 3, 'paios logs gateway'])
      assert.equal((await own.paios('status')).code, 1)
      kill(pid, 'SIGCONT')
      const back = await own.untilGateway('back without a restart', isWell)
      assert.equal(back.pid, pid)
      assert.ok((await own.told()).includes('answers again without a restart'))
    })

    step('ends at down although it does not react, with everything that it started', async () => {
      const tree = own.mesh.processesOf('gateway').map((process) => process.pid)
      kill(pidOf(await own.gateway()), 'SIGSTOP')
      assert.equal((await own.paios('down')).code, 0)
      assert.deepEqual(tree.filter(isAlive), [])
      await until('supervisor and keeper are gone', () => own.mesh.processes().length === 0)
    })
  })

  describe('a state database that another process has locked', { concurrency: false }, () => {
    const step = createStory()
    let own: GatewayMesh
    let holder: Stranger | undefined
    before(async () => {
      own = await createGatewayMesh()
      await own.declare()
    })
    after(async () => {
      await holder?.end()
      await own.end()
    })

    step('is told in words, and the gateway is not restarted for it', async () => {
      assert.equal((await own.paios('up')).code, 0)
      const { pid } = await own.gateway()
      holder = await startStranger(LOCK, join(own.gw.stateDir, 'state', 'openclaw.sqlite'))
      const degraded = await own.untilGateway('degraded', (one) => one.state === 'degraded')
      assert.match(
        degraded.reason ?? '',
        /another process holds a lock on its state database: whatever writes hangs/,
      )
      assert.deepEqual([degraded.pid, degraded.restarts, degraded.next], [pid, 0, 'paios logs gateway'])
    })

    step('is over some two minutes after the lock is gone', async () => {
      await holder?.end()
      const service = await own.untilGateway('recovered', isWell, 240_000)
      assert.deepEqual([service.generation, service.restarts], [1, 0])
      assert.equal((await own.paios('down')).code, 0)
    })
  })

  describe('a gateway that cannot start', { concurrency: false }, () => {
    const step = createStory()
    const strangers: Stranger[] = []
    let own: GatewayMesh
    let watcher: GatewayMesh
    let program: string
    before(async () => {
      own = await createGatewayMesh()
      watcher = await createGatewayMesh(own.gw)
      program = join(own.gw.home, 'bin', 'openclaw')
      await mkdir(join(own.gw.home, 'bin'))
    })
    after(async () => {
      for (const stranger of strangers) await stranger.end()
      await watcher.end()
      await own.end()
    })

    step('is absent with the command that installs it while the program was never there', async () => {
      await own.declare({ program })
      const { code, stdout } = await own.paios('up')
      assert.equal(code, 0, stdout)
      assert.match(stdout, /^gateway +absent .*bin\/openclaw does not exist +npm install -g openclaw/m)
    })

    step('is blocked by its own exit 78 with the reason, and says when it is tried again', async () => {
      await symlink(await installBrains(), program)
      // No schema tells that this is no duration.
      const agents = { defaults: { heartbeat: { every: 'banana' } } }
      await own.gw.writeConfig({ ...own.gw.config, agents })
      await own.paios('start', 'gateway')
      const blocked = await own.untilGateway('blocked', (one) => one.state === 'blocked')
      assert.match(
        blocked.reason ?? '',
        /^exit code 78: its configuration is not valid: openclaw\.json:\d+ — agents\.defaults\.heartbeat\.every: .*; looked at again in 15 min$/,
      )
      assert.deepEqual([blocked.next, blocked.generation], ['paios logs gateway', 1])
      await own.gw.writeConfig(own.gw.config)
    })

    step('is blocked by a damaged state database before it is started', async () => {
      await mkdir(join(own.gw.stateDir, 'state'), { recursive: true })
      const file = join(own.gw.stateDir, 'state', 'openclaw.sqlite')
      for (const end of ['-wal', '-shm']) await rm(file + end, { force: true })
      await writeFile(file, 'this is no database, '.repeat(500))
      await own.paios('start', 'gateway')
      const blocked = await own.untilGateway(
        'blocked by the database',
        (one) => one.state === 'blocked' && one.reason?.includes('sqlite') === true,
      )
      assert.match(blocked.reason ?? '', /openclaw\.sqlite: .*not a database; looked at again in \d+ s$/)
    })

    step('is missing when the program was there and is gone', async () => {
      await rm(join(own.gw.stateDir, 'state'), { recursive: true })
      await rm(program)
      const { code, stdout } = await own.paios('start', 'gateway')
      assert.equal(code, 1)
      assert.match(stdout, /gateway: missing, .*bin\/openclaw does not exist +npm install -g openclaw/)
    })

    step('is blocked by a stranger on its port, which is named and left alone', async () => {
      const port = await freePort()
      const stranger = await startStranger(LISTEN, String(port))
      strangers.push(stranger)
      await own.declare({ port })
      await own.paios('up')
      const blocked = await own.untilGateway('blocked', (one) => one.state === 'blocked')
      assert.match(
        blocked.reason ?? '',
        new RegExp(`^port ${port} is held by pid ${stranger.pid} \\(node.*\\); looked at again in \\d+ s$`),
      )
      assert.equal(blocked.next, 'paios status gateway')
      assert.equal((await own.paios('status')).code, 1)
    })

    step('a first up watches a gateway that runs already, and starts no second one', async () => {
      const argv = ['gateway', 'run', '--port', String(own.gw.port), '--bind', 'loopback']
      const child = spawn(await installBrains(), argv, { env: own.gw.env, stdio: 'ignore' })
      strangers.push(strangerOf(child))
      const url = `http://127.0.0.1:${own.gw.port}/readyz`
      const answers = () =>
        fetch(url).then(
          (answer) => answer.ok,
          () => false,
        )
      await until('the unmanaged gateway is ready', answers, START_LIMIT_MS)
      const { code, stdout } = await watcher.paios('up')
      assert.equal(code, 0, stdout)
      assert.match(
        stdout,
        new RegExp(`gateway that answers on port ${own.gw.port}: it is watched, not started`),
      )
      const watched = await watcher.gateway()
      assert.deepEqual([watched.kind, watched.state, watched.pid], ['external', 'running', null])
      assert.equal((await watcher.paios('down')).code, 0)
      assert.ok(isAlive(child.pid ?? 0))
    })

    step('is blocked by a second gateway on the same state, by its pid', async () => {
      const [stranger, second] = strangers
      await stranger?.end()
      const blocked = await own.untilGateway(
        'blocked by the lock',
        (one) => one.state === 'blocked' && one.reason?.includes('gateway.state.lock') === true,
      )
      assert.match(
        blocked.reason ?? '',
        new RegExp(`gateway\\.state\\.lock is held by pid ${second?.pid} \\(openclaw.*\\); looked at again`),
      )
      assert.ok(isAlive(second?.pid ?? 0), 'it was not signalled')
    })

    step('starts by itself within 30 s after the other one has ended', async () => {
      await strangers[1]?.end('SIGTERM')
      const service = await own.untilGateway('started', (one) => one.pid !== null, 35_000)
      assert.equal(service.restarts, 0)
      await own.untilGateway('ready', isWell)
      assert.equal((await own.paios('down')).code, 0)
      await until('supervisor and keeper are gone', () => own.mesh.processes().length === 0)
    })
  })

  describe('a gateway whose channel and model fail', { concurrency: false }, () => {
    const step = createStory()
    let gw: GatewayHome
    let own: GatewayMesh
    let doubles: Awaited<ReturnType<typeof startDoubles>>
    before(async () => {
      doubles = await startDoubles()
      gw = await gatewayHome({ config: doubles.config })
      own = await createGatewayMesh(gw)
      await own.declare()
    })
    after(async () => {
      await own.end()
      await gw.remove()
      doubles.close()
    })
    const shows = (text: RegExp) =>
      own.untilGateway(
        `degraded ${text}`,
        ({ state, reason }) => state === 'degraded' && text.test(reason ?? ''),
        START_LIMIT_MS,
      )

    step('comes up well with a channel that is connected', async () => {
      const { code, stdout } = await own.paios('up')
      assert.equal(code, 0, stdout)
      await own.untilGateway('well', isWell)
    })

    step('says that another program polls with its token while /readyz is still 200', async () => {
      telegram.isContested = true
      const { reason } = await shows(/another program uses the same token/)
      assert.equal(reason, 'telegram: another program uses the same token: stop that one')
      telegram.isContested = false
      await own.untilGateway('well again', isWell)
    })

    step('says that the provider of its model refuses the key, and is restarted for neither', async () => {
      const words = ['agent', '--agent', 'main', '--message', 'ping', '--json', '--timeout', '60']
      const program = await installBrains()
      const said = await new Promise<string>((settle) => {
        execFile(program, words, { env: gw.env, timeout: 120_000 }, (_error, stdout) => settle(stdout))
      })
      assert.match(said, /HTTP 401/)
      await shows(/a model provider refuses its key or login/)
      const { restarts, generation } = await own.gateway()
      assert.deepEqual([restarts, generation], [0, 1])
      assert.ok(!(await own.told()).some((text) => text.includes(BOT_TOKEN)))
      assert.equal((await own.paios('down')).code, 0)
    })
  })
})
