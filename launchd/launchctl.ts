/**
 * launchctl, asked one verb at a time. Decisions go by its exit status and by `print`; its texts are for
 * people. A status of 0 means accepted and not done. Written from captures and measurements of others, tried
 * against a model, not on a Mac.
 */
import { execFile } from 'node:child_process'
import { type PrintedJob, parseDisabled, parseList, parsePrint } from './print-parser.ts'

/** A verb that takes longer hangs; print and enable answer at once. */
const LIMIT_MS = 15_000
/** Exit codes: errno below 107, launchd's own from there on. */
export const CODES = {
  noSuchProcess: 3,
  ioError: 5,
  fileExists: 17,
  nowInProgress: 36,
  alreadyInProgress: 37,
  noDomain: 112,
  noService: 113,
  disabled: 119,
  badOwner: 122,
  unsupported: 125,
  sessionType: 134,
  quarantined: 155,
} as const

/** How a verb ended; `code` -1 if launchctl was killed or could not be run. */
export type Answer = { readonly code: number; readonly stdout: string; readonly text: string }

/**
 * What is known of a job: printed, not loaded, no desktop session to ask, or an answer that tells nothing.
 */
export type Found =
  | { readonly kind: 'job'; readonly job: PrintedJob }
  | { readonly kind: 'absent' }
  | { readonly kind: 'no-session'; readonly text: string }
  | { readonly kind: 'unclear'; readonly text: string }

/** launchctl for the jobs of one user's desktop session. */
export type Launchctl = {
  /** `gui/501`. */
  readonly domain: string
  print(label: string): Promise<Found>
  /** Null if it cannot be told. Outlives the job, its plist and a reboot, and `print` does not show it. */
  isDisabled(label: string): Promise<boolean | null>
  /** The labels of the jobs that run, by pid; null if they cannot be told. */
  running(): Promise<ReadonlyMap<number, string> | null>
  bootstrap(plistPath: string): Promise<Answer>
  bootout(label: string): Promise<Answer>
  enable(label: string): Promise<Answer>
  /** Keeps a job from being loaded at the next login. */
  disable(label: string): Promise<Answer>
  kickstart(label: string): Promise<Answer>
}

/** launchctl of this machine; PAIOS_LAUNCHCTL names another one, for tests. */
export function openLaunchctl(
  program = process.env['PAIOS_LAUNCHCTL'] || '/bin/launchctl',
  uid = process.getuid?.() ?? 0,
): Launchctl {
  const domain = `gui/${uid}`
  const ask = (...args: readonly string[]) => run(program, args)
  const target = (label: string) => `${domain}/${label}`
  return {
    domain,
    async print(label) {
      const { code, stdout, text } = await ask('print', target(label))
      if (code === CODES.noService) return { kind: 'absent' }
      if (code === CODES.noDomain || code === CODES.unsupported) return { kind: 'no-session', text }
      const job = code === 0 ? parsePrint(stdout) : null
      return job === null
        ? { kind: 'unclear', text: `launchctl print: ${text || 'not understood'}` }
        : { kind: 'job', job }
    },
    async isDisabled(label) {
      const { code, stdout } = await ask('print-disabled', domain)
      return code === 0 ? parseDisabled(stdout).has(label) : null
    },
    async running() {
      const { code, stdout } = await ask('list')
      return code === 0 ? parseList(stdout) : null
    },
    bootstrap: (path) => ask('bootstrap', domain, path),
    bootout: (label) => ask('bootout', target(label)),
    enable: (label) => ask('enable', target(label)),
    disable: (label) => ask('disable', target(label)),
    kickstart: (label) => ask('kickstart', target(label)),
  }
}

/** Never through a shell or a pipe, which would hide the status. */
function run(program: string, args: readonly string[]): Promise<Answer> {
  return new Promise((settle) => {
    execFile(program, args, { timeout: LIMIT_MS, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      const said = stderr.trim().replaceAll(/\s*\n\s*/g, ' ')
      settle({ code, stdout, text: said || (error === null ? '' : error.message) })
    })
  })
}

/** What a person can do about the end of `bootstrap`; null where the code says nothing more than its text. */
export function remedyOf(code: number): string | null {
  switch (code) {
    case CODES.noDomain:
    case CODES.unsupported:
      return 'there is no desktop session: log in at the Mac itself, then install'
    case CODES.disabled:
      return 'the job is disabled, perhaps in System Settings > General > Login Items: allow it there'
    case CODES.badOwner:
      return 'the plist must belong to you and be writable by you alone'
    case CODES.sessionType:
      return 'the job is not meant for this kind of session'
    case CODES.quarantined:
      return 'the program is quarantined: xattr -d com.apple.quarantine on it'
    case CODES.ioError:
      return 'already loaded, disabled, a wrong owner, or a plist that others may write'
    default:
      return null
  }
}
