/**
 * How much memory the machine has left, and whether its programs suffer: on Linux by /proc/meminfo and the kernel's
 * pressure stall information, on macOS by `memory_pressure` and the kernel's own level (not tried on macOS).
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'

/** Bytes; `level`: 1 normal, 2 warning, 4 critical, null where the system does not tell. */
export type HostMemory = { readonly avail: number; readonly size: number; readonly level: number | null }

/** Percent of a minute in which some programs, or all of them, stood still for want of memory. */
const SOME_STOOD = 10
const ALL_STOOD = 10
const LIMIT_MS = 5_000

/** What the system says now, null where it cannot be read. */
export async function readHostMemory(
  platform: NodeJS.Platform = process.platform,
): Promise<HostMemory | null> {
  if (platform === 'linux')
    return fromLinux(await textOf('/proc/meminfo'), await textOf('/proc/pressure/memory'))
  if (platform !== 'darwin') return null
  const asked = await said('/usr/bin/memory_pressure', ['-Q'])
  return fromMac(asked, await said('/usr/sbin/sysctl', ['-n', 'kern.memorystatus_vm_pressure_level']))
}

/** `pressure` is empty on a kernel that does not count it. */
export function fromLinux(meminfo: string, pressure: string): HostMemory | null {
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1]) * 1024
  const [avail, size] = [bytes('MemAvailable'), bytes('MemTotal')]
  if (Number.isNaN(avail) || Number.isNaN(size)) return null
  const stood = (who: string) => Number(new RegExp(`^${who} .*avg60=([\\d.]+)`, 'm').exec(pressure)?.[1])
  const [some, all] = [stood('some'), stood('full')]
  if (Number.isNaN(some)) return { avail, size, level: null }
  return { avail, size, level: all >= ALL_STOOD ? 4 : some >= SOME_STOOD ? 2 : 1 }
}

/** `asked` is what `memory_pressure -Q` prints, `level` the kernel's number. */
export function fromMac(asked: string, level: string): HostMemory | null {
  const size = Number(/^The system has (\d+)/m.exec(asked)?.[1])
  const percent = Number(/free percentage: (\d+)%/.exec(asked)?.[1])
  if (Number.isNaN(size) || Number.isNaN(percent)) return null
  const known = [1, 2, 4].find((one) => one === Number(level.trim())) ?? null
  return { avail: (size * percent) / 100, size, level: known }
}

const textOf = (path: string): Promise<string> => readFile(path, 'latin1').catch(() => '')

/** What a program prints; nothing where it fails. */
function said(program: string, args: readonly string[]): Promise<string> {
  return new Promise((settle) => {
    execFile(program, args, { timeout: LIMIT_MS }, (error, stdout) => settle(error ? '' : stdout))
  })
}
