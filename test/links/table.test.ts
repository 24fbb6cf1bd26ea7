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
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { findDeadLinks } from '../../supervisor/links/dead-links.ts'
import {
  digest,
  type HttpServer,
  identityOf,
  isSameServer,
  type MeshServer,
  type Registration,
  type StdioServer,
  sameService,
} from '../../supervisor/links/identity.ts'
import { makeTable, rowsNamed, subjectsOf } from '../../supervisor/links/table.ts'

const stdio = (line: string, changes: Partial<StdioServer> = {}): StdioServer => {
  const [program = '', ...args] = line.split(' ')
  const argv = [program, ...args] as const
  return { kind: 'stdio', argv, written: argv, env: {}, harmless: {}, path: null, cwd: null, ...changes }
}
const http = (url: string): HttpServer => ({ kind: 'http', url, written: url, headers: [] })
const service = (changes: Partial<MeshServer>): MeshServer => ({
  name: 'kb',
  preset: 'mcp-stdio',
  argv: null,
  url: null,
  ports: [],
  cwd: null,
  env: {},
  ...changes,
})
const registered = (name: string, changes: Partial<Registration> = {}): Registration => ({
  client: 'claude',
  scope: 'user',
  name,
  file: '/home/op/.claude.json',
  project: null,
  off: null,
  isStrange: false,
  server: stdio('python3 /srv/kb.py'),
  ...changes,
})

describe('the identity of a server', () => {
  it('is its command, arguments, variables and folder, or its URL', () => {
    const one = stdio('kb --x', { env: { A: 'h1', B: 'h2' } })
    assert.equal(identityOf(one), identityOf(stdio('kb --x', { env: { B: 'h2', A: 'h1' } })))
    const others = [
      stdio('kb --x'),
      stdio('kb --y', { env: one.env }),
      stdio('kb --x', { env: { A: 'h1', B: 'h3' } }),
      stdio('kb --x', { env: one.env, cwd: '/srv' }),
      http('http://127.0.0.1:1/'),
    ]
    assert.equal(new Set([one, ...others].map(identityOf)).size, 6)
    assert.equal(identityOf(http('http://localhost:1/mcp')), identityOf(http('http://127.0.0.1:1/mcp/')))
  })

  it('is that of a service with the same command, `~/` being the home, or the same URL', () => {
    const kb = service({ argv: ['python3', '~/kb.py'] })
    assert.ok(isSameServer(stdio('python3 /home/op/kb.py'), kb, '/home/op'))
    assert.equal(isSameServer(stdio('python3 /home/op/kb.py --x'), kb, '/home/op'), false)
    const web = service({ url: 'http://localhost:3000/mcp' })
    assert.ok(isSameServer(http('http://127.0.0.1:3000/mcp'), web, '/'))
    assert.equal(isSameServer(http('http://127.0.0.1:3001/mcp'), web, '/'), false)
  })

  it('is of two services with the same command that of the one with its variables', () => {
    const server = stdio('kb', { env: { KB: digest('/b'), TOKEN: digest('secret') } })
    const services = ['/a', '/b'].map((KB) =>
      service({ name: KB, argv: ['kb'], env: { KB, TOKEN: '${env:T}' } }),
    )
    assert.equal(sameService(server, services, '/')?.name, '/b')
    assert.equal(sameService(stdio('other'), services, '/'), null)
  })
})

describe('the table', () => {
  it('has one row per server, with every client, its service, and the most common name', () => {
    const subjects = subjectsOf(
      [
        registered('kb'),
        registered('kb', { client: 'codex', file: '/c.toml' }),
        registered('knowledge', { scope: 'local', project: '/p' }),
        registered('kb', { server: stdio('python3 /srv/other.py --token abc') }),
      ],
      [
        service({ name: 'kb-service', argv: ['python3', '/srv/kb.py'] }),
        service({ name: 'alone', argv: ['alone'] }),
        service({ name: 'worker', preset: 'process' }),
      ],
      '/home/op',
    )
    const rows = makeTable(subjects, [], new Map([[subjects[0]!.id, ['the script /srv/kb.py is missing']]]))
    const shown = rows.map(({ name, links, service: own, target }) => [name, links.length, own, target])
    assert.deepEqual(
      shown.toSorted(([, a], [, b]) => Number(a) - Number(b)),
      [
        ['alone', 0, 'alone', 'alone'],
        ['kb', 1, null, 'python3 /srv/other.py --token [redacted]'],
        ['kb', 3, 'kb-service', 'python3 /srv/kb.py'],
      ],
    )
    const row = rows.find(({ links }) => links.length === 3)!
    assert.deepEqual(row.dead, ['claude, codex -> kb: the script /srv/kb.py is missing'])
    assert.equal(rowsNamed(rows, 'kb').length, 2)
    assert.deepEqual(rowsNamed(rows, 'knowledge'), [row])
    assert.deepEqual(rowsNamed(rows, 'kb-service'), [row])
    assert.deepEqual(rowsNamed(rows, row.id.slice(0, 8)), [row])
    assert.deepEqual(rowsNamed(rows, 'none'), [])
    assert.doesNotMatch(JSON.stringify(rows), /abc/)
  })
})

