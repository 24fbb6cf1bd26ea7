import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createDocument, discover, type Found, firstDocument } from '../../supervisor/discovery.ts'
import { PaiosError } from '../../supervisor/errors.ts'
import { meshOf } from './sample-presets.ts'

let home = ''
const servers: Server[] = []

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'paios-discovery-'))
})

afterEach(() => {
  rmSync(home, { recursive: true })
  for (const server of servers.splice(0)) server.close()
})

async function serve(status: number, body: string): Promise<number> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? status : 404).end(body)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function put(path: string, text: string, mode = 0o644): string {
  const file = join(home, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

const look = (path = '') => discover({ home, path, env: {} })
const options = {
  memoryServer: ['/opt/node', '/opt/a "b"/index.js'],
  memoryFile: '/home/op/.paios/memory.json',
}
const nothing: Found = {
  programs: { openclaw: null, claude: null, codex: null },
  gateway: { port: 18_789, answering: false, config: null, owner: null },
}

describe('discover', () => {
  it('finds programs on PATH by their real path, and only files that may be executed', async () => {
    const real = put('lib/openclaw.mjs', '#!/bin/sh\n', 0o755)
    mkdirSync(join(home, 'one/claude'), { recursive: true })
    put('one/codex', 'not executable', 0o644)
    const codex = put('two/codex', '#!/bin/sh\n', 0o755)
    symlinkSync(real, join(home, 'two/openclaw'))
    symlinkSync(join(home, 'gone'), join(home, 'two/claude'))
    const { programs } = await look(`relative::${home}/none:${home}/one:${home}/two`)
    assert.deepEqual(programs, { openclaw: real, claude: null, codex })
  })

  it('finds a running gateway by its health answer on the port of its JSON5 config', async () => {
    const port = await serve(200, '{"ok":true,"status":"live"}')
    const config = put('.openclaw/openclaw.json', `// mine\n{ gateway: { port: ${port}, mode: 'local' } }`)
    assert.deepEqual((await look()).gateway, { port, answering: true, config, owner: null })
  })

  it('does not take a web server, an error or a huge answer for a gateway', async () => {
    for (const [status, body] of [
      [200, '<html></html>'],
      [200, '{"ok":false}'],
      [503, '{"ok":true,"status":"live"}'],
      [200, `{"ok":true,"status":"${'x'.repeat(10_000)}"}`],
    ] as const) {
      const port = await serve(status, body)
      put('.openclaw/openclaw.json', JSON.stringify({ gateway: { port } }))
      const { gateway } = await look()
      assert.equal(gateway.answering && gateway.port === port, false)
    }
  })

  it('finds the launchd plist or systemd unit that owns the gateway, and the port it names', async () => {
    const port = await serve(200, '{"ok":true,"status":"live"}')
    const unit = put(
      '.config/systemd/user/openclaw-gateway.service',
      `ExecStart=node x gateway --port ${port}\n`,
    )
    assert.deepEqual((await look()).gateway.owner, { kind: 'systemd', file: unit })
    assert.equal((await look()).gateway.port, port)
    const words = `<string>--port</string>\n    <string>${port}</string>`
    const plist = put('Library/LaunchAgents/ai.openclaw.gateway.plist', words)
    assert.deepEqual((await look()).gateway.owner, { kind: 'launchd', file: plist })
    assert.equal((await look()).gateway.port, port)
  })

  it('falls back to 18789 for a config that does not parse, is a folder or names a bad port', async () => {
    put('.openclaw/openclaw.json', '{ gateway: ')
    assert.equal((await look()).gateway.port, 18_789)
    put('.openclaw/openclaw.json', '{ gateway: { port: 99999 } }')
    assert.equal((await look()).gateway.port, 18_789)
    rmSync(join(home, '.openclaw/openclaw.json'))
    mkdirSync(join(home, '.openclaw/openclaw.json'))
    assert.equal((await look()).gateway.config, null)
  })
})

describe('the first document', () => {
  const found = (programs: Partial<Found['programs']>, gateway: Partial<Found['gateway']>): Found => ({
    programs: { ...nothing.programs, ...programs },
    gateway: { ...nothing.gateway, ...gateway },
  })

  it('on an empty machine has an absent gateway and a memory server to see at work', () => {
    const text = firstDocument(nothing, options)
    const { specs, warnings } = meshOf(text)
    assert.deepEqual(
      specs.map((spec) => [spec.name, spec.preset]),
      [
        ['gateway', 'openclaw-gateway'],
        ['memory', 'mcp-stdio'],
      ],
    )
    assert.deepEqual(specs[1]?.command, options.memoryServer)
    assert.equal(specs[1]?.env['MEMORY_FILE_PATH'], options.memoryFile)
    assert.deepEqual(warnings, [])
    assert.match(text, /npm install -g openclaw/)
  })

  it('only observes a gateway that runs already, and says how to hand it over', () => {
    const text = firstDocument(
      found({ openclaw: '/bin/openclaw' }, { answering: true, port: 18_900 }),
      options,
    )
    const { specs } = meshOf(text)
    assert.deepEqual(
      specs.map((spec) => [spec.name, spec.command, spec.ports]),
      [['gateway', null, [18_900]]],
    )
    assert.match(text, /To hand it over:\n {2}# stop it where it was started, write `observe: false`/)
  })

  it('only observes a gateway that launchd or systemd owns, running or not', () => {
    const owner = { kind: 'launchd', file: '/Users/op/Library/a\nb.plist' } as const
    const text = firstDocument(found({ openclaw: '/bin/openclaw' }, { owner }), options)
    assert.equal(meshOf(text).specs[0]?.command, null)
    assert.match(text, /To hand it over:\n {2}# `paios takeover gateway`;/)
    assert.match(text, /started by launchd \(\/Users\/op\/Library\/a\?b\.plist\)/)
  })

  it('supervises an installed gateway that does not run, and watches the other brains that are there', () => {
    const programs = { openclaw: '/bin/openclaw', claude: '/bin/cl\naude' }
    const text = firstDocument(found(programs, { config: '/home/op/.openclaw/openclaw.json' }), options)
    const { specs } = meshOf(text)
    assert.deepEqual(
      specs.map((spec) => [spec.name, spec.preset, spec.command === null]),
      [
        ['gateway', 'openclaw-gateway', false],
        ['claude', 'claude-code', true],
      ],
    )
    assert.match(text, /# Claude Code \(\/bin\/cl\?aude\), which you start yourself/)
    assert.doesNotMatch(text, /onboard/)
    assert.match(firstDocument(found(programs, {}), options), /`openclaw onboard`/)
    const both = meshOf(firstDocument(found({ claude: '/bin/claude', codex: '/bin/codex' }, {}), options))
    assert.deepEqual(
      both.specs.map((spec) => spec.name),
      ['gateway', 'claude', 'codex'],
    )
  })

  it('has an example that is valid once its comment signs are taken away', () => {
    const text = firstDocument(nothing, options).replace(/^ {2}# (notes:| {2}\S)/gm, '  $1')
    const notes = meshOf(text).specs.find((spec) => spec.name === 'notes')
    assert.deepEqual(notes?.command, ['python3', '/home/op/notes/server.py'])
  })
})

describe('createDocument', () => {
  it('creates the file for its owner alone and never replaces one', async () => {
    const path = join(home, 'paios.yaml')
    assert.equal(await createDocument(path, 'version: 1\n'), true)
    assert.equal(await createDocument(path, 'version: 2\n'), false)
    assert.equal(readFileSync(path, 'utf8'), 'version: 1\n')
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  it('is won by exactly one of many at once', async () => {
    const path = join(home, 'paios.yaml')
    const won = await Promise.all(Array.from({ length: 8 }, (_, i) => createDocument(path, `# ${i}\n`)))
    assert.equal(won.filter(Boolean).length, 1)
    assert.equal(readFileSync(path, 'utf8'), `# ${won.indexOf(true)}\n`)
  })

  it('says that the home cannot be written where it is a file or missing', async () => {
    const refused = (error: unknown) => error instanceof PaiosError && error.code === 'home-unwritable'
    await assert.rejects(createDocument(join(home, 'none', 'paios.yaml'), ''), refused)
    await assert.rejects(createDocument(join(put('file', ''), 'paios.yaml'), ''), refused)
  })
})
