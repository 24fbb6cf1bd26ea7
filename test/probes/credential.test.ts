import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import { afterEach, describe, test } from 'node:test'
import { credential } from '../../probes/credential.ts'
import type { ProbeResult } from '../../probes/probe.ts'
import { openProbe, temporaryFolder, type Written } from './target.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const inMs = (ms: number) => Date.now() + ms
const iso = (ms: number) => new Date(ms).toISOString()
const dateText = (ms: number) => `${iso(ms).slice(0, 16).replace('T', ' ')} UTC`

/** Everything in these files that must never be told. */
const SECRETS = [
  'sk-ant-oat01-abcdefgh',
  'sk-ant-ort01-ijklmnop',
  'rt-qrstuvwx',
  'acct-12345678',
  'me@example.org',
]
const [ACCESS, REFRESH, CODEX_REFRESH, ACCOUNT, MAIL] = SECRETS as [string, string, string, string, string]
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const SIGNATURE = 'c2lnbmF0dXJl'
const jwt = (exp: number) => `${part({ alg: 'RS256' })}.${part({ exp, email: MAIL })}.${SIGNATURE}`

const claude = (oauth: object) =>
  JSON.stringify({
    claudeAiOauth: { accessToken: ACCESS, refreshToken: REFRESH, subscriptionType: 'max', ...oauth },
  })
const codex = (tokens: object | null, rest: object = {}) =>
  JSON.stringify({
    OPENAI_API_KEY: null,
    tokens: tokens && { refresh_token: CODEX_REFRESH, account_id: ACCOUNT, ...tokens },
    ...rest,
  })
const seconds = (ms: number) => Math.floor(ms / 1000)

let results: ProbeResult[] = []
type Settings = Omit<Written<typeof credential>, 'file'>

/** The result for a file with this text; null for no file. */
async function look(t: TestContext, text: string | null, settings: Settings, mode = 0o600) {
  const folder = await temporaryFolder(t)
  const file = `${folder}/auth.json`
  if (text !== null) await writeFile(file, text, { mode })
  if (text !== null) await chmod(file, mode)
  const check = await openProbe(t, credential, { file, ...settings })
  const before = text === null ? null : await stat(file)
  const result = await check()
  if (before !== null) {
    const after = await stat(file)
    assert.deepEqual(
      [after.mtimeMs, after.ino, await readFile(file, 'utf8')],
      [before.mtimeMs, before.ino, text],
    )
  }
  results.push(result)
  return result
}

const failed = (reason: string): ProbeResult => ({ kind: 'fail', reason, progress: false })
const passed = (note: string | null): ProbeResult => ({ kind: 'pass', note })

// No token, no part of one, and nobody's name is told, whatever the file holds.
afterEach(() => {
  const told = JSON.stringify(results)
  const pieces = [
    ...SECRETS.flatMap((secret) => [secret, secret.slice(0, 8), secret.slice(-8)]),
    SIGNATURE,
    'eyJ',
  ]
  for (const piece of pieces) assert.ok(!told.includes(piece), `${piece} was told: ${told}`)
  results = []
})