describe('a dead link', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'paios-dead-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  function put(path: string, text: string, mode = 0o644): string {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    chmodSync(file, mode)
    return file
  }
  const find = (server: StdioServer | HttpServer, services: MeshServer[] = [], cache: string | null = null) =>
    findDeadLinks(server, { path: `${folder}/bin:/usr/bin:/bin`, home: folder, cache, services })

  it('is a program that is not installed, and none that is', async () => {
    assert.deepEqual(await find(stdio('no-such-program-here x')), ['no-such-program-here is not installed'])
    assert.deepEqual(await find(stdio(`${folder}/none`)), [`${folder}/none is not installed`])
    put('bin/kb', '#!/bin/sh\n', 0o755)
    put('bin/locked', '#!/bin/sh\n')
    assert.deepEqual(await find(stdio('kb')), [])
    assert.deepEqual(await find(stdio('locked')), ['locked is not installed'])
    assert.deepEqual(await find(stdio('kb', { path: '/none' })), ['kb is not installed'])
  })

  it('is a script or a folder that is missing', async () => {
    const script = put('kb.sh', '')
    assert.deepEqual(await find(stdio(`sh ${script}`)), [])
    assert.deepEqual(await find(stdio(`sh ${folder}/none.sh`)), [`the script ${folder}/none.sh is missing`])
    assert.deepEqual(await find(stdio('sh ./kb.sh', { cwd: folder })), [])
    assert.deepEqual(await find(stdio('sh ./no.sh', { cwd: folder })), [
      `the script ${folder}/no.sh is missing`,
    ])
    assert.deepEqual(await find(stdio('sh x.sh', { cwd: '/none' })), ['its folder /none is missing'])
    assert.deepEqual(await find(stdio('sh -c ./none.sh')), [], 'what an option means is the program’s own')
    assert.deepEqual(await find(stdio('sh ./kb.sh')), [], 'without a folder nobody can tell')
    assert.deepEqual(await find(stdio('${BIN}/kb')), [], 'the variable may be set where the client runs')
  })

  it('is a URL of this machine whose port nobody listens on, and no other URL is asked', async () => {
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    assert.deepEqual(await find(http(`http://127.0.0.1:${port}/mcp`)), [])
    await new Promise((done) => server.close(done))
    const dead = await find(http(`http://127.0.0.1:${port}/mcp`), [service({ ports: [port] })])
    assert.deepEqual(dead, [`nobody listens on 127.0.0.1:${port} (service kb)`])
    assert.deepEqual(await find(http('https://mcp.invalid/mcp')), [])
    assert.deepEqual(await find(http('no url')), ['its url is none'])
  })

  it('is our own gateway, which speaks no MCP', async () => {
    const gateway = service({ name: 'gateway', preset: 'openclaw-gateway', ports: [18_789] })
    assert.deepEqual(await find(http('http://localhost:18789/mcp'), [gateway]), [
      'port 18789 is that of gateway, our own gateway, which is no MCP server',
    ])
  })

  it('is `codex mcp-server` for a codex without it, asked once, in a home that is thrown away', async () => {
    const asked = join(folder, 'asked')
    const codex = (version: string) =>
      put(
        'bin/codex',
        `#!/bin/sh\necho "$CODEX_HOME" >> ${asked}\ntouch "$CODEX_HOME/state"\necho codex-cli ${version}\n`,
        0o755,
      )
    const cache = join(folder, 'cache/versions.json')
    codex('0.169.0')
    const dead = ['registered as "codex mcp-server", not in 0.169']
    assert.deepEqual(await find(stdio('codex mcp-server'), [], cache), dead)
    assert.deepEqual(await find(stdio('codex mcp-server'), [], cache), dead)
    const [home, ...more] = readFileSync(asked, 'utf8').trim().split('\n')
    assert.deepEqual(more, [])
    assert.equal(existsSync(home!), false)
    codex('0.105.0 ')
    assert.deepEqual(await find(stdio('codex mcp-server'), [], cache), [])
    assert.deepEqual(await find(stdio('codex'), [], cache), [])
    assert.deepEqual(readdirSync(join(folder, 'cache')), ['versions.json'])
  })
})
