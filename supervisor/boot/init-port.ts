/** What installing needs of systemd or launchd, and which of the two this machine has. */
import { existsSync } from 'node:fs'
import { PaiosError } from '../errors.ts'
import type { Init } from '../shell/under-init.ts'
import type { Place } from './place.ts'
import type { SentinelPort } from './sentinel.ts'

/** What they say of our unit or job. `pid` of the supervisor, null while none runs. */
export type InitState = {
  /** They know it: the unit is loaded, the job bootstrapped. */
  readonly isKnown: boolean
  /** It starts at the next login or boot. */
  readonly isEnabled: boolean
  readonly pid: number | null
  /** Why it does not run although it should, in their own words; null if nothing is wrong. */
  readonly problem: string | null
}

/** Environment that is written into the unit or plist, since they read no profile of a shell. */
export type InitEnvironment = { readonly path: string; readonly lang: string }

/** systemd or launchd for one home. Every call throws `init-unavailable` where it cannot be reached. */
export type InitPort = {
  readonly init: Init
  /** The unit's name or the job's label. */
  readonly name: string
  /** The file that it reads. */
  readonly file: string
  /** What that file has to contain. */
  text(environment: InitEnvironment): string
  /** PATH and LANG in the text of such a file; null if it is not one of ours. */
  environmentIn(text: string): InitEnvironment | null
  state(): Promise<InitState>
  /** Makes it known after its file was written, to be started at each login. Throws install-failed. */
  enable(): Promise<void>
  /**
   * Starts the supervisor, from the file as it is now; one that runs is ended first (its services live on).
   */
  restart(): Promise<void>
  /** Starts it unless it runs. */
  start(): Promise<void>
  /** Ends the supervisor; its services live on. */
  stop(): Promise<void>
  /** Undoes `enable`; called before the file is removed, and `forget` after it. */
  disable(): Promise<void>
  forget(): Promise<void>
  /** What looks after it from outside. */
  readonly sentinel: SentinelPort
  /** What a person types to look at it. */
  readonly look: string
  /** What must be known of it and is not tried; null if nothing. */
  readonly caveat: string | null
}

/**
 * Which of the two a machine has: launchd on macOS, or where PAIOS_LAUNCHCTL names a launchctl (for tests).
 */
export function initOf(platform: NodeJS.Platform = process.platform): Init | null {
  if (platform === 'darwin' || process.env['PAIOS_LAUNCHCTL']) return 'launchd'
  return platform === 'linux' ? 'systemd' : null
}

/** The port for a home. Throws init-unavailable where there is neither. */
export async function openInit(place: Place): Promise<InitPort> {
  switch (initOf()) {
    case 'systemd':
      return (await import('./systemd.ts')).openSystemd(place)
    case 'launchd':
      return (await import('./launchd.ts')).openLaunchd(place)
    case null:
      throw new PaiosError('init-unavailable', `there is neither systemd nor launchd on ${process.platform}`)
  }
}

/** The unit's or plist's path if this home is installed, null if it is not. Costs one look at one file. */
export function installedFile(place: Place): string | null {
  const init = initOf()
  if (init === null) return null
  const file = init === 'systemd' ? place.unitPath : place.plistPath
  return existsSync(file) ? file : null
}
