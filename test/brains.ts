/**
 * The real brains that the end-to-end tests run: pinned versions, installed once into a cache outside the
 * tree, and temporary homes for them. Nothing here is a double; the double is fixtures/fake-gateway.mjs.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'

const run = promisify(execFile)

/** The version of OpenClaw that the preset's facts were measured with. */
export const OPENCLAW_VERSION = '2026.9.6'

const LOCK_POLL_MS = 250
const LOCK_LIMIT_MS = 600_000
const INSTALL_LIMIT_MS = 600_000

/** A PATH on which the Node that runs this test comes first, for programs whose shebang asks for `node`. */
export const brainPath = (): string => [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)

/** The folder below which programs are installed. */
export const cacheRoot = () => process.env['PAIOS_TEST_CACHE'] ?? join(homedir(), '.cache', 'paios-brains')

/**
 * Installs the pinned brains (without their install scripts) unless they are there, and resolves to the path
 * of the `openclaw` program. The folder is PAIOS_TEST_CACHE or ~/.cache/paios-brains. Concurrent callers wait
 * for each other. Rejects if npm fails, with what npm printed.
 */
export function installBrains(): Promise<string> {
  const cache = cacheRoot()
  const bin = join(cache, 'node_modules', '.bin', 'openclaw')
  return install(cache, 'openclaw', OPENCLAW_VERSION, bin)
}

/** The versions of Claude Code and Codex that the presets' facts were measured with. */
export const CLAUDE_VERSION = '2.1.197'
export const CODEX_VERSION = '0.169.0'
/** The last sort of Codex that is a launcher with a child. */
export const OLD_CODEX_VERSION = '0.105.0'

/** Installs Claude Code, in a folder of its own, and resolves to its native program. */
export function installClaude(): Promise<string> {
  const name = '@anthropic-ai/claude-code'
  const folder = join(cacheRoot(), `claude-code@${CLAUDE_VERSION}`)
  // The package's own program is put in place by its install script, which does not run here.
  const bin = join(folder, 'node_modules', `${name}-${process.platform}-${process.arch}`, 'claude')
  return install(folder, name, CLAUDE_VERSION, bin)
}

/** Installs a version of Codex, in a folder of its own, and resolves to its program. */
export function installCodex(version: string): Promise<string> {
  const folder = join(cacheRoot(), `codex@${version}`)
  return install(folder, '@openai/codex', version, join(folder, 'node_modules', '.bin', 'codex'))
}

/**
 * What was installed; null, and the reason on stderr, where the registry is out of reach. With CI set it rejects
 * instead, so that nothing is left out unseen.
 */
export async function orSkip(installing: Promise<string>): Promise<string | null> {
  try {
    return await installing
  } catch (error) {
    if (process.env['CI'] !== undefined) throw error
    process.stderr.write(`SKIPPED, a program is not to be had here: ${(error as Error).message}\n`)
    return null
  }
}

/** Installs what the manifest says (else one package), unless its stamp and `bin` are there, and resolves to `bin`. */
export async function install(
  folder: string,
  name: string,
  version: string,
  bin: string,
  packages: object = { dependencies: { [name]: version } },
): Promise<string> {
  const stamp = join(folder, `${name.split('/').at(-1)}-${version}.stamp`)
  if (existsSync(stamp) && existsSync(bin)) return bin
  await mkdir(folder, { recursive: true })
  const release = await lockFolder(folder)
  try {
    if (existsSync(stamp) && existsSync(bin)) return bin
    const manifest = { private: true, ...packages }
    await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: folder,
      env: { ...process.env, PATH: brainPath() },
      timeout: INSTALL_LIMIT_MS,
      maxBuffer: 16 * 1024 ** 2,
    })
    if (!existsSync(bin)) throw new Error(`npm installed ${name} without ${bin}`)
    await writeFile(stamp, `${new Date().toISOString()}\n`)
    return bin
  } finally {
    release()
  }
}

/** Holds an exclusive SQLite lock on the folder: the kernel frees it even when the holder is killed. */
async function lockFolder(folder: string): Promise<() => void> {
  const lock = new Database(join(folder, 'install.lock.db'), { timeout: 0 })
  const deadline = Date.now() + LOCK_LIMIT_MS
  for (;;) {
    try {
      lock.exec('BEGIN EXCLUSIVE')
      return () => lock.close()
    } catch (error) {
      const isBusy = error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY'
      if (isBusy && Date.now() < deadline) {
        await wait(LOCK_POLL_MS)
        continue
      }
      lock.close()
      throw error
    }
  }
}

/** A loopback TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('the system gave no TCP port')
  return address.port
}

/** What a test may choose about a gateway's home. */
export type GatewayHomeOptions = {
  /** Port written into the config; a free one unless given. */
  readonly port?: number
  /** Members merged over the config's top level, such as `channels`. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** A temporary HOME with a valid OpenClaw config in it. */
export type GatewayHome = {
  readonly home: string
  readonly stateDir: string
  readonly configPath: string
  readonly port: number
  readonly token: string
  /** The whole environment for a gateway of this home. */
  readonly env: Record<string, string>
  /** Rewrites the config file whole; text is written as it is, so that a test can break it. */
  writeConfig(config: Readonly<Record<string, unknown>> | string): Promise<void>
  /** The config as it was written first. */
  readonly config: Readonly<Record<string, unknown>>
  remove(): Promise<void>
}

/** Makes a temporary HOME with `~/.openclaw/openclaw.json`: local mode, token auth, its own log file. */
export async function gatewayHome(options: GatewayHomeOptions = {}): Promise<GatewayHome> {
  const home = await mkdtemp(join(tmpdir(), 'gw-'))
  const stateDir = join(home, '.openclaw')
  const configPath = join(stateDir, 'openclaw.json')
  const port = options.port ?? (await freePort())
  const token = randomBytes(16).toString('hex')
  const config = {
    gateway: { mode: 'local', port, bind: 'loopback', auth: { mode: 'token', token } },
    logging: { file: join(home, 'gateway.log') },
    ...options.config,
  }
  const writeConfig = (content: Readonly<Record<string, unknown>> | string) =>
    writeFile(configPath, typeof content === 'string' ? content : JSON.stringify(content, null, 2), {
      mode: 0o600,
    })
  await mkdir(stateDir, { mode: 0o700 })
  await writeConfig(config)
  const env = {
    PATH: brainPath(),
    HOME: home,
    LANG: 'C.UTF-8',
    TMPDIR: tmpdir(),
    OPENCLAW_SUPERVISOR_MODE: 'external',
    NO_COLOR: '1',
  }
  const remove = () => rm(home, { recursive: true, force: true, maxRetries: 5 })
  return { home, stateDir, configPath, port, token, env, config, writeConfig, remove }
}
