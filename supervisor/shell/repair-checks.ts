/** The checks of runbooks: what must be so before a step, and what shows that it helped. They change nothing. */
import { statfs } from 'node:fs/promises'
import type { CheckId, RunbookCheck } from '../../schemas/runbook.ts'
import { probeName } from '../core/health.ts'
import type { ConfigRestore } from './config-restore.ts'
import { findHolder } from './port-holder.ts'
import { childOf, hasOwnProcess, portOf, probeOf, type Stage } from './repair-stage.ts'
import { expandHome } from './secrets.ts'
import { lockFiles } from './stale-lock.ts'

/** What a check found, in words. `isFinal`: waiting would not change it. */
export type Checked = { readonly ok: boolean; readonly text: string; readonly isFinal?: true }

type Arguments<K extends CheckId> = Extract<RunbookCheck, { check: K }>['with']
type CheckTable = {
  readonly [K in CheckId]: (service: string, given: Arguments<K>, signal: AbortSignal) => Promise<Checked>
}

/** Nothing that is under way brings a service out of these within a minute. */
const RESTING: ReadonlySet<string> = new Set(['blocked', 'failed', 'missing', 'absent', 'unknown', 'idle'])

const yes = (text: string): Checked => ({ ok: true, text })
const no = (text: string): Checked => ({ ok: false, text })

/** The checks over one stage. */
export function checksOver(stage: Stage, restore: ConfigRestore) {
  const probes = async (service: string, name: string | undefined): Promise<Checked> => {
    const reports = await stage.report(service, name ?? null)
    if (reports.length === 0) return no(name === undefined ? 'it has no probes' : `it has no probe ${name}`)
    const bad = reports.filter(({ result }) => result !== 'pass')
    if (bad.length === 0) return yes(`${reports.map((one) => one.name).join(', ')} pass`)
    return no(bad.map((one) => `${one.name}: ${one.text ?? one.result}`).join('; '))
  }
  const table: CheckTable = {
    async 'service.ready'(service) {
      const shown = stage.show(service)
      const isReady = shown?.ready && shown.state === 'running'
      if (isReady) return yes('it is ready')
      const words = no(`it is ${shown?.state ?? 'gone'}: ${shown?.reason ?? 'not ready'}`)
      return RESTING.has(stage.child(service)?.state.kind ?? 'idle') ? { ...words, isFinal: true } : words
    },
    async 'service.wanted'(service) {
      const child = childOf(stage, service)
      const isWanted =
        stage.isUp() && child.desired.kind === 'running' && child.spec.enabled && !child.removed
      return isWanted ? yes('it is wanted') : no('nobody wants it to run')
    },
    async 'service.down'(service) {
      const pid = stage.show(service)?.pid ?? null
      return hasOwnProcess(childOf(stage, service)) ? no(`it runs as pid ${pid}`) : yes('it has no process')
    },
    'probe.ok': (service, { probe }) => probes(service, probe),
    async 'port.free'(service, given, signal) {
      const port = portOf(childOf(stage, service), given.port)
      const holder = await findHolder(stage, service, port, signal)
      return holder.kind === 'none'
        ? yes(`port ${port} is free`)
        : no(`port ${port} is held${'pid' in holder ? ` by pid ${holder.pid} (${holder.program})` : ''}`)
    },
    async 'lock.free'(service, { probe }) {
      const { file, pidField } = probeOf(childOf(stage, service), 'lock', probe)
      const tree = stage.tree(service)
      const held = lockFiles(stage.table, expandHome(file), pidField).filter(
        ({ pid, isDead }) => !isDead && !(pid !== null && tree.includes(pid)),
      )
      return held[0] === undefined ? yes('no lock is held') : no(`${held[0].path}: ${held[0].why}`)
    },
    'config.valid': (service, { probe }) =>
      probes(service, probeName(probeOf(childOf(stage, service), 'config', probe))),
    async 'config.has_last_good'(service, { probe }) {
      const plan = restore.plan(service, probe)
      return 'refusal' in plan ? no(plan.refusal) : yes(`the version of ${plan.copy.at} is kept`)
    },
    async 'disk.free'(_service, { min }) {
      const { bavail, bsize } = await statfs(stage.home.root)
      const free = bavail * bsize
      return free >= min ? yes(`${free} bytes are free`) : no(`${free} bytes are free, needs ${min}`)
    },
  }
  return (service: string, check: RunbookCheck, signal: AbortSignal): Promise<Checked> => {
    const run = table[check.check] as (
      service: string,
      given: RunbookCheck['with'],
      signal: AbortSignal,
    ) => Promise<Checked>
    return run(service, check.with, signal)
  }
}
