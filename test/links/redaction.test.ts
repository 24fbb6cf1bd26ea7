import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hidesSomething, isHarmless, redact, showArgv, showUrl } from '../../supervisor/links/redaction.ts'

const SECRET = 'hunter2hunter2'

describe('a command line as it is shown', () => {
  it('has no secret that a flag, a variable, a header or a URL names', () => {
    for (const argv of [
      ['kb', '--token', SECRET],
      ['kb', 'serve', '--api-key', SECRET],
      ['kb', `--api_key=${SECRET}`],
      ['docker', 'run', '-e', `DB_PASSWORD=${SECRET}`, 'kb'],
      ['npx', 'mcp-remote', 'http://x/', '--header', `Authorization: Bearer ${SECRET}`],
      ['sh', '-c', `GITHUB_TOKEN=${SECRET} exec node kb.js`],
      ['sh', '-c', `kb --access-token ${SECRET} run`],
      ['kb', `postgres://me:${SECRET}@localhost/db`],
      ['kb', `{"secret": "${SECRET}"}`],
    ]) {
      assert.doesNotMatch(showArgv(argv), /hunter2/, argv.join(' '))
      assert.ok(hidesSomething(argv), argv.join(' '))
    }
  })

  it('has nothing that looks like a key', () => {
    for (const key of [
      'sk-ant-api03-abcdefgh12345678',
      'ghp_abcdefghijklmnop1234',
      'xoxb-1234567890-abcdefghij',
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc',
      'AbCdEf0123456789AbCdEf0123456789',
      '0123456789abcdef0123456789abcdef',
    ]) {
      assert.equal(showArgv(['kb', key]).includes(key.slice(4, 16)), false, key)
    }
  })

  it('otherwise is what was written', () => {
    for (const argv of [
      ['npx', '-y', '@modelcontextprotocol/server-sequential-thinking@2026.8.31'],
      ['python3', '/home/op/knowledge-base-2025-11-25-final/server.py', '--port', '3000'],
      ['uvx', 'mcp-server-git', '--repository', '/srv/a-very-long-repository-name-without-digits'],
      ['node', 'server.js', '--keyboard', 'qwerty', '--author', 'me'],
    ]) {
      assert.equal(showArgv(argv), argv.join(' '))
    }
    assert.equal(showArgv(['sh', '-c', 'exec kb']), 'sh -c "exec kb"')
  })
})

describe('a URL as it is shown', () => {
  it('keeps scheme, host and path, without user, query and keys in the path', () => {
    assert.equal(showUrl('http://127.0.0.1:3000/mcp'), 'http://127.0.0.1:3000/mcp')
    assert.equal(
      showUrl(`https://me:${SECRET}@x.example/mcp?key=${SECRET}`),
      'https://[redacted]@x.example/mcp?…',
    )
    assert.doesNotMatch(showUrl('https://x.example/s/AbCdEf0123456789AbCdEf0123456789/mcp'), /AbCdEf/)
    assert.equal(redact('no url'), showUrl('no url'))
  })
})

describe('a variable', () => {
  it('is harmless only if neither its name nor its value can be a secret', () => {
    for (const [name, value] of [
      ['LOG_LEVEL', 'debug'],
      ['PORT', '3000'],
      ['DATA_DIR', '/srv/kb data/files'],
      ['QUIET', 'true'],
    ] as const) {
      assert.ok(isHarmless(name, value), name)
    }
    for (const [name, value] of [
      ['API_KEY', '123456'],
      ['SESSION_TOKEN', 'debug'],
      ['DATABASE_URL', '/srv/db'],
      ['NAME', 'anything else'],
      ['PIN', '12345678'],
      ['WEBHOOK', 'https://hooks.example/T0/B0'],
    ] as const) {
      assert.equal(isHarmless(name, value), false, name)
    }
  })
})
