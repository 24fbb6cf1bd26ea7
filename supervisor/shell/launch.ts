/**
 * Starts a service's process, with its output on the log file so that it does not notice the supervisor's death,
 * in a session of its own. By posix_spawn where that is to be had; by Node's own spawn elsewhere, for owned
 * pipes, and to be told why a start failed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { openPosixSpawn, type PosixSpawn } from './posix-spawn.ts'

/** `path`: what the command's first word resolves to, null if that is not known; `log`: an open descriptor. */
export type Launch = {
  readonly command: readonly [string, ...string[]]
  readonly path: string | null
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly log: number
  readonly stdio: 'log' | 'pipes'
}

/** A started process; `pipes` where the supervisor owns its stdin and stdout. */
export type Launched = {
  readonly pid: number
  readonly pipes: { readonly stdin: Writable; readonly stdout: Readable } | null
}

/** Told once: how the process ended. */
export type Exited = (code: number | null, signal: string | null) => void

export type Launcher = {
  /**
   * Starts one process. `exited` is never called before this returns. Null if it could not be started: then
   * `failed` has been told why, or will be.
   */
  launch(wanted: Launch, exited: Exited, failed: (error: NodeJS.ErrnoException) => void): Launched | null
  close(): void
}

/** Opens the launcher; `posix` is given by tests. */
export function openLauncher(posix: PosixSpawn | null = openPosixSpawn()): Launcher {
  const children = posix === null ? null : openChildren(posix)
  return {
    launch(wanted, exited, failed) {
      const { command, path, env, cwd, log, stdio } = wanted
      if (children !== null && stdio === 'log' && path !== null) {
        const pid = children.start({ path, argv: command, env, cwd, output: log }, exited)
        if (pid !== null) return { pid, pipes: null }
      }
      return launchByNode(wanted, exited, failed)
    },
    close: () => children?.close(),
  }
}

/** The children that Node does not know of: each SIGCHLD says that some have ended. */
function openChildren(posix: PosixSpawn) {
  const running = new Map<number, Exited>()
  let isFresh = false
  let isMissed = false
  const reapOne = (pid: number, exited: Exited) => {
    const ended = posix.reap(pid)
    if (ended === null) return
    running.delete(pid)
    exited(ended.code, ended.signal)
  }
  // Asking who has ended costs one call each; a child of Node's that is not reaped yet hides those behind it.
  const reap = () => {
    for (let pid = posix.ended(); pid !== null; pid = posix.ended()) {
      const exited = running.get(pid)
      if (exited === undefined) {
        for (const each of running) reapOne(...each)
        return
      }
      reapOne(pid, exited)
    }
  }
  // A hundred that end together send a hundred signals; the first is answered at once, the rest by one more look.
  const look = () => {
    if (isFresh) {
      isMissed = true
      return
    }
    isFresh = true
    reap()
    setImmediate(() => {
      isFresh = false
      if (!isMissed) return
      isMissed = false
      look()
    })
  }
  process.on('SIGCHLD', look)
  return {
    start(program: Parameters<PosixSpawn['start']>[0], exited: Exited): number | null {
      const pid = posix.start(program)
      if (pid !== null) running.set(pid, exited)
      return pid
    },
    close: () => void process.off('SIGCHLD', look),
  }
}

function launchByNode(
  { command: [program, ...args], env, cwd, log, stdio }: Launch,
  exited: Exited,
  failed: (error: NodeJS.ErrnoException) => void,
): Launched | null {
  const isPiped = stdio === 'pipes'
  let child: ChildProcess
  try {
    child = spawn(program, args, {
      cwd,
      env,
      detached: true,
      stdio: [isPiped ? 'pipe' : 'ignore', isPiped ? 'pipe' : log, log],
    })
  } catch (error) {
    // Most failures come as an event; the rarer ones (ENOTDIR, E2BIG, ENOMEM) are thrown.
    failed(error as NodeJS.ErrnoException)
    return null
  }
  const { pid, stdin, stdout } = child
  if (pid === undefined) {
    child.once('error', failed)
    return null
  }
  child.once('exit', exited)
  child.on('error', () => undefined)
  return { pid, pipes: stdin && stdout ? { stdin, stdout } : null }
}
