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

/**
 * Installs the pinned brains (without their install scripts) unless they are there, and resolves to the path
 * of the `openclaw` program. The folder is PAIOS_TEST_CACHE or ~/.cache/paios-brains. Concurrent callers wait
 * for each other. Rejects if npm fails, with what npm printed.
 */
export async function installBrains(): Promise<string> {
  const cache = process.env['PAIOS_TEST_CACHE'] ?? join(homedir(), '.cache', 'paios-brains')
  const bin = join(cache, 'node_modules', '.bin', 'openclaw')
  const stamp = join(cache, `openclaw-${OPENCLAW_VERSION}.stamp`)
  if (existsSync(stamp) && existsSync(bin)) return bin
  await mkdir(cache, { recursive: true })
  const release = await lockFolder(cache)
  try {
    if (existsSync(stamp) && existsSync(bin)) return bin
    const manifest = { private: true, dependencies: { openclaw: OPENCLAW_VERSION } }
    await writeFile(join(cache, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: cache,
      env: { ...process.env, PATH: brainPath() },
      timeout: INSTALL_LIMIT_MS,
      maxBuffer: 16 * 1024 ** 2,
    })
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
