import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { Status } from '../../schemas/status.ts'
import { createMesh, ENTRY, fixture, isAlive, kill, type TestMesh, until } from './mesh.ts'
import { freePort, listenOnLoopback, openMesh, pidsOf, SLEEPER, writeDocument } from './run-cli.ts'

const LIMIT = { timeout: 120_000 }
const a = 'command: [sleep, "1"]'

/** Nine lists of nine aliases each: 9⁹ values from 400 bytes. */
const bomb = ['version: 1', 'a: &a [x, x, x, x, x, x, x, x, x]']
  .concat(
    [...'bcdefghi'].map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`)}]`),
  )
  .join('\n')

type BadDocument = {
  readonly what: string
  readonly make: string | Uint8Array | ((path: string) => void)
  readonly says: RegExp
}

const documents: readonly BadDocument[] = [
  {
    what: 'an unknown key, with the nearest known one',
    make: `version: 1\nservices:\n  a: { ${a}, resart: permanent }\n`,
    says: /paios\.yaml:3:\d+ services\.a\.resart: unknown key `resart` \(did you mean `restart`\?\)$/,
  },
  {
    what: 'a wrong type',
    make: 'version: 1\nservices:\n  a: { command: sleep }\n',
    says: /paios\.yaml:3:17 services\.a\.command: expected a list, got text$/,
  },
  {
    what: 'a cycle of needs',
    make: `version: 1\nservices:\n  a: { ${a}, needs: [b] }\n  b: { ${a}, needs: [a] }\n`,
    says: /services\.b\.needs: needs form a cycle: a → b → a$/,
  },
  {
    what: 'a port that two services declare',
    make: 'version: 1\nservices:\n  g: { preset: openclaw-gateway }\n  h: { preset: openclaw-gateway }\n',
    says: /services\.h\.port: port 18789 is used by `h` and by `g`$/,
  },
  {
    what: 'a folder in its place',
    make: mkdirSync,
    says: /paios\.yaml is a folder; name the document itself$/,
  },
  {
    what: 'a pipe in its place, without waiting for a writer',
    make: (path) => execFileSync('mkfifo', [path]),
    says: /paios\.yaml is not a regular file; name the document itself$/,
  },
  {
    what: 'bytes that are no UTF-8',
    make: Buffer.from('version: 1\nservices: {} # \xe9t\xe9\n', 'latin1'),
    says: /paios\.yaml:2:16 is not UTF-8: byte 0xe9 at offset 26; save the file as UTF-8$/,
  },
  {
    what: 'a file of 10 MB',
    make: (path) => {
      writeFileSync(path, 'version: 1\n')
      truncateSync(path, 10_000_000)
    },
    says: /paios\.yaml is 9\.5 MiB large; a document may have at most 1 MiB$/,
  },
  {
    what: 'an alias bomb',
    make: bomb,
    says: /paios\.yaml:10:\d+ more than 64 aliases; write the values out$/,
  },
]

function place(mesh: TestMesh, make: BadDocument['make']): void {
  const path = join(mesh.home, 'paios.yaml')
  rmSync(path, { recursive: true, force: true })
  if (typeof make === 'function') make(path)
  else writeFileSync(path, make)
}

