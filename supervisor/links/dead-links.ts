/**
 * Why a registration leads nowhere, in words: the program or the script is not there, the program has not the
 * command any more, or nobody listens. Nothing is started for it but `codex --version`, in a home of its own.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { digest, type HttpServer, type MeshServer, type Server, type StdioServer } from './identity.ts'
import { showArgv } from './redaction.ts'

/** A listener on this machine answers within a millisecond. */
const CONNECT_MS = 500
/** Codex prints its version in 50 to 230 ms; a busy machine takes longer. */
const VERSION_MS = 10_000
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/
/** `codex mcp-server` was there in 0.105 and is not in 0.169; of the versions between nothing is known. */
const CODEX_WITHOUT_SERVER = [0, 169] as const

/** `path` is the PATH of clients, `cache` a file that remembers versions, null where there is no home yet. */
export type DeadLinkOptions = {
  readonly path: string
  readonly home: string
  readonly cache: string | null
  readonly services: readonly MeshServer[]
}

/** What is wrong with a server's registration; empty if nothing is. */
export async function findDeadLinks(server: Server, options: DeadLinkOptions): Promise<string[]> {
  return server.kind === 'http' ? deadUrl(server, options) : deadCommand(server, options)
}

async function deadUrl({ url }: HttpServer, { services }: DeadLinkOptions): Promise<string[]> {
  const parsed = URL.parse(url)
  if (parsed === null) return ['its url is none']
  if (!LOOPBACK.test(parsed.hostname)) return []
  const port = Number(parsed.port || (parsed.protocol === 'https:' ? 443 : 80))
  const owner = services.find(({ ports }) => ports.includes(port))
  if (owner?.preset === 'openclaw-gateway') {
    return [`port ${port} is that of ${owner.name}, our own gateway, which is no MCP server`]
  }
  if (await isListening(parsed.hostname.replace(/^\[|\]$/g, ''), port)) return []
  return [
    `nobody listens on ${parsed.hostname}:${port}${owner === undefined ? '' : ` (service ${owner.name})`}`,
  ]
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host, port, timeout: CONNECT_MS })
    const end = (answer: boolean) => {
      socket.destroy()
      done(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

async function deadCommand(server: StdioServer, options: DeadLinkOptions): Promise<string[]> {
  const [program, ...args] = server.argv
  // A variable that is not set here may be set where the client runs.
  if (server.argv.some((word) => word.includes('${'))) return []
  const path = server.path ?? options.path
  const found = findProgram(program, server.cwd, path)
  if (found === null) return [`${showArgv([program])} is not installed`]
  if (server.cwd !== null && !existsSync(server.cwd)) return [`its folder ${server.cwd} is missing`]
  const script = scriptOf(program, args)
  const file = script === null ? null : resolveFrom(server.cwd, script)
  if (file !== null && !existsSync(file)) return [`the script ${file} is missing`]
  if (basename(program) !== 'codex' || args[0] !== 'mcp-server') return []
  const version = await codexVersion(found, path, options.cache)
  if (version === null || !isAtLeast(version, CODEX_WITHOUT_SERVER)) return []
  return [`registered as "${showArgv(server.written)}", not in ${version.replace(/\.0$/, '')}`]
}

/** The file that would be executed, null if there is none. */
function findProgram(program: string, cwd: string | null, path: string): string | null {
  if (program.includes('/')) {
    const file = resolveFrom(cwd, program)
    // A relative program of a server for every folder depends on where its client is started.
    return file === null ? program : isExecutable(file) ? file : null
  }
  const folders = path.split(delimiter).filter(isAbsolute)
  return folders.map((folder) => join(folder, program)).find(isExecutable) ?? null
}

const resolveFrom = (cwd: string | null, file: string) =>
  isAbsolute(file) ? file : cwd === null ? null : resolve(cwd, file)

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** The file that an interpreter is told to run, null if it is told something else. */
function scriptOf(program: string, args: readonly string[]): string | null {
  if (!/^(node|nodejs|bun|deno|python[\d.]*|ruby|perl|sh|bash|zsh)$/.test(basename(program))) return null
  const words = /^(bun|deno)$/.test(basename(program)) && args[0] === 'run' ? args.slice(1) : args
  const [first] = words
  // Behind an option stands its value or the script, and only the program knows which.
  return first === undefined || first.startsWith('-') || !/[/.]/.test(first) ? null : first
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number)
  return a > major || (a === major && b >= minor)
}

/** `0.169.0`; null if it does not say. Asked once for each file that the path leads to. */
async function codexVersion(program: string, path: string, cache: string | null): Promise<string | null> {
  const real = realpathSync(program)
  const { size, mtimeMs } = statSync(real)
  const key = digest(`${real} ${size} ${mtimeMs}`)
  const known = cache === null ? {} : readCache(cache)
  if (known[key] !== undefined) return known[key]
  const version = await askVersion(program, path)
  if (version !== null && cache !== null) writeCache(cache, { ...known, [key]: version })
  return version
}

function readCache(path: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>
  } catch {
    // A cache that is missing or damaged is filled again.
    return {}
  }
}

function writeCache(path: string, versions: Record<string, string>): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, `${JSON.stringify(versions)}\n`, { mode: 0o600 })
  } catch {
    // Without a cache the next look takes a moment longer.
    return
  }
}

/** Codex writes into its home at every start, so it gets one that is thrown away. */
async function askVersion(program: string, path: string): Promise<string | null> {
  const scratch = mkdtempSync(join(tmpdir(), 'paios-codex-'))
  try {
    const env = { PATH: path, HOME: scratch, CODEX_HOME: scratch }
    const place = { env, extendEnv: false, cwd: scratch, stdin: 'ignore' } as const
    const limits = { timeout: VERSION_MS, killSignal: 'SIGKILL', reject: false } as const
    const { execa } = await import('execa')
    const { failed, stdout } = await execa(program, ['--version'], { ...place, ...limits })
    return failed ? null : (/\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? null)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
