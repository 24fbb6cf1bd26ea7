/** What the bench knows of processes: commands that are timed, and figures out of /proc (Linux only). */
import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** A command that has ended. `ms` is from its spawn to the end of its output. */
export type Ended = { readonly code: number | null; readonly output: string; readonly ms: number }

/** Runs a command to its end; its output goes through a pipe, as a script would read it. */
export function run(argv: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<Ended> {
  const [program = '', ...args] = argv
  const begun = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    const parts: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => parts.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => parts.push(chunk))
    child.once('error', reject)
    child.once('close', (code) =>
      resolve({ code, output: Buffer.concat(parts).toString('utf8'), ms: performance.now() - begun }),
    )
  })
}

/** As `run`, but any exit code other than 0 is an error that shows what was written. */
export async function mustRun(argv: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<Ended> {
  const ended = await run(argv, env, cwd)
  if (ended.code !== 0) throw new Error(`${argv.join(' ')} ended with ${ended.code}:\n${ended.output}`)
  return ended
}

/** Proportional set size of these processes together, in bytes. */
export function pssBytes(pids: readonly number[]): number {
  let kib = 0
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    kib += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1])
  }
  return kib * 1024
}

/**
 * CPU time that these processes have used so far, in milliseconds: the scheduler's own nanoseconds of each
 * thread.
 */
export function cpuMs(pids: readonly number[]): number {
  let ns = 0
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0])
    }
  }
  return ns / 1e6
}

/** The parent of a process. */
export function parentOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])
}

/** True while a process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !'ZX'.includes(text.slice(text.lastIndexOf(')') + 2)[0] ?? '')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** Kills a process if it still runs. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Compiles the child into `path`. Throws if there is no C compiler. */
export function compileChild(source: string, path: string): void {
  try {
    execFileSync('cc', ['-O2', '-o', path, source], { stdio: ['ignore', 'ignore', 'inherit'] })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error(
      'the bench needs a C compiler (cc) for its child program: apt-get install gcc libc6-dev',
      { cause: error },
    )
  }
}

/** Resolves after so many milliseconds. */
export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
