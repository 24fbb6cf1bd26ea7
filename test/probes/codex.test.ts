import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'smol-toml'
import { codex } from '../../probes/codex.ts'
import { canaryConfig } from '../../probes/codex-canary-config.ts'
import { fakeBrain } from './brain.ts'
import { openProbe, reasonOf, temporaryFolder } from './target.ts'

const OK = { kind: 'pass', note: '1.2.3; handshake ok; login not checked' }

const FULL = `# mine
model = "m"
notify = ["send"]

[mcp_servers.kb]
command = "kb"
[mcp_servers.kb.env]
KEY = "sk-secret"

[tui]
theme = "x"
`

describe('the canary of Codex', () => {
  for (const mode of ['app-server', 'mcp-server'] as const) {
    it(`${mode}: passes with the version`, async (t) => {
      const folder = await temporaryFolder(t)
      const check = await openProbe(t, codex, { program: fakeBrain(folder, 'ok'), home: folder, mode })
      assert.deepEqual(await check(), OK)
    })
  }

  it('runs in a home that holds the config without its servers, and neither login nor network', async (t) => {
    const folder = await temporaryFolder(t)
    writeFileSync(join(folder, 'config.toml'), FULL)
    writeFileSync(join(folder, 'auth.json'), '{}')
    const check = await openProbe(t, codex, { program: fakeBrain(folder, 'tells'), home: folder })
    assert.deepEqual(await check(), OK)
    const { env, cwd, config } = JSON.parse(readFileSync(join(folder, 'told', '1.2.3.json'), 'utf8'))
    assert.deepEqual([env.HOME, env.CODEX_HOME, env.HTTPS_PROXY], [cwd, `${cwd}/codex`, 'http://127.0.0.1:1'])
    assert.deepEqual(JSON.parse(JSON.stringify(parse(config))), { model: 'm', tui: { theme: 'x' } })
  })

  it('fails with path and range, but no value, when Codex would run with its defaults', async (t) => {
    const folder = await temporaryFolder(t)
    const path = join(folder, 'config.toml')
    writeFileSync(path, 'model = "m"\n')
    const check = await openProbe(t, codex, { program: fakeBrain(folder, 'defaults'), home: folder })
    const words = 'invalid type: string "…", expected a boolean (it runs with its defaults instead)'
    assert.equal(reasonOf(await check()), `codex: ${path}:3:9-3:12: ${words}`)
    // The copy has other lines than the file: a range would mislead.
    writeFileSync(path, 'mcp_servers = { a = { command = "x" } }\nmodel = "m"\n')
    assert.equal(reasonOf(await check()), `codex: ${path}: ${words}`)
  })

  it('that can see a login fails, and one that dies says how', async (t) => {
    const folder = await temporaryFolder(t)
    const reasons: string[] = []
    for (const mode of ['logged-in', 'dies']) {
      const check = await openProbe(t, codex, {
        program: fakeBrain(folder, mode),
        home: join(folder, 'none'),
      })
      reasons.push(reasonOf(await check()))
    }
    assert.deepEqual(reasons, [
      'codex: its canary could see a login',
      'codex: exited with code 3 before it answered initialize: its library is missing',
    ])
  })

  it('cannot tell where the config cannot be read', async (t) => {
    const folder = await temporaryFolder(t)
    mkdirSync(join(folder, 'config.toml'))
    const check = await openProbe(t, codex, { program: fakeBrain(folder, 'ok'), home: folder })
    await assert.rejects(check(), /EISDIR/)
  })

  it('watches the config', () => {
    const settings = { program: 'codex', home: '/a/b', mode: 'app-server' } as const
    assert.deepEqual(codex.watches(settings), ['/a/b/config.toml'])
  })
})

describe('the config that a canary may see', () => {
  it('is the file itself where nothing has to be left out', async () => {
    const text = 'model = "m" # mine\n[model_providers.x]\nname = "n"\n'
    assert.deepEqual(await canaryConfig(text), { text, isAligned: true })
  })

  it('keeps its line numbers where whole tables are left out', async () => {
    const text = FULL.replace('notify = ["send"]\n', '')
    const copy = await canaryConfig(text)
    assert.equal(copy?.isAligned, true)
    assert.equal(copy.text.split('\n').indexOf('theme = "x"'), text.split('\n').indexOf('theme = "x"'))
    assert.doesNotMatch(copy.text, /sk-secret|kb/)
  })

  it('is written anew where tables cannot be cut out, with integers and fractions as they were', async () => {
    for (const text of [
      'mcp_servers = { a = { command = "x" } }\na = 1\nb = 1.0\n',
      'b = 1.0\na = 1\nmcp_servers.a.command = "x"\n',
      'a = 1\nb = 1.0\n[model_providers.x]\nname = "n"\nhttp_headers = { authorization = "sk-secret" }\n',
      'a = 1\nb = 1.0\nt = """\n[mcp_servers.x]\n"""\n[mcp_servers.y]\ncommand = "x"\n',
    ]) {
      const copy = await canaryConfig(text)
      assert.equal(copy?.isAligned, false, text)
      assert.match(copy.text, /^a = 1$/m)
      assert.match(copy.text, /^b = 1\.0$/m)
      assert.doesNotMatch(copy.text, /sk-secret|command/)
    }
  })

  it('is none for a file that is not TOML', async () => assert.equal(await canaryConfig('a = \n'), null))
})
