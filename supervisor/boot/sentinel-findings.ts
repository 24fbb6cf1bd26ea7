/** What `paios doctor` makes of the sentinel: facts in, findings out. */
import type { Facts, Finding } from './findings.ts'

/** What was seen of it. Times: milliseconds. */
export type SentinelFacts = {
  /** A file of it that is not there, the script or what runs it; null if all are. */
  readonly missing: string | null
  /** What runs it and is not as paios install writes it. */
  readonly changed: string | null
  /** Its script is that of another version than the one in force. */
  readonly hasOtherScript: boolean
  /** When it last looked, null where it never has. */
  readonly looked: number | null
  /** Since it last looked, or was installed. */
  readonly quietMs: number
  readonly script: string
  /** The document names a Telegram chat. */
  readonly hasChat: boolean
  /** Why it could not write there, null if it could. */
  readonly mute: Pick<Finding, 'what' | 'where' | 'remedy'> | null
  /** A line for cron that runs it without an installation. */
  readonly byCron: string
}

/** Ten looks were left out. */
const SILENT_MS = 600_000

/** What is wrong with it, or worth knowing. */
export function sentinelFindings({ sentinel, boot }: Pick<Facts, 'sentinel' | 'boot'>): Finding[] {
  const { missing, changed, hasOtherScript, looked, quietMs, script, hasChat, mute, byCron } = sentinel
  const wrong = (id: string, what: string, where: string, remedy: string): Finding => ({
    ...{ id, level: 'wrong', what, where, remedy },
  })
  const muted = mute === null ? [] : [wrong('sentinel-mute', mute.what, mute.where, mute.remedy)]
  if (!boot.isInstalled) {
    // By cron, or whatever else runs it.
    if (looked !== null && quietMs <= SILENT_MS) return muted
    const what = 'nobody is told when the supervisor itself gives no sign of life: no sentinel runs'
    const remedy = `paios install, or without it as a line of crontab -e: ${byCron}`
    return hasChat ? [{ id: 'no-sentinel', level: 'note', what, where: script, remedy }] : []
  }
  if (missing !== null)
    return [wrong('sentinel-missing', 'the sentinel is not installed whole', missing, 'paios install')]
  const found: Finding[] = []
  if (changed !== null)
    found.push(
      wrong('sentinel-drift', 'the sentinel is not run as paios install writes it', changed, 'paios install'),
    )
  if (hasOtherScript)
    found.push(
      wrong(
        'sentinel-other',
        "the sentinel's script is not that of the version in force",
        script,
        'paios install',
      ),
    )
  if (quietMs > SILENT_MS) {
    const minutes = Math.round(quietMs / 60_000)
    const what = `the sentinel has not looked for ${minutes} min (a machine that has just woken needs one)`
    found.push(
      wrong(
        'sentinel-silent',
        what,
        boot.init === 'systemd' ? 'systemctl --user list-timers' : script,
        'paios install, which switches it on again',
      ),
    )
  }
  return [...found, ...muted]
}
