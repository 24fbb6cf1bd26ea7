/** Everything bad that a day can bring. Each fault strikes the world once and says in words what it did. */

import { leaders } from './answers.ts'
import { CODES, randomGroup, randomProgram, randomSpec } from './mesh.ts'
import type { World } from './world.ts'

type Fault = { readonly weight: number; readonly strike: (world: World) => string }

const MINUTE = 60_000
const HOUR = 3_600_000

const anyService = (world: World) => world.dice.pick(world.plan.specs).spec.name

/** Makes something be wrong with a service for a while. */
function trouble(
  world: World,
  field:
    | 'crash'
    | 'slow'
    | 'preflight'
    | 'spawn'
    | 'broken'
    | 'deaf'
    | 'leaky'
    | 'stubborn'
    | 'sweep'
    | 'down'
    | 'unreadable',
  lowMs: number,
  highMs: number,
): string {
  const name = anyService(world)
  const ms = world.dice.duration(lowMs, highMs)
  world.trouble(name)[`${field}Until`] = world.at + ms
  world.answers.wakeProbes(name)
  return `${name}: ${field} for ${Math.round(ms / 1000)} s`
}

function crash(world: World): string {
  const [proc] = [world.dice.pick([...leaders(world), null])]
  if (!proc) return 'nobody crashes'
  const code = world.dice.pick([
    CODES.failure,
    CODES.failure,
    CODES.success,
    CODES.planned,
    CODES.fatal,
    null,
  ])
  world.answers.exit(proc, code, code === null ? 'SIGSEGV' : null)
  return `${proc.service}: exits with ${code ?? 'SIGSEGV'}`
}

/** The services of a group end one after another, faster than its budget allows, if it has one. */
function groupCrashes(world: World): string {
  const { dice, plan } = world
  const group = dice.pick([...plan.groups, null])
  if (!group) return 'no group crashes'
  const inside = new Set(plan.specs.flatMap(({ spec }) => (spec.group === group.name ? [spec.name] : [])))
  for (let i = dice.between(2, 6); i > 0; i--) {
    world.later(dice.duration(10, 40_000), () => {
      const living = leaders(world).filter(({ service }) => inside.has(service))
      const proc = dice.pick([...living, null])
      if (proc) world.answers.exit(proc, CODES.failure, null)
    })
  }
  return `${group.name}: its services crash`
}

/** An operator sees the trouble and acts on it, most likely while the service waits for its next start. */
function interveneIn(world: World, name: string): void {
  const { dice } = world
  const command = dice.pick([
    { kind: 'start', name },
    { kind: 'stop', name, forMs: null, withDependents: true, now: false },
    { kind: 'stop', name, forMs: 60_000, withDependents: true, now: dice.chance(0.5) },
  ] as const)
  world.later(dice.duration(500, 5 * MINUTE), () => world.ask(command))
}

function crashLoop(world: World): string {
  const name = anyService(world)
  const found = world.trouble(name)
  found.crashCode = world.dice.pick([
    CODES.failure,
    CODES.failure,
    CODES.failure,
    CODES.success,
    CODES.fatal,
    null,
  ])
  found.crashUntil = world.at + world.dice.duration(5_000, 2 * HOUR)
  for (const proc of leaders(world))
    if (proc.service === name) world.answers.exit(proc, found.crashCode, null)
  if (world.dice.chance(0.5)) interveneIn(world, name)
  return `${name}: crash loop with ${found.crashCode}`
}

function hang(world: World, field: 'hungUntil' | 'notReadyUntil'): string {
  const proc = world.dice.pick([...leaders(world), null])
  if (!proc) return 'nobody hangs'
  proc[field] = world.at + world.dice.duration(5_000, 3 * HOUR)
  proc.ignoresTerm ||= world.dice.chance(0.3)
  world.answers.wakeProbes(proc.service)
  return `${proc.service}: ${field} +${Math.round((proc[field] - world.at) / 1000)} s`
}

/** Its life hangs, and so does every new one, soon after its start; some do not hear SIGTERM either. */
function hangLoop(world: World): string {
  const name = anyService(world)
  const found = world.trouble(name)
  found.hangUntil = world.at + world.dice.duration(MINUTE, HOUR)
  if (world.dice.chance(0.5)) found.deafUntil = found.hangUntil
  for (const proc of leaders(world)) if (proc.service === name) proc.hungUntil = found.hangUntil
  world.answers.wakeProbes(name)
  return `${name}: hangs again and again for ${Math.round((found.hangUntil - world.at) / 1000)} s`
}

