/**
 * References to secrets in a spec, read at the moment of use: `${file:PATH}`, `${env:NAME}` (PAIOS_HOME/env,
 * then the supervisor's own environment) and `${json:PATH#a.b}`. Every value that was read is kept in memory
 * only, to be struck out of logs, events and errors.
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import JSON5 from 'json5'

const REFERENCE = /\$\{(file|env|json):([^}]+)\}/g
/** Shorter values would strike out ordinary words. */
const SHORTEST = 6

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
  let values: readonly string[] = []
  // The longest first: of a value that is part of another one the rest would stay.
  const learn = (value: string): void => {
    const forms = [value, JSON.stringify(value).slice(1, -1)]
    values = [...new Set([...values, ...forms])].toSorted((a, b) => b.length - a.length)
  }
  const read = (kind: string, what: string): string => {
    const value =
      kind === 'env' ? readEnv(envFile, what) : kind === 'file' ? readSecretFile(what) : readJson(what)
    if (value.length >= SHORTEST && !values.includes(value)) learn(value)
    return value
  }
  const resolve = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replace(REFERENCE, (_, kind: string, what: string) => read(kind, what))
    if (Array.isArray(value)) return value.map(resolve)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, resolve(part)]))
  }
  return {
    resolve: <T>(value: T) => resolve(value) as T,
    redact(text) {
      let clean = text
      for (const value of values) if (clean.includes(value)) clean = clean.replaceAll(value, '[redacted]')
      return clean
    },
  }
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
