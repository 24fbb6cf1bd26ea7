/** The supervisor that runs now: who looks after it, which copy it is, and how it is handed over. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { PaiosError } from '../errors.ts'
import { homeAt } from '../shell/home.ts'
import { livingKeeper } from '../shell/keeper.ts'
import { openProcessTable } from '../shell/process-table.ts'
import type { InitPort } from './init-port.ts'
import type { Place } from './place.ts'

/** What answers on the socket, null if nothing does. */
export type Answering = () => Promise<{ readonly pid: number; readonly version: string } | null>

/** Who looks after a supervisor: systemd or launchd, our keeper, or nobody (a terminal, a container). */
export type Running = {
  readonly pid: number
  readonly version: string
  readonly under: 'init' | 'keeper' | 'nobody'
  /** The versioned copy that it runs from, null for a clone or a package. */
  readonly copy: string | null
}

/** A supervisor that has a journal to recover on a slow disk takes longest. */
const START_LIMIT_MS = 30_000
const POLL_MS = 50

/** The supervisor of a home, null if none answers. */
export async function findRunning(
  place: Place,
  answering: Answering,
  init: Pick<InitPort, 'state' | 'file'> | null,
): Promise<Running | null> {
  const found = await answering()
  if (found === null) return null
  const table = openProcessTable()
  const keeper = livingKeeper(homeAt(place.home), table)
  const isKept = keeper !== null && table.entry(found.pid)?.parent === keeper
  // Where nothing is installed, systemd is not asked: it may not be there.
  const isAsked = !isKept && init !== null && existsSync(init.file)
  const isInit = isAsked && (await init.state()).pid === found.pid
  const under = isKept ? 'keeper' : isInit ? 'init' : 'nobody'
  return { ...found, under, copy: copyOfProcess(place, found.pid) }
}

/** The copy whose Node a process runs, by its command line. */
function copyOfProcess(place: Place, pid: number): string | null {
  // `ps` fails where the process has just gone.
  const { stdout } = spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
  const start = `${place.versions}/`
  if (!stdout.startsWith(start)) return null
  return stdout.slice(start.length).split('/')[0] ?? null
}

/**
 * Ends the keeper and with it the supervisor, whose services live on. Resolves when nothing answers any more
 * and the process is gone. Throws `internal` if it does not go within 30 s.
 */
export async function endKept(place: Place, running: Running): Promise<void> {
  const home = homeAt(place.home)
  const table = openProcessTable()
  const keeper = livingKeeper(home, table)
  if (keeper === null) return
  process.kill(keeper, 'SIGTERM')
  await poll(`the supervisor (pid ${running.pid}) has not ended`, () => {
    const left = table.entry(running.pid)
    return (left === null || left.zombie) && livingKeeper(home, table) === null
  })
}

/** Waits until the supervisor answers as the process that systemd or launchd has started. */
export async function awaitInit(
  init: InitPort,
  answering: Answering,
  former: number | null,
): Promise<number> {
  return poll(`no supervisor answers after ${START_LIMIT_MS / 1000} s`, async () => {
    const found = await answering()
    const { pid, problem } = await init.state()
    if (problem !== null) throw new PaiosError('install-failed', `it does not stay up: ${problem}`)
    return found !== null && found.pid === pid && pid !== former ? found.pid : null
  })
}

/** True if the mesh was taken down by `paios down` and is not to be started. */
export async function isTakenDown(place: Place): Promise<boolean> {
  const home = homeAt(place.home)
  if (!existsSync(home.journal)) return false
  const { readOffline } = await import('../offline.ts')
  return readOffline(home).mesh === 'down'
}

async function poll<T>(what: string, look: () => T | null | Promise<T | null>): Promise<NonNullable<T>> {
  const deadline = performance.now() + START_LIMIT_MS
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > deadline) throw new PaiosError('install-failed', what)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
