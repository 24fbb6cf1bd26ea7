/**
 * Programs of probes, each the leader of a group of its own, by Node's own spawn: execa's code takes 10 MiB once it
 * has run, which a supervisor would keep for ever.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'

/** A program with pipes on all three ends. */
export type GroupLeader = ChildProcessWithoutNullStreams

/** Starts a program. Rejects with the system's error if that fails. */
export async function startLeader(
  argv: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<GroupLeader> {
  const [program = '', ...args] = argv
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  // A reader that has gone shows as an end of the program; there is nothing else to do about it.
  child.stdin.on('error', () => undefined)
  child.on('error', () => undefined)
  return child
}

/** Signals the group of a leader that was not reaped yet, so that its number is nobody else's. */
export function signalGroup({ pid, exitCode, signalCode }: GroupLeader, name: NodeJS.Signals): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  try {
    process.kill(-pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
