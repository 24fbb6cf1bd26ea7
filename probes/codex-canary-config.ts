/**
 * The copy of a config.toml that a canary may see: everything that Codex judges, without what would start programs
 * (MCP servers, the notifier), reach other machines (telemetry) or hold a secret.
 */
import { isDeepStrictEqual } from 'node:util'

/** Top-level keys that a canary does without. */
const DROPPED: readonly string[] = ['mcp_servers', 'notify', 'otel', 'hooks', 'shell_environment_policy']
/** Keys of a model provider that may hold a secret. */
const SECRET: readonly string[] = ['http_headers', 'experimental_bearer_token', 'auth']

type Members = Record<string, unknown>
const isTable = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const without = (table: Members, keys: readonly string[]): Members =>
  Object.fromEntries(Object.entries(table).filter(([key]) => !keys.includes(key)))

function kept(document: Members): Members {
  const rest = without(document, DROPPED)
  const providers = rest['model_providers']
  if (!isTable(providers)) return rest
  const isSafe = (provider: unknown) =>
    !isTable(provider) || !SECRET.some((key) => Object.hasOwn(provider, key))
  if (Object.values(providers).every(isSafe)) return rest
  const clean = Object.entries(providers).map(([name, provider]) => [
    name,
    isTable(provider) ? without(provider, SECRET) : provider,
  ])
  return { ...rest, model_providers: Object.fromEntries(clean) }
}

/** The text with the dropped tables as empty lines, so that what is left keeps its line numbers. */
function blanked(text: string): string {
  let isDropped = false
  const lines = text.split('\n').map((line) => {
    const name = /^\s*\[{1,2}\s*["']?([A-Za-z0-9_-]+)/.exec(line)?.[1]
    if (name !== undefined) isDropped = DROPPED.includes(name)
    return isDropped ? '' : line
  })
  return lines.join('\n')
}

/**
 * The copy's text, and whether its lines are those of the original. Null for a file that is not TOML: Codex takes
 * nothing from it, the probe of the file says where it is broken, and a secret in it could not be told.
 */
export async function canaryConfig(text: string): Promise<{ text: string; isAligned: boolean } | null> {
  const { parse, stringify, TomlError } = await import('smol-toml')
  const read = (toml: string): Members | null => {
    try {
      return { ...parse(toml, { integersAsBigInt: true }) }
    } catch (error) {
      if (error instanceof TomlError) return null
      throw error
    }
  }
  const document = read(text)
  if (document === null) return null
  const rest = kept(document)
  for (const candidate of [text, blanked(text)]) {
    if (isDeepStrictEqual(read(candidate), rest)) return { text: candidate, isAligned: true }
  }
  return { text: stringify(rest, { numbersAsFloat: true }), isAligned: false }
}