describe('the login of Claude Code', () => {
  const format = { format: 'claude' } as const

  test('that renews itself passes, its access token expired or not', async (t) => {
    for (const expiresAt of [inMs(6 * HOUR), inMs(-DAY)])
      assert.deepEqual(await look(t, claude({ expiresAt }), format), passed('login renews itself'))
  })

  test('that expired and cannot renew itself is needed anew', async (t) => {
    const expiresAt = inMs(-DAY)
    for (const refreshToken of ['', undefined]) {
      const result = await look(t, claude({ expiresAt, refreshToken }), format)
      assert.deepEqual(result, failed(`login needed: expired ${dateText(expiresAt)}`))
    }
  })

  test('that was blanked after a refused renewal is needed anew', async (t) => {
    const blanked = claude({ accessToken: '', refreshToken: '', expiresAt: 0 })
    assert.deepEqual(await look(t, blanked, format), failed('login needed: its tokens are blank'))
    const zero = await look(t, claude({ expiresAt: 0 }), format)
    assert.deepEqual(zero, failed('login needed: its tokens are blank'))
  })

  test('that cannot renew itself is noted in the last day, by its date', async (t) => {
    const expiresAt = inMs(12 * HOUR)
    const near = await look(t, claude({ expiresAt, refreshToken: '' }), format)
    assert.deepEqual(near, passed(`login expires ${dateText(expiresAt)}`))
    const settings = { ...format, warnWithin: '1h' }
    assert.deepEqual(await look(t, claude({ expiresAt, refreshToken: '' }), settings), passed(null))
    const lasting = await look(t, claude({ expiresAt: null, refreshToken: '' }), format)
    assert.deepEqual(lasting, passed(null))
  })

  test('that is missing, empty, broken or of another kind is needed anew', async (t) => {
    if (process.platform !== 'darwin')
      assert.deepEqual(await look(t, null, format), failed('login needed: no auth.json'))
    assert.deepEqual(await look(t, ' \n', format), failed('login needed: auth.json is empty'))
    const broken = claude({ expiresAt: 1 }).slice(0, -20)
    assert.deepEqual(await look(t, broken, format), failed('login needed: auth.json is not valid JSON'))
    for (const text of ['{}', '[]', 'null', '{"claudeAiOauth":null}', '{"mcpOAuth":{"a":{}}}'])
      assert.deepEqual(await look(t, text, format), failed('login needed: auth.json holds none'))
  })

  test('that was not written for too long is told', async (t) => {
    const folder = await temporaryFolder(t)
    const file = `${folder}/auth.json`
    await writeFile(file, claude({ expiresAt: inMs(-40 * DAY) }), { mode: 0o600 })
    const then = new Date(inMs(-41 * DAY))
    await utimes(file, then, then)
    const check = await openProbe(t, credential, { file, ...format, maxRefreshAge: '30d' })
    const reason = `login last renewed ${dateText(then.getTime())}, more than 30d ago`
    assert.deepEqual(await check(), failed(reason))
  })
})

describe('the login of Codex', () => {
  const format = { format: 'codex' } as const

  test('renews itself, also with an expired access token', async (t) => {
    for (const exp of [seconds(inMs(DAY)), seconds(inMs(-DAY))])
      assert.deepEqual(
        await look(t, codex({ access_token: jwt(exp) }), format),
        passed('login renews itself'),
      )
  })

  test('without a refresh token ends with its access token', async (t) => {
    const exp = seconds(inMs(-DAY))
    const text = codex({ access_token: jwt(exp), refresh_token: '' })
    assert.deepEqual(await look(t, text, format), failed(`login needed: expired ${dateText(exp * 1000)}`))
  })

  test('that was not renewed for 11 months is told, which Codex itself calls logged in', async (t) => {
    const last = inMs(-330 * DAY)
    const text = codex({ access_token: jwt(seconds(last + DAY)) }, { last_refresh: iso(last) })
    const result = await look(t, text, { ...format, maxRefreshAge: '28d' })
    assert.deepEqual(result, failed(`login last renewed ${dateText(last)}, more than 28d ago`))
    assert.deepEqual(await look(t, text, format), passed('login renews itself'))
  })

  test('by an API key alone has no end', async (t) => {
    for (const tokens of [null, { access_token: '', refresh_token: '' }])
      assert.deepEqual(await look(t, codex(tokens, { OPENAI_API_KEY: ACCESS }), format), passed('API key'))
  })

  test('with an opaque access token says nothing of its end', async (t) => {
    for (const access_token of [ACCESS, `a.${ACCESS}.c`, 'a.b.c'])
      assert.deepEqual(await look(t, codex({ access_token, refresh_token: '' }), format), passed(null))
  })

  test('that is blank, missing or broken is needed anew', async (t) => {
    assert.deepEqual(await look(t, null, format), failed('login needed: no auth.json'))
    assert.deepEqual(await look(t, codex(null), format), failed('login needed: auth.json holds none'))
    const blank = await look(t, codex({ access_token: '' }), format)
    assert.deepEqual(blank, failed('login needed: its tokens are blank'))
    const broken = codex({ access_token: jwt(1) }).slice(1)
    assert.deepEqual(await look(t, broken, format), failed('login needed: auth.json is not valid JSON'))
  })
})

