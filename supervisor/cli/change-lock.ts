/** One at a time: the commands that change how this home is started, or whose a service is. */
import type { Invocation } from './command.ts'

/**
 * Runs what a command does while no other such command can run on this home. Throws lock-held with the command and
 * pid that are at work.
 */
export async function withChangeLock<T>(
  { home }: Invocation,
  command: string,
  work: () => Promise<T>,
): Promise<T> {
  const [{ ensureHome, homeAt }, { takeChangeLock }] = await Promise.all([
    import('../shell/home.ts'),
    import('../shell/lock.ts'),
  ])
  const place = homeAt(home)
  ensureHome(place)
  const lock = takeChangeLock(place, command)
  try {
    return await work()
  } finally {
    lock.release()
  }
}
