import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import type { Row } from '../../supervisor/links/table.ts'
import { until } from './mesh.ts'
import { openMesh } from './run-cli.ts'

const LIMIT = { timeout: 120_000 }
const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-memory/package.json')
const SERVER = join(dirname(manifest), 'dist', 'index.js')

/** A client that has started the server which it is told, and that says so. */
const CLIENT = `#!${process.execPath}
const [program, ...args] = process.argv.slice(2)
const server = require('node:child_process').spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
console.log(server.pid)
`

describe('the first `paios up` where clients have registered servers', LIMIT, () => {
  it('tries them out beside the copies of their clients, and starts none that listens elsewhere', async (t) => {
    const mesh = openMesh(t)
    const user = mkdtempSync('/tmp/lk-')
    t.after(() => rmSync(user, { recursive: true }))
    const command = [process.execPath, SERVER]
    const env = { MEMORY_FILE_PATH: join(user, 'memory.jsonl') }
    const registered = {
      memory: { command: command[0], args: command.slice(1), env },
      web: { type: 'http', url: 'http://127.0.0.1:1/mcp' },
    }
    writeFileSync(join(user, '.claude.json'), JSON.stringify({ mcpServers: registered }))
    const claude = join(user, 'claude')
    writeFileSync(claude, CLIENT)
    chmodSync(claude, 0o755)
    const client = spawn(claude, command, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    })
    t.after(() => client.kill('SIGKILL'))
    const [said] = (await once(client.stdout, 'data')) as [Buffer]

    const paios = (...args: string[]) => mesh.cli(args, { HOME: user, PATH: '/usr/bin:/bin' })
    const up = await paios('up')
    assert.match(up.stdout, /^found MCP servers that clients have registered: 2/m)
    assert.match(readFileSync(join(mesh.home, 'paios.yaml'), 'utf8'), /registered with claude \(user\)/)
    const canary = await mesh.service('memory')
    assert.deepEqual(
      [canary.preset, canary.state, canary.ready, canary.pid],
      ['mcp-stdio', 'running', true, null],
    )
    assert.match(canary.note ?? '', /; 1 copy runs \(\d+ MiB\)$/)
    assert.equal((await mesh.service('web')).preset, 'mcp-http')

    const listed = await paios('mcp', '--json')
    assert.equal(listed.code, 1, 'nobody listens on the port of the other one')
    const { servers } = JSON.parse(listed.stdout) as { servers: Row[] }
    const row = servers.find(({ service }) => service === 'memory')!
    const own = row.copies.filter(({ client: by }) => by?.kind === 'claude')
    assert.deepEqual(
      own.map(({ pid, client: by }) => [pid, by?.pid]),
      [[Number(String(said)), client.pid]],
    )
    assert.match(
      servers.find(({ service }) => service === 'web')!.dead.join(),
      /nobody listens on 127\.0\.0\.1:1/,
    )
    assert.equal((await paios('down')).code, 0)
    await until('nothing is left', () => mesh.processes().length === 0)
    assert.equal(client.exitCode, null, 'the copy of the client goes on')
  })
})