describe('a bad document: one message, exit 3, and the mesh that runs is untouched', LIMIT, () => {
  const mesh = createMesh()
  let running: Status
  before(async () => {
    mesh.write({ one: { command: SLEEPER }, two: { command: SLEEPER } })
    assert.equal((await mesh.cli(['up'])).code, 0)
    running = await mesh.status()
  })
  after(() => mesh.end())

  for (const { what, make, says } of documents) {
    it(what, async () => {
      place(mesh, make)
      const up = await mesh.cli(['up'])
      assert.equal(up.code, 3)
      assert.equal(up.stdout, '')
      assert.equal(up.stderr.trimEnd().split('\n').length, 1, up.stderr)
      assert.match(up.stderr.trimEnd(), says)
      const check = await mesh.cli(['check'])
      assert.equal(check.code, 3)
      assert.match(check.stderr.trimEnd(), says)
      const now = await mesh.status()
      assert.equal(now.pid, running.pid)
      assert.deepEqual(pidsOf(now), pidsOf(running))
      assert.notEqual(now.document.problem, null)
    })
  }

  it('names every problem at once', async () => {
    place(mesh, 'version: 2\nservices:\n  a: { comand: [x] }\n  b: { command: [x], needs: 7 }\n')
    const { code, stderr } = await mesh.cli(['up'])
    assert.equal(code, 3)
    for (const path of ['version: ', 'services.a.comand: ', 'services.b.needs: '])
      assert.ok(stderr.includes(path), stderr)
  })

  it('starts nothing where nothing runs yet', async (t) => {
    const fresh = openMesh(t)
    writeDocument(fresh, `version: 1\nservices:\n  good: { ${a} }\n  bad: { ${a}, resart: permanent }\n`)
    assert.equal((await fresh.cli(['up'])).code, 3)
    assert.deepEqual(fresh.processes(), [])
  })
})

/** The stranger holds a port: this process, so that it is told by its own pid and name. */
const portProbe = (port: number) => ({
  kind: 'port',
  name: 'port-free',
  role: 'preflight',
  port,
  expect: 'free',
})

describe('a port that is taken', LIMIT, () => {
  it('blocks the service with the pid and the program that hold it, and nothing else', async (t) => {
    const port = await listenOnLoopback(t)
    const mesh = openMesh(t)
    mesh.write({
      web: { command: SLEEPER, probes: [portProbe(port)] },
      other: { command: SLEEPER },
    })
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 1)
    const web = await mesh.service('web')
    assert.equal(web.state, 'blocked')
    assert.match(web.reason!, new RegExp(`port ${port} .*pid ${process.pid} \\(node`))
    assert.match(up.stdout, new RegExp(`web +blocked .*pid ${process.pid}`))
    assert.equal((await mesh.service('other')).state, 'running')
  })

  it('is a warning in status where the metrics wanted it, and the mesh goes on (exit 0)', async (t) => {
    const port = await listenOnLoopback(t)
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER } }, { metrics: { port } })
    const { code } = await mesh.cli(['up'])
    assert.equal(code, 0)
    const status = await mesh.until('the warning', ({ warnings }) => warnings.length > 0)
    assert.match(
      status.warnings[0]!,
      new RegExp(`metrics are not served: port ${port} is in use; choose another with`),
    )
    assert.equal(status.metrics, null)
    assert.equal(status.services[0]!.state, 'running')

    const other = await freePort()
    mesh.write({ one: { command: SLEEPER } }, { metrics: { port: other } })
    assert.equal((await mesh.cli(['up'])).code, 0)
    const moved = await mesh.status()
    assert.equal(moved.metrics, `http://127.0.0.1:${other}/metrics`)
    assert.deepEqual(moved.warnings, [])
    assert.match(await (await fetch(moved.metrics)).text(), /^paios_build_info/m)
    assert.deepEqual(pidsOf(moved), pidsOf(status))
  })
})

