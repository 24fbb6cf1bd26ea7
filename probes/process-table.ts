/** What probes may know of other processes: whether one lives, and what an operator would call it. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { ProbeTarget } from './probe.ts'

const INTERPRETERS = /^(node|nodejs|bun|deno|python[\d.]*|ruby|perl|sh|bash|dash|zsh)$/

/** True if the pid is a living process; a zombie holds nothing any more and counts as dead. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: the process lives, and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  if (process.platform !== 'linux') return true
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return stat === null || !/\) [ZX] /.test(stat)
}

/**
 * The name of a process: its title or program, with the script's name behind an interpreter. Only base names
 * are taken from its arguments, since others may be secrets. macOS asks ps (not tried on macOS).
 */
export async function programOf(
  pid: number,
  target: Pick<ProbeTarget, 'run'>,
  signal: AbortSignal,
): Promise<string> {
  if (process.platform !== 'linux') {
    const asked = await target.run(['ps', '-o', 'comm=', '-p', String(pid)], { signal })
    return basename(asked.stdout.trim()) || 'unknown program'
  }
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const words = line.split('\0').filter((word) => word !== '')
  // A program that sets its own title writes it as the first word, blanks included.
  const program = basename(words[0]?.trim().split(' ')[0] ?? '')
  if (program === '') {
    return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim() || 'unknown program'
  }
  const script = INTERPRETERS.test(program)
    ? words.slice(1).find((word) => /^[^-].*\.\w+$/.test(word))
    : undefined
  return script === undefined ? program : `${program} ${basename(script)}`
}

/** `pid 812 (openclaw-gateway)`; with `, systemd` or `, launchd` where this user's own one has started it. */
export async function nameProcess(
  pid: number,
  target: Pick<ProbeTarget, 'run'>,
  signal: AbortSignal,
): Promise<string> {
  const [program, init] = [await programOf(pid, target, signal), await initOf(pid, target, signal)]
  return `pid ${pid} (${init === null ? program : `${program}, ${init}`})`
}

/** The service manager of this user that runs a process; null if none does, or it cannot be told. */
async function initOf(
  pid: number,
  target: Pick<ProbeTarget, 'run'>,
  signal: AbortSignal,
): Promise<string | null> {
  const launchctl = process.env['PAIOS_LAUNCHCTL'] || '/bin/launchctl'
  if (process.platform === 'darwin' || process.env['PAIOS_LAUNCHCTL']) {
    const parent = await outputOf(['ps', '-o', 'ppid=', '-p', String(pid)], target, signal)
    const jobs = await outputOf([launchctl, 'list'], target, signal)
    // The job may be a wrapper that has started the program.
    return new RegExp(`^(?:${pid}|${Number(parent)})\\t`, 'm').test(jobs) ? 'launchd' : null
  }
  const [unit, own] = await Promise.all([unitOf(pid), unitOf('self')])
  // What shares our own unit was started by us or beside us, and not by systemd.
  return unit !== null && !unit.isOfSystem && unit.name !== own?.name ? 'systemd' : null
}

const unitOf = async (pid: number | 'self') =>
  unitIn(await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''))

/** Empty where the program cannot be run: who holds something is worth knowing without who started that. */
function outputOf(
  argv: readonly string[],
  target: Pick<ProbeTarget, 'run'>,
  signal: AbortSignal,
): Promise<string> {
  return target.run(argv, { signal }).then(
    ({ stdout }) => stdout,
    () => '',
  )
}

/** The systemd service that a process belongs to, by its /proc/PID/cgroup; null if it belongs to none. */
export function unitIn(cgroup: string): { readonly name: string; readonly isOfSystem: boolean } | null {
  for (const line of cgroup.split('\n')) {
    const path = /^(?:0::|\d+:name=systemd:)(\/.*)$/.exec(line)?.[1]?.split('/') ?? []
    const name = path.findLast((part) => part.endsWith('.service'))
    // user@1000.service is the user's systemd itself, with what belongs to none of its units.
    if (name === undefined || /^user@\d+\.service$/.test(name)) continue
    return { name, isOfSystem: path.includes('system.slice') }
  }
  return null
}
