/**
 * Installing and uninstalling: a plan that can be shown, then its steps, each of which knows how to be
 * undone. Services are not touched: the supervisor hands over, and its successor adopts them.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PaiosError } from '../errors.ts'
import { withoutNpm } from '../shell/environment.ts'
import {
  linkedVersion,
  makeCopy,
  pruneVersions,
  readVersion,
  type Source,
  switchTo,
  type Version,
} from './copy.ts'
import { isAsWritten, textOf, writeIfOther } from './files.ts'
import type { InitPort, InitState } from './init-port.ts'
import { type LinkPlan, makeLink, planLink, removeLink } from './link.ts'
import type { Place } from './place.ts'
import { type Answering, awaitInit, endKept, findRunning, isTakenDown, type Running } from './running.ts'
import { sentinelScript } from './sentinel.ts'
import { commandWrapper, supervisorWrapper } from './wrapper.ts'

/** What a hand-over means; pipes are held by a process and cannot be handed on (`stdio: pipes` of a spec). */
export const UNTOUCHED = 'services go on with their pids; an MCP server that it keeps over stdio starts anew'

/** How the step begins that replaces the supervisor. */
const HAND_OVER = 'hand over'

/** What a keeper runs: a Node, and the absolute path of a bin/paios.mjs. */
export type Program = { readonly node: string; readonly entry: string }

/** What every step needs. `tell` takes a line for people, `program` is what a keeper ran before. */
export type Setting = {
  readonly place: Place
  readonly init: InitPort
  readonly answering: Answering
  readonly program: Program
  /** Starts a keeper with a program and waits until the supervisor answers; a keeper that fails is ended. */
  readonly keep: (program: Program) => Promise<void>
  readonly tell: (line: string) => void
}

/** What an installation would change, and what it finds. */
export type InstallPlan = {
  readonly version: string
  readonly isCopied: boolean
  readonly file: string
  readonly text: string
  readonly isWritten: boolean
  readonly isEnabled: boolean
  readonly link: LinkPlan | null
  readonly running: Running | null
  readonly mesh: 'up' | 'down'
  /** The steps in words; none if all is as it should be. */
  readonly steps: readonly string[]
}

type Wish = { readonly source: Source; readonly link: boolean }

/**
 * Looks, and changes nothing. Throws refused where a supervisor runs in a terminal or a container, which
 * cannot be handed over, and init-unavailable.
 */
export async function planInstall(setting: Setting, { source, link }: Wish): Promise<InstallPlan> {
  const { place, init } = setting
  const state = await init.state()
  const running = await findRunning(place, setting.answering, init)
  if (running?.under === 'nobody') {
    throw new PaiosError(
      'refused',
      `the supervisor (pid ${running.pid}) runs in a terminal or a container: end it there, then install`,
    )
  }
  const text = init.text(environmentFor(init))
  const mesh = running === null && (await isTakenDown(place)) ? 'down' : 'up'
  const plan = {
    version: source.id,
    isCopied: readVersion(join(place.versions, source.id)) !== null,
    file: init.file,
    text,
    isWritten: isAsWritten(init.file, text, 0o644),
    isEnabled: state.isKnown && state.isEnabled,
    link: link ? planLink(place) : null,
    running,
    mesh,
  } as const
  return { ...plan, steps: stepsOf(setting, plan, state) }
}

/**
 * PATH and LANG: those of the file that is there, so that a second install changes nothing; else the
 * caller's.
 */
function environmentFor(init: InitPort) {
  const there = textOf(init.file)
  const kept = there === null ? null : init.environmentIn(there)
  return kept ?? { path: withoutNpm(process.env['PATH'] ?? ''), lang: process.env['LANG'] || 'C.UTF-8' }
}

