/** The systemd of one user, asked by `systemctl --user`. Tried on systemd 252. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { PaiosError } from '../errors.ts'
import { systemdUnit, unitEnvironment } from '../export/systemd.ts'
import type { InitPort, InitState } from './init-port.ts'
import type { Place } from './place.ts'
import { sentinelUnits } from './sentinel.ts'

/**
 * A start waits for READY=1, at most TimeoutStartSec (60 s) of the unit; a stop for TimeoutStopSec (45 s).
 */
const LIMIT_MS = 90_000

/** How a run of systemctl ended. */
export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** The port of a home. */
export function openSystemd(place: Place): InitPort {
  const { unit, home } = place
  const must = async (...args: readonly string[]) => {
    const why = failureOf(args, await systemctl(args))
    if (why !== null) throw new PaiosError('install-failed', why)
  }
  // A unit that has failed too often is refused until it is reset; it is no fault if there is nothing to reset.
  const reset = () => systemctl(['reset-failed', unit])
  return {
    init: 'systemd',
    name: unit,
    file: place.unitPath,
    look: `systemctl --user status ${unit}`,
    caveat: null,
    text: ({ path, lang }) =>
      systemdUnit({ home, program: place.supervisor, bootLog: place.bootLog, path, lang }),
    environmentIn: unitEnvironment,
    state: () => stateOf(unit),
    async enable() {
      await must('daemon-reload')
      await must('enable', unit)
    },
    async restart() {
      await must('daemon-reload')
      await reset()
      await must('restart', unit)
    },
    async start() {
      await reset()
      await must('start', unit)
    },
    stop: () => must('stop', unit),
    disable: () => must('disable', unit),
    sentinel: {
      files: sentinelUnits(place),
      async enable() {
        await must('daemon-reload')
        await must('enable', '--now', `${place.sentinelUnit}.timer`)
      },
      disable: () => must('disable', '--now', `${place.sentinelUnit}.timer`),
    },
    async forget() {
      await must('daemon-reload')
      await reset()
    },
  }
}

async function stateOf(unit: string): Promise<InitState> {
  const wanted = [
    'LoadState',
    'UnitFileState',
    'ActiveState',
    'SubState',
    'Result',
    'MainPID',
    'ExecMainStatus',
  ]
  const value = await showUnit(unit, wanted)
  const pid = Number(value('MainPID'))
  const failed = value('ActiveState') === 'failed'
  return {
    isKnown: value('LoadState') === 'loaded',
    isEnabled: value('UnitFileState') === 'enabled',
    pid: pid > 0 ? pid : null,
    problem: failed ? `${value('Result')}, last exit status ${value('ExecMainStatus')}` : null,
  }
}

/** The properties of a unit as text, empty where it has none. Throws init-unavailable. */
export async function showUnit(
  unit: string,
  properties: readonly string[],
): Promise<(property: string) => string> {
  const { code, stdout, stderr } = await systemctl(['show', unit, `--property=${properties.join(',')}`])
  if (code !== 0) throw unavailable(stderr)
  return (name) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? ''
}

/** Why a run of systemctl failed, with what was asked; null if it did not. */
export function failureOf(args: readonly string[], { code, stderr }: Ended): string | null {
  if (code === 0) return null
  return `systemctl --user ${args.join(' ')}: ${stderr.trim().split('\n')[0] || `exit code ${code}`}`
}

function unavailable(stderr: string): PaiosError {
  const why = stderr.trim().split('\n')[0] || 'systemctl does not answer'
  return new PaiosError(
    'init-unavailable',
    `the systemd of this user cannot be reached: ${why} (is there a login session, or lingering?)`,
  )
}

/** Runs `systemctl --user`, at most `limitMs`. Throws init-unavailable where it cannot be run. */
export function systemctl(args: readonly string[], limitMs = LIMIT_MS): Promise<Ended> {
  const env = { ...process.env, LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' }
  // Without a login session (ssh of some systems, cron) the variable is missing, and the folder may be there.
  const runtime = `/run/user/${process.getuid?.() ?? 0}`
  if (!process.env['XDG_RUNTIME_DIR'] && existsSync(runtime)) Object.assign(env, { XDG_RUNTIME_DIR: runtime })
  return new Promise((settle, reject) => {
    execFile(
      'systemctl',
      ['--user', '--no-ask-password', ...args],
      { env, timeout: limitMs },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') {
          const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
          reject(unavailable(isMissing ? 'systemctl is not installed' : `${error.message}\n${stderr}`))
          return
        }
        settle({ code: error ? Number(error.code) : 0, stdout, stderr })
      },
    )
  })
}
