/**
 * kill -9 of the supervisor at random moments, over a fleet of real children. Before each kill some services are
 * asked to start, stop or restart, or are killed themselves, so that the end comes in the middle of spawns and
 * stops. After each kill the keeper's next supervisor must have every untouched child with the pid it had.
 */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { ServiceStatus, Status } from '../../schemas/status.ts'
import { createMesh, fixture, isAlive, kill, type Seen, type TestMesh, until } from '../e2e/mesh.ts'
import { createFleet, type Fleet, PROBE_MARK } from './fleet.ts'

/** What a run is asked for. `tell` hears a line per kill. */
export type ChaosOptions = {
  readonly kills: number
  readonly seed: number
  readonly services: number
  readonly tell: (line: string) => void
}

/**
 * What a run found. Of each kill, sorted: `adoptedMs` until the last untouched child was adopted (by the journal's
 * wall time), `answersMs` until the control socket showed all of them.
 */
export type ChaosReport = {
  readonly kills: number
  /** Kills that were followed by another, of the next supervisor while it still recovered. */
  readonly again: number
  /** Untouched children that kept their pid, summed over the kills. */
  readonly adopted: number
  /** Services that were asked for something, or killed, in the moment before a kill. */
  readonly upset: number
  /** What broke a promise, in words; empty if nothing did. */
  readonly violations: readonly string[]
  readonly adoptedMs: readonly number[]
  readonly answersMs: readonly number[]
  /** Journal events by kind, over the whole run. */
  readonly events: Readonly<Record<string, number>>
}

const UPSETS = ['restart', 'restart', 'stop', 'start', 'kill'] as const
/** A snapshot by ps is not of one moment; what is wrong in several of them, this far apart, is wrong. */
const LOOKS = 4
const LOOK_MS = 150

type Stranger = { readonly pid: number; readonly heard: () => string; readonly end: () => void }
type Run = {
  readonly mesh: TestMesh
  readonly fleet: Fleet
  readonly random: () => number
  readonly stranger: Stranger
  readonly violations: string[]
  /** Services whose `stop` was answered and that nobody started again since. */
  readonly stopped: Set<string>
}

/** One run: up, so many kills, a kill in the middle of `down`. Leaves nothing behind. */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const mesh = createMesh()
  const stranger = await startStranger(mesh.home)
  try {
    const fleet = await createFleet(options.services, mesh.home)
    const run: Run = { mesh, fleet, random: dice(options.seed), stranger, violations: [], stopped: new Set() }
    mesh.write(fleet.services)
    const up = await mesh.cli(['up', '--no-wait'], { PAIOS_KEEPER_MAX_WAIT: '0' })
    if (up.code !== 0) throw new Error(`up ended with ${up.code}: ${up.stderr}`)
    await settled(run)
    const rounds: Found[] = []
    for (let round = 1; round <= options.kills; round++) {
      const found = await killOnce(run, round)
      rounds.push(found)
      const { adopted, adoptedMs, answersMs, upset } = found
      options.tell(
        `kill ${round}: ${upset} upset, ${adopted} adopted in ${adoptedMs} ms, answers after ${answersMs} ms`,
      )
    }
    await killDuringDown(run)
    const sum = (of: (found: Found) => number) => rounds.reduce((total, found) => total + of(found), 0)
    const sorted = (of: (found: Found) => number) => rounds.map(of).sort((a, b) => a - b)
    return {
      kills: rounds.length,
      again: sum(({ again }) => again),
      adopted: sum(({ adopted }) => adopted),
      upset: sum(({ upset }) => upset),
      violations: run.violations,
      adoptedMs: sorted(({ adoptedMs }) => adoptedMs),
      answersMs: sorted(({ answersMs }) => answersMs),
      events: countEvents(mesh.journal),
    }
  } finally {
    stranger.end()
    await mesh.end()
  }
}

async function startStranger(home: string): Promise<Stranger> {
  const path = join(tmpdir(), `stranger-${home.slice(-6)}`)
  writeFileSync(path, '')
  const [program = '', ...args] = fixture('stranger.mjs', path)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  await new Promise((ready) => child.stdout.once('data', ready))
  child.unref()
  child.stdout.destroy()
  const end = () => {
    kill(child.pid ?? 0)
    rmSync(path, { force: true })
  }
  return { pid: child.pid ?? 0, heard: () => readFileSync(path, 'utf8'), end }
}

