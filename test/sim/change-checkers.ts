/** What a changed document promises: what did not change is left alone, and what was rejected is not tried again. */
import type { Event } from '../../supervisor/core/event.ts'
import type { Child } from '../../supervisor/core/state.ts'
import type { Stepped } from '../../supervisor/core/step.ts'
import { isUnwanted } from './rules.ts'
import type { World } from './world.ts'

export class ChangeCheckers {
  readonly #world: World
  readonly #fail: (text: string) => never
  /** The hash of the declaration of a service that was not taken and still is the one in the document. */
  readonly #rejected = new Map<string, string>()

  constructor(world: World, fail: (text: string) => never) {
    this.#world = world
    this.#fail = fail
  }

  /** A new supervisor knows what the rows say. */
  begin(): void {
    this.#rejected.clear()
    for (const { name, rejected } of this.#world.rows.values())
      if (rejected) this.#rejected.set(name, rejected.hash)
  }

  /** Right after a step. */
  after(event: Event, { effects, changes }: Stepped): void {
    const { children } = this.#world.mesh
    if (event.kind === 'declared') this.#forget(event)
    for (const effect of effects) {
      const child = effect.kind === 'spawn' ? children.get(effect.service) : undefined
      if (child && child.specHash === this.#rejected.get(child.name))
        this.#fail(`${child.name}: started by a declaration that was rejected`)
    }
    for (const [name, before] of changes) {
      const child = children.get(name)
      if (!child) this.#rejected.delete(name)
      else if (child.rejected && child.rejected !== before?.rejected)
        this.#rejected.set(name, child.rejected.hash)
    }
    if (event.kind === 'declared') this.#checkUntouched(event, changes)
  }

  /** What was rejected may be tried again if somebody asks, and once the document has said something else. */
  #forget({ specs, retry }: Extract<Event, { kind: 'declared' }>): void {
    if (retry) this.#rejected.clear()
    for (const { spec, hash } of specs)
      if (this.#rejected.get(spec.name) !== hash) this.#rejected.delete(spec.name)
  }

  #checkUntouched({ specs }: Extract<Event, { kind: 'declared' }>, changes: Stepped['changes']): void {
    const { mesh } = this.#world
    const declared = new Map(specs.map(({ spec, hash }) => [spec.name, hash]))
    for (const [name, before] of changes) {
      const child = mesh.children.get(name)
      if (!before || !child || declared.get(name) !== before.specHash || before.nextSpec !== null) continue
      if (
        isLife(before) &&
        !isUnwanted(child, mesh) &&
        before.pendingStop === null &&
        runOf(child) !== runOf(before)
      )
        this.#fail(`${name}: did not change in the document, and yet its process was touched`)
    }
  }
}

const isLife = ({ state }: Child) => state.kind === 'running' || state.kind === 'starting'
/** The process, as long as it is meant to go on. */
const runOf = (child: Child) => (isLife(child) && 'process' in child.state ? child.state.process.run : null)
