/**
 * What has systemd or launchd run the sentinel every minute. Its script is copied into the home as it is: it must
 * work where the version in force does not. Pure: settings in, text out; the ports say how it is switched on.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderPlist } from '../../launchd/plist.ts'
import { percent, word } from '../export/systemd.ts'
import { ROOT } from '../version.ts'
import { textOf, writeIfOther } from './files.ts'
import type { Place } from './place.ts'

/** Seconds between two looks. */
const EVERY_S = 60
/** Where systems keep curl and the like. */
export const SENTINEL_PATH = '/usr/bin:/bin:/usr/sbin:/sbin'

/** A file as it has to be. */
export type SentinelFile = readonly [path: string, text: string]

/** How the sentinel is switched on and off. */
export type SentinelPort = {
  readonly files: readonly SentinelFile[]
  /** Repeating it does no harm. Throws install-failed. */
  enable(): Promise<void>
  /** Called before its files are removed. */
  disable(): Promise<void>
}

/** The script, for the home. */
export const sentinelScript = (): string => readFileSync(join(ROOT, 'bin', 'sentinel.sh'), 'utf8')

/** Puts the script of another version in place where there is one. Returns the way back. */
export function renewSentinel({ sentinel, versions }: Place, version: string): () => void {
  const text = textOf(join(versions, version, 'app', 'bin', 'sentinel.sh'))
  if (text === null || textOf(sentinel) === null) return () => undefined
  return writeIfOther(sentinel, text, 0o755) ?? (() => undefined)
}

/** The service and its timer; a timer of systemd counts no time asleep. */
export function sentinelUnits({ home, sentinel, unit, sentinelUnitPath }: Place): SentinelFile[] {
  const argv = ['/bin/sh', sentinel, home, 'systemd', unit].map((one) => word(one).replaceAll('$', '$$$$'))
  const head = '# Written by paios install; paios uninstall removes it.'
  const service = `${head}
[Unit]
Description=PAIOS sentinel (${percent(home)})

[Service]
Type=oneshot
ExecStart=${argv.join(' ')}
Environment=${word(`PATH=${SENTINEL_PATH}`)}
UMask=0077
`
  const timer = `${head}
[Unit]
Description=PAIOS sentinel, every minute (${percent(home)})

[Timer]
OnActiveSec=${EVERY_S}
OnUnitActiveSec=${EVERY_S}
AccuracySec=5

[Install]
WantedBy=timers.target
`
  return [
    [`${sentinelUnitPath}.service`, service],
    [`${sentinelUnitPath}.timer`, timer],
  ]
}

/** The agent of launchd. Tried against a model of it, not on a Mac. */
export function sentinelAgent({
  home,
  sentinel,
  label,
  sentinelLabel,
  sentinelPlistPath,
}: Place): SentinelFile {
  const text = renderPlist({
    Label: sentinelLabel,
    ProgramArguments: ['/bin/sh', sentinel, home, 'launchd', label],
    StartInterval: EVERY_S,
    ProcessType: 'Background',
    LimitLoadToSessionType: ['Aqua', 'Background'],
    Umask: 63,
    EnvironmentVariables: { PATH: SENTINEL_PATH },
  })
  return [sentinelPlistPath, text]
}
