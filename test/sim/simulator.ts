/** One seed, one story: a random mesh, days of faults, then peace, then `down`; the checkers watch every step. */
import { emptyMesh, step } from '../../supervisor/core/step.ts'
import { Violation } from './checkers.ts'
import { Dice } from './dice.ts'
import { strike } from './faults.ts'
import { randomMesh } from './mesh.ts'
import { type Core, World } from './world.ts'

/** How long, how bad, and of which core. */
export type Options = {
  readonly days: number
  readonly faultsPerDay: number
  readonly core?: Core
  readonly tellsAll?: boolean
}

/** How a seed ended. `violation` is null if every promise was kept; `story` is its tail, or all of it if asked for. */
export type Outcome = {
  readonly seed: number
  readonly violation: string | null
  readonly story: readonly string[]
  readonly events: number
  readonly lives: number
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** Preflight, start budget, drain, kill, sweep and backoff of one service, at their longest. */
const ONE_START_MS = 15 * 60_000

function addFaults(world: World, end: number, meanMs: number): void {
  const next = () => {
    world.later(-Math.log(1 - world.dice.next()) * meanMs, () => {
      if (world.at >= end) return
      strike(world)
      next()
    })
  }
  next()
}

/** After the last fault everything that waits does so on a timer: the latest one, then each level of needs in turn. */
function convergenceMs(world: World): number {
  let latest = world.at
  for (const child of world.mesh.children.values()) {
    for (const timer of Object.values(child.timers)) latest = Math.max(latest, timer.at)
  }
  return latest - world.at + world.mesh.children.size * ONE_START_MS + HOUR_MS
}

function live(world: World, { days, faultsPerDay }: Options): void {
  world.startSupervisor()
  world.runUntil(10 * 60_000)
  const end = days * DAY_MS
  addFaults(world, end, DAY_MS / faultsPerDay)
  world.runUntil(end)
  world.endTroubles()
  world.tell('** no more faults')
  world.runUntil(end + 10 * 60_000)
  world.askUp(true)
  world.runUntil(world.at + convergenceMs(world))
  world.checkers.converged()
  world.ask({ kind: 'down' })
  world.runUntil(world.at + world.mesh.children.size * ONE_START_MS)
  if (world.life !== null) throw new Violation('`down` does not end')
}

/** Runs one seed; the same seed and options give the same story. */
export function runSeed(seed: number, options: Options): Outcome {
  const dice = new Dice(seed)
  const world = new World(dice, randomMesh(dice), options.core ?? { step, emptyMesh }, options.tellsAll)
  let violation: string | null = null
  try {
    live(world, options)
  } catch (error) {
    violation =
      error instanceof Violation
        ? error.message
        : `the core or the world threw: ${String(error instanceof Error ? error.stack : error)}`
    world.tell(`!! ${violation}`)
  }
  return { seed, violation, story: world.story, events: world.steps, lives: world.lives }
}
