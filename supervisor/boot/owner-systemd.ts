/** Units of this user's systemd that are not ours. Tried on systemd 252. */
import { lstatSync, readFileSync } from 'node:fs'
import { unitIn } from '../../probes/process-table.ts'
import { PaiosError } from '../errors.ts'
import { lineage, type Owner, type Owners } from './owner.ts'
import { failureOf, showUnit, systemctl } from './systemd.ts'

/** What systemd itself may need beside the unit's own time. */
const SLACK_MS = 30_000
/** For a unit that may take for ever to stop. */
const LONGEST_STOP_MS = 600_000
const PROPERTIES = [
  'LoadState',
  'UnitFileState',
  'ActiveState',
  'MainPID',
  'FragmentPath',
  'TimeoutStopUSec',
  'TriggeredBy',
]
const UNIT_MS: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  min: 60_000,
  s: 1_000,
  ms: 1,
}

/** Asks `systemctl --user`. */
export const systemdOwners: Owners = {
  init: 'systemd',
  async nameOf(pid, table) {
    const found = unitIn(cgroupOf(pid))
    if (found === null) return null
    if (found.isOfSystem) {
      const why = `pid ${pid} belongs to ${found.name} of the system's systemd, which this user cannot hand over`
      throw new PaiosError('refused', `${why}: stop it there (sudo systemctl disable --now ${found.name})`)
    }
    // The name is that of a cgroup; that the unit runs this process is what its main process says.
    const owner = await look(found.name)
    return owner?.pid && lineage(pid, table).includes(owner.pid) ? found.name : null
  },
  contains: ({ name }, pid) => unitIn(cgroupOf(pid))?.name === name,
  look,
  async halt({ name, isEnabled, stopLimitMs }) {
    const words = isEnabled ? ['disable', '--now', name] : ['stop', name]
    await must(words, stopLimitMs + SLACK_MS)
    // One that was ended by a signal counts as failed, which would be shown for ever.
    await systemctl(['reset-failed', name])
  },
  async restore({ name, isEnabled, isActive }) {
    await must(['daemon-reload'])
    const now = await look(name)
    if (isEnabled && now?.isEnabled !== true) await must(['enable', name])
    if (!isActive || now?.isActive === true) return
    await systemctl(['reset-failed', name])
    await must(['start', name])
  },
}

async function must(words: readonly string[], limitMs?: number): Promise<void> {
  const why = failureOf(words, await systemctl(words, limitMs))
  if (why !== null) throw new PaiosError('takeover-failed', why)
}

async function look(name: string): Promise<Owner | null> {
  const value = await showUnit(name, PROPERTIES)
  if (value('LoadState') === 'not-found') return null
  const [state, file, pid] = [value('UnitFileState'), value('FragmentPath'), Number(value('MainPID'))]
  return {
    init: 'systemd',
    name,
    file,
    isEnabled: state === 'enabled',
    isActive: value('ActiveState') === 'active' || value('ActiveState') === 'activating',
    pid: pid > 0 ? pid : null,
    stopLimitMs: spanMs(value('TimeoutStopUSec')),
    obstacle: obstacleOf(name, { state, file, triggers: value('TriggeredBy') }),
  }
}

type Seen = { readonly state: string; readonly file: string; readonly triggers: string }

/** What `disable` and `enable` would not bring back as it was, or what would start it all the same. */
function obstacleOf(name: string, { state, file, triggers }: Seen): string | null {
  if (triggers !== '') return `${triggers} would start ${name} again: disable that first`
  if (state !== 'enabled' && state !== 'disabled')
    return `${name} is '${state || 'transient'}' and can be neither disabled nor enabled`
  const stat = lstatSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return `the file of ${name} is gone: ${file}`
  return stat.isSymbolicLink() ? `${file} is a link, which a disable would remove` : null
}

/** `5min 30s` as milliseconds. */
function spanMs(text: string): number {
  const parts = [...text.matchAll(/(\d+)(min|ms|[dhs])\b/g)]
  const sum = parts.reduce((total, [, count, unit]) => total + Number(count) * UNIT_MS[unit!]!, 0)
  return parts.length === 0 ? LONGEST_STOP_MS : Math.min(sum, LONGEST_STOP_MS)
}

function cgroupOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  } catch {
    // It has ended meanwhile, so nobody runs it.
    return ''
  }
}
