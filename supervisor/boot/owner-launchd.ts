/** Jobs of this user's launchd that are not ours. Tried against a model, not on a Mac. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { type Launchctl, openLaunchctl } from '../../launchd/launchctl.ts'
import type { PrintedJob } from '../../launchd/print-parser.ts'
import { PaiosError } from '../errors.ts'
import { asked, failed, jobSteps } from './launchd.ts'
import { lineage, type Owner, type Owners } from './owner.ts'

/** What launchd gives a job that names no time of its own. */
const EXIT_TIMEOUT_S = 5
/** Beside the job's own time: bootout answers before the job is gone. */
const SLACK_MS = 15_000

/** Asks launchctl for the jobs of the desktop session. */
export function launchdOwners(launchctl: Launchctl = openLaunchctl()): Owners {
  return {
    init: 'launchd',
    async nameOf(pid, table) {
      const running = await launchctl.running()
      if (running === null) throw new PaiosError('init-unavailable', 'launchctl list cannot be asked')
      // The job may be a wrapper that has started the program.
      const owner = lineage(pid, table).find((above) => running.has(above))
      return owner === undefined ? null : running.get(owner)!
    },
    contains: (owner, pid, table) => owner.pid !== null && lineage(pid, table).includes(owner.pid),
    look: (label) => look(launchctl, label),
    async halt({ name, stopLimitMs }) {
      const answer = await launchctl.disable(name)
      if (answer.code !== 0) throw takeoverError(failed('disable', answer))
      await asTakeover(jobSteps(launchctl, name, stopLimitMs + SLACK_MS).remove())
    },
    async restore({ name, file, isEnabled, isActive, pid }) {
      const steps = jobSteps(launchctl, name)
      const enable = async (verb: 'enable' | 'disable') => {
        const answer = await launchctl[verb](name)
        if (answer.code !== 0) throw takeoverError(failed(verb, answer))
      }
      if (isActive) {
        const isLoaded = (await look(launchctl, name))?.isActive === true
        if (!isLoaded) await asTakeover(steps.load(file))
        if (pid !== null) await asTakeover(steps.awaitRunning())
      }
      // A disabled job is not loaded, so it had to be enabled for that.
      await enable(isEnabled ? 'enable' : 'disable')
    },
  }
}

/** A fault of the steps that install us, in the words of a takeover. */
async function asTakeover<T>(step: Promise<T>): Promise<T> {
  try {
    return await step
  } catch (error) {
    throw error instanceof PaiosError ? takeoverError(error) : error
  }
}

const takeoverError = (error: PaiosError) =>
  error.code === 'install-failed' ? new PaiosError('takeover-failed', error.message, { cause: error }) : error

async function look(launchctl: Launchctl, label: string): Promise<Owner | null> {
  const found = asked(await launchctl.print(label))
  const usual = join(homedir(), 'Library', 'LaunchAgents', `${label}.plist`)
  if (found.kind === 'absent' && !existsSync(usual)) return null
  const isDisabled = await launchctl.isDisabled(label)
  if (isDisabled === null)
    throw new PaiosError('init-unavailable', 'launchctl print-disabled cannot be asked')
  const job = found.kind === 'job' ? found.job : null
  return {
    init: 'launchd',
    name: label,
    file: job?.path ?? usual,
    isEnabled: !isDisabled,
    isActive: job !== null,
    pid: job?.pid ?? null,
    stopLimitMs: (job?.exitTimeoutS ?? EXIT_TIMEOUT_S) * 1_000,
    obstacle: job === null ? null : obstacleOf(label, job),
  }
}

function obstacleOf(label: string, { managedBy, path }: PrintedJob): string | null {
  if (managedBy !== null)
    return `${label} is managed by ${managedBy}: it belongs to an app, which alone may load and unload it`
  if (path === null || !isAbsolute(path)) return `launchd does not say which plist ${label} is from`
  return existsSync(path) ? null : `the plist of ${label} is gone: ${path}`
}
