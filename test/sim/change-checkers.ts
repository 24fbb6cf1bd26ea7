/** What a changed document promises: what did not change is left alone, and what was rejected is not tried again. */
import type { Event } from '../../supervisor/core/event.ts'
import type { Child } from '../../supervisor/core/state.ts'
import type { Stepped } from '../../supervisor/core/step.ts'
import { isRefused } from './rules.ts'
import type { World } from './world.ts'

/** Right after a step. */
export function checkChange(
  world: World,
  event: Event,
  { effects, changes }: Stepped,
  fail: (text: string) => never,
): void {
  const { children } = world.mesh
  for (const effect of effects) {
    const child = effect.kind === 'spawn' ? children.get(effect.service) : undefined
    if (child && child.specHash === child.rejected?.hash)
      fail(`${child.name}: started by a declaration that was rejected`)
  }
  if (event.kind !== 'declared') return
  const declared = new Map(event.specs.map(({ spec, hash }) => [spec.name, hash]))
  for (const [name, before] of changes) {
    const child = children.get(name)
    if (!before || !child || declared.get(name) !== before.specHash || before.nextSpec !== null) continue
    if (
      isLife(before) &&
      !isRefused(before, world.mesh) &&
      before.pendingStop === null &&
      runOf(child) !== runOf(before)
    )
      fail(`${name}: did not change in the document, and yet its process was touched`)
  }
}

const isLife = ({ state }: Child) => state.kind === 'running' || state.kind === 'starting'
/** The process, as long as it is meant to go on. */
const runOf = (child: Child) => (isLife(child) && 'process' in child.state ? child.state.process.run : null)
