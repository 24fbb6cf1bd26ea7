/**
 * The operator's or the world's faults, as codes. A code is what scripts may rely on, its exit code what the
 * shell sees, and its message says what, where and what to do. docs/errors.md has one row per code; a test
 * holds the two together in both directions.
 */

/**
 * What a process of ours exits with: well, something is down, usage, invalid document, no supervisor,
 * refused.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5

/**
 * THE table of codes: the exit code of each, its meaning in one line, and what the operator does about it.
 */
export const errorCodes = {
  usage: {
    exitCode: 2,
    meaning: 'The command line is not one that paios understands.',
    remedy: 'Read `paios --help` or `paios COMMAND --help`.',
  },
  'unknown-service': {
    exitCode: 2,
    meaning: 'The mesh has no service or group of that name.',
    remedy: 'Look the name up with `paios status`.',
  },
  'unknown-incident': {
    exitCode: 2,
    meaning: 'No open incident, mute, service or alert rule has that name.',
    remedy: 'Look the name up with `paios alerts --all`.',
  },
  'unknown-runbook': {
    exitCode: 2,
    meaning: 'There is no runbook of that name, or it has no such step.',
    remedy: 'Look the name up with `paios runbook list`, and its steps with `paios runbook show NAME`.',
  },
  'document-invalid': {
    exitCode: 3,
    meaning: 'The mesh document has problems; nothing of it was applied.',
    remedy: 'Mend the lines that the message names, then `paios check`.',
  },
  'document-unreadable': {
    exitCode: 3,
    meaning: 'The mesh document is missing, not a regular file, or not readable by this user.',
    remedy: 'Give the path of a file that this user may read; `paios up` writes a first one.',
  },
  'document-too-large': {
    exitCode: 3,
    meaning: 'The mesh document is larger than 1 MiB and was not parsed.',
    remedy: 'Check that the path names the document and not a log or a database.',
  },
  'no-supervisor': {
    exitCode: 4,
    meaning: 'No supervisor answers on the socket of this home.',
    remedy: 'Start it with `paios up`, or set PAIOS_HOME to the home that you mean.',
  },
  'supervisor-silent': {
    exitCode: 4,
    meaning:
      'The supervisor takes connections and answers nothing: it was stopped, hangs, or waits for its disk.',
    remedy: 'Follow `paios runbook SupervisorStalled`.',
  },
  'supervisor-running': {
    exitCode: 5,
    meaning: 'Another supervisor already runs in this home.',
    remedy: 'Use it (`paios status`), or end it with `paios down`.',
  },
  refused: {
    exitCode: 5,
    meaning: 'The supervisor will not do it now; the message says why.',
    remedy: 'Remove the reason that the message names, then ask again.',
  },
  'refused-dependents': {
    exitCode: 5,
    meaning: 'Running services need the one that was to be stopped.',
    remedy: 'Stop those first, or repeat with `--with-dependents`.',
  },
  'lock-held': {
    exitCode: 5,
    meaning: 'A file lock that this command needs is held by another process.',
    remedy: 'Wait until the process that the message names has ended.',
  },
  'home-unwritable': {
    exitCode: 1,
    meaning: 'A file or folder of the home cannot be created or written.',
    remedy: 'Mend its owner or permissions, or set PAIOS_HOME to another folder.',
  },
  'disk-full': {
    exitCode: 1,
    meaning: 'The disk that holds the home has no space left.',
    remedy: 'Free some space; running services go on meanwhile.',
  },
  'journal-damaged': {
    exitCode: 1,
    meaning: 'The journal is no database any more; nothing was started, since nobody knows what runs.',
    remedy:
      'Put back a copy of it, or move it away once nothing that it knows runs any more; then `paios up`.',
  },
  'socket-path-too-long': {
    exitCode: 1,
    meaning: 'The path of the control socket is longer than this system allows.',
    remedy: 'Set PAIOS_HOME to a shorter path.',
  },
  'runtime-missing': {
    exitCode: 1,
    meaning: 'The pinned Node runtime or a native module of this installation is missing or does not load.',
    remedy: 'Install paios again.',
  },
  'init-unavailable': {
    exitCode: 1,
    meaning: 'The systemd or launchd of this user cannot be reached, or there is none.',
    remedy: 'Log in at the machine, or `loginctl enable-linger`; else run `paios up` after each login.',
  },
  'install-failed': {
    exitCode: 1,
    meaning: 'The supervisor did not come up from where it was put; what was there before was put back.',
    remedy: 'Read `PAIOS_HOME/logs/supervisor/boot.log` and what the message names, then try again.',
  },
  'channel-failed': {
    exitCode: 1,
    meaning: 'Telegram or another channel of alerts cannot be reached or refuses.',
    remedy: 'Do what the message says, then `paios alerts setup` or `paios alerts test`.',
  },
  'takeover-failed': {
    exitCode: 1,
    meaning: 'A service could not be taken over or given back; the message says what was put back.',
    remedy: 'Read the log that the message names; `paios doctor` says what is left to do.',
  },
  internal: {
    exitCode: 1,
    meaning: 'A fault of paios itself.',
    remedy: 'Report it with the message and the output of `paios version`.',
  },
} as const satisfies Record<string, { exitCode: ExitCode; meaning: string; remedy: string }>

/** The id of an error, a key of `errorCodes`. */
export type ErrorCode = keyof typeof errorCodes

/** A fault that the operator can act on. The message never contains the value of a secret. */
export class PaiosError extends Error {
  override readonly name = 'PaiosError'
  readonly code: ErrorCode
  /** What the process exits with if this error ends it. */
  readonly exitCode: ExitCode

  constructor(code: ErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.code = code
    this.exitCode = errorCodes[code].exitCode
  }
}

/**
 * Turns a failure to write below the home into `disk-full` or `home-unwritable`; anything else is `internal`.
 * `doing` is the rest of the sentence "cannot …".
 */
export function fileError(doing: string, cause: unknown): PaiosError {
  const errno = errnoOf(cause)
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new PaiosError('disk-full', `cannot ${doing}: no space left on the disk`, { cause })
  }
  const code = errno === null ? 'internal' : 'home-unwritable'
  const why = cause instanceof Error ? cause.message : String(cause)
  return new PaiosError(code, `cannot ${doing}: ${why}`, { cause })
}

/** The `code` of a Node system error such as ENOENT, null if the value is no system error. */
export function errnoOf(cause: unknown): string | null {
  if (!(cause instanceof Error) || !('code' in cause) || !('errno' in cause)) return null
  return typeof cause.code === 'string' ? cause.code : null
}

/**
 * The known word nearest to what was typed, at most three edits away (insert, delete, replace, swap of
 * neighbours) and at most half of its letters; null if none is that near. Capitals do not count;
 * on a tie the earlier word wins.
 */
export function nearest(word: string, known: Iterable<string>): string | null {
  let best: string | null = null
  let bestDistance = Math.min(3, Math.floor(word.length / 2)) + 1
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** The error for a name that the mesh does not have; `known` are the names that it has. */
export function unknownService(name: string, known: Iterable<string>): PaiosError {
  const hint = nearest(name, known)
  const way = hint === null ? 'paios status lists them' : `did you mean ${hint}?`
  return new PaiosError('unknown-service', `there is no service or group '${name}' (${way})`)
}

/** Damerau-Levenshtein distance in its optimal string alignment form. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforePrevious[j - 2]! + 1)
      }
      row.push(cost)
    }
    beforePrevious = previous
    previous = row
  }
  return previous[b.length]!
}
