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
  /** Only these of the seed's faults strike, by number from 0; all of them unless set. */
  readonly only?: ReadonlySet<number>
}

/** How a seed ended. `violation` is null if every promise was kept; `story` is its tail, or all of it if asked for. */
export type Outcome = {
  readonly seed: number
  readonly violation: string | null
  readonly story: readonly string[]
  readonly events: number
  readonly lives: number
  /** How many faults were due. */
  readonly faults: number
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** Preflight, start budget, drain, kill, sweep and backoff of one service, at their longest. */
const ONE_START_MS = 15 * 60_000

/** Faults at random instants; what each draws is its own, so that leaving one out changes none of the others. */
function addFaults(
  world: World,
  seed: number,
  end: number,
  meanMs: number,
  only: Options['only'],
): () => number {
  const schedule = new Dice(seed ^ 0x2f6e_2b1)
  let count = 0
  const next = () => {
    world.later(-Math.log(1 - schedule.next()) * meanMs, () => {
      if (world.at >= end) return
      const number = count++
      const own = new Dice(Math.imul(seed, 0x1_0001) + number)
      if (only === undefined || only.has(number)) world.withDice(own, () => strike(world))
      next()
    })
  }
  next()
  return () => count
}

/** After the last fault everything that waits does so on a timer: the latest one, then each level of needs in turn. */
function convergenceMs(world: World): number {
  let latest = world.at
  for (const child of world.mesh.children.values()) {
    for (const timer of Object.values(child.timers)) latest = Math.max(latest, timer.at)
  }
  for (const { open } of world.mesh.breakers.values()) latest = Math.max(latest, open?.retryAt ?? 0)
  return latest - world.at + world.mesh.children.size * ONE_START_MS + HOUR_MS
}

function live(
  world: World,
  seed: number,
  { days, faultsPerDay, only }: Options,
  counted: (faults: () => number) => void,
): void {
  world.startSupervisor()
  world.runUntil(10 * 60_000)
  const end = days * DAY_MS
  counted(addFaults(world, seed, end, DAY_MS / faultsPerDay, only))
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
  let faults = () => 0
  try {
    live(world, seed, options, (count) => {
      faults = count
    })
  } catch (error) {
    violation =
      error instanceof Violation
        ? error.message
        : `the core or the world threw: ${String(error instanceof Error ? error.stack : error)}`
    world.tell(`!! ${violation}`)
  }
  return { seed, violation, story: world.story, events: world.steps, lives: world.lives, faults: faults() }
}

/** The promise that was broken, without who broke it. */
const kindOf = (violation: string | null) => violation?.replace(/\b(s|n|group)\d+\b|\d+/g, '').split('\n')[0]

/**
 * A failing seed with fewer faults: halves, quarters and so on of them are left out as long as the same promise is
 * broken. Null if the seed keeps all promises.
 */
export function shrink(
  seed: number,
  options: Options,
): { readonly only: number[]; readonly outcome: Outcome } | null {
  let outcome = runSeed(seed, options)
  const broken = kindOf(outcome.violation)
  if (broken === undefined) return null
  let only = Array.from({ length: outcome.faults }, (_, number) => number)
  for (let size = Math.ceil(only.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < only.length; ) {
      const fewer = [...only.slice(0, from), ...only.slice(from + size)]
      const tried = runSeed(seed, { ...options, only: new Set(fewer) })
      if (kindOf(tried.violation) === broken) {
        only = fewer
        outcome = tried
      } else from += size
    }
  }
  return { only, outcome }
}
