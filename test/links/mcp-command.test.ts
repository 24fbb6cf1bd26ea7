import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Row } from '../../supervisor/links/table.ts'
import { isAlive, openWorld, pidsOf, until } from './world.ts'

const ENTRY = join(import.meta.dirname, '../../bin/paios.mjs')
const LIMIT = { timeout: 90_000 }

function openHome(t: TestContext) {
  const world = openWorld(t)
  const env = { PATH: '/usr/bin:/bin', HOME: world.home, PAIOS_HOME: join(world.folder, 'p') }
  const paios = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [ENTRY, ...args], { env }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    })
  const servers = async () =>
    (JSON.parse((await paios('mcp', '--json')).stdout) as { servers: Row[] }).servers
  return { ...world, paios, servers }
}

describe('paios mcp', LIMIT, () => {
  it('without a supervisor lists what is registered and what runs, and exits 1 for a dead link', async (t) => {
    const home = openHome(t)
    const kb = home.command('deaf', '--token', 's3cret-value')
    home.register({ kb, gone: ['no-such-program-here'] }, { API_KEY: 's3cret-value' })
    const { pid, servers } = await home.client(kb)
    const { code, stdout } = await home.paios('mcp')
    assert.equal(code, 1)
    assert.match(stdout, /^2 servers, 2 registrations, 1 running/m)
    assert.match(stdout, /^kb +- +1 +\d+ MiB +claude \(user\) .*--token \[redacted\]$/m)
    assert.match(stdout, /^! claude -> gone: no-such-program-here is not installed$/m)
    const one = await home.paios('mcp', 'kb')
    assert.equal(one.code, 0)
    assert.match(one.stdout, new RegExp(`pid ${servers[0]} .* client: claude \\(pid ${pid}\\)`))
    assert.match(one.stdout, /env +API_KEY$/m)
    const json = await home.paios('mcp', '--json')
    assert.doesNotMatch(stdout + one.stdout + json.stdout, /s3cret/)
    const row = (JSON.parse(json.stdout) as { servers: Row[] }).servers.find(({ name }) => name === 'kb')
    assert.equal(row?.copies.length, pidsOf(`${kb[1]} deaf`).length)
  })

  it('knows which service is the same server, and says when the document cannot tell', async (t) => {
    const home = openHome(t)
    const kb = home.command('polite')
    home.register({ kb })
    mkdirSync(join(home.folder, 'p'))
    const path = join(home.folder, 'p', 'paios.yaml')
    const command = JSON.stringify(kb)
    writeFileSync(path, `version: 1\nservices:\n  mine: { preset: mcp-stdio, command: ${command} }\n`)
    assert.deepEqual(
      (await home.servers()).map(({ name, service }) => [name, service]),
      [['kb', 'mine']],
    )
    assert.equal((await home.paios('mcp', 'mine')).code, 0)
    writeFileSync(path, 'version: 2\n')
    assert.match((await home.paios('mcp')).stdout, /paios\.yaml is not valid, so no service is matched/)
  })

  it('answers an unknown name and words that make no sense with exit code 2', async (t) => {
    const home = openHome(t)
    home.register({ knowledge: home.command('deaf') })
    const unknown = await home.paios('mcp', 'knowlege')
    assert.equal(unknown.code, 2)
    assert.match(unknown.stderr, /did you mean knowledge\?/)
    for (const args of [['orphan'], ['kb', 'more'], ['orphans', 'kb'], ['--stop'], ['orphans', '--yes']]) {
      assert.equal((await home.paios('mcp', ...args)).code, 2, args.join(' '))
    }
  })

  it('has nothing to say where no client is', async (t) => {
    const home = openHome(t)
    const { code, stdout } = await home.paios('mcp')
    assert.deepEqual([code, stdout], [0, 'no MCP server is registered with claude, codex or openclaw\n'])
    assert.deepEqual(await home.paios('mcp', 'orphans'), { code: 0, stdout: 'no orphans\n', stderr: '' })
  })
})

describe('paios mcp orphans', LIMIT, () => {
  it('shows them, asks before it ends them, and with --stop --yes ends them and nothing else', async (t) => {
    const home = openHome(t)
    const [kb, other] = [home.command('parent', '--api-key', 's3cret-value'), home.command('deaf', 'other')]
    home.register({ kb, other })
    const dead = await home.client(kb)
    const alive = await home.client(kb, other)
    const stranger = await home.begin(home.command('deaf', 'stranger'))
    dead.child.kill('SIGKILL')
    await once(dead.child, 'exit')
    const [orphan] = dead.servers
    const lost = await until('its child is known', () => {
      const pids = pidsOf(`${home.folder}/child`).filter(isAlive)
      return pids.length >= 2 && pids
    })
    const shown = await home.paios('mcp', 'orphans')
    assert.equal(shown.code, 1)
    assert.match(shown.stdout, new RegExp(`^pid ${orphan} .* MiB  kb: .*--api-key \\[redacted\\]$`, 'm'))
    assert.match(shown.stdout, /paios mcp orphans --stop/)
    assert.match((await home.paios('mcp')).stdout, /2 \(1 orphan\)/)

    const unasked = await home.paios('mcp', 'orphans', '--stop')
    assert.equal(unasked.code, 2)
    assert.match(unasked.stderr, /no terminal to ask on/)
    assert.ok(isAlive(orphan!))

    const ended = await home.paios('mcp', 'orphans', '--stop', '--yes', '--json')
    assert.equal(ended.code, 0, ended.stderr)
    const answer = JSON.parse(ended.stdout) as { ended: { pid: number; kind: string; pids: number[] }[] }
    assert.deepEqual(
      answer.ended.map(({ pid, kind, pids }) => [pid, kind, pids.length]),
      [[orphan, 'ended', 2]],
    )
    assert.doesNotMatch(shown.stdout + ended.stdout, /s3cret/)
    assert.equal(isAlive(orphan!), false)
    assert.equal(lost.filter(isAlive).length, lost.length - 1, 'the child of the orphan, and no other')
    for (const pid of [...alive.servers, alive.pid, stranger.pid]) assert.ok(isAlive(pid))
    assert.equal((await home.paios('mcp', 'orphans')).code, 0)
  })
})
