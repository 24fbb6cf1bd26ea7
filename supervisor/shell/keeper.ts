/** Starts the keeper, the loop in keeper.sh that starts the supervisor again when it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileError, PaiosError } from '../errors.ts'

/**
 * Starts a keeper in a session of its own. `home` is PAIOS_HOME, `entry` the absolute path of bin/paios.mjs, and
 * `logPath` takes what keeper and supervisor write. Throws runtime-missing, home-unwritable or disk-full.
 */
export function startKeeper(home: string, entry: string, logPath: string): ChildProcess {
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
  const keeper = spawn('/bin/sh', [script, process.execPath, entry], {
    cwd: home,
    detached: true,
    env: { ...process.env, PAIOS_HOME: home },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  keeper.unref()
  return keeper
}