function preflight(world: World): string {
  const text = trouble(world, 'preflight', 5_000, HOUR)
  const found = world.trouble(text.split(':')[0] ?? '')
  found.preflight = world.dice.pick(['fail', 'unknown', 'absent', 'hang'])
  // A canary that could not be started says so; whether the program is gone, the preflight finds out.
  const service = text.split(':')[0] ?? ''
  if (world.dice.chance(0.5)) world.dispatch({ kind: 'child', service, event: { kind: 'program-gone' } })
  return `${text} (${found.preflight})`
}

function spawn(world: World): string {
  const text = trouble(world, 'spawn', 1_000, 10 * MINUTE)
  const found = world.trouble(text.split(':')[0] ?? '')
  found.isSpawnPermanent = world.dice.chance(0.3)
  return text
}

function slow(world: World): string {
  const text = trouble(world, 'slow', 5_000, HOUR)
  world.trouble(text.split(':')[0] ?? '').isProgressing = world.dice.chance(0.5)
  return text
}

/** A service or a group, rarely a name that nobody has. */
function anyName(world: World): string {
  if (world.dice.chance(0.02)) return 'nobody'
  if (world.plan.groups.length > 0 && world.dice.chance(0.2)) return world.dice.pick(world.plan.groups).name
  return anyService(world)
}

function operate(world: World): string {
  const { dice } = world
  const name = anyName(world)
  const kind = dice.pick(['start', 'start', 'stop', 'stop', 'restart'] as const)
  const now = dice.chance(0.3)
  if (kind === 'start') world.ask({ kind, name })
  else if (kind === 'stop') {
    const forMs = dice.chance(0.4) ? dice.duration(1_000, 3 * HOUR) : null
    world.ask({ kind, name, forMs, withDependents: dice.chance(0.7), now })
  } else for (let i = dice.chance(0.2) ? 20 : 1; i > 0; i--) world.ask({ kind, name, now, preflight: {} })
  return `operator: ${kind} ${name}`
}

/** Commands in quick succession on one name, at the worst moments of its life. */
function nag(world: World): string {
  const { dice } = world
  const name = anyName(world)
  for (let i = dice.between(3, 8); i > 0; i--) {
    const command = dice.pick([
      { kind: 'start', name },
      {
        kind: 'stop',
        name,
        forMs: dice.chance(0.5) ? dice.duration(10, 5_000) : null,
        withDependents: dice.chance(0.7),
        now: dice.chance(0.3),
      },
      { kind: 'restart', name, now: dice.chance(0.3), preflight: {} },
    ] as const)
    world.later(dice.duration(1, 20_000), () => world.ask(command))
  }
  return `operator: nags ${name}`
}

/** An operator reacts to a state: the command comes while the service is on its way. */
function interfere(world: World): string {
  const { dice } = world
  const busy = [...world.mesh.children.values()].filter(({ state }) =>
    [
      'backoff',
      'checking',
      'queued',
      'spawning',
      'starting',
      'stopping',
      'sweeping',
      'adopting',
      'hung',
      'unknown',
      'failed',
    ].includes(state.kind),
  )
  const child = dice.pick([...busy, null])
  if (!child) return operate(world)
  const { name } = child
  world.ask(
    dice.pick([
      { kind: 'start', name },
      { kind: 'stop', name, forMs: null, withDependents: true, now: dice.chance(0.3) },
      { kind: 'stop', name, forMs: dice.duration(100, HOUR), withDependents: true, now: false },
      { kind: 'restart', name, now: dice.chance(0.3), preflight: {} },
    ] as const),
  )
  return `operator: interferes with ${name} in ${child.state.kind}`
}

function downAndUp(world: World): string {
  world.ask({ kind: 'down' })
  world.later(world.dice.duration(1, 10 * MINUTE), () => world.askUp())
  return 'operator: down, then up'
}

