/**
 * What `paios doctor` makes of what it has seen: facts in, findings out. Pure, so that each finding has a
 * test without a machine that has the fault.
 */
import { desktopFindings } from './desktop-findings.ts'
import { type SentinelFacts, sentinelFindings } from './sentinel-findings.ts'
import { type TakeoverFacts, takeoverFindings } from './takeover-findings.ts'

/** `wrong` makes doctor exit with 1; a `note` is as it was meant, and worth knowing. */
export type Finding = {
  readonly id: string
  readonly level: 'wrong' | 'note'
  readonly what: string
  readonly where: string
  readonly remedy: string
}

/** Everything that was looked at. null stands for what could not be told or does not apply. */
export type Facts = {
  readonly home: string
  readonly boot: BootFacts
  readonly running: RunningFacts | null
  /** The mesh was taken down by `paios down`. */
  readonly isTakenDown: boolean
  /** A keeper is recorded that does not live any more, and none has followed it. */
  readonly isKeeperStale: boolean
  readonly versions: {
    readonly current: { readonly id: string; readonly node: string } | null
    /** versions/current is there and leads nowhere. */
    readonly isBroken: boolean
    /** The version of the paios that asks; null for a copy in force. */
    readonly asking: string | null
  }
  /** Why the document is no valid one, null if it is. */
  readonly document: { readonly path: string; readonly problem: string | null }
  readonly services: readonly ServiceFacts[]
  readonly takeover: TakeoverFacts
  readonly sentinel: SentinelFacts
  /** Files and folders that others may read or that belong to somebody else. */
  readonly exposed: readonly {
    readonly path: string
    readonly why: 'others' | 'owner'
    readonly isFolder: boolean
    /** No folder above keeps others out. */
    readonly isReached: boolean
  }[]
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | null
  /** Why nothing can be shown on the screen where the document wants it. */
  readonly desktop: string | null
}

type BootFacts = {
  readonly init: 'systemd' | 'launchd' | null
  readonly file: string | null
  readonly isInstalled: boolean
  /** The file has other bytes than `paios install` would write. */
  readonly isDrifted: boolean
  /** Others may write it, so launchd refuses it. */
  readonly isWritable: boolean
  readonly isKnown: boolean | null
  readonly isEnabled: boolean | null
  readonly pid: number | null
  readonly problem: string | null
  /** Why systemd or launchd cannot be asked; null if it can. */
  readonly unreachable: string | null
  readonly name: string | null
  readonly look: string | null
  readonly lingers: boolean | null
  readonly caveat: string | null
}

type RunningFacts = {
  readonly pid: number
  readonly under: 'init' | 'keeper' | 'nobody'
  readonly copy: string | null
  readonly keeper: 'running' | 'gone' | 'none'
  readonly documentProblem: string | null
  readonly stopped: readonly { readonly name: string; readonly since: string }[]
}

type ServiceFacts = {
  readonly name: string
  readonly missingSecrets: readonly { readonly reference: string; readonly trouble: string }[]
  /** Its program if it is found on this shell's PATH and not on the one that it has after a boot. */
  readonly programOffPath: string | null
  /** Its command names a copy of paios that an upgrade will remove. */
  readonly usesCopy: string | null
}

const MIB = 1024 ** 2
/** A journal, logs and one more copy of paios need this much. */
const DISK_WRONG_BYTES = 512 * MIB
const DISK_NOTE_BYTES = 2_048 * MIB
/** What the program needs; see bin/paios.mjs. */
const NODE_MAJOR = 26

/** Every finding, what is wrong first, each group in the order of the checks. */
export function findingsOf(facts: Facts): Finding[] {
  const all = [
    ...bootFindings(facts),
    ...runningFindings(facts),
    ...versionFindings(facts),
    ...documentFindings(facts),
    ...facts.services.flatMap((service) => serviceFindings(service, facts)),
    ...takeoverFindings(facts.takeover),
    ...sentinelFindings(facts),
    ...facts.exposed.map(exposedFinding),
    ...diskFindings(facts),
    ...desktopFindings(facts),
  ]
  const rank = ({ level }: Finding) => (level === 'wrong' ? 0 : 1)
  return all.toSorted((a, b) => rank(a) - rank(b))
}

const wrong = (id: string, what: string, where: string, remedy: string): Finding => ({
  id,
  level: 'wrong',
  what,
  where,
  remedy,
})
const note = (...[id, what, where, remedy]: Parameters<typeof wrong>): Finding => ({
  ...wrong(id, what, where, remedy),
  level: 'note',
})

function bootFindings({ boot, home }: Facts): Finding[] {
  const { init, name, look } = boot
  const file = boot.file ?? home
  if (init === null) {
    return [
      wrong(
        'no-init',
        'nothing starts the mesh after a reboot: there is neither systemd nor launchd',
        home,
        'paios up',
      ),
    ]
  }
  if (!boot.isInstalled) {
    const what = `nothing starts the mesh after a reboot or a new login: ${init} does not know it`
    return [wrong('not-installed', what, file, 'paios install')]
  }
  const found: Finding[] = []
  if (boot.isDrifted) {
    found.push(
      wrong(
        'drift',
        'it is not what paios install would write',
        file,
        'paios install --dry-run, then paios install',
      ),
    )
  }
  if (boot.isWritable)
    found.push(wrong('writable', `others may write it, so ${init} may refuse it`, file, 'paios install'))
  if (boot.unreachable !== null) {
    return [
      ...found,
      wrong('init-unreachable', boot.unreachable, file, 'look from a login session of this user'),
    ]
  }
  if (boot.isKnown === false)
    found.push(wrong('not-loaded', `${init} has not loaded ${name}`, file, 'paios install'))
  if (boot.isEnabled === false) {
    found.push(
      wrong('not-enabled', `${name} is disabled: it does not start at a login`, file, 'paios install'),
    )
  }
  if (boot.problem !== null) {
    found.push(
      wrong(
        'init-failed',
        `${name} does not stay up: ${boot.problem}`,
        look ?? file,
        'read logs/supervisor/boot.log',
      ),
    )
  }
  if (boot.lingers === false) {
    const what = 'the mesh starts at a login and ends with the last logout: this user does not linger'
    found.push(wrong('no-linger', what, '/var/lib/systemd/linger', 'loginctl enable-linger'))
  }
  if (init === 'launchd') {
    const what = 'the mesh starts at a login, not at boot; with FileVault on, the Mac waits for one'
    found.push(note('login-only', what, file, 'log in after a reboot, or turn automatic login on'))
  }
  if (boot.caveat !== null) found.push(note('untried', boot.caveat, file, 'paios selftest launchd'))
  return found
}

