/**
 * Command lines and URLs as they may be shown. What names itself a secret is struck out, and what looks like
 * a key; a word too many is better than a token on a screen.
 */

const HIDDEN = '[redacted]'
const NAMES =
  '(?:api[-_]?key|access[-_]?key|private[-_]?key|token|secret|passw(?:or)?d|passwd|' +
  'credential|authorization|cookie|auth)'
/** `--api-key`, `--github_token`, `-H`: the next word is what must not be seen. */
const FLAG = new RegExp(`^-{1,2}(?:[\\w-]*${NAMES}s?|key|pat|H|header)$`, 'i')
/** `--token=x`, `API_KEY=x`, `Authorization: x`, `"secret": "x"`, also within a longer text. */
const ASSIGNED = new RegExp(
  `([\\w-]*${NAMES}[\\w-]*["']?\\s*[=:]\\s*(?:bearer\\s+|basic\\s+)?)([^\\s&;]+)`,
  'gi',
)
const FLAG_INSIDE = new RegExp(`(-{1,2}[\\w-]*${NAMES}s?\\s+)(\\S+)`, 'gi')
const BEARER = /\b(bearer\s+)(\S+)/gi
/** How well-known services begin their keys, and JSON Web Tokens. */
const SERVICES =
  '(?:sk|pk|rk|ghp|gho|ghs|ghu|github_pat|glpat|xox[abpsr]|hf|npm|tvly|pplx|sbp|ntn|lin_api|' +
  'AKIA|ASIA|AIza|ya29|eyJ)'
const PREFIXED = new RegExp(`\\b${SERVICES}[-_.]?[\\w-]{12,}[\\w.-]*`, 'g')
const RUN = /[A-Za-z0-9_+=-]{24,}/g

/** Letters and digits mixed as no word or version mixes them. */
function isRandom(run: string): boolean {
  const digits = run.replace(/\D/g, '').length
  return (
    digits >= 3 &&
    /[A-Za-z]/.test(run) &&
    (/[A-Z].*[a-z]|[a-z].*[A-Z]/.test(run) || /^[0-9a-f-]+$/i.test(run))
  )
}

/** A text with the secrets in it struck out. */
export function redact(text: string): string {
  const named = text
    .replace(/:\/\/[^/\s@]+@/g, `://${HIDDEN}@`)
    .replace(ASSIGNED, `$1${HIDDEN}`)
    .replace(FLAG_INSIDE, `$1${HIDDEN}`)
    .replace(BEARER, `$1${HIDDEN}`)
    .replace(PREFIXED, HIDDEN)
  // A path is long and is seen by everybody who may read the folder.
  if (/^(?:[~.]{0,2}\/|@)/.test(named)) return named
  return named.replace(RUN, (run) => (isRandom(run) ? HIDDEN : run))
}

/** A command line as one text, quoted where a word has blanks. */
export function showArgv(argv: readonly string[]): string {
  const words = argv.map((word, index) => {
    if (index > 1 && FLAG.test(argv[index - 1]!) && !/^-/.test(word)) return HIDDEN
    const shown = redact(word)
    return shown === '' || /[\s"']/.test(shown) ? JSON.stringify(shown) : shown
  })
  return words.join(' ')
}

/** A URL without its user, its query and its fragment. */
export function showUrl(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null) return redact(url)
  const user = parsed.username !== '' || parsed.password !== '' ? `${HIDDEN}@` : ''
  const query = parsed.search === '' ? '' : '?…'
  const path = parsed.pathname.split('/').map(redact).join('/')
  return `${parsed.protocol}//${user}${parsed.host}${path}${query}`
}

/** True if something of a command line would be struck out. */
export function hidesSomething(argv: readonly string[]): boolean {
  return showArgv(argv).includes(HIDDEN)
}

const SECRET_NAME = new RegExp(`${NAMES}|key|pat$|dsn|_url$`, 'i')
const SWITCH =
  /^(true|false|on|off|yes|no|\d{1,6}|trace|debug|info|warn|warning|error|production|development)$/i
const PATH = /^[~.]{0,2}(?:\/[\w.@ -]+)+\/?$/

/** True for a variable that cannot be a secret: a switch, a small number, a level, or a path. */
export function isHarmless(name: string, value: string): boolean {
  return !SECRET_NAME.test(name) && (SWITCH.test(value) || (PATH.test(value) && redact(value) === value))
}
