/** Starts the keeper, the loop in keeper.sh that starts the supervisor again when it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Identity } from '../core/state.ts'
import { fileError, PaiosError } from '../errors.ts'
import type { Home } from './home.ts'
import type { ProcessTable } from './process-table.ts'

/**
 * Starts a keeper in a session of its own. `home` is PAIOS_HOME, `entry` the absolute path of bin/paios.mjs,
 * and `logPath` takes what keeper and supervisor write; `node` runs the entry. Throws runtime-missing,
 * home-unwritable or disk-full.
 */
export function startKeeper(
  home: string,
  entry: string,
  logPath: string,
  node = process.execPath,
): ChildProcess {
  const script = join(dirname(dirname(entry)), 'supervisor', 'shell', 'keeper.sh')
  if (!existsSync(script)) {
    throw new PaiosError('runtime-missing', `${script} is missing: install paios again`)
  }
  let log: number
  try {
    log = openSync(logPath, 'a', 0o600)
  } catch (error) {
    throw fileError(`write ${logPath}`, error)
  }
  const keeper = spawn('/bin/sh', [script, node, entry, logPath], {
    cwd: home,
    detached: true,
    env: { ...process.env, PAIOS_HOME: home },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  keeper.unref()
  return keeper
}

/** Records who keeps this supervisor, for a `down` while the keeper waits to start the next one. */
export function recordKeeper(home: Home, table: ProcessTable): void {
  const pid = Number(process.env['PAIOS_KEEPER'])
  const entry = pid ? table.entry(pid) : null
  const identity: Identity | null = entry && { boot: table.boot, pid, start: entry.start }
  try {
    if (identity) writeFileSync(home.keeper, JSON.stringify(identity), { mode: 0o600 })
    else rmSync(home.keeper, { force: true })
  } catch (error) {
    // A supervisor must start on a full disk; without the record a `down` leaves the keeper to end by itself.
    if (fileError(`write ${home.keeper}`, error).code !== 'disk-full') throw error
  }
}

/** The pid of the recorded keeper if it is proven to live, null if not. */
export function livingKeeper(home: Home, table: ProcessTable): number | null {
  try {
    const { boot, pid, start } = JSON.parse(readFileSync(home.keeper, 'utf8')) as Identity
    const entry = boot === table.boot ? table.entry(pid) : null
    return entry && !entry.zombie && entry.start === start ? pid : null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return null
    throw error
  }
}

/** Ends a keeper that waits to start the next supervisor. */
export function endKeeper(home: Home, table: ProcessTable): void {
  const pid = livingKeeper(home, table)
  if (pid === null) return
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