function stepsOf(setting: Setting, plan: Omit<InstallPlan, 'steps'>, state: InitState): string[] {
  const { place, init } = setting
  const steps: string[] = []
  if (!plan.isCopied) steps.push(`copy this paios and its Node to ${join(place.versions, plan.version)}`)
  const isCurrent = linkedVersion(place.current)?.id === plan.version
  if (!isCurrent) steps.push(`put version ${plan.version} in force`)
  const programs = wrappers(place).filter(([path, text]) => !isAsWritten(path, text, 0o755))
  for (const [path] of programs) steps.push(`write ${path}`)
  if (!plan.isWritten) steps.push(`write ${plan.file}`)
  if (!plan.isWritten || !plan.isEnabled) steps.push(`have ${init.init} start ${init.name} at every login`)
  const isSame = plan.running?.copy === plan.version && plan.running.under === 'init'
  const isFresh = isSame && programs.length === 0 && plan.isWritten && state.isKnown
  if (!isFresh && plan.mesh === 'up') {
    const from = plan.running === null ? '' : ` from pid ${plan.running.pid}`
    steps.push(`${HAND_OVER}${from} to a supervisor under ${init.init}: ${UNTOUCHED}`)
  }
  if (!isWatched(setting)) steps.push(`have ${init.init} look every minute whether it lives`)
  if (plan.link?.state === 'new') steps.push(`link ${plan.link.path} to ${place.command}`)
  return steps
}

const wrappers = (place: Place): [path: string, text: string][] => [
  [place.supervisor, supervisorWrapper(place.home)],
  [place.command, commandWrapper(place.home)],
]

/**
 * Carries a plan out. Throws install-failed after everything was put back. Returns the pid, null if none
 * runs.
 */
export async function install(setting: Setting, plan: InstallPlan, source: Source): Promise<number | null> {
  const { place, init, tell } = setting
  if (plan.steps.length === 0) return plan.running?.pid ?? null
  const back: WayBack = { files: [], stop: null, revive: null }
  const { files } = back
  try {
    await makeCopy(place, source)
    tell(`version ${source.id} is in ${join(place.versions, source.id)}`)
    files.push(...putInForce(place, source.id))
    for (const [path, text] of wrappers(place)) files.push(writeIfOther(path, text, 0o755) ?? nothing)
    // Both refuse to start what has no folder for its output.
    mkdirSync(dirname(place.bootLog), { recursive: true, mode: 0o700 })
    files.push(() => init.forget())
    files.push(writeIfOther(plan.file, plan.text, 0o644) ?? nothing)
    if (!plan.isEnabled) files.push(() => init.disable())
    await init.enable()
    tell(`${plan.file} is in place, ${init.init} starts ${init.name} at every login`)
    if (plan.link !== null) files.push(makeLink(place, plan.link) ?? nothing)
    const isNeeded = plan.steps.some((step) => step.startsWith(HAND_OVER))
    const pid = isNeeded ? await handOver(setting, plan.running, back) : (plan.running?.pid ?? null)
    await watchOver(setting, files)
    pruneVersions(place)
    return pid
  } catch (error) {
    throw await putBack(setting, back, error)
  }
}

/** The sentinel's script and what runs it, with their modes. */
const sentinelFiles = ({ place, init }: Setting): [path: string, text: string, mode: number][] => [
  [place.sentinel, sentinelScript(), 0o755],
  ...init.sentinel.files.map(([path, text]): [string, string, number] => [path, text, 0o644]),
]

const isWatched = (setting: Setting) => sentinelFiles(setting).every((file) => isAsWritten(...file))

async function watchOver(setting: Setting, back: (() => unknown)[]): Promise<void> {
  const isNew = !isWatched(setting)
  for (const file of sentinelFiles(setting)) back.push(writeIfOther(...file) ?? nothing)
  if (isNew) back.push(() => setting.init.sentinel.disable())
  await setting.init.sentinel.enable()
  if (isNew) setting.tell(`${setting.init.init} looks every minute whether the supervisor lives`)
}

const nothing = () => undefined

/**
 * What undoes the steps so far: files in the order of their writing, then what brings the former supervisor
 * back.
 */
export type WayBack = {
  readonly files: (() => unknown)[]
  /** Ends the new supervisor and brings the former one back; null while the former one runs. */
  stop: (() => Promise<unknown>) | null
  revive: (() => Promise<unknown>) | null
}

