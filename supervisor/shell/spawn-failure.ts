/** What the system says when a program cannot be started. */

/** True if trying again cannot help before something on disk changes. */
export const isPermanent = (error: NodeJS.ErrnoException) =>
  ['EACCES', 'ENOENT', 'ENOTDIR', 'ENOEXEC'].includes(error.code ?? '')

/** Why a program could not be started, in words. */
export function spawnReason(program: string, error: NodeJS.ErrnoException): string {
  const why: Record<string, string> = {
    EACCES: 'it may not be executed',
    ENOENT: 'it, its interpreter or its working folder does not exist',
    ENOEXEC: 'it is no program for this system',
    EAGAIN: 'the system has no more processes to give',
    EMFILE: 'the supervisor has no more file descriptors',
    ENOMEM: 'the system has no memory for it',
  }
  return `${program} could not be started: ${why[error.code ?? ''] ?? error.message}`
}
