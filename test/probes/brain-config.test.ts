import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { brainConfig } from '../../probes/brain-config.ts'
import { createTarget, openProbe, reasonOf, temporaryFolder } from './target.ts'

type FileFormat = 'claude-state' | 'claude-settings' | 'mcp-json' | 'codex-config'
const ACCEPT = 'paios mcp accept under-test'
const PASS = { kind: 'pass', note: null }

/** A check of one file, what it told, and a way to write the file. */
async function open(t: TestContext, format: FileFormat, forgetAfter = '7d') {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'file')
  const told: string[] = []
  const target = createTarget(folder, { tell: (event, text) => told.push(`${event}: ${text}`) })
  const check = await openProbe(t, brainConfig, { file, format, forgetAfter }, target)
  const write = (content: string | object) =>
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  const reason = async (content: string | object) => {
    write(content)
    return reasonOf(await check()).replaceAll(file, 'FILE')
  }
  return { file, told, check, write, reason }
}

const server = { command: 'kb', args: ['x'], env: { KEY: 'sk-secret' } }
const remote = { type: 'http', url: 'http://127.0.0.1:1/mcp' }

describe('any file of a brain', () => {
  it('passes while it is not there', async (t) => {
    for (const format of ['claude-state', 'claude-settings', 'mcp-json', 'codex-config'] as const) {
      assert.deepEqual(await (await open(t, format)).check(), PASS)
    }
  })

  it('is watched', () => {
    const settings = { file: '/a/b', format: 'mcp-json', forgetAfter: 1 } as const
    assert.deepEqual(brainConfig.watches(settings), ['/a/b'])
  })

  it('that is being written is looked at again', async (t) => {
    const { file, check, write } = await open(t, 'claude-settings')
    write('{"permissions": {')
    const checked = check()
    writeFileSync(`${file}.new`, '{"permissions": {}}')
    renameSync(`${file}.new`, file)
    assert.deepEqual(await checked, PASS)
  })

  it('fails where it is a folder', async (t) => {
    const { file, check } = await open(t, 'claude-settings')
    mkdirSync(file)
    assert.match(reasonOf(await check()), /is not a regular file/)
  })
})

describe('settings.json of Claude Code', () => {
  it('passes with what Claude Code takes, unknown keys too', async (t) => {
    const { check, write } = await open(t, 'claude-settings')
    const hook = { matcher: 'Bash', hooks: [{ type: 'command', command: 'x', timeout: 5 }] }
    write({
      permissions: { allow: ['Bash(ls:*)'], deny: [], defaultMode: 'acceptEdits', other: 1 },
      hooks: { PreToolUse: [hook] },
      env: { A: 'b', N: 1 },
      cleanupPeriodDays: 30,
      futureKey: { a: 1 },
    })
    assert.deepEqual(await check(), PASS)
  })

  it('fails with the line of an error, and with every value of a wrong type, and quotes none', async (t) => {
    const { reason } = await open(t, 'claude-settings')
    const meaning = '(claude ignores all of it without a word, permissions and hooks too)'
    assert.equal(
      await reason('{\n  "model": "sk-secret",\n}'),
      `FILE:3:1: not JSON (comments, single quotes or trailing commas are JSON5) ${meaning}`,
    )
    const wrong = { permissions: { allow: 'sk-secret' }, env: { A: ['sk-secret'] }, model: 5 }
    assert.equal(
      await reason(wrong),
      `FILE: permissions.allow: must be array (got string); env.A: must be string or number or boolean ` +
        `(got array); model: must be string (got number) ${meaning}`,
    )
    assert.equal(await reason('[]'), `FILE: the document: must be object (got array) ${meaning}`)
  })
})

describe('.mcp.json', () => {
  it('passes with servers of either sort, and fails on others', async (t) => {
    const { check, write, reason } = await open(t, 'mcp-json')
    write({ mcpServers: { kb: server, remote } })
    assert.deepEqual(await check(), PASS)
    const meaning = '(claude leaves out the servers of it)'
    assert.equal(await reason({}), `FILE: mcpServers: missing ${meaning}`)
    const wrong = { a: { args: [] }, b: { command: 'x', args: 'sk-secret' }, c: { type: 'sse' }, d: 1 }
    assert.equal(
      await reason({ mcpServers: wrong }),
      `FILE: mcpServers.a.command: missing; mcpServers.b.args: must be array (got string); ` +
        `mcpServers.c.url: missing; mcpServers.d: must be object (got number) ${meaning}`,
    )
  })
})

