/** What the ends of `claude -p` and `codex exec` mean, on what the real programs wrote against a double. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classify } from '../../supervisor/core/exits.ts'
import { specOf } from './spec.ts'

const spec = specOf('process', { command: ['/home/me/bin/poster.sh'] }, '/home/me')
const AT = 'url: http://127.0.0.1:42121/v1/responses'
const LATER =
  'a message of the service. This is a server-side issue, usually temporary — try again in a moment. If it persists, check your inference gateway (127.0.0.1:42121).'

type Row = readonly [name: string, log: string, kind: 'fatal' | 'failure', reason: RegExp]
const ROWS: readonly Row[] = [
  [
    'claude: no login',
    'Not logged in · Please run /login\n',
    'fatal',
    /not logged in: run `claude` and `\/login`/,
  ],
  [
    'claude: a key that is refused',
    'Failed to authenticate. API Error: 401 a message of the service\n',
    'fatal',
    /refuses the login or key/,
  ],
  [
    'claude: 403',
    'Failed to authenticate. API Error: 403 a message of the service\n',
    'fatal',
    /refuses the login or key/,
  ],
  [
    'claude: the same as JSON',
    '{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"duration_ms":88}\n',
    'fatal',
    /refuses the login or key/,
  ],
  ['claude: no credit', 'API Error: 402 a message of the service\n', 'fatal', /no credit left/],
  [
    'claude: a limit',
    'API Error: Request rejected (429) · a message of the service\n',
    'failure',
    /limit of the provider is reached \(429\)/,
  ],
  ['claude: a fault of the provider', `API Error: 500 ${LATER}\n`, 'failure', /has a fault \(500\)/],
  ['claude: an overloaded provider', `API Error: 529 ${LATER}\n`, 'failure', /has a fault \(529\)/],
  [
    'claude: no network',
    'API Error: Unable to connect to API (ConnectionRefused)\n',
    'failure',
    /no network .*\(ConnectionRefused\)/,
  ],
  [
    'claude: its file is damaged',
    'Claude configuration file at /home/me/.claude.json is corrupted: JSON Parse error: Unexpected EOF\nThe corrupted file has already been backed up.\n\n',
    'fatal',
    /^exit code 1: \/home\/me\/\.claude\.json was damaged, .*bring the good one back$/,
  ],
  [
    'codex: a key that is refused',
    `ERROR: Reconnecting... 5/5\nERROR: unexpected status 401 Unauthorized: a message of the service, ${AT}\n`,
    'fatal',
    /refuses the login or key of Codex \(401\)/,
  ],
  [
    'codex: 403',
    `ERROR: unexpected status 403 Forbidden: a message of the service, ${AT}\n`,
    'fatal',
    /Codex \(403\)/,
  ],
  [
    'codex: no credit',
    `ERROR: unexpected status 402 Payment Required: a message of the service, ${AT}\n`,
    'fatal',
    /no credit left \(402\)/,
  ],
  [
    'codex: a limit',
    'mcp startup: no servers\nERROR: exceeded retry limit, last status: 429 Too Many Requests\n',
    'failure',
    /limit .*\(429\)/,
  ],
  [
    'codex: a fault of the provider',
    'ERROR: We’re currently experiencing high demand, which may cause temporary errors.\n',
    'failure',
    /has a fault, or too much to do/,
  ],
  [
    'codex: a login that another program has used up',
    'ERROR codex_login::auth::manager: Failed to refresh token: 401\nERROR: unexpected status 401 Unauthorized\n',
    'fatal',
    /used up by another program: `codex login`/,
  ],
  [
    'codex: TOML that is cut off',
    'Error loading config.toml:\n/home/me/.codex/config.toml:1:16: unclosed table, expected `]`\n  |\n1 | [mcp_servers.kb\n  |                ^\n',
    'fatal',
    /does not take its configuration: \/home\/me\/\.codex\/config\.toml:1:16$/,
  ],
  [
    'codex 0.169: a table that is wrong',
    'Error loading config.toml: invalid transport\nin `mcp_servers.kb`\n\n',
    'fatal',
    /does not take its configuration: mcp_servers\.kb in config\.toml$/,
  ],
  [
    'codex 0.105: a table that is wrong',
    'Error loading config.toml:\n/home/me/.codex/config.toml:1:1: invalid transport\n  |\n1 | [mcp_servers.kb]\n  | ^^^^^^^^^^^^^^^^\n',
    'fatal',
    /config\.toml:1:1$/,
  ],
]

describe('the ends of a turn of Claude Code or Codex', () => {
  for (const [name, log, kind, reason] of ROWS) {
    it(`${name}: ${kind}`, () => {
      const ending = classify(spec, { code: 1, signal: null }, `an earlier line\n${log}`)
      assert.equal(ending.class, kind)
      assert.match(ending.reason, reason)
    })
  }

  it('an error that the program has survived does not judge it', () => {
    for (const [, log] of ROWS.filter(([name]) => !/file|config|TOML|table|login that/.test(name))) {
      const ending = classify(spec, { code: 1, signal: null }, `${log}posted 3 messages\n`)
      assert.equal(ending.class, 'failure')
      assert.doesNotMatch(ending.reason, /provider|login|credit|network to/, log)
    }
  })

  it('with exit code 0 it is a success whatever it wrote', () => {
    for (const [, log] of ROWS) assert.equal(classify(spec, { code: 0, signal: null }, log).class, 'success')
  })
})
