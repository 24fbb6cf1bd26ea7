/**
 * Whether a login still holds, from the file that its program keeps it in. Nothing is run and nothing is used: the
 * programs' own words for "logged in" are true for a dead login as well, and asking them may spend the one token
 * that renews it.
 */
import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { durationText, instantText, modeText } from './figures.ts'
import { homePath } from './home-path.ts'
import { type CredentialFormat, type Login, LoginFault, loginsOf } from './login.ts'
import { defineProbe, fail, type ProbeResult, pass, type Schemas, type SettingsOf, unknown } from './probe.ts'

/** A credential file has a few KiB. */
const SIZE_LIMIT_BYTES = 1024 ** 2

const shape = ({ z, duration }: Schemas) => ({
  file: z.string().min(1),
  /** Whose file it is; `jwt` is a bare token, `json` any other document. */
  format: z.enum(['claude', 'codex', 'openclaw', 'jwt', 'json']),
  /** Dotted path of the expiry (seconds, milliseconds or an ISO date), for `json`. */
  expiresAt: z.string().min(1).optional(),
  /** A login that cannot renew itself is noted from this long before its end. */
  warnWithin: duration.prefault('24h'),
  /** A login that renews itself must have been renewed within this; without it any age will do. */
  maxRefreshAge: duration.optional(),
})
type Settings = SettingsOf<typeof shape>

/** A file that is not there: a login that is missing, or one that is kept where it cannot be read. */
function missing(name: string, format: CredentialFormat): ProbeResult {
  // Not tried on macOS.
  if (format === 'claude' && process.platform === 'darwin')
    return unknown('login is kept in the Keychain, not checked')
  // Newer versions of OpenClaw keep their profiles in a database.
  if (format === 'openclaw') return unknown(`no ${name}: logins are kept in the database, not checked`)
  return fail(`login needed: no ${name}`)
}

type Verdict = { readonly fault: string } | { readonly note: string | null }

/** What is wrong with one login, or what is worth saying of it. `writtenAt` is the file's own last change. */
function verdictOf(login: Login, { warnWithin, maxRefreshAge }: Settings, writtenAt: number): Verdict {
  const { label, kind, isBlank, renews, expiresAt } = login
  const said = (text: string) => (label === null ? text : `${label}: ${text}`)
  if (isBlank) return { fault: said('login needed: its tokens are blank') }
  if (kind === 'api-key') return { note: said('API key') }
  if (renews) {
    // A program that renews its login writes the file anew.
    const refreshedAt = login.refreshedAt ?? writtenAt
    if (maxRefreshAge !== undefined && Date.now() - refreshedAt > maxRefreshAge) {
      const text = `login last renewed ${instantText(refreshedAt)}, more than ${durationText(maxRefreshAge)} ago`
      return { fault: said(text) }
    }
    return { note: said('login renews itself') }
  }
  if (expiresAt === null) return { note: null }
  if (expiresAt <= Date.now()) return { fault: said(`login needed: expired ${instantText(expiresAt)}`) }
  const isNear = expiresAt - Date.now() <= warnWithin
  return { note: isNear ? said(`login expires ${instantText(expiresAt)}`) : null }
}

/** Reads the file's metadata and judges every login in it; a readable file of others is a fault of its own. */
export const credential = defineProbe(
  'credential',
  shape,
  async (settings) => {
    const path = homePath(settings.file)
    const name = basename(path)
    const check = async (): Promise<ProbeResult> => {
      const found = await stat(path)
      if (!found.isFile()) return fail(`${name} is not a regular file`)
      if (found.size > SIZE_LIMIT_BYTES) return fail(`${name} is larger than 1 MiB`)
      const faults = (found.mode & 0o077) === 0 ? [] : [`${name}: mode ${modeText(found.mode)}, must be 0600`]
      try {
        const logins = loginsOf(await readFile(path, 'utf8'), settings.format, settings.expiresAt)
        if (logins.length === 0) return fail([`login needed: ${name} holds none`, ...faults].join('; '))
        const verdicts = logins.map((login) => verdictOf(login, settings, found.mtimeMs))
        const wrong = verdicts.flatMap((verdict) => ('fault' in verdict ? [verdict.fault] : []))
        const notes = verdicts.flatMap((verdict) => ('note' in verdict ? [verdict.note] : []))
        const all = [...new Set([...wrong, ...faults])]
        if (all.length > 0) return fail(all.join('; '))
        return pass([...new Set(notes.filter((note) => note !== null))].join(', ') || null)
      } catch (error) {
        if (!(error instanceof LoginFault)) throw error
        return fail([`login needed: ${name} ${error.message}`, ...faults].join('; '))
      }
    }
    return {
      async check() {
        try {
          return await check()
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException
          if (code === 'ENOENT' || code === 'ENOTDIR') return missing(name, settings.format)
          // The text of an unexpected error might quote the file.
          return unknown(`${name} cannot be read: ${code ?? 'unexpected error'}`)
        }
      },
      close: () => Promise.resolve(),
    }
  },
  ({ file }) => [file],
)
