import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { presets } from '../../services/index.ts'
import { parseMesh } from '../../supervisor/config.ts'
import { type Found, firstDocument } from '../../supervisor/discovery.ts'
import { type Place, readServers } from '../../supervisor/links/client-formats.ts'
import { serversPart } from '../../supervisor/links/first-servers.ts'
import { subjectsOf } from '../../supervisor/links/table.ts'

const place: Place = {
  client: 'claude',
  scope: 'user',
  file: '/home/op/.claude.json',
  project: null,
  isStrange: false,
  off: () => null,
  variables: {},
  problems: [],
}
const part = (servers: object, changes: Partial<Place> = {}, more: ReturnType<typeof readServers> = []) =>
  serversPart(subjectsOf([...readServers(servers, { ...place, ...changes }), ...more], [], '/home/op'), [
    'gateway',
  ])

const nothing: Found = {
  programs: { openclaw: null, claude: null, codex: null },
  gateway: { port: 18_789, answering: false, config: null, owner: null },
}

/** The services that a first document with these servers has; fails if it is not valid. */
function specsOf(servers: string) {
  const text = firstDocument(nothing, { memoryServer: ['node', 'm.js'], memoryFile: '/m', servers })
  const result = parseMesh(text, { home: '/home/op', presets })
  assert.ok(result.ok, JSON.stringify(!result.ok && result.problems))
  return result.mesh.specs.filter(({ name }) => name !== 'gateway')
}

describe('the registered servers in a first document', () => {
  it('are canaries of their commands and watched URLs, named after the registration', () => {
    const text = part({
      'My KB!': { command: 'python3', args: ['/srv/k"b.py', '--x'], cwd: '/srv' },
      gateway: { command: 'gw' },
      web: { url: 'http://127.0.0.1:3000/mcp' },
    })
    const specs = specsOf(text)
    assert.deepEqual(
      specs.map(({ name, preset, command, cwd }) => [name, preset, command, cwd]),
      [
        ['my-kb', 'mcp-stdio', null, '/srv'],
        ['gateway-2', 'mcp-stdio', null, null],
        ['web', 'mcp-http', null, null],
      ],
    )
    const [kb, , web] = specs.map(({ probes }) => probes.find(({ kind }) => kind === 'mcp'))
    assert.ok(kb?.kind === 'mcp' && web?.kind === 'mcp')
    assert.deepEqual(kb.command, ['python3', '/srv/k"b.py', '--x'])
    assert.equal(web.url, 'http://127.0.0.1:3000/mcp')
    assert.match(text, /# MCP server, registered with claude \(user\)/)
  })

  it('are named once, with all their clients', () => {
    const codex = readServers({ kb: { command: 'kb' } }, { ...place, client: 'codex' })
    const text = part({ kb: { command: 'kb' } }, {}, codex)
    assert.equal(specsOf(text).length, 1)
    assert.match(text, /registered with claude \(user\), codex \(user\)\./)
  })

  it('have no value that may be secret: the document refers to it, and says so', () => {
    const text = part({
      kb: { command: 'kb', env: { API_KEY: 's3cret-value', LEVEL: 'debug', DATA: '/srv/data' } },
      web: { url: 'http://127.0.0.1:3000/mcp', headers: { 'X-Token': 's3cret-value' } },
    })
    assert.doesNotMatch(text, /s3cret/)
    const [kb, web] = specsOf(text)
    assert.deepEqual(kb?.env, { API_KEY: '${env:API_KEY}', LEVEL: 'debug', DATA: '/srv/data' })
    const probe = web?.probes[0]
    assert.deepEqual(probe?.kind === 'mcp' && probe.headers, { 'X-Token': '${env:WEB_X_TOKEN}' })
    assert.match(text, /What may be secret is not copied: write API_KEY=… into the file `env` here/)
  })

  it('are only named where starting them would not do', () => {
    const text = part({
      brain: { command: 'codex', args: ['mcp-server'] },
      secret: { command: 'kb', args: ['--token', 's3cret-value'] },
      variable: { command: 'kb', args: ['${X}'] },
      remote: { command: 'npx', args: ['mcp-remote', 'https://mcp.example/'] },
      far: { url: 'https://mcp.example/s' },
      query: { url: 'http://127.0.0.1:3000/mcp?key=s3cret-value' },
      'line\nbreak': { command: 'claude', args: ['mcp', 'serve\n  evil:'] },
    })
    assert.deepEqual(specsOf(text), [])
    assert.doesNotMatch(text, /s3cret/)
    assert.equal(text.match(/is left out: /g)?.length, 7)
    assert.match(text, /brain, registered with claude \(user\), is left out: it is a brain/)
  })

  it('are not those that came with a folder and were not approved, or that are disabled', () => {
    const strange = readServers(
      { evil: { command: 'evil' } },
      { ...place, isStrange: true, off: () => 'waits' },
    )
    const text = part({ off: { command: 'off', enabled: false } }, {}, strange)
    assert.deepEqual(specsOf(text), [])
    assert.match(text, /# 2 more, disabled or not approved by you/)
    assert.doesNotMatch(text, /evil/)
  })

  it('are at most 50, and none where nothing is registered', () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`s${i}`, { command: `c${i}` }]))
    const text = part(many)
    assert.equal(specsOf(text).length, 50)
    assert.match(text, /# 10 more MCP servers are registered/)
    assert.equal(part({}), '')
  })
})
