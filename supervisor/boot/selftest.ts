/**
 * Trying launchd on this Mac with a throwaway job under a label of its own: the same plist, the same
 * sequence and the same parser as the installation, with a small program in the place of the supervisor.
 * What it takes for granted is checked; what only interests is noted. It removes all that it has made.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { openLaunchctl } from '../../launchd/launchctl.ts'
import { PaiosError } from '../errors.ts'
import { openProcessTable } from '../shell/process-table.ts'
import { textOf, writeIfOther } from './files.ts'
import type { InitPort } from './init-port.ts'
import { openLaunchd } from './launchd.ts'
import { type Place, placeOf } from './place.ts'
import { selftestPath } from './selftest-record.ts'
import { shellWord } from './wrapper.ts'

/** One step. `seen` is what the machine did; a `note` cannot fail. */
export type Step = { readonly name: string; readonly result: 'pass' | 'fail' | 'note'; readonly seen: string }

/** launchd starts a job again 10 s after its last start, and later after several crashes. */
const AGAIN_LIMIT_MS = 45_000
const POLL_MS = 200

/**
 * In the place of the supervisor: tells its pid and environment, and starts a child in a session of its own.
 */
const PROGRAM = `
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
const child = existsSync('child') ? null : spawn('/bin/sleep', ['3600'], { detached: true, stdio: 'ignore' })
if (child !== null) writeFileSync('child', String(child.pid))
writeFileSync('environment.json', JSON.stringify({ ...process.env, pid: process.pid }))
process.on('SIGTERM', () => process.exit(0))
setInterval(() => undefined, 60_000)
`

/** Runs the steps; each is told as it ends. Throws init-unavailable where launchd cannot be asked. */
export async function tryLaunchd(home: string, tell: (step: Step) => void): Promise<readonly Step[]> {
  const folder = join(home, 'cache', `selftest-${process.pid}`)
  const place: Place = {
    ...placeOf(folder),
    home: folder,
    label: `dev.paios.selftest.${process.pid}`,
    plistPath: join(homedir(), 'Library', 'LaunchAgents', `dev.paios.selftest.${process.pid}.plist`),
    supervisor: join(folder, 'paios-selftest'),
    bootLog: join(folder, 'boot.log'),
  }
  const steps: Step[] = []
  const add = (name: string, result: Step['result'], seen: string) => {
    steps.push({ name, result, seen })
    tell({ name, result, seen })
  }
  const port = openLaunchd(place)
  try {
    writeProgram(place)
    writeIfOther(place.plistPath, port.text({ path: '/usr/bin:/bin', lang: 'C.UTF-8' }), 0o644)
    await loading(place, port, add)
    await living(place, port, add)
    await leaving(place, port, add)
  } catch (error) {
    if (!(error instanceof PaiosError) || steps.length === 0) throw error
    add('the next step', 'fail', error.message)
  } finally {
    await clean(place, port)
  }
  return steps
}

type Add = (name: string, result: Step['result'], seen: string) => void

function writeProgram({ home, supervisor }: Place): void {
  mkdirSync(home, { recursive: true, mode: 0o700 })
  writeFileSync(join(home, 'program.mjs'), PROGRAM)
  const lines = [
    '#!/bin/sh',
    `exec ${shellWord(process.execPath)} ${shellWord(join(home, 'program.mjs'))}`,
    '',
  ]
  writeFileSync(supervisor, lines.join('\n'))
  chmodSync(supervisor, 0o755)
}

/** Loading, what the job sees, and loading what is loaded. */
async function loading(place: Place, port: InitPort, add: Add): Promise<void> {
  const launchctl = openLaunchctl()
  await port.enable()
  await port.restart()
  const first = await itself(place, null)
  const { pid, isKnown, isEnabled } = await port.state()
  add(
    'a job is loaded, enabled, and runs',
    pid === first.pid && isKnown && isEnabled ? 'pass' : 'fail',
    `pid ${pid}`,
  )
  const { HOME, PATH, PAIOS_BOOT, XPC_SERVICE_NAME, TMPDIR } = first.environment
  const isRight = HOME === homedir() && PAIOS_BOOT === 'launchd'
  const seen = `HOME=${HOME} PATH=${PATH} TMPDIR=${TMPDIR} XPC_SERVICE_NAME=${XPC_SERVICE_NAME}`
  add('it has the environment of its plist', isRight ? 'pass' : 'fail', seen)
  const found = await launchctl.print(place.label)
  const timeout = found.kind === 'job' ? found.job.exitTimeoutS : null
  add('the time it has to end is ours', timeout === 45 ? 'pass' : 'fail', `exit timeout = ${timeout}`)
  const again = await launchctl.bootstrap(place.plistPath)
  add('bootstrap of what is loaded', 'note', `ends with ${again.code}: ${again.text}`)
  const same = (await port.state()).pid
  add('and leaves the job alone', same === first.pid ? 'pass' : 'fail', `pid ${same}`)
}

