/**
 * Where the installation of one home lies: its versioned copies, the two programs that never change, and the
 * file that systemd or launchd reads. Each home has a name of its own, so that two homes never share a unit.
 */
import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** Paths and names of one home's installation. */
export type Place = {
  /** PAIOS_HOME. */
  readonly home: string
  readonly versions: string
  /** A link to the folder of the version in force. */
  readonly current: string
  /** A link to the one before, which is kept to go back to. */
  readonly previous: string
  /** What systemd or launchd starts; its bytes stay the same over upgrades. */
  readonly supervisor: string
  /** `paios` for people, of the version in force. */
  readonly command: string
  /** What the supervisor writes before its own log is open. */
  readonly bootLog: string
  /** Name of the systemd unit, `paios.service` for ~/.paios. */
  readonly unit: string
  readonly unitPath: string
  /** Label of the launchd job, `dev.paios.supervisor` for ~/.paios. */
  readonly label: string
  readonly plistPath: string
  /** The sentinel's script, and what runs it: the units without their ending, the agent. */
  readonly sentinel: string
  readonly sentinelUnit: string
  readonly sentinelUnitPath: string
  readonly sentinelLabel: string
  readonly sentinelPlistPath: string
}

type Surroundings = { readonly userHome: string; readonly configHome: string | null }

/** The place of a home. Any home but ~/.paios adds 8 hex digits of its path's SHA-256 to the names. */
export function placeOf(home: string, around: Surroundings = surroundings()): Place {
  const { userHome, configHome } = around
  const root = resolve(home)
  const tag = createHash('sha256').update(root).digest('hex').slice(0, 8)
  const isUsual = root === join(userHome, '.paios')
  const unit = isUsual ? 'paios.service' : `paios-${tag}.service`
  const label = isUsual ? 'dev.paios.supervisor' : `dev.paios.supervisor.${tag}`
  const units = join(configHome ?? join(userHome, '.config'), 'systemd', 'user')
  const sentinelUnit = unit.replace(/^paios(.*)\.service$/, 'paios-sentinel$1')
  const sentinelLabel = label.replace('.supervisor', '.sentinel')
  const versions = join(root, 'versions')
  return {
    home: root,
    versions,
    current: join(versions, 'current'),
    previous: join(versions, 'previous'),
    supervisor: join(root, 'bin', 'paios-supervisor'),
    command: join(root, 'bin', 'paios'),
    bootLog: join(root, 'logs', 'supervisor', 'boot.log'),
    unit,
    unitPath: join(units, unit),
    label,
    plistPath: join(userHome, 'Library', 'LaunchAgents', `${label}.plist`),
    sentinel: join(root, 'bin', 'paios-sentinel'),
    sentinelUnit,
    sentinelUnitPath: join(units, sentinelUnit),
    sentinelLabel,
    sentinelPlistPath: join(userHome, 'Library', 'LaunchAgents', `${sentinelLabel}.plist`),
  }
}

function surroundings(): Surroundings {
  return { userHome: homedir(), configHome: process.env['XDG_CONFIG_HOME'] || null }
}