function runningFindings({ running, boot, isTakenDown, isKeeperStale, home }: Facts): Finding[] {
  if (running === null) {
    if (isTakenDown) return [note('down', 'the mesh is down, and stays so after a reboot', home, 'paios up')]
    const stale = isKeeperStale ? '; its keeper is gone, too' : ''
    return [
      wrong('no-supervisor', `no supervisor runs: nothing is watched or restarted${stale}`, home, 'paios up'),
    ]
  }
  const found: Finding[] = []
  const where = `pid ${running.pid}`
  if (boot.isInstalled && running.under === 'keeper') {
    const what = `the supervisor runs under a keeper, although ${boot.init} is to look after it`
    found.push(wrong('not-under-init', what, where, 'paios install'))
  }
  if (running.under === 'nobody') {
    found.push(
      wrong(
        'unkept',
        'nobody would start the supervisor again: it runs in a terminal',
        where,
        'paios down, paios up',
      ),
    )
  }
  if (running.keeper === 'gone') {
    found.push(
      wrong(
        'keeper-gone',
        'its keeper is gone; it hands over to one under a new keeper',
        where,
        'paios status',
      ),
    )
  }
  for (const { name, since } of running.stopped) {
    const what = `${name} was stopped by an operator at ${since} and stays so after a reboot`
    found.push(note('stopped', what, name, `paios start ${name}`))
  }
  return found
}

function versionFindings({ versions, running, home, boot }: Facts): Finding[] {
  const { current, isBroken, asking } = versions
  const link = `${home}/versions/current`
  if (isBroken) return [wrong('no-version', 'the version in force is not there', link, 'paios install')]
  if (current === null)
    return boot.isInstalled ? [wrong('no-version', 'no version is in force', link, 'paios install')] : []
  const found: Finding[] = []
  const major = Number(/^v(\d+)\./.exec(current.node)?.[1])
  if (!(major >= NODE_MAJOR)) {
    found.push(
      wrong('node', `${current.id} has Node ${current.node} and needs ${NODE_MAJOR}`, link, 'paios upgrade'),
    )
  }
  if (running !== null && boot.isInstalled && running.copy !== current.id) {
    const what = `the supervisor runs from ${running.copy ?? 'a clone or a package'}, and ${current.id} is in force`
    found.push(wrong('other-version', what, `pid ${running.pid}`, 'paios install'))
  }
  if (asking !== null && boot.isInstalled && asking !== current.id) {
    found.push(
      note('upgrade', `this paios is ${asking}, and ${current.id} is in force`, link, 'paios upgrade'),
    )
  }
  return found
}

function documentFindings({ document, running }: Facts): Finding[] {
  if (document.problem !== null) return [wrong('document', document.problem, document.path, 'paios check')]
  const unapplied = running?.documentProblem ?? null
  return unapplied === null ? [] : [wrong('unapplied', unapplied, document.path, 'paios up')]
}

function serviceFindings(
  { name, missingSecrets, programOffPath, usesCopy }: ServiceFacts,
  facts: Facts,
): Finding[] {
  const found = missingSecrets.map(({ reference, trouble }) =>
    wrong('secret', `${name} cannot start: ${trouble}`, reference, `provide it, then paios start ${name}`),
  )
  if (programOffPath !== null) {
    const what = `${name} will not be found after a reboot: ${programOffPath} is not on the PATH that is written there`
    const remedy = `write the whole path in paios.yaml, or paios uninstall, then paios install`
    found.push(wrong('off-path', what, facts.boot.file ?? name, remedy))
  }
  if (usesCopy !== null) {
    const what = `${name} runs from ${usesCopy}, which an upgrade will remove`
    found.push(wrong('uses-copy', what, facts.document.path, 'write versions/current instead, then paios up'))
  }
  return found
}

function exposedFinding({ path, why, isFolder, isReached }: Facts['exposed'][number]): Finding {
  if (why === 'owner')
    return wrong('owner', 'it belongs to another user', path, `chown it, or set PAIOS_HOME elsewhere`)
  const remedy = `chmod ${isFolder ? '700' : '600'} '${path}'`
  if (isReached) return wrong('exposed', 'other users may read it', path, remedy)
  return note('open-mode', 'its mode lets others read it; only the folder above keeps them out', path, remedy)
}

function diskFindings({ disk, home }: Facts): Finding[] {
  if (disk === null || disk.freeBytes >= DISK_NOTE_BYTES) return []
  const what = `the disk of the home has ${Math.round(disk.freeBytes / MIB)} MiB left`
  const make = disk.freeBytes < DISK_WRONG_BYTES ? wrong : note
  return [make('disk', what, home, 'free some space: services go on, records and logs do not')]
}