/** The document changes: one service is another, new or gone. */
function edit(world: World): string {
  const { dice, plan } = world
  const specs = plan.specs
  const hash = `edit-${Math.round(world.at)}-${dice.between(0, 9999)}`
  const index = dice.between(0, specs.length - 1)
  const old = specs[index]
  if (!old) return 'nothing to edit'
  const { name } = old.spec
  const isNeeded = specs.some(({ spec }) => spec.needs.some((need) => need.service === name))
  const what = dice.pick(['change', 'change', 'add', 'remove'])
  if (what === 'remove' && !isNeeded && specs.length > 4) specs.splice(index, 1)
  else if (what === 'add' && specs.length < 18) {
    const fresh = randomSpec(
      dice,
      `n${dice.between(0, 99)}`,
      specs.map(({ spec }) => spec),
      plan.groups,
    )
    if (specs.some(({ spec }) => spec.name === fresh.name)) return 'nothing to add'
    specs.push({ spec: fresh, hash })
    plan.programs.set(hash, randomProgram(dice, fresh))
  } else {
    const fresh = randomSpec(
      dice,
      name,
      specs.slice(0, index).map(({ spec }) => spec),
      plan.groups,
    )
    specs[index] = { spec: fresh, hash }
    const fault = dice.pick(['none', 'none', 'crashes', 'never-ready'] as const)
    plan.programs.set(hash, { ...randomProgram(dice, fresh), fault })
  }
  if (world.wanted === 'up') world.declare(dice.chance(0.1))
  return `document: ${what} ${name}`
}

/** The document changes: a group is another one, or a service that is the same otherwise leaves its group. */
function regroup(world: World): string {
  const { dice, plan } = world
  const index = dice.between(0, plan.groups.length - 1)
  const group = plan.groups[index]
  if (!group) return 'no group to change'
  const at = dice.between(0, plan.specs.length - 1)
  const old = plan.specs[at]
  if (old && dice.chance(0.6)) {
    move(world, at, old.spec.group === null ? group.name : null)
  } else plan.groups[index] = randomGroup(dice, group.name, plan.groups.slice(0, index))
  if (world.wanted === 'up') world.declare()
  return `document: ${group.name} changes`
}

/**
 * The document changes: a group is gone. What was inside is in the one around it, or in none, or gone with it; what
 * others need stays.
 */
function ungroup(world: World): string {
  const { dice, plan } = world
  const removed = dice.pick([...plan.groups, null])
  if (!removed) return 'no group to remove'
  const outer = dice.chance(0.5) ? removed.parent : null
  for (const [index, group] of plan.groups.entries())
    if (group.parent === removed.name) plan.groups[index] = { ...group, parent: outer }
  plan.groups.splice(plan.groups.indexOf(removed), 1)
  for (const old of [...plan.specs]) {
    if (old.spec.group !== removed.name) continue
    const index = plan.specs.indexOf(old)
    const isNeeded = plan.specs.some(({ spec }) =>
      spec.needs.some(({ service }) => service === old.spec.name),
    )
    if (!isNeeded && plan.specs.length > 4 && dice.chance(0.3)) plan.specs.splice(index, 1)
    else move(world, index, outer)
  }
  if (world.wanted === 'up') world.declare()
  return `document: ${removed.name} is gone`
}

/** The document changes: a new group around some services. */
function addGroup(world: World): string {
  const { dice, plan } = world
  if (plan.groups.length >= 5) return 'no more groups'
  const name = `group${dice.between(0, 99)}`
  if (plan.groups.some((group) => group.name === name)) return 'nothing to add'
  plan.groups.push(randomGroup(dice, name, plan.groups))
  for (const index of plan.specs.keys()) if (dice.chance(0.3)) move(world, index, name)
  if (world.wanted === 'up') world.declare()
  return `document: ${name} is new`
}

/** A service that is the same otherwise is in another group. */
function move({ at, plan }: World, index: number, group: string | null): void {
  const old = plan.specs[index]
  if (!old) return
  const hash = `${old.hash}-${Math.round(at)}`
  const program = plan.programs.get(old.hash)
  plan.specs[index] = { spec: { ...old.spec, group }, hash }
  if (program) plan.programs.set(hash, program)
}

function sleep(world: World): string {
  const gapMs = world.dice.duration(6_000, 9 * HOUR)
  world.wallOffset += gapMs
  // The network comes late, so that some service does not answer for a while.
  const proc = world.dice.pick([...leaders(world), null])
  if (proc && world.dice.chance(0.5)) {
    proc.hungUntil = Math.max(proc.hungUntil, world.at + world.dice.duration(5_000, 60_000))
    world.later(1_000, () => world.answers.wakeProbes(proc.service))
  }
  world.dispatch({ kind: 'host-woke', gapMs })
  return `host: slept ${Math.round(gapMs / 1000)} s`
}

