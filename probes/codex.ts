/**
 * Codex's canary. Its home holds a copy of config.toml without servers and secrets and nothing else: started on the
 * real home with an expired token, Codex renews it at once, and several that do so burn the login. Measured with
 * 0.169.0 and 0.105.0 on Linux: 0.3 CPU-seconds. Not tried on macOS.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCanary, type Talk } from './canary.ts'
import { canaryConfig } from './codex-canary-config.ts'
import { DialogueFault, jsonRpc, type Message } from './dialogue.ts'
import { valueAt } from './dotted-path.ts'
import { excerpt } from './excerpt.ts'
import { homePath } from './home-path.ts'
import { isObject, textAt } from './json.ts'
import { defineProbe, type Schemas } from './probe.ts'
import { talkMcp } from './stdio-mcp.ts'

const shape = ({ z }: Schemas) => ({
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('codex'),
  /** The real home, of which the canary sees a part of config.toml. A leading `~/` is the user's home. */
  home: z.string().min(1).default('~/.codex'),
  /** `mcp-server` exists up to 0.105; a newer Codex would take the word for a prompt. */
  mode: z.enum(['app-server', 'mcp-server']).default('app-server'),
})

/** A place of the config as Codex tells it, `3:1-3:9`; null if it tells none. */
function rangeIn(params: unknown): string | null {
  const at = (path: string) => Number(valueAt(params, `range.${path}`))
  const [line, column] = [at('start.line'), at('start.column')]
  const [endLine, endColumn] = [at('end.line'), at('end.column')]
  return [line, column, endLine, endColumn].every(Number.isInteger)
    ? `${line}:${column}-${endLine}:${endColumn}`
    : null
}

/** What Codex says of a value, without the value: it may be a secret. */
const withoutValues = (text: string) =>
  excerpt(text.replace(/"(?:[^"\\]|\\.)*"/g, '"…"').replace(/unknown variant `[^`]*`/, 'unknown variant'))

/** What Codex said against its config, null if it took it; the range is left out where the copy's lines differ. */
function configFault(heard: readonly Message[], path: string, isAligned: boolean): string | null {
  for (const { method, params } of heard) {
    if (method !== 'configWarning') continue
    if (!/invalid configuration|using defaults/i.test(textAt(params, 'summary') ?? '')) continue
    const what = (textAt(params, 'details') ?? '').replace(/^.*?config\.toml(?::\d+:\d+)?:\s*/s, '')
    const range = isAligned ? rangeIn(params) : null
    const where = range === null ? '' : `:${range}`
    return `${path}${where}: ${withoutValues(what) || 'is not taken'} (it runs with its defaults instead)`
  }
  return null
}

/** The talk of an app-server. `fault` finds what it said against its config. */
async function talkAppServer(
  { ask, tell, step, heard }: Talk,
  fault: (heard: readonly Message[]) => string | null,
) {
  const clientInfo = { name: 'paios_canary', title: 'PAIOS', version: '1' }
  const greeting = await step('initialize', () => ask('initialize', { clientInfo }))
  if (textAt(greeting, 'userAgent') === null)
    throw new DialogueFault('initialize: the answer names no program')
  tell({ method: 'initialized' })
  const reading = () => ask('config/read', { includeLayers: false }).catch((error: Error) => error)
  const config = await step('config/read', reading)
  const told = fault(heard)
  if (told !== null) throw new DialogueFault(told)
  if (config instanceof Error) throw new DialogueFault(withoutValues(config.message))
  if (!isObject(valueAt(config, 'config'))) throw new DialogueFault('config/read: the answer has no config')
  const asked = { includeToken: false, refreshToken: false }
  const status = await step('getAuthStatus', () => ask('getAuthStatus', asked))
  if (valueAt(status, 'authMethod') !== null) throw new DialogueFault('its canary could see a login')
}

/** Passes when Codex starts in a scratch home, takes its config and speaks its protocol; uses no login. */
export const codex = defineProbe(
  'codex',
  shape,
  ({ program, home, mode }, target) => {
    const path = join(home, 'config.toml')
    let isAligned = true
    const common = {
      program,
      env: (scratch: string) => ({ CODEX_HOME: join(scratch, 'codex') }),
      explain: (stderr: string) => withoutValues(stderr.trimEnd().split('\n').at(-1) ?? ''),
      async prepare(scratch: string) {
        await mkdir(join(scratch, 'codex'), { mode: 0o700 })
        const text = await readFile(homePath(path), 'utf8').catch((error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return ''
          throw error
        })
        const copy = await canaryConfig(text)
        isAligned = copy?.isAligned ?? false
        if (copy !== null) await writeFile(join(scratch, 'codex', 'config.toml'), copy.text, { mode: 0o600 })
      },
    }
    const fault = (heard: readonly Message[]) => configFault(heard, path, isAligned)
    return openCanary(
      target,
      'codex',
      mode === 'mcp-server'
        ? { ...common, args: ['mcp-server'], protocol: jsonRpc({ jsonrpc: '2.0' }), talk: talkMcp }
        : {
            ...common,
            args: ['app-server'],
            protocol: jsonRpc({}),
            talk: (talk: Talk) => talkAppServer(talk, fault),
          },
    )
  },
  ({ home }) => [homePath(join(home, 'config.toml'))],
)
