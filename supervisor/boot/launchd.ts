/**
 * launchd for one home: the sequence that works on all releases that others have measured. bootout answers
 * before the job is gone, bootstrap over a job that still drains keeps the old definition, and a
 * bootstrapped job may wait for minutes until it is kicked; so every step is verified by `print`. Tried
 * against a model, not on a Mac, until `paios selftest launchd` has run on one.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import {
  type Answer,
  CODES,
  type Found,
  type Launchctl,
  openLaunchctl,
  remedyOf,
} from '../../launchd/launchctl.ts'
import { launchdJob, plistEnvironment, renderPlist } from '../../launchd/plist.ts'
import { type PrintedJob, troubleOf } from '../../launchd/print-parser.ts'
import { PaiosError } from '../errors.ts'
import type { InitPort, InitState } from './init-port.ts'
import type { Place } from './place.ts'
import { launchdCaveat } from './selftest-record.ts'
import { sentinelAgent } from './sentinel.ts'

/** Longer than ExitTimeOut of the job (45 s), after which launchd kills it. */
const GONE_LIMIT_MS = 55_000
const GONE_STEP_MS = 250
const BOOTSTRAP_STEP_MS = 500
const RUN_LIMIT_MS = 30_000
/** A job that launchd has not started by then is kicked. */
const KICK_AFTER_MS = 3_000

/** The port of a home. */
export function openLaunchd(place: Place, launchctl: Launchctl = openLaunchctl()): InitPort {
  const { label, plistPath } = place
  const job = jobSteps(launchctl, label)
  const sentinel = jobSteps(launchctl, place.sentinelLabel)
  const restart = async () => {
    if (process.env['XPC_SERVICE_NAME'] === label) {
      throw new PaiosError('refused', `${label} cannot replace itself: type this in a terminal`)
    }
    await job.remove()
    await job.load(plistPath)
    await job.awaitRunning()
  }
  return {
    init: 'launchd',
    name: label,
    file: plistPath,
    look: `launchctl print ${launchctl.domain}/${label}`,
    caveat: launchdCaveat(place),
    text: (environment) =>
      renderPlist(
        launchdJob({
          ...environment,
          label,
          home: place.home,
          program: place.supervisor,
          bootLog: place.bootLog,
          userHome: homedir(),
        }),
      ),
    environmentIn: plistEnvironment,
    state: () => stateOf(launchctl, place),
    async enable() {
      // A former `disable` outlives the job and its plist.
      const answer = await launchctl.enable(label)
      if (answer.code !== 0) throw failed('enable', answer)
    },
    restart,
    async start() {
      const found = asked(await launchctl.print(label))
      if (found.kind !== 'job' || found.job.path !== plistPath) return restart()
      if (found.job.pid === null) await kick(launchctl, label)
      await job.awaitRunning()
    },
    stop: job.remove,
    // The label stays enabled: a disabled one would be in the way of the next install.
    disable: job.remove,
    sentinel: {
      files: [sentinelAgent(place)],
      enable: async () => {
        await sentinel.remove()
        await sentinel.load(place.sentinelPlistPath)
      },
      disable: sentinel.remove,
    },
    forget: async () => undefined,
  }
}

/** The error of a verb that launchctl has refused. */
export function failed(verb: string, { code, text }: Answer): PaiosError {
  const remedy = remedyOf(code)
  const why = `launchctl ${verb} ended with ${code}: ${text}${remedy === null ? '' : ` (${remedy})`}`
  const isAway = code === CODES.noDomain || code === CODES.unsupported
  return new PaiosError(isAway ? 'init-unavailable' : 'install-failed', why)
}

/** What print found, where it told anything. Throws init-unavailable. */
export function asked(found: Found): Exclude<Found, { kind: 'no-session' | 'unclear' }> {
  if (found.kind === 'no-session') {
    throw new PaiosError('init-unavailable', `there is no desktop session to ask: ${found.text}`)
  }
  if (found.kind === 'unclear') throw new PaiosError('init-unavailable', found.text)
  return found
}

async function stateOf(launchctl: Launchctl, { label, plistPath }: Place): Promise<InitState> {
  const found = asked(await launchctl.print(label))
  const isEnabled = existsSync(plistPath) && (await launchctl.isDisabled(label)) === false
  if (found.kind === 'absent') return { isKnown: false, isEnabled, pid: null, problem: null }
  const { job } = found
  return { isKnown: job.path === plistPath, isEnabled, pid: job.pid, problem: troubleOf(job) }
}

async function kick(launchctl: Launchctl, label: string): Promise<void> {
  const answer = await launchctl.kickstart(label)
  if (answer.code !== 0) throw failed('kickstart', answer)
}

/** The steps of which loading and unloading consist. `goneLimitMs`: how long a job may take to end and be gone. */
export function jobSteps(launchctl: Launchctl, label: string, goneLimitMs = GONE_LIMIT_MS) {
  const look = async (): Promise<PrintedJob | null> => {
    const found = asked(await launchctl.print(label))
    return found.kind === 'job' ? found.job : null
  }
  /** Unloads the job unless it is not loaded, and waits until launchd and the process are done. */
  const remove = async () => {
    const job = await look()
    if (job === null) return
    const answer = await launchctl.bootout(label)
    const { noSuchProcess, nowInProgress, noService } = CODES
    const isFine = [0, noSuchProcess, nowInProgress, noService].some((code) => code === answer.code)
    if (!isFine) throw failed('bootout', answer)
    const what = `${label} is still loaded ${goneLimitMs / 1000} s after bootout`
    await poll(what, goneLimitMs, GONE_STEP_MS, async () => (await look()) === null && !lives(job.pid))
  }
  /** Loads the job; what is loaded already with our plist is as good. */
  const load = async (plistPath: string) => {
    const deadline = performance.now() + goneLimitMs
    for (;;) {
      const enabled = await launchctl.enable(label)
      if (enabled.code !== 0) throw failed('enable', enabled)
      const answer = await launchctl.bootstrap(plistPath)
      if (answer.code === 0) return
      const { ioError, fileExists, alreadyInProgress } = CODES
      const mayPass = [ioError, fileExists, alreadyInProgress].some((code) => code === answer.code)
      if (mayPass && (await look())?.path === plistPath) return
      if (!mayPass || performance.now() > deadline) throw failed('bootstrap', answer)
      await new Promise((resolve) => setTimeout(resolve, BOOTSTRAP_STEP_MS))
    }
  }
  /** Waits for a pid; kicks a job that launchd leaves lying. */
  const awaitRunning = async () => {
    const startedMs = performance.now()
    let isKicked = false
    await poll(`${label} is loaded and does not run`, RUN_LIMIT_MS, GONE_STEP_MS, async () => {
      const job = await look()
      const trouble = job === null ? null : troubleOf(job)
      if (trouble !== null) throw new PaiosError('install-failed', `${label}: ${trouble}`)
      if (job !== null && job.pid !== null && job.state === 'running') return true
      if (!isKicked && performance.now() - startedMs > KICK_AFTER_MS) {
        isKicked = true
        await kick(launchctl, label)
      }
      return false
    })
  }
  return { remove, load, awaitRunning }
}

function lives(pid: number | null): boolean {
  try {
    return pid !== null && process.kill(pid, 0)
  } catch {
    return false
  }
}

async function poll(
  what: string,
  limitMs: number,
  stepMs: number,
  look: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await look())) {
    if (performance.now() > deadline) throw new PaiosError('install-failed', what)
    await new Promise((resolve) => setTimeout(resolve, stepMs))
  }
}
