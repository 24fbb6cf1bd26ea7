/**
 * Starting a supervisor in the background: the home, the parsed mesh handed over in a file, the keeper in a
 * session of its own, and the wait until the control socket answers.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, PaiosError } from '../errors.ts'
import { isListening } from './client.ts'

const SOCKET_POLL_MS = 15
/**
 * A supervisor listens within half a second; a slow disk, or a journal to recover, may take it far longer.
 */
const SOCKET_LIMIT_MS = 30_000
/** How long the supervisor that holds the lock may take to answer. */
const OTHER_LIMIT_MS = 5_000
const TAIL_LINES = 15
const HELD_BY_OTHER = 'another supervisor holds the lock of this home'
/** What keeper.sh writes when the supervisor has crashed, before it tries again. */
const KEEPER_CRASH = 'supervisor ended with code'

/**
 * The mesh as `up` validated it, which the supervisor takes from `run/boot.json` instead of parsing again.
 */
type BootMesh = { readonly documentHash: string; readonly mesh: unknown }

/** Makes the home and its folders, each 0700; what exists is left as it is. Throws PaiosError. */
export async function prepareHome(home: string): Promise<void> {
  const { ensureHome, homeAt } = await import('../shell/home.ts')
  ensureHome(homeAt(home))
}

/** A sentence if others may look into the home, null if not. */
export function exposedHome(home: string): string | null {
  const isExposed = (statSync(home).mode & 0o077) !== 0
  return isExposed ? `other users may look into ${home}: chmod 700 ${home}` : null
}

/**
 * Starts the supervisor where this home is installed: by systemd or launchd, with the mesh handed over. Resolves to
 * true when it answers, to false where nothing is installed. Throws install-failed with what it wrote, and
 * init-unavailable where systemd or launchd cannot be reached.
 */
export async function bootInstalled(home: string, boot: BootMesh): Promise<boolean> {
  const [{ placeOf }, { installedFile, openInit }] = await Promise.all([
    import('../boot/place.ts'),
    import('../boot/init-port.ts'),
  ])
  const place = placeOf(home)
  if (installedFile(place) === null) return false
  const init = await openInit(place)
  makeLogFolder(join(home, 'logs', 'supervisor'))
  const size = sizeOf(place.bootLog)
  writeBoot(home, boot)
  try {
    await init.start()
    const deadline = performance.now() + SOCKET_LIMIT_MS
    while (!(await isListening(home))) {
      if (performance.now() > deadline) throw new PaiosError('install-failed', 'it does not answer')
      await new Promise((resolve) => setTimeout(resolve, SOCKET_POLL_MS))
    }
    return true
  } catch (error) {
    if (!(error instanceof PaiosError) || error.code !== 'install-failed') throw error
    const lines = await tailFrom(place.bootLog, size)
    const tail = lines.map((line) => `\n  ${line}`).join('')
    throw new PaiosError('install-failed', `${error.message} (${init.look}):${tail}`, { cause: error })
  }
}

/**
 * Starts the keeper, which starts the supervisor, and resolves when the control socket answers. Throws
 * PaiosError with what the supervisor wrote if it fails; the keeper is ended then, so that nothing goes on
 * trying unseen. Without `boot` the mesh is the one that was in force; `node` runs the entry.
 */
export async function bootSupervisor(
  home: string,
  entry: string,
  boot: BootMesh | null,
  node?: string,
): Promise<void> {
  const logs = join(home, 'logs', 'supervisor')
  const keeperLog = join(logs, 'keeper.log')
  const ownLog = join(logs, 'current.log')
  makeLogFolder(logs)
  const [{ startKeeper }, { trimLog }] = await Promise.all([
    import('../shell/keeper.ts'),
    import('../shell/trim-log.ts'),
  ])
  trimLog(keeperLog)
  const sizes = new Map([ownLog, keeperLog].map((path) => [path, sizeOf(path)]))
  const said = async () => (await Promise.all([...sizes].map(([path, size]) => tailFrom(path, size)))).flat()
  if (boot !== null) writeBoot(home, boot)
  const keeper = startKeeper(home, entry, keeperLog, node)
  const failure = await waitForSocket(home, keeper, () => tailFrom(keeperLog, sizes.get(keeperLog) ?? 0))
  if (failure === null) return
  keeper.kill('SIGTERM')
  const lines = (await said()).map((line) => `  ${line}`)
  const tail = lines.length === 0 ? `it wrote nothing to ${ownLog}` : lines.join('\n')
  const code = failure === HELD_BY_OTHER ? 'supervisor-running' : 'internal'
  throw new PaiosError(code, `the supervisor did not start (${failure}):\n${tail}`)
}

/** Null when the socket answers, otherwise how the start failed. `said` gives what the keeper has written. */
async function waitForSocket(
  home: string,
  keeper: ChildProcess,
  said: () => Promise<readonly string[]>,
): Promise<string | null> {
  let failure: string | null = null
  let deadline = performance.now() + SOCKET_LIMIT_MS
  keeper.once('error', (error) => {
    failure = error.message
  })
  keeper.once('exit', (code, signal) => {
    failure = code === 5 ? HELD_BY_OTHER : `the keeper ended with ${signal ?? `code ${code}`}`
    // Two `up` at once: the socket of the first will answer, if it is one that is coming up.
    deadline = performance.now() + OTHER_LIMIT_MS
  })
  while (performance.now() < deadline) {
    const last = failure as string | null
    if (await isListening(home)) return null
    if (last !== null && last !== HELD_BY_OTHER) return last
    const crash = (await said()).find((line) => line.includes(KEEPER_CRASH))
    if (crash !== undefined) return crash
    await new Promise((resolve) => setTimeout(resolve, SOCKET_POLL_MS))
  }
  return failure ?? `it does not answer after ${SOCKET_LIMIT_MS / 1000} s`
}

function writeBoot(home: string, boot: BootMesh): void {
  const path = join(home, 'run', 'boot.json')
  const fresh = `${path}.${process.pid}`
  try {
    writeFileSync(fresh, JSON.stringify(boot), { mode: 0o600, flag: 'wx' })
    renameSync(fresh, path)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw fileError(`write ${path}`, error)
  }
}

function makeLogFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fileError(`make ${path}`, error)
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** The last lines that were written to a file past `size` bytes. */
async function tailFrom(path: string, size: number): Promise<string[]> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0))
  const text = bytes.subarray(size <= bytes.length ? size : 0).toString('utf8')
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-TAIL_LINES)
}
