import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { get } from 'node:http'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { isAlive, kill, type TestMesh, until } from './mesh.ts'
import { freePort, openMesh } from './run-cli.ts'

const LIMIT = { timeout: 120_000 }
const GATEWAY = resolve(import.meta.dirname, '../fixtures/fake-gateway.mjs')
const TOKEN = 'a-token-of-the-test'

/** Local addresses on which these processes listen, as the kernel prints them. Linux only. */
function listeningOf(pids: readonly number[]): string[] {
  const sockets = new Set(
    pids.flatMap((pid) =>
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '']
        } catch {
          // The descriptor was closed meanwhile.
          return []
        }
      }),
    ),
  )
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => readFileSync(path, 'utf8').split('\n'))
  return lines.flatMap((line) => {
    const fields = line.trim().split(/\s+/)
    return fields[3] === '0A' && sockets.has(fields[9] ?? '') ? [fields[1]!.split(':')[0]!] : []
  })
}

/** 127.0.0.1 and ::1 in the kernel's tables. */
const LOOPBACK = /^(0100007F|00000000000000000000000001000000)$/

/** A PATH on which no brain is installed. */
const BARE_PATH = '/usr/bin:/bin'

const up = (mesh: TestMesh) => mesh.cli(['up'], { HOME: mesh.home, PATH: BARE_PATH })

describe('the first `paios up` on a machine with nothing on it', LIMIT, () => {
  it('writes a commented document, runs the MCP server that comes along, shows the gateway as absent', async (t) => {
    const mesh = openMesh(t)
    const first = await up(mesh)
    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stdout, /^found no openclaw$/m)
    assert.match(first.stdout, /^wrote a first \S+paios\.yaml$/m)
    assert.match(first.stdout, /^memory +running /m)
    assert.match(first.stdout, /^gateway +absent .*npm install -g openclaw/m)
    assert.match(first.stdout, /does not start by itself: paios install$/m)

    const path = join(mesh.home, 'paios.yaml')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const document = readFileSync(path, 'utf8')
    assert.match(document, /^# The mesh: everything that PAIOS keeps alive/)
    assert.ok(document.split('\n').filter((line) => line.trim().startsWith('#')).length >= 6)

    const memory = await mesh.service('memory')
    assert.ok(memory.ready)
    assert.equal(memory.probes.find(({ kind }) => kind === 'mcp')?.verdict, 'pass')
    assert.equal((await mesh.service('gateway')).next?.startsWith('npm install -g openclaw'), true)
    if (process.platform === 'linux') {
      const addresses = listeningOf(mesh.processes().map(({ pid }) => pid))
      assert.deepEqual(
        addresses.filter((address) => !LOOPBACK.test(address)),
        [],
      )
    }

    const again = await up(mesh)
    assert.equal(again.code, 0)
    assert.match(again.stdout, /^nothing to change$/m)
    assert.equal(readFileSync(path, 'utf8'), document)
    assert.equal((await mesh.service('memory')).pid, memory.pid)
    assert.equal((await mesh.cli(['down'])).code, 0)
    await until('nothing is left', () => mesh.processes().length === 0)
  })

  it('with --dry-run shows the document that it would write, and writes nothing', async (t) => {
    const mesh = openMesh(t)
    const home = join(mesh.home, 'none')
    const { code, stdout } = await mesh.cli(['--home', home, 'up', '--dry-run'], {
      HOME: mesh.home,
      PATH: BARE_PATH,
    })
    assert.equal(code, 0)
    assert.match(stdout, /preset: mcp-stdio/)
    assert.match(stdout, /^start: .*memory/m)
    assert.equal(existsSync(home), false)
  })

  it('does so in ~/.paios, 0700, where PAIOS_HOME is not set', async (t) => {
    const mesh = openMesh(t)
    const home = join(mesh.home, '.paios')
    const { code, stderr } = await mesh.cli(['--home', home, 'up', '--no-wait'], {
      HOME: mesh.home,
      PATH: BARE_PATH,
    })
    t.after(() => mesh.cli(['--home', home, 'down']))
    assert.equal(code, 0, stderr)
    assert.equal(statSync(home).mode & 0o777, 0o700)
    for (const folder of ['run', 'state', 'logs', 'secrets']) {
      assert.equal(statSync(join(home, folder)).mode & 0o777, 0o700, folder)
    }
    assert.equal(statSync(join(home, 'run', 'paios.sock')).mode & 0o777, 0o600)
    assert.equal((await mesh.cli(['--home', home, 'down'])).code, 0)
  })
})

describe('the first `paios up` beside a gateway that runs already', LIMIT, () => {
  it('observes it, starts no second one, and never signals it, at `down` neither', async (t) => {
    const mesh = openMesh(t)
    const port = await freePort()
    const state = join(mesh.home, '.openclaw')
    mkdirSync(state)
    const config = { gateway: { mode: 'local', port, auth: { mode: 'token', token: TOKEN } } }
    writeFileSync(join(state, 'openclaw.json'), JSON.stringify(config))
    // Not one of the mesh's processes: its environment and arguments hold nothing of the home.
    const gateway = spawn(process.execPath, [GATEWAY, 'gateway', 'run', '--port', String(port)], {
      env: { HOME: mesh.home },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => kill(gateway.pid!))
    const said = text(gateway.stdout)
    await until('the gateway answers', () => answers(port))

    const first = await up(mesh)
    assert.equal(first.code, 0, `${first.stdout}${first.stderr}`)
    assert.match(
      first.stdout,
      new RegExp(`^found a gateway that answers on port ${port}: it is watched, not started$`, 'm'),
    )
    const document = readFileSync(join(mesh.home, 'paios.yaml'), 'utf8')
    assert.match(document, new RegExp(`observe: true\\n {4}port: ${port}\\n`))
    const service = await mesh.untilService('gateway', 'is ready', ({ ready }) => ready)
    assert.equal(service.state, 'running')
    assert.equal(service.pid, null)
    assert.equal(
      mesh
        .processes()
        .filter(({ text: line }) => line.includes('fake-gateway') && !line.startsWith(String(gateway.pid)))
        .length,
      1,
    )

    assert.equal((await mesh.cli(['down'])).code, 0)
    assert.ok(isAlive(gateway.pid!))
    const ended = once(gateway, 'exit')
    kill(gateway.pid!)
    await ended
    assert.doesNotMatch(await said, /SIG[A-Z]+/)
  })
})

function answers(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const request = get({ host: '127.0.0.1', port, path: '/healthz', agent: false }, (response) => {
      response.resume()
      settle(response.statusCode === 200)
    })
    request.on('error', () => settle(false))
  })
}
