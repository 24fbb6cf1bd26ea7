/**
 * References to secrets in a spec, read at the moment of use: `${file:PATH}`, `${env:NAME}` (PAIOS_HOME/env,
 * then the supervisor's own environment) and `${json:PATH#a.b}`. Every value that was read is kept in memory
 * only, to be struck out of logs, events and errors: wherever it stands, unless it is so short or so ordinary that
 * this would strike out half of every sentence.
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import JSON5 from 'json5'

const REFERENCE = /\$\{(file|env|json):([^}]+)\}/g
/** Whoever sees that so few letters are missing can guess them, and they are part of ordinary words. */
const SHORTEST = 4
/** From here on a value is struck out within other words, too; one of letters or digits alone only from LONG on. */
const MIDDLE = 6
const LONG = 12
/** One case of letters, or digits: what ordinary words and numbers consist of. */
const PLAIN = /^(\p{Lu}?\p{Ll}+|\p{Lu}+|\d+)$/u
/** What `${env:NAME}` is used for besides secrets; to know one of these tells nobody anything. */
const SETTINGS: ReadonlySet<string> = new Set(
  [
    'true false none null auto default enabled disabled always never main master latest stable local localhost',
    'debug info notice warn warning error fatal trace silent verbose production development staging test testing',
    'utf-8 utf8 127.0.0.1 0.0.0.0 http https',
  ].flatMap((line) => line.split(' ')),
)
/** A number of up to five digits, such as a port. */
const SMALL_NUMBER = /^\d{1,5}$/
/** A line of a key in a file: they are logged one by one. No key has more of them than LINES_MAX. */
const KEY_LINE = /^[^\s-]\S{15,}$/
const LINES_MAX = 200

/** A reference that cannot be read; the message names it and never holds a value. */
export class MissingSecret extends Error {
  override name = 'MissingSecret'
}

export type Secrets = {
  /** `value` with every reference in every string replaced. Throws MissingSecret. */
  resolve<T>(value: T): T
  /** The text with every secret value seen so far replaced by `[redacted]`. */
  redact(text: string): string
}

/** Where the value of a secret is struck out; `alone`: where no letter or digit is next to it. */
export type Hiding = 'everywhere' | 'alone' | 'nowhere'

/** How well a value can be hidden; `reference` is how the document names it: only variables may be mere settings. */
export function hidingOf(reference: string, value: string): Hiding {
  if (value.length < SHORTEST || (reference.startsWith('${env:') && isSetting(value))) return 'nowhere'
  return value.length < MIDDLE || (value.length < LONG && PLAIN.test(value)) ? 'alone' : 'everywhere'
}

/** True for what is no secret whoever wrote it: a common word, a small number, a path that there is. */
function isSetting(value: string): boolean {
  if (SETTINGS.has(value.toLowerCase()) || SMALL_NUMBER.test(value)) return true
  return value.startsWith('/') && existsSync(value)
}

/** True if any string in the value refers to a secret. */
export function hasReference(value: unknown): boolean {
  return JSON.stringify(value).search(REFERENCE) >= 0
}

/** `~/x` as an absolute path. */
export function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(2)) : path
}

/** Secrets of one home; `envFile` is PAIOS_HOME/env (KEY=VALUE lines, # comments). */
export function openSecrets(envFile: string): Secrets {
  const known = new Set<string>()
  let forms: readonly Form[] = []
  const learn = (value: string, hiding: Hiding): void => {
    const written = [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value.toWellFormed())]
    const lines = value.includes('\n')
      ? value.split('\n', LINES_MAX).filter((line) => KEY_LINE.test(line))
      : []
    const fresh = [...new Set([...written, ...lines])].map((text) => formOf(text, hiding))
    // The longest first: of a value that is part of another one the rest would stay.
    forms = [...forms, ...fresh].toSorted((a, b) => b.text.length - a.text.length)
  }
  const read = (reference: string, kind: string, what: string): string => {
    const value =
      kind === 'env' ? readEnv(envFile, what) : kind === 'file' ? readSecretFile(what) : readJson(what)
    const hiding = hidingOf(reference, value)
    const key = `${hiding} ${value}`
    if (hiding !== 'nowhere' && !known.has(key)) learn(value, hiding)
    known.add(key)
    return value
  }
  const resolve = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replace(REFERENCE, (reference: string, kind: string, what: string) =>
        read(reference, kind, what),
      )
    if (Array.isArray(value)) return value.map(resolve)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, resolve(part)]))
  }
  return {
    resolve: <T>(value: T) => resolve(value) as T,
    redact(text) {
      let clean = text
      for (const { text: hidden, pattern } of forms)
        if (clean.includes(hidden)) clean = clean.replaceAll(pattern, '[redacted]')
      return clean
    },
  }
}

/** One way in which a secret is written, and what is replaced. */
type Form = { readonly text: string; readonly pattern: string | RegExp }

/** Ends of escape sequences, which are letters and digits and no part of a word. */
const HEX = '[\\da-fA-F]'
const ESCAPED = String.raw`\\[nrtbfv0]|\\x${HEX}{2}|\\u${HEX}{4}|%${HEX}{2}|\x1b\[[\d;]*m`

function formOf(text: string, hiding: Hiding): Form {
  if (hiding === 'everywhere') return { text, pattern: text }
  const before = /^[\p{L}\p{N}]/u.test(text) ? `(?<=^|[^\\p{L}\\p{N}]|${ESCAPED})` : ''
  const after = /[\p{L}\p{N}]$/u.test(text) ? '(?![\\p{L}\\p{N}])' : ''
  return { text, pattern: new RegExp(`${before}${RegExp.escape(text)}${after}`, 'gu') }
}

function readEnv(envFile: string, name: string): string {
  const lines = readOr(envFile, '').split('\n')
  for (const line of lines) {
    const match = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line)
    if (match?.[1] === name) return (match[2] ?? '').replace(/^(["'])(.*)\1$/, '$2')
  }
  const own = process.env[name]
  if (own === undefined || own === '')
    throw new MissingSecret(`secret \${env:${name}} is neither in ${envFile} nor in the environment`)
  return own
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise
    throw new MissingSecret(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
}

function readSecretFile(path: string): string {
  try {
    return readFileSync(expandHome(path), 'utf8').trim()
  } catch (error) {
    throw new MissingSecret(
      `secret \${file:${path}} cannot be read: ${(error as NodeJS.ErrnoException).code}`,
    )
  }
}

function readJson(what: string): string {
  const [path = '', key = ''] = what.split('#')
  let value: unknown
  try {
    value = JSON5.parse(readFileSync(expandHome(path), 'utf8'))
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'it does not parse'
    throw new MissingSecret(`secret \${json:${what}} cannot be read: ${why}`)
  }
  for (const part of key.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[part]
  if (typeof value !== 'string' || value === '')
    throw new MissingSecret(`secret \${json:${what}}: the file has no text there`)
  return value
}
