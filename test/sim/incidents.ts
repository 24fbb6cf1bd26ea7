/** One seed, one story of alerting: random faults, an operator, sleep, no network, crashes; then peace. */
import { Dice } from './dice.ts'
import { Violation } from './incident-checkers.ts'
import { TROUBLES } from './incident-subjects.ts'
import { DAY, HOUR, IncidentWorld, MINUTE, type Sabotage, SECOND } from './incident-world.ts'

/** A Monday at noon in Berlin. */
export const START = Date.UTC(2026, 10, 23, 11)

export type IncidentOutcome = {
  readonly seed: number
  readonly violation: string | null
  readonly world: IncidentWorld
}

const nothing = { subject: null, rule: null, severity: null }

/** What can happen, with its weight. */
const HAPPENINGS: readonly { readonly weight: number; readonly happen: (world: IncidentWorld) => void }[] = [
  { weight: 10, happen: (world) => world.fail(world.anyService()) },
  { weight: 6, happen: (world) => world.fail(world.anyService(), 'ServiceDown') },
  { weight: 10, happen: (world) => world.mend(world.anyService()) },
  { weight: 6, happen: (world) => world.trouble() },
  { weight: 6, happen: relieve },
  { weight: 1, happen: machineFails },
  { weight: 3, happen: (world) => world.mendAll() },
  { weight: 2, happen: flap },
  { weight: 1, happen: storm },
  { weight: 3, happen: (world) => world.tell({ kind: 'acknowledged', of: target(world), by: 'me' }) },
  { weight: 3, happen: mute },
  { weight: 1, happen: (world) => world.tell({ kind: 'unmuted', of: target(world), by: 'me' }) },
  { weight: 1, happen: maintain },
  { weight: 2, happen: (world) => world.sleep(world.dice.duration(MINUTE, 14 * HOUR)) },
  { weight: 2, happen: (world) => world.network(!world.isOnline) },
  { weight: 2, happen: repair },
  { weight: 2, happen: question },
  { weight: 1, happen: (world) => world.setImportance(world.anyService(), world.dice.pick(['high', 'low'])) },
  {
    weight: 3,
    happen: (world) => {
      world.crashes = world.dice.between(1, 3)
    },
  },
]
const WEIGHTS = HAPPENINGS.reduce((sum, { weight }) => sum + weight, 0)

function target(world: IncidentWorld): string {
  const { dice, state } = world
  return dice.pick([...state.incidents.keys(), world.anyService(), world.anyService(), 'telegram', '/'])
}

function relieve(world: IncidentWorld): void {
  world.relieve(world.troubles.size > 0 ? world.dice.pick([...world.troubles]) : undefined)
}

/** Much at once that is no service: a full disk takes the journal with it, and the chat is out of reach. */
function machineFails(world: IncidentWorld): void {
  for (const trouble of TROUBLES) if (world.dice.chance(0.5)) world.trouble(trouble)
}

function flap(world: IncidentWorld): void {
  const service = world.anyService()
  for (let i = world.dice.between(2, 12); i > 0; i--) {
    world.fail(service, 'ServiceDown')
    world.pass(world.dice.duration(5 * SECOND, 5 * MINUTE))
    world.mend(service)
    world.pass(world.dice.duration(5 * SECOND, 10 * MINUTE))
  }
}

function storm(world: IncidentWorld): void {
  for (const service of world.services.keys()) if (world.dice.chance(0.8)) world.fail(service)
}

function mute(world: IncidentWorld): void {
  const { dice } = world
  const subject = dice.chance(0.8) ? target(world) : null
  const severity = dice.pick(['warning', 'critical', null, null] as const)
  const matcher = { ...nothing, subject, severity, rule: dice.chance(0.1) ? 'ServiceDown' : null }
  const forMs = dice.duration(MINUTE, 3 * DAY)
  world.tell({ kind: 'muted', matcher, forMs, because: 'I work on it', by: 'me' })
}

function maintain(world: IncidentWorld): void {
  const forMs = world.dice.chance(0.3) ? null : world.dice.duration(MINUTE, DAY)
  world.tell({ kind: 'maintenance-asked', forMs, by: 'me' })
}

function repair(world: IncidentWorld): void {
  const subject = { kind: 'service', name: world.anyService() } as const
  const runbook = subject.name
  world.tell({ kind: 'repair-begun', subject, runbook, verifyMs: 90 * SECOND })
  world.pass(world.dice.duration(SECOND, 3 * MINUTE))
  const isHealed = world.dice.chance(0.6)
  if (isHealed) world.mend(subject.name)
  if (world.dice.chance(0.8))
    world.tell({ kind: 'repair-ended', subject, runbook, isHealed, text: isHealed ? 'healed' : 'no use' })
}

/** Somebody is asked for leave; what is decided is told until it is known, as each next supervisor does. */
function question(world: IncidentWorld): void {
  const { dice } = world
  const id = world.nextQuestion++
  const service = world.anyService()
  if (dice.chance(0.5)) world.fail(service, 'ServiceDown')
  const forMs = 30 * MINUTE
  world.tell({ kind: 'approval-asked', id, service, title: `${service}: restore`, lines: [], forMs })
  world.pass(dice.duration(SECOND, 40 * MINUTE))
  const ways = [['approved', 'executing', 'done'], ['denied'], ['expired'], ['superseded']] as const
  for (const status of dice.pick(ways)) {
    const by = status === 'expired' || status === 'superseded' ? null : 'me'
    world.tell({ kind: 'approval-settled', id, status, by })
    const isOver = status !== 'approved' && status !== 'executing'
    const isKnown = () => !world.state.standing.questions.some((one) => one.id === id)
    while (isOver && !isKnown()) world.tell({ kind: 'approval-settled', id, status, by })
  }
}

function happen(world: IncidentWorld): void {
  let number = world.dice.between(1, WEIGHTS)
  for (const { weight, happen } of HAPPENINGS) {
    number -= weight
    if (number <= 0) return happen(world)
  }
}

/** Runs one story; the same seed gives the same one. */
export function runIncidents(seed: number, days = 1, sabotage?: Sabotage): IncidentOutcome {
  const dice = new Dice(seed)
  const world = new IncidentWorld(dice, dice.between(2, 14), START + dice.between(0, 23) * HOUR, sabotage)
  let violation: string | null = null
  try {
    world.start()
    const end = world.at + days * DAY
    while (world.at < end) {
      happen(world)
      world.pass(dice.duration(SECOND, 3 * HOUR))
    }
    world.crashes = 0
    if (!world.isOnline) world.network(true)
    world.mendAll()
    world.pass(2 * HOUR)
    world.checkers.atPeace()
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    violation = error.message
  }
  return { seed, violation, world }
}