/** Moves `current` to a version and `previous` to the one that was in force. Returns the ways back. */
export function putInForce(place: Place, id: string): (() => void)[] {
  const former = linkedVersion(place.current)
  const before = linkedVersion(place.previous)
  if (former?.id === id) return []
  switchTo(place.current, id)
  const back = (link: string, version: Version | null) => () => switchTo(link, version?.id ?? null)
  if (former !== null) switchTo(place.previous, former.id)
  return [back(place.current, former), back(place.previous, before)]
}

/** From whoever looks after the supervisor now to systemd or launchd. Returns the new pid. */
export async function handOver(setting: Setting, running: Running | null, back: WayBack): Promise<number> {
  const { place, init, answering, tell } = setting
  back.stop = () => init.stop()
  if (running?.under === 'keeper') {
    back.revive = () => setting.keep(programOf(setting, running))
    await endKept(place, running)
  } else {
    const again = async () => {
      await init.restart()
      await awaitInit(init, answering, null)
    }
    back.revive = running === null ? null : again
  }
  await init.restart()
  const pid = await awaitInit(init, answering, running?.pid ?? null)
  tell(`the supervisor runs under ${init.init} with pid ${pid}`)
  return pid
}

/**
 * Undoes what was done and returns the error that says so. A supervisor that was started is ended first,
 * every file is as it was before the former one is started again.
 */
export async function putBack(
  { init }: Pick<Setting, 'init'>,
  back: WayBack,
  error: unknown,
): Promise<PaiosError> {
  const failed: string[] = []
  for (const step of [back.stop ?? nothing, ...back.files.toReversed(), back.revive ?? nothing]) {
    try {
      await step()
    } catch (fault) {
      failed.push((fault as Error).message)
    }
  }
  const why = error instanceof Error ? error.message : String(error)
  const left = failed.length === 0 ? 'everything was put back' : `not put back: ${failed.join('; ')}`
  const code = error instanceof PaiosError && error.code !== 'internal' ? error.code : 'install-failed'
  return new PaiosError(code, `${why}; ${left} (${init.look})`, { cause: error })
}

/** The files that `uninstall` would remove. */
export function installedFiles(setting: Setting): string[] {
  const { place, init } = setting
  const link = planLink(place)
  const ours = link.state === 'there' && link.path !== null ? [link.path] : []
  const watching = sentinelFiles(setting).map(([path]) => path)
  return [
    ...[init.file, ...watching, place.supervisor, place.command].filter((path) => textOf(path) !== null),
    ...ours,
  ]
}

/** What uninstalling did. */
export type Uninstalled = { readonly removed: readonly string[]; readonly running: Running | null }

/**
 * Takes the installation away. Services are not touched: the supervisor hands over to one under a keeper,
 * from the same copy, unless the mesh is down.
 */
export async function uninstall(setting: Setting): Promise<Uninstalled> {
  const { place, init, answering, tell } = setting
  const running = await findRunning(place, answering, init)
  const version = linkedVersion(place.current)
  const removed: string[] = []
  if (textOf(init.file) !== null) {
    if (textOf(place.sentinel) !== null) await init.sentinel.disable()
    await init.stop()
    await init.disable()
    rmSync(init.file, { force: true })
    await init.forget()
    removed.push(init.file)
    tell(`${init.init} does not start ${init.name} any more`)
  }
  const link = removeLink(place)
  if (link !== null) removed.push(link)
  const watching = sentinelFiles(setting).map(([path]) => path)
  for (const path of [...watching, place.supervisor, place.command]) {
    if (textOf(path) === null) continue
    rmSync(path)
    removed.push(path)
  }
  if (running?.under !== 'init') return { removed, running }
  await setting.keep(version === null ? setting.program : programIn(place, version.id))
  return { removed, running: await findRunning(place, answering, null) }
}

/** What runs a copy. */
export function programIn(place: Place, id: string): Program {
  const folder = join(place.versions, id)
  return { node: join(folder, 'bin', 'node'), entry: join(folder, 'app', 'bin', 'paios.mjs') }
}

/** What a keeper runs now: its copy, or the installation that asks. */
export function programOf({ place, program }: Setting, { copy }: Running): Program {
  return copy === null ? program : programIn(place, copy)
}
