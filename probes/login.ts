/**
 * What a credential file tells of its logins: when each runs out and whether it can renew itself. Tokens are looked
 * at only for being there; no part of one, no account and no name of a profile leaves this file.
 */
import { valueAt } from './dotted-path.ts'

/** Whose file it is, or how it is written. */
export type CredentialFormat = 'claude' | 'codex' | 'openclaw' | 'jwt' | 'json'

/**
 * One login. `expiresAt` in milliseconds since 1970, null where it does not run out or does not say; `refreshedAt`
 * is when it was last renewed, null where the file does not say.
 */
export type Login = {
  readonly label: string | null
  readonly kind: 'oauth' | 'token' | 'api-key'
  readonly isBlank: boolean
  readonly renews: boolean
  readonly expiresAt: number | null
  readonly refreshedAt: number | null
}

/** A fault of the file itself, in words that quote nothing of it. */
export class LoginFault extends Error {}

/** Dates before 1973 in milliseconds are dates of our time in seconds. */
const SECONDS_BELOW = 1e11

/** Milliseconds since 1970 from a number of seconds or milliseconds, or an ISO date; null for anything else. */
function instantOf(value: unknown): number | null {
  if (typeof value === 'number' && Number.isFinite(value)) return value < SECONDS_BELOW ? value * 1000 : value
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}

const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== ''

/** The `exp` of a JWT in milliseconds, from its middle part alone; null if it is no JWT or does not say. */
function jwtExpiry(token: unknown): number | null {
  const parts = typeof token === 'string' ? token.trim().split('.') : []
  if (parts.length !== 3) return null
  try {
    const claims: unknown = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'))
    const exp = valueAt(claims, 'exp')
    return typeof exp === 'number' ? exp * 1000 : null
  } catch {
    // An opaque token: it may be as good, and says nothing.
    return null
  }
}

/** Claude Code writes empty tokens and a zero when its renewal was refused. */
function claudeLogins(file: unknown): Login[] {
  const oauth = valueAt(file, 'claudeAiOauth')
  if (typeof oauth !== 'object' || oauth === null) return []
  const expiresAt = instantOf(valueAt(oauth, 'expiresAt'))
  const isBlank = !isText(valueAt(oauth, 'accessToken')) || expiresAt === 0
  const renews = isText(valueAt(oauth, 'refreshToken'))
  return [{ label: null, kind: 'oauth', isBlank, renews, expiresAt, refreshedAt: null }]
}

/** Tokens count before the key, unless they are blank and there is one. */
function codexLogins(file: unknown): Login[] {
  const tokens = valueAt(file, 'tokens')
  const access = valueAt(tokens, 'access_token')
  if (!isText(access) && isText(valueAt(file, 'OPENAI_API_KEY'))) return [apiKey(null)]
  if (typeof tokens !== 'object' || tokens === null) return []
  return [
    {
      label: null,
      kind: 'oauth',
      isBlank: !isText(access),
      renews: isText(valueAt(tokens, 'refresh_token')),
      expiresAt: jwtExpiry(access),
      refreshedAt: instantOf(valueAt(file, 'last_refresh')),
    },
  ]
}

const apiKey = (label: string | null): Login => ({
  label,
  kind: 'api-key',
  isBlank: false,
  renews: false,
  expiresAt: null,
  refreshedAt: null,
})

/** The provider; what follows it in a profile's name may be a mail address. */
function providerOf(profile: unknown): string {
  const provider = valueAt(profile, 'provider')
  return typeof provider === 'string' && /^[a-z][a-z0-9-]{0,39}$/.test(provider) ? provider : 'a profile'
}

/** OpenClaw's older file of profiles; newer versions keep them in a database. */
function openclawLogins(file: unknown): Login[] {
  const profiles = valueAt(file, 'profiles')
  if (typeof profiles !== 'object' || profiles === null) return []
  return Object.values(profiles).map((profile): Login => {
    const label = providerOf(profile)
    const type = valueAt(profile, 'type')
    const expiresAt = instantOf(valueAt(profile, 'expires'))
    if (type === 'api_key') return { ...apiKey(label), isBlank: !isText(valueAt(profile, 'key')) }
    if (type === 'token') {
      const isBlank = !isText(valueAt(profile, 'token'))
      return { label, kind: 'token', isBlank, renews: false, expiresAt, refreshedAt: null }
    }
    const isBlank = !isText(valueAt(profile, 'access'))
    const renews = isText(valueAt(profile, 'refresh'))
    return { label, kind: 'oauth', isBlank, renews, expiresAt, refreshedAt: null }
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The engine's own message quotes the file.
    throw new LoginFault('is not valid JSON')
  }
}

/**
 * The logins of a file's text, none if it holds none. `expiresAt` is the dotted path of a date, for `json`. Throws
 * LoginFault.
 */
export function loginsOf(text: string, format: CredentialFormat, expiresAt: string | undefined): Login[] {
  if (text.trim() === '') throw new LoginFault('is empty')
  const token = { label: null, kind: 'token', isBlank: false, renews: false, refreshedAt: null } as const
  switch (format) {
    case 'jwt': {
      const expiry = jwtExpiry(text)
      if (expiry === null) throw new LoginFault('holds no JWT with an expiry')
      return [{ ...token, expiresAt: expiry }]
    }
    case 'json': {
      const file = parse(text)
      if (expiresAt === undefined) return [{ ...token, expiresAt: null }]
      const value = valueAt(file, expiresAt)
      const expiry = instantOf(value)
      if (expiry === null && value !== null) throw new LoginFault(`has no date at ${expiresAt}`)
      return [{ ...token, expiresAt: expiry }]
    }
    case 'claude':
      return claudeLogins(parse(text))
    case 'codex':
      return codexLogins(parse(text))
    case 'openclaw':
      return openclawLogins(parse(text))
  }
}