describe('~/.claude.json', () => {
  const projects = { '/home/me/work': { mcpServers: { tests: server }, allowedTools: [] } }
  const full = { userID: 'u'.repeat(500), mcpServers: { kb: server, remote }, projects }

  it('passes while servers come, and while the program writes into it', async (t) => {
    const { check, write, told } = await open(t, 'claude-state')
    for (const document of [{}, { ...full, projects: {} }, full, { ...full, numStartups: 2 }]) {
      write(document)
      assert.deepEqual(await check(), PASS)
    }
    assert.deepEqual(told, [])
  })

  it('that is corrupt fails with what the next run will do to it', async (t) => {
    const { reason } = await open(t, 'claude-state')
    assert.match(
      await reason('{"mcpServers": '),
      /^FILE:1:16: ends too early \(the next run of claude replaces/,
    )
  })

  it('that was reset fails until the servers are back, and is told once', async (t) => {
    const { file, check, write, told, reason } = await open(t, 'claude-state')
    write(full)
    assert.deepEqual(await check(), PASS)
    const before = Buffer.byteLength(JSON.stringify(full))
    const words = `was reset (${before} bytes before, 17 now)`
    const names = 'kb, remote, tests (in /home/me/work)'
    for (let i = 0; i < 2; i++)
      assert.equal(
        await reason({ numStartups: 1 }),
        `FILE ${words}: 3 of 3 MCP servers are gone: ${names} (${ACCEPT})`,
      )
    assert.deepEqual(told, [`servers-lost: ${file} ${words}: ${names}`])
    rmSync(file)
    assert.match(reasonOf(await check()), /was reset .* 3 of 3 MCP servers are gone/)
    write(full)
    assert.deepEqual(await check(), PASS)
  })

  it('that loses the same server once more fails once more', async (t) => {
    const { check, write, told, reason } = await open(t, 'claude-state', '0ms')
    for (let count = 1; count <= 2; count++) {
      write(full)
      assert.deepEqual(await check(), PASS)
      assert.match(await reason({ ...full, mcpServers: { remote } }), /has lost servers/)
      assert.equal(told.length, count)
    }
  })

  it('that lost one server fails with its name, and is believed after the time that was set', async (t) => {
    const { check, write, told, reason } = await open(t, 'claude-state', '0ms')
    write(full)
    await check()
    const fewer = { ...full, mcpServers: { remote } }
    assert.equal(await reason(fewer), `FILE has lost servers: 1 of 3 MCP servers are gone: kb (${ACCEPT})`)
    const end = Date.now() + 1
    while (Date.now() <= end) await new Promise(setImmediate)
    assert.deepEqual(await check(), PASS)
    assert.deepEqual(
      told.map((text) => text.split(':')[0]),
      ['servers-lost', 'servers-forgotten'],
    )
  })

  it('with a server that is none, or projects that are none, fails', async (t) => {
    const { reason } = await open(t, 'claude-state')
    assert.match(await reason({ mcpServers: [] }), /^FILE: mcpServers: must be object/)
    const broken = { '/a': { mcpServers: { x: { command: 7 } } }, '/b': 3 }
    assert.match(
      await reason({ projects: broken }),
      /projects\.\/a\.mcpServers\.x\.command: must be string \(got number\); projects\.\/b: must be object/,
    )
  })
})

describe('config.toml of Codex', () => {
  it('passes with what Codex takes', async (t) => {
    const { check, write } = await open(t, 'codex-config')
    for (const text of [
      '',
      'approval_policy = "on-request"\nsandbox_mode = "workspace-write"\nother = 1\n',
      'approval_policy = { granular = { rules = true } }\n',
      '[mcp_servers.a]\ncommand = "x"\nargs = ["y"]\nstartup_timeout_sec = 10\n[mcp_servers.a.env]\nK = "v"\n',
      '[mcp_servers.b]\nurl = "http://127.0.0.1:1"\nenabled = false\n[x]\nd = 2026-01-01\nbig = 9223372036854775807\n',
    ]) {
      write(text)
      assert.deepEqual(await check(), PASS, text)
    }
  })

  it('fails with line and column of an error, and quotes nothing', async (t) => {
    const { reason } = await open(t, 'codex-config')
    assert.match(await reason('model = "m"\n[mcp_servers.x\ncommand = "sk-secret"\n'), /^FILE:2:1\d: [a-z ]+/)
    assert.match(await reason('model = "sk-secret\n'), /^FILE:1:\d+: .*\(codex refuses every command\)$/)
    assert.doesNotMatch(await reason('model = "sk-secret\n'), /sk-/)
    assert.doesNotMatch(await reason('model = sk-secret\n'), /sk-/)
  })

  it('fails on a wrong policy, a wrong sandbox, and one bad server among good ones', async (t) => {
    const { reason } = await open(t, 'codex-config')
    const meaning = '(codex refuses every command)'
    assert.equal(
      await reason('approval_policy = "sk-secret"\nsandbox_mode = "none"\n'),
      `FILE: sandbox_mode: must be "read-only" or "workspace-write" or "danger-full-access"; approval_policy: ` +
        `must be "untrusted" or "on-failure" or "on-request" or "never" or object (got string) ${meaning}`,
    )
    const invalid = 'invalid transport: needs either command or url'
    const good = '[mcp_servers.good]\ncommand = "x"\n'
    for (const bad of ['foo = 1', 'command = "x"\nurl = "y"'])
      assert.equal(
        await reason(`${good}[mcp_servers.bad]\n${bad}\n`),
        `FILE: mcp_servers.bad: ${invalid} ${meaning}`,
      )
    assert.match(
      await reason('[mcp_servers.bad]\ncommand = "x"\n[mcp_servers.bad.env]\nK = 5\n'),
      /mcp_servers\.bad\.env\.K: must be string/,
    )
  })
})