/** A crash, a replacement, an end with exit code 0. */
async function living(place: Place, port: InitPort, add: Add): Promise<void> {
  const first = await itself(place, null)
  process.kill(first.pid, 'SIGKILL')
  const startedMs = performance.now()
  const second = await itself(place, first.pid)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  add('a killed job is started again', 'pass', `after ${seconds} s`)
  add('what it has started lives on', childLives(place) ? 'pass' : 'fail', `pid ${childOf(place)}`)
  await port.restart()
  const third = await itself(place, second.pid)
  add('bootout and bootstrap replace it', third.pid !== second.pid ? 'pass' : 'fail', `pid ${third.pid}`)
  add('what it has started lives on over that', childLives(place) ? 'pass' : 'fail', `pid ${childOf(place)}`)
  process.kill(third.pid, 'SIGTERM')
  await poll(`the job has not ended`, async () => (await port.state()).pid === null)
  const { isKnown } = await port.state()
  add(
    'after exit code 0 it is loaded and left alone',
    isKnown ? 'pass' : 'fail',
    isKnown ? 'loaded' : 'not loaded',
  )
  await port.start()
  const fourth = await itself(place, third.pid)
  add('a kick starts it', 'pass', `pid ${fourth.pid}`)
}

/** Unloading, and a disabled label. */
async function leaving(place: Place, port: InitPort, add: Add): Promise<void> {
  const launchctl = openLaunchctl()
  await port.stop()
  const { isKnown } = await port.state()
  add('bootout takes it away', isKnown ? 'fail' : 'pass', isKnown ? 'still loaded' : 'gone')
  add('what it has started outlives it', childLives(place) ? 'pass' : 'fail', `pid ${childOf(place)}`)
  await launchctl.disable(place.label)
  const { code, text } = await launchctl.bootstrap(place.plistPath)
  add('bootstrap of a disabled label', 'note', `ends with ${code}: ${text}`)
  await port.restart()
  add('enable and bootstrap bring it back', (await port.state()).pid === null ? 'fail' : 'pass', 'runs')
}

type Itself = { readonly pid: number; readonly environment: Readonly<Record<string, string | undefined>> }

/** What the job says of itself once it is another process than `former`. */
async function itself({ home }: Place, former: number | null): Promise<Itself> {
  const path = join(home, 'environment.json')
  let found: Itself | null = null
  await poll('the job does not say anything', async () => {
    try {
      const { pid, ...environment } = JSON.parse(readFileSync(path, 'utf8'))
      found = { pid, environment }
      return pid !== former
    } catch (error) {
      // Not there yet, or just being written.
      if (error instanceof SyntaxError || !existsSync(path)) return false
      throw error
    }
  })
  if (found === null) throw new PaiosError('install-failed', 'the job does not say anything')
  return found
}

const childOf = ({ home }: Place) => Number(textOf(join(home, 'child')) ?? 0)

function childLives(place: Place): boolean {
  const entry = childOf(place) > 0 ? openProcessTable().entry(childOf(place)) : null
  return entry !== null && !entry.zombie
}

/** Leaves nothing: no job, no plist, no process, no folder, no disabled label. */
async function clean(place: Place, port: InitPort): Promise<void> {
  await openLaunchctl().enable(place.label)
  await port.stop()
  rmSync(place.plistPath, { force: true })
  if (childLives(place)) process.kill(childOf(place), 'SIGKILL')
  rmSync(place.home, { recursive: true, force: true })
}

async function poll(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + AGAIN_LIMIT_MS
  while (!(await holds())) {
    if (performance.now() > deadline) throw new PaiosError('install-failed', what)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Keeps the result of a self-test on a Mac; elsewhere it was a model, which proves nothing about launchd. */
export function keepResult(
  home: string,
  steps: readonly Step[],
  platform: NodeJS.Platform = process.platform,
): boolean {
  if (platform !== 'darwin') return false
  const passed = steps.every(({ result }) => result !== 'fail')
  const path = selftestPath({ home })
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(path, `${JSON.stringify({ passed, at: new Date().toISOString(), steps }, null, 2)}\n`, {
    mode: 0o600,
  })
  return true
}
