/** Copies of the core with one planted bug each: the checkers are only worth what they catch. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Core } from './world.ts'

/** One text replaced in one file of the core. */
export type Mutant = {
  readonly bug: string
  readonly file: string
  readonly from: string
  readonly to: string
}

/** Bugs that supervisors really had, and some that this core had. */
export const mutants: readonly Mutant[] = [
  {
    bug: 'a restart that does not wait for the exit',
    file: 'child.ts',
    from: "return beginStop(calm, scope, cause, 'restart', why[event.cause], event.now)",
    to: "return tryStart(beginStop(calm, scope, cause, 'restart', why[event.cause], event.now), scope, 'manual')",
  },
  {
    bug: 'a stale timer obeyed',
    file: 'child.ts',
    from: 'if (child.timers[event.timer]?.token !== event.token) return child',
    to: 'if (child.state.kind === event.kind) return child',
  },
  {
    bug: 'a stop lost during backoff',
    file: 'operator.ts',
    from: 'const child = scope.mesh.children.get(name)\n  if (!child) return\n  const cleared',
    to: "const child = scope.mesh.children.get(name)\n  if (!child || (desired.kind === 'stopped' && child.state.kind === 'backoff')) return\n  const cleared",
  },
  {
    bug: 'a start although a need went down while the preflights ran',
    file: 'starting.ts',
    from: 'if (unmetNeeds(child, scope).length > 0) return tryStart(child, scope, cause)',
    to: '',
  },
  {
    bug: 'a timer of the unknown state that lives on after the adoption',
    file: 'scope.ts',
    from: "if (timer === 'unstop') timers[timer] = set",
    to: "if (timer === 'unstop' || timer === 'retry') timers[timer] = set",
  },
  {
    bug: 'no sweep between two lives',
    file: 'stopping.ts',
    from: "kind: 'sweep',",
    to: "kind: 'close-probes',",
  },
  {
    bug: 'a budget that is never used up',
    file: 'intensity.ts',
    from: 'return events.length > max',
    to: 'return events.length > max + 1',
  },
  {
    bug: 'a need that is stopped before its dependent',
    file: 'tree.ts',
    from: "if (hasProcess(child) && hasUnwantedDependents(child, scope)) return 'later'",
    to: '',
  },
]

const CORE = new URL('../../supervisor/core/', import.meta.url)

/** The core with this bug, loaded from a copy in a temporary folder. Throws if its text is no longer there. */
export async function loadMutant({ bug, file, from, to }: Mutant): Promise<Core> {
  const folder = mkdtempSync(join(tmpdir(), 'paios-mutant-'))
  cpSync(CORE, folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const path = join(folder, file)
  const text = readFileSync(path, 'utf8')
  if (!text.includes(from)) throw new Error(`${file} does not hold the text that "${bug}" replaces`)
  writeFileSync(path, text.replace(from, to))
  const core = (await import(pathToFileURL(join(folder, 'step.ts')).href)) as Core
  rmSync(folder, { recursive: true })
  return core
}