/** A seeded generator of numbers in [0, 1) (mulberry32). */
function dice(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const isCrashing = (run: Run, name: string) => run.fleet.kinds.get(name) === 'crashing'

/** Waits until all but the crashing ones are settled; one that chaos itself sent into backoff is started. */
async function settled(run: Run): Promise<Status> {
  return run.mesh.until('every service is settled', ({ services }) => {
    for (const { name, state } of services) {
      if (state !== 'backoff' || isCrashing(run, name)) continue
      void run.mesh.ask('/start', { name }).catch(() => undefined)
    }
    return services.every(({ name, settled }) => settled || isCrashing(run, name))
  })
}

type Found = {
  readonly adoptedMs: number
  readonly answersMs: number
  readonly adopted: number
  readonly upset: number
  readonly again: number
}

async function killOnce(run: Run, round: number): Promise<Found> {
  const { mesh } = run
  const before = await settled(run)
  const supervisor = mesh.supervisorPid()
  const names = new Set<string>()
  const asked: Promise<void>[] = []
  for (let count = Math.floor(run.random() * 6); count > 0; count--) {
    const stopped = before.services.filter(({ desired }) => desired === 'stopped')
    const among = stopped.length > 3 && run.random() < 0.3 ? stopped : before.services
    const service = among[Math.floor(run.random() * among.length)]!
    if (names.has(service.name)) continue
    names.add(service.name)
    asked.push(upsetOne(run, service))
  }
  await wait(run.random() < 0.5 ? run.random() * 15 : run.random() * 600)
  const { last, killed, again } = await killTwice(run, supervisor)
  await Promise.all(asked)
  const kept = before.services.filter(
    ({ name, pid }) => pid !== null && !names.has(name) && isStable(run, name),
  )
  const after = await mesh.until(
    'the next supervisor has adopted',
    (status) => status.pid !== last && isAllAdopted(kept, status),
  )
  const answersMs = Date.now() - killed
  const told = await mesh.events({ since: new Date(killed).toISOString() })
  const keptNames = new Set(kept.map(({ name }) => name))
  const times = told
    .filter(({ kind, subject }) => kind === 'adopted' && keptNames.has(subject))
    .map(({ at }) => Date.parse(at))
  if (times.length !== kept.length)
    run.violations.push(`kill ${round}: ${kept.length} to adopt, ${times.length} adopted`)
  const pids = new Map(after.services.map(({ name, pid }) => [name, pid]))
  for (const { name, pid } of kept) {
    if (pids.get(name) !== pid)
      run.violations.push(`kill ${round}: ${name} had pid ${pid} and now has ${pids.get(name)}`)
  }
  await check(run, round)
  return {
    adoptedMs: Math.max(killed, ...times) - killed,
    answersMs,
    adopted: kept.length,
    upset: names.size,
    again,
  }
}

/** Kills the supervisor, and now and then the next one too while it still recovers. */
async function killTwice({ mesh, random }: Run, first: number) {
  kill(first)
  if (random() > 0.2) return { last: first, killed: Date.now(), again: 0 }
  const next = await until('the next supervisor has the lock', () => {
    try {
      const pid = mesh.supervisorPid()
      return pid === first ? null : pid
    } catch {
      // The file is being written.
      return null
    }
  })
  await wait(random() * 500)
  kill(next)
  return { last: next, killed: Date.now(), again: 1 }
}

const isStable = (run: Run, name: string) => !['crashing', 'pipes'].includes(run.fleet.kinds.get(name) ?? '')

/** True once none of them is being looked for any more, whatever was found. */
function isAllAdopted(kept: readonly ServiceStatus[], status: Status): boolean {
  const states = new Map(status.services.map((service) => [service.name, service]))
  return kept.every(({ name }) => states.get(name)?.pid != null && states.get(name)?.state !== 'starting')
}

async function upsetOne(run: Run, { name, pid, desired }: ServiceStatus): Promise<void> {
  const drawn = UPSETS[Math.floor(run.random() * UPSETS.length)]!
  // Otherwise the fleet would dwindle: few draws start what is stopped.
  const what = desired === 'stopped' ? 'start' : drawn
  if (what === 'kill') {
    if (pid !== null) kill(pid)
    return
  }
  if (what !== 'stop') run.stopped.delete(name)
  const body = what === 'stop' ? { name, now: run.random() < 0.3 } : { name }
  const isAnswered = await run.mesh.ask(`/${what}`, body).then(
    () => true,
    () => false,
  )
  if (isAnswered && what === 'stop') run.stopped.add(name)
}

/** Looks until nothing is wrong; what stays wrong is a violation. */
async function check(run: Run, round: number): Promise<void> {
  let wrong: string[] = []
  for (let look = 0; look < LOOKS; look++) {
    wrong = examine(run, await settled(run))
    if (wrong.length === 0) return
    await wait(LOOK_MS)
  }
  run.violations.push(...wrong.map((what) => `kill ${round}: ${what}`))
}

function examine({ mesh, fleet, stopped, stranger }: Run, status: Status): string[] {
  const wrong: string[] = []
  const all = mesh.processes()
  for (const { name, pid, desired, state } of status.services) {
    const own = all.filter((seen) => seen.text.includes(`${mesh.home}/${name}.tag`))
    const tops = own.filter(isTop)
    const show = () => own.map((seen) => `${seen.pid} (run ${seen.run})`).join(', ')
    if (tops.length > 1) wrong.push(`${name} runs ${tops.length} times: ${show()}`)
    // A crash while nobody watched is found by the next look at adopted processes, not within this one.
    if (pid !== null && fleet.kinds.get(name) !== 'crashing' && !tops.some((seen) => seen.pid === pid))
      wrong.push(`${name} has no process ${pid}: ${show()}`)
    if (new Set(own.map((seen) => seen.run).filter((run) => run !== null)).size > 1) {
      wrong.push(`${name} has processes of more than one generation: ${show()}`)
    }
    const groups = new Set([...tops, ...own.filter(isApart)].map(({ group }) => group))
    const strays = own.filter(({ group }) => !groups.has(group))
    if (strays.length > 0)
      wrong.push(`${name} still has ${strays.map((seen) => seen.pid).join(', ')} of an earlier life`)
    if (desired === 'stopped' && own.length > 0) wrong.push(`${name} is stopped and still has ${show()}`)
    if (stopped.has(name) && desired !== 'stopped') wrong.push(`${name} was stopped and is wanted again`)
    if (desired === 'running' && pid === null && fleet.kinds.get(name) !== 'crashing')
      wrong.push(`${name} is ${state}`)
  }
  if (!isAlive(stranger.pid)) wrong.push('the stranger was killed')
  if (stranger.heard() !== '') wrong.push(`the stranger was sent ${stranger.heard()}`)
  return wrong
}

/** A program of a probe or a daemonized grandchild, which lead groups of their own. */
const isApart = ({ text }: Seen) => text.includes(PROBE_MARK) || text.includes(' grandchild ')

/** The service's own process: it leads its group. */
const isTop = (seen: Seen) => seen.pid === seen.group && !isApart(seen)

/** The last kill comes while the mesh goes down: the next supervisor goes on going down, and the keeper ends. */
async function killDuringDown(run: Run): Promise<void> {
  const { mesh } = run
  await settled(run)
  const supervisor = mesh.supervisorPid()
  const asked = mesh.ask('/down', {}).catch(() => undefined)
  await wait(run.random() * 300)
  kill(supervisor)
  await asked
  await until('nothing of the mesh is left', () => mesh.processes().length === 0).catch(() => {
    for (const { pid, text } of mesh.processes())
      run.violations.push(`left over after down: ${pid} ${text.slice(0, 120)}`)
  })
}

function countEvents(journal: string): Record<string, number> {
  const database = new Database(journal, { readonly: true })
  const rows = database.prepare('SELECT kind, count(*) AS count FROM event GROUP BY kind ORDER BY kind').all()
  database.close()
  return Object.fromEntries(
    (rows as { kind: string; count: number }[]).map(({ kind, count }) => [kind, count]),
  )
}