function spawnForeground(t: TestContext, mesh: TestMesh): ChildProcess {
  const child = spawn(process.execPath, [ENTRY, 'up', '--foreground'], {
    env: { ...process.env, PAIOS_HOME: mesh.home },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => kill(child.pid!))
  return child
}

describe('more than one', LIMIT, () => {
  it('a second supervisor ends with 5 and names the first by its pid', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER } })
    await mesh.cli(['up'])
    const first = await mesh.status()
    const second = spawnForeground(t, mesh)
    const [said, [code]] = await Promise.all([text(second.stderr!), once(second, 'exit')])
    assert.equal(code, 5)
    assert.match(said, new RegExp(`a supervisor with pid ${first.pid} already runs for ${mesh.home}`))
    assert.deepEqual(pidsOf(await mesh.status()), pidsOf(first))
  })

  it('two `up` at once make one supervisor and one process of each service, and both end well', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER }, two: { command: SLEEPER } })
    const ends = await Promise.all([mesh.cli(['up']), mesh.cli(['up']), mesh.cli(['up'])])
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0, 0],
      JSON.stringify(ends),
    )
    for (const name of ['one', 'two']) assert.equal(mesh.processesOf(name).length, 1)
    const supervisors = mesh.processes().filter(({ text: line }) => line.includes(' supervise'))
    const own = await mesh.status()
    await until('one supervisor and its keeper', () => {
      const left = mesh.processes().filter(({ text: line }) => /supervise|keeper\.sh/.test(line))
      return left.length === 2 && left.some(({ pid }) => pid === own.pid)
    })
    assert.ok(supervisors.length >= 1)
  })

  it('a stale socket is replaced', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER } })
    const socket = join(mesh.home, 'run', 'paios.sock')
    mkdirSync(join(mesh.home, 'run'))
    const listener = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen('${socket}', () => console.log())`,
    ])
    t.after(() => kill(listener.pid!))
    await once(listener.stdout, 'data')
    kill(listener.pid!)
    await once(listener, 'exit')
    assert.ok(statSync(socket).isSocket())
    assert.equal((await mesh.cli(['status'])).code, 4)
    assert.equal((await mesh.cli(['up'])).code, 0)
    assert.equal((await mesh.service('one')).state, 'running')
  })

  it('a stranger that listens on the socket is named as what does not speak HTTP', async (t) => {
    const mesh = openMesh(t)
    mkdirSync(join(mesh.home, 'run'))
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.end('SSH-2.0-something\r\n\r\n')
    })
    await new Promise<void>((resolve) => server.listen(join(mesh.home, 'run', 'paios.sock'), resolve))
    t.after(() => server.close())
    const { code, stderr } = await mesh.cli(['status'])
    assert.equal(code, 1)
    assert.match(stderr, /^paios: what listens on the socket does not speak HTTP$/m)
  })
})

describe('a home that cannot be', LIMIT, () => {
  it('a path through a file, or where nothing can be made: exit 1 and what to set', async (t) => {
    const mesh = openMesh(t)
    writeFileSync(join(mesh.home, 'file'), '')
    for (const home of [join(mesh.home, 'file'), join(mesh.home, 'file', 'below'), '/proc/paios']) {
      const { code, stderr, stdout } = await mesh.cli(['--home', home, 'up'])
      assert.equal(code, 1, home)
      assert.equal(stdout, '')
      assert.match(stderr, /^paios: cannot write \S+: .*; set PAIOS_HOME to a folder of yours\n$/)
    }
  })

  it('a socket path that is too long: exit 1 and what shortens it, before anything is made', async (t) => {
    const mesh = openMesh(t)
    const home = join(mesh.home, 'x'.repeat(100))
    for (const command of ['up', 'status']) {
      const { code, stderr } = await mesh.cli(['--home', home, command])
      assert.equal(code, 1)
      assert.match(
        stderr,
        /^paios: \S+paios\.sock is too long for a socket: set PAIOS_HOME to a shorter path\n$/,
      )
    }
    assert.equal(existsSync(home), false)
    const foreground = await mesh.cli(['--home', home, 'up', '--foreground'])
    assert.equal(foreground.code, 1)
    assert.match(
      foreground.stderr,
      /paios\.sock is \d+ bytes, it may have 10[37]: set PAIOS_HOME to a shorter/,
    )
  })
})

describe('programs that cannot be run', LIMIT, () => {
  it('without the exec bit is blocked, missing is absent, a folder is blocked; the others run', async (t) => {
    const mesh = openMesh(t)
    const program = join(mesh.home, 'program.sh')
    writeFileSync(program, '#!/bin/sh\nexec sleep 100000\n')
    chmodSync(program, 0o644)
    mesh.write({
      bare: { command: [program] },
      gone: { command: ['/nowhere/program'] },
      folder: { command: [mesh.home] },
      well: { command: SLEEPER },
    })
    assert.equal((await mesh.cli(['up'])).code, 1)
    const bare = await mesh.service('bare')
    assert.equal(bare.state, 'blocked')
    assert.match(bare.reason!, new RegExp(`${program} is not executable: chmod \\+x ${program}`))
    const gone = await mesh.service('gone')
    assert.equal(gone.state, 'absent')
    assert.match(gone.reason!, /^\/nowhere\/program does not exist/)
    const folder = await mesh.service('folder')
    assert.equal(folder.state, 'blocked')
    assert.match(folder.reason!, /is a folder, not a program/)
    assert.equal((await mesh.service('well')).state, 'running')

    chmodSync(program, 0o755)
    const start = await mesh.cli(['start', 'bare'])
    assert.equal(start.code, 0, start.stdout)
  })

  it('one that ends at once is tried again, then failed, with its exit code and what to type', async (t) => {
    const mesh = openMesh(t)
    mesh.write({
      brief: { command: fixture('exit-at-once.sh', '7'), intensity: { max: 2, within: '10m' } },
      well: { command: SLEEPER },
    })
    await mesh.cli(['up', '--no-wait'])
    const brief = await mesh.untilService('brief', 'has failed', ({ state }) => state === 'failed')
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 1)
    assert.match(brief.reason!, /code 7/)
    assert.match(up.stdout, /brief +failed .*paios logs brief; then paios start brief/)
    const kinds = (await mesh.events('brief')).map(({ kind }) => kind)
    assert.ok(kinds.includes('backoff'), kinds.join(' '))
    assert.equal((await mesh.service('well')).restarts, 0)
  })
})

describe('programs that misbehave beside others', LIMIT, () => {
  it('ten of fifty that crash for ever leave the other forty with their pids', async (t) => {
    const mesh = openMesh(t)
    const intensity = { max: 5, within: '10m' }
    const well = Array.from({ length: 40 }, (_, index) => [`well-${index}`, { command: SLEEPER }] as const)
    const bad = Array.from(
      { length: 10 },
      (_, index) => [`bad-${index}`, { command: fixture('exit-at-once.sh', '1'), intensity }] as const,
    )
    mesh.write(Object.fromEntries([...well, ...bad]))
    await mesh.cli(['up', '--no-wait'])
    const isWell = ({ name }: { name: string }) => name.startsWith('well-')
    const first = await mesh.until('the forty run', ({ services }) =>
      services.filter(isWell).every(({ ready }) => ready),
    )
    const last = await mesh.until('the ten have failed', ({ services }) =>
      services.every((service) => isWell(service) || service.state === 'failed'),
    )
    const pids = (status: Status) => Object.entries(pidsOf(status)).filter(([name]) => isWell({ name }))
    assert.deepEqual(pids(last), pids(first))
    assert.equal(
      last.services.filter(isWell).reduce((sum, { restarts }) => sum + restarts, 0),
      0,
    )
    assert.ok(pids(last).every(([, pid]) => pid !== null && isAlive(pid)))
  })

  it('one that prints without end fills its log and not the supervisor', async (t) => {
    const mesh = openMesh(t)
    const mebibytes = process.env['PAIOS_TEST_LONG'] ? 1024 : 200
    mesh.write({ well: { command: SLEEPER } })
    await mesh.cli(['up'])
    const before = await mesh.status()
    const residentBefore = residentMiB(before.pid!)
    mesh.write({ well: { command: SLEEPER }, loud: { command: fixture('flood.mjs', String(mebibytes)) } })
    assert.equal((await mesh.cli(['up'])).code, 0)
    const log = join(mesh.home, 'logs', 'loud', 'current.log')
    await until('all of it is in the log', () => statSync(log).size >= mebibytes * 1024 ** 2)
    const loud = await mesh.service('loud')
    assert.equal(loud.state, 'running')
    assert.equal(loud.restarts, 0)
    assert.equal(pidsOf(await mesh.status())['well'], pidsOf(before)['well'])
    const growth = residentMiB(before.pid!) - residentBefore
    assert.ok(growth < 60, `the supervisor grew by ${growth} MiB while ${mebibytes} MiB were written`)
  })
})

/** Linux only; where it cannot be told, the supervisor counts as not grown. */
function residentMiB(pid: number): number {
  if (process.platform !== 'linux') return 0
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}
