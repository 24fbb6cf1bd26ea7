/** What the pace of starts promises, counted from outside: no storm, and no wait without one. */
import type { Event } from '../../supervisor/core/event.ts'
import type { Stepped } from '../../supervisor/core/step.ts'
import type { World } from './world.ts'

/** So many starts back are looked at; a storm that is longer is one in its parts, too. */
const REMEMBERED = 100

export class PaceCheckers {
  readonly #world: World
  readonly #fail: (text: string) => never
  /** When this supervisor has started something, oldest first. */
  #starts: number[] = []

  constructor(world: World, fail: (text: string) => never) {
    this.#world = world
    this.#fail = fail
  }

  /** A new supervisor begins with a full bucket. */
  begin(): void {
    this.#starts = []
  }

  after({ at }: Event, { effects, changes }: Stepped): void {
    const { burst, perSecond } = this.#world.plan.startLimit
    const last = this.#starts.at(-1) ?? Number.NEGATIVE_INFINITY
    for (const effect of effects) {
      if (effect.kind !== 'spawn') continue
      this.#starts = [...this.#starts, at].slice(-REMEMBERED)
      for (const [index, from] of this.#starts.entries()) {
        const count = this.#starts.length - index
        if (count > burst + ((at - from) * perSecond) / 1000 + 1e-6)
          this.#fail(`${count} starts within ${Math.round(at - from)} ms`)
      }
    }
    for (const [name, before] of changes) {
      const { children } = this.#world.mesh
      if (children.get(name)?.state.kind !== 'queued' || before?.state.kind === 'queued') continue
      const isAlone = [...children.values()].every(
        (child) => child.name === name || child.state.kind !== 'queued',
      )
      if (isAlone && !effects.some(({ kind }) => kind === 'spawn') && at - last >= 1000 / perSecond + 1)
        this.#fail(`${name}: waits for a turn although nothing else was started`)
    }
  }
}
