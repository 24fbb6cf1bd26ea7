/**
 * Codex's canary. Its home holds a copy of config.toml without servers and secrets and nothing else: started on the
 * real home with an expired token, Codex renews it at once, and several that do so burn the login. Measured with
 * 0.169.0 and 0.105.0 on Linux: 0.3 CPU-seconds. Not tried on macOS.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { openCanary, type Talk } from './canary.ts'
import { canaryConfig } from './codex-canary-config.ts'
import { DialogueFault, jsonRpc, type Message } from './dialogue.ts'
import { excerpt } from './excerpt.ts'
import { homePath } from './home-path.ts'
import { defineProbe } from './probe.ts'
import { talkMcp } from './stdio-mcp.ts'

const shape = {
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('codex'),
  /** The real home, of which the canary sees a part of config.toml. A leading `~/` is the user's home. */
  home: z.string().min(1).default('~/.codex'),
  /** `mcp-server` exists up to 0.105; a newer Codex would take the word for a prompt. */
  mode: z.enum(['app-server', 'mcp-server']).default('app-server'),
}

const hello = z.object({ userAgent: z.string() })
const read = z.object({ config: z.record(z.string(), z.unknown()) })
const login = z.object({ authMethod: z.null() })

const position = z.object({ line: z.number(), column: z.number() })
const warning = z.object({
  method: z.literal('configWarning'),
  params: z.object({
    summary: z.string(),
    details: z.string().nullish(),
    range: z.object({ start: position, end: position }).nullish(),
  }),
})

/** What Codex says of a value, without the value: it may be a secret. */
const withoutValues = (text: string) =>
  excerpt(text.replace(/"(?:[^"\\]|\\.)*"/g, '"…"').replace(/unknown variant `[^`]*`/, 'unknown variant'))

/** What Codex said against its config, null if it took it; the range is left out where the copy's lines differ. */
function configFault(heard: readonly Message[], path: string, isAligned: boolean): string | null {
  for (const message of heard) {
    const { data } = warning.safeParse(message)
    if (data === undefined || !/invalid configuration|using defaults/i.test(data.params.summary)) continue
    const { details, range } = data.params
    const what = (details ?? '').replace(/^.*?config\.toml(?::\d+:\d+)?:\s*/s, '')
    const where =
      range && isAligned
        ? `:${range.start.line}:${range.start.column}-${range.end.line}:${range.end.column}`
        : ''
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
  if (!hello.safeParse(greeting).success) throw new DialogueFault('initialize: the answer names no program')
  tell({ method: 'initialized' })
  const reading = () => ask('config/read', { includeLayers: false }).catch((error: Error) => error)
  const config = await step('config/read', reading)
  const told = fault(heard)
  if (told !== null) throw new DialogueFault(told)
  if (config instanceof Error) throw new DialogueFault(withoutValues(config.message))
  if (!read.safeParse(config).success) throw new DialogueFault('config/read: the answer has no config')
  const asked = { includeToken: false, refreshToken: false }
  const status = await step('getAuthStatus', () => ask('getAuthStatus', asked))
  if (!login.safeParse(status).success) throw new DialogueFault('its canary could see a login')
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