function setClock(world: World): string {
  const jump = world.dice.duration(1_000, 24 * HOUR) * (world.dice.chance(0.5) ? 1 : -1)
  world.wallOffset += jump
  return `host: wall clock moved by ${Math.round(jump / 1000)} s`
}

function supervisorCrash(world: World): string {
  const { dice } = world
  if (dice.chance(0.3)) {
    world.crash()
    return 'supervisor: killed'
  }
  const state = dice.pick([
    null,
    'checking',
    'queued',
    'spawning',
    'starting',
    'stopping',
    'sweeping',
    'adopting',
  ] as const)
  world.planCrash({ isBeforeSave: dice.chance(0.3), performed: dice.between(0, 6), state })
  return `supervisor: will die in ${state ? `a step into ${state}` : 'its next step'}`
}

function reboot(world: World): string {
  world.crash()
  world.processes.reboot()
  return 'host: reboot'
}

/** The power goes: no process is left, and of the journal what was not flushed for an operator's sake. */
function powerLoss(world: World): string {
  world.crash()
  world.processes.reboot()
  world.losePower()
  return 'host: power lost'
}

/** The journal cannot be written: what it should have is spooled, and nothing is started but in place of a dead one. */
function journalFails(world: World): string {
  world.journalFailsUntil = world.at + world.dice.duration(5_000, 2 * HOUR)
  return `journal: cannot be written for ${Math.round((world.journalFailsUntil - world.at) / 1000)} s`
}

function replaceProgram(world: World): string {
  const service = anyService(world)
  const generation = world.mesh.children.get(service)?.generation ?? 0
  world.dispatch({ kind: 'child', service, event: { kind: 'program-changed', generation, file: '/bin/it' } })
  return `${service}: its program changes on disk`
}

function repeat(world: World): string {
  for (let i = 0; i < 10; i++) world.answers.repeatFact()
  return 'facts: old ones once more'
}

function touch(world: World): string {
  const service = anyService(world)
  world.dispatch({ kind: 'child', service, event: { kind: 'input-changed' } })
  return `${service}: a watched input changed`
}

/** The table of faults. */
const faults: readonly Fault[] = [
  { weight: 12, strike: crash },
  { weight: 6, strike: crashLoop },
  { weight: 4, strike: groupCrashes },
  { weight: 8, strike: (world) => hang(world, 'hungUntil') },
  { weight: 4, strike: (world) => hang(world, 'notReadyUntil') },
  { weight: 4, strike: hangLoop },
  { weight: 4, strike: preflight },
  { weight: 3, strike: spawn },
  { weight: 4, strike: slow },
  { weight: 3, strike: (world) => trouble(world, 'broken', 1_000, HOUR) },
  { weight: 3, strike: (world) => trouble(world, 'deaf', 1_000, HOUR) },
  { weight: 3, strike: (world) => trouble(world, 'leaky', 1_000, HOUR) },
  { weight: 1, strike: (world) => trouble(world, 'stubborn', 1_000, 5 * MINUTE) },
  { weight: 1, strike: (world) => trouble(world, 'sweep', 1_000, 10 * MINUTE) },
  { weight: 2, strike: (world) => trouble(world, 'down', 5_000, HOUR) },
  { weight: 3, strike: (world) => trouble(world, 'unreadable', 1_000, 20 * MINUTE) },
  { weight: 12, strike: operate },
  { weight: 4, strike: nag },
  { weight: 10, strike: interfere },
  { weight: 2, strike: downAndUp },
  { weight: 4, strike: edit },
  { weight: 3, strike: regroup },
  { weight: 2, strike: ungroup },
  { weight: 2, strike: addGroup },
  { weight: 3, strike: sleep },
  { weight: 2, strike: setClock },
  { weight: 8, strike: supervisorCrash },
  { weight: 1, strike: reboot },
  { weight: 1, strike: powerLoss },
  { weight: 2, strike: journalFails },
  { weight: 3, strike: replaceProgram },
  { weight: 8, strike: repeat },
  { weight: 2, strike: touch },
]
const total = faults.reduce((sum, fault) => sum + fault.weight, 0)

/** One random fault. */
export function strike(world: World): void {
  let left = world.dice.next() * total
  for (const fault of faults) {
    left -= fault.weight
    if (left >= 0) continue
    world.tell(`** ${fault.strike(world)}`)
    return
  }
}