describe('the profiles of OpenClaw', () => {
  const format = { format: 'openclaw' } as const
  const profiles = (all: Record<string, object>) => JSON.stringify({ version: 1, profiles: all })
  const oauth = {
    type: 'oauth',
    provider: 'openai-codex',
    access: ACCESS,
    refresh: REFRESH,
    accountId: ACCOUNT,
  }

  test('pass with a word on each sort', async (t) => {
    const text = profiles({
      'anthropic:default': { type: 'token', provider: 'anthropic', token: ACCESS, expires: inMs(90 * DAY) },
      [`openai-codex:${MAIL}`]: { ...oauth, expires: inMs(-HOUR) },
      'openai:default': { type: 'api_key', provider: 'openai', key: ACCESS },
    })
    const note = 'openai-codex: login renews itself, openai: API key'
    assert.deepEqual(await look(t, text, format), passed(note))
  })

  test('fail with every provider that needs a login, and without the name of the profile', async (t) => {
    const expires = inMs(-DAY)
    const text = profiles({
      [`anthropic:${MAIL}`]: { type: 'token', provider: 'anthropic', token: ACCESS, expires },
      'openai-codex:default': { ...oauth, access: '' },
      'x:default': { type: 'api_key', provider: MAIL, key: '' },
    })
    const reason =
      `anthropic: login needed: expired ${dateText(expires)}; openai-codex: login needed: its tokens are blank; ` +
      'a profile: login needed: its tokens are blank'
    assert.deepEqual(await look(t, text, format), failed(reason))
  })

  test('are in the database of newer versions, where nothing is read', async (t) => {
    const result = await look(t, null, format)
    const reason = 'no auth.json: logins are kept in the database, not checked'
    assert.deepEqual(result, { kind: 'unknown', reason })
  })
})

describe('other credentials', () => {
  test('a bare JWT fails once it expired', async (t) => {
    const past = seconds(inMs(-HOUR))
    const expired = failed(`login needed: expired ${dateText(past * 1000)}`)
    assert.deepEqual(await look(t, `${jwt(past)}\n`, { format: 'jwt' }), expired)
    assert.deepEqual(await look(t, jwt(seconds(inMs(9 * DAY))), { format: 'jwt' }), passed(null))
    const none = failed('login needed: auth.json holds no JWT with an expiry')
    assert.deepEqual(await look(t, ACCESS, { format: 'jwt' }), none)
  })

  test('a date in JSON may be in seconds, milliseconds or ISO', async (t) => {
    const past = seconds(inMs(-DAY)) * 1000
    const settings = { format: 'json', expiresAt: 'auth.expires' } as const
    for (const expires of [past, past / 1000, iso(past)]) {
      const text = JSON.stringify({ token: ACCESS, auth: { expires } })
      assert.deepEqual(await look(t, text, settings), failed(`login needed: expired ${dateText(past)}`))
    }
    assert.deepEqual(await look(t, JSON.stringify({ auth: { expires: null } }), settings), passed(null))
    for (const text of [JSON.stringify({ auth: { expires: ACCESS } }), '{}'])
      assert.deepEqual(
        await look(t, text, settings),
        failed('login needed: auth.json has no date at auth.expires'),
      )
    assert.deepEqual(await look(t, JSON.stringify({ token: ACCESS }), { format: 'json' }), passed(null))
  })

  test('a file that others may read fails, beside what else is wrong with it', async (t) => {
    const text = claude({ expiresAt: inMs(HOUR) })
    for (const [mode, told] of [
      [0o644, '0644'],
      [0o640, '0640'],
      [0o604, '0604'],
    ] as const) {
      const reason = `auth.json: mode ${told}, must be 0600`
      assert.deepEqual(await look(t, text, { format: 'claude' }, mode), failed(reason))
    }
    const both = failed('login needed: auth.json is empty; auth.json: mode 0644, must be 0600')
    assert.deepEqual(await look(t, '', { format: 'claude' }, 0o644), both)
    assert.equal((await look(t, text, { format: 'claude' }, 0o400)).kind, 'pass')
  })

  test('a folder in place of the file is told', async (t) => {
    const folder = await temporaryFolder(t)
    await mkdir(`${folder}/auth.json`)
    const check = await openProbe(t, credential, { file: `${folder}/auth.json`, format: 'claude' })
    assert.deepEqual(await check(), failed('auth.json is not a regular file'))
  })
})
