/**
 * Keeps the configuration file of a service whenever the service is ready with it and its own check calls it valid,
 * so that there is something to go back to. A file that is the same as at the last look costs one stat.
 */
import { readFileSync, statSync } from 'node:fs'
import type { ProbeSpec } from '../../schemas/service.ts'
import { probeName } from '../core/health.ts'
import { isUp } from '../core/scope.ts'
import type { Child } from '../core/state.ts'
import { errnoOf } from '../errors.ts'
import { type LastGood, sha256 } from './last-good.ts'
import { expandHome } from './secrets.ts'

/** Files are looked at this often. */
const LOOK_MS = 10_000

type ConfigProbe = Extract<ProbeSpec, { kind: 'config' }>

/** The configuration checks of a service. */
export const configProbes = ({ probes }: Child['spec']): ConfigProbe[] =>
  probes.filter((probe): probe is ConfigProbe => probe.kind === 'config')

export type ConfigKeepingOptions = {
  readonly copies: LastGood
  readonly children: () => Iterable<Child>
  /** One probe of a service once, now; true if it passes. */
  readonly passes: (service: string, probe: string) => Promise<boolean>
  /** A new version was kept. */
  readonly kept: (service: string, text: string) => void
  /** It could not be kept. */
  readonly failed: (service: string, text: string) => void
}

/** Opens the look; `tick` is called every second. */
export function openConfigKeeping({ copies, children, passes, kept, failed }: ConfigKeepingOptions) {
  const seen = new Map<string, string>()
  let nextAt = 0
  let busy = false

  async function look(child: Child, probe: ConfigProbe): Promise<void> {
    const file = expandHome(probe.file)
    const name = probeName(probe)
    const key = `${child.name} ${name}`
    const { mtimeMs, size, ino } = statSync(file)
    const stamp = `${mtimeMs} ${size} ${ino} ${child.generation}`
    if (seen.get(key) === stamp) return
    const bytes = readFileSync(file)
    // What is kept already was found valid, and it is what the service is ready with now.
    const isKnown = copies.newest(child.name, name)?.sha256 === sha256(bytes)
    if (!isKnown) {
      if (!(await passes(child.name, name))) return
      // An edit of this moment was not what the check has read.
      if (sha256(readFileSync(file)) !== sha256(bytes)) return
      copies.keep(child.name, name, file, bytes)
      kept(child.name, `${file}: this version works and is kept (${sha256(bytes).slice(0, 12)})`)
    }
    seen.set(key, stamp)
  }

  return {
    async tick(now: number): Promise<void> {
      if (busy || now < nextAt) return
      busy = true
      nextAt = now + LOOK_MS
      for (const child of [...children()]) {
        if (!isUp(child) || child.state.kind !== 'running') continue
        for (const probe of configProbes(child.spec)) {
          // Its own check has an open complaint: nothing to keep.
          if (child.warnings[probeName(probe)] !== undefined) continue
          try {
            await look(child, probe)
          } catch (error) {
            if (errnoOf(error) === null) throw error
            if (errnoOf(error) !== 'ENOENT')
              failed(child.name, `its configuration cannot be kept: ${(error as Error).message}`)
          }
        }
      }
      busy = false
    },
  }
}
