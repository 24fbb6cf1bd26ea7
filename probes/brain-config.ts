/**
 * Looks at a configuration file of Claude Code or Codex. Both take a broken one in silence: settings are ignored,
 * a corrupt `~/.claude.json` is replaced by an empty one and with it every MCP server that was registered. So the
 * file is parsed as they do, and what it registers is compared with what was registered before.
 */
import { stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { brainFormats, type Format } from './brain-files.ts'
import { ConfigFault, readConfig } from './config-file.ts'
import { excerpt } from './excerpt.ts'
import { homePath } from './home-path.ts'
import { isObject } from './json.ts'
import {
  defineProbe,
  fail,
  type ProbeResult,
  type ProbeTarget,
  pass,
  type Schemas,
  unknown,
} from './probe.ts'

/** A writer that does not replace its file as a whole may be in the middle of it. */
const SECOND_LOOK_MS = 500
/** More problems or names than this are counted, not listed. */
const LISTED = 8
/** A smaller share of the bytes than this, with servers gone, is a reset. */
const KEPT_SHARE = 0.5
/** The program writes its file all the time: a smaller change of its size is not remembered. */
const NOTED_SHARE = 0.1

const shape = ({ z, duration }: Schemas) => ({
  /** A leading `~/` is the home. A file that is not there is one with nothing in it. */
  file: z.string().min(1),
  format: z.enum(Object.keys(brainFormats) as [keyof typeof brainFormats]),
  /** MCP servers that have been gone for this long are taken as removed on purpose. */
  forgetAfter: duration.prefault('7d'),
})

function listed(items: readonly string[], separator: string): string {
  const more = items.length > LISTED ? `${separator}and ${items.length - LISTED} more` : ''
  return items.slice(0, LISTED).join(separator) + more
}

type Registry = { readonly servers: readonly string[]; readonly bytes: number }
/** `since` is wall clock milliseconds. */
type Absence = Registry & { readonly since: number }

/** What a check has remembered, undefined if there is nothing that can be read. */
function remembered(value: unknown): Absence | undefined {
  if (!isObject(value)) return undefined
  const { servers, bytes, since = 0 } = value
  if (!Array.isArray(servers) || typeof bytes !== 'number' || typeof since !== 'number') return undefined
  return { servers: servers.map(String), bytes, since }
}

/** The file's text, null if there is none; a fault of its syntax counts only if it is still there a moment later. */
async function parseTwice(path: string, format: Format, signal: AbortSignal) {
  const look = async () => {
    const text = await readConfig(path)
    return { document: await format.parse(text), bytes: Buffer.byteLength(text) }
  }
  try {
    return await look()
  } catch (error) {
    if (!(error instanceof ConfigFault)) throw error
    await wait(SECOND_LOOK_MS, null, { signal })
    return await look()
  }
}

function isOther(before: Registry | undefined, now: Registry): boolean {
  if (before === undefined || before.servers.join() !== now.servers.join()) return true
  return Math.abs(before.bytes - now.bytes) > before.bytes * NOTED_SHARE
}

/**
 * What was registered and is gone, in words; null if nothing is, and then the new state is remembered. The memory
 * holds `servers`, what should be there, and since a loss `servers-seen`, which an operator may accept.
 */
function loss(target: ProbeTarget, file: string, now: Registry, forgetAfter: number): string | null {
  const { memory, tell, service } = target
  const before = remembered(memory.get('servers'))
  const gone = before?.servers.filter((name) => !now.servers.includes(name)) ?? []
  if (before === undefined || gone.length === 0) {
    if (isOther(before, now)) memory.set('servers', now)
    if (memory.get('servers-seen')) memory.set('servers-seen', null)
    return null
  }
  const isEmptied = now.servers.length === 0 && before.servers.length > 1
  const isReset = isEmptied || now.bytes < before.bytes * KEPT_SHARE
  const how = isReset ? `was reset (${before.bytes} bytes before, ${now.bytes} now)` : 'has lost servers'
  const names = listed(gone, ', ')
  const seen = remembered(memory.get('servers-seen'))
  if (seen === undefined || isOther(seen, now)) {
    memory.set('servers-seen', { ...now, since: Date.now() })
    if (seen?.servers.join() !== now.servers.join()) tell('servers-lost', `${file} ${how}: ${names}`)
  } else if (Date.now() - seen.since > forgetAfter) {
    memory.set('servers', now)
    memory.set('servers-seen', null)
    tell('servers-forgotten', `${file}: taken as removed on purpose: ${names}`)
    return null
  }
  const accept = `paios mcp accept ${service}`
  return `${how}: ${gone.length} of ${before.servers.length} MCP servers are gone: ${names} (${accept})`
}

/** Passes when the file is missing, or parses, is of the right types and has lost no MCP server. */
export const brainConfig = defineProbe(
  'brain-config',
  shape,
  async (settings, target) => {
    const { file, forgetAfter } = settings
    const path = homePath(file)
    const format: Format = brainFormats[settings.format]
    let passed: string | null = null

    const judge = async (signal: AbortSignal): Promise<ProbeResult> => {
      const { document, bytes } = await parseTwice(path, format, signal)
      const { problems, servers } = await format.look(document)
      if (problems.length > 0) return fail(`${file}: ${listed(problems, '; ')} (${format.meaning})`)
      const now = { servers: [...servers].sort(), bytes }
      const lost = format.isRegistry ? loss(target, file, now, forgetAfter) : null
      return lost === null ? pass() : fail(`${file} ${lost}`)
    }

    /** A file that is not there registers nothing, which is a loss if it did. */
    const judgeMissing = (): ProbeResult => {
      const none = { servers: [], bytes: 0 }
      const lost = format.isRegistry ? loss(target, file, none, forgetAfter) : null
      return lost === null ? pass() : fail(`${file} ${lost}`)
    }

    return {
      async check(signal) {
        try {
          const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
            if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
            throw error
          })
          if (found === null) return judgeMissing()
          const stamp = `${found.ino} ${found.size} ${found.mtimeNs}`
          if (passed === stamp) return pass()
          const result = await judge(signal)
          passed = result.kind === 'pass' ? stamp : null
          return result
        } catch (error) {
          if (error instanceof ConfigFault)
            return fail(`${file}:${/^\d/.test(error.message) ? '' : ' '}${error.message} (${format.meaning})`)
          if (signal.aborted) return unknown(`${file} could not be read in time`)
          return unknown(`${file} cannot be checked: ${excerpt((error as Error).message)}`)
        }
      },
      close: () => Promise.resolve(),
    }
  },
  ({ file }) => [homePath(file)],
)
