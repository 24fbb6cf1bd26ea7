/**
 * Who holds a lock on a SQLite database. SQLite locks single bytes: in a rollback journal mode those at 1 GiB of the
 * database itself, in WAL mode some of its -shm file. On Linux the kernel's table names their holders; elsewhere
 * lsof names the processes that have the file locked (not tried on macOS).
 */
import { readFile, stat } from 'node:fs/promises'
import type { ProbeTarget } from './probe.ts'

/** Pending, reserved, and the 510 bytes of which readers take one for all: a write lock on any keeps writers out. */
const MAIN = { from: 0x4000_0000, to: 0x4000_0000 + 511 }
/** In -shm: the writer, and whoever rebuilds the index of the WAL. */
const WAL_WRITER = [120, 122] as const
/** In -shm: readers of a state of the WAL that must not be overwritten. */
const WAL_READERS = { from: 124, to: 127 }

type Locked = {
  readonly isWrite: boolean
  readonly pid: number
  readonly device: string
  readonly inode: number
  readonly from: number
  readonly to: number
}

/** The lines of /proc/locks that are held locks, not waits for one. */
function parseLocks(table: string): Locked[] {
  const line =
    /^\d+: \S+\s+ADVISORY\s+(READ|WRITE)\s+(-?\d+)\s+([0-9a-f]+:[0-9a-f]+):(\d+)\s+(\d+)\s+(\d+|EOF)\s*$/gm
  return [...table.matchAll(line)].map(([, type, pid, device, inode, from, to]) => ({
    isWrite: type === 'WRITE',
    pid: Number(pid),
    device: device ?? '',
    inode: Number(inode),
    from: Number(from),
    to: to === 'EOF' ? Number.POSITIVE_INFINITY : Number(to),
  }))
}

/** `fe:00` from the device number that stat tells, as the kernel's table prints it. */
function deviceOf(device: number): string {
  const major = (device >>> 8) & 0xfff
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00)
  return [major, minor].map((part) => part.toString(16).padStart(2, '0')).join(':')
}

/** The locks on one file; none if it is not there. */
async function locksOn(path: string, locks: readonly Locked[]): Promise<readonly Locked[]> {
  const found = await stat(path).catch(() => null)
  if (found === null) return []
  const same = locks.filter(({ inode }) => inode === found.ino)
  // Layered file systems show another device in stat than in the table: then the inode alone must do.
  const exact = same.filter(({ device }) => device === deviceOf(found.dev))
  return exact.length > 0 ? exact : same
}

const overlaps = (lock: Locked, from: number, to = from) => lock.from <= to && lock.to >= from

/** Pids of processes that can be seen; the kernel writes 0 or less for those outside of this container. */
const pidsOf = (locks: readonly Locked[]) => [
  ...new Set(locks.map(({ pid }) => pid).filter((pid) => pid > 0)),
]

async function onLinux(file: string) {
  const locks = parseLocks(await readFile('/proc/locks', 'utf8').catch(() => ''))
  const [main, shared] = await Promise.all([locksOn(file, locks), locksOn(`${file}-shm`, locks)])
  const writers = [
    ...main.filter((lock) => lock.isWrite && overlaps(lock, MAIN.from, MAIN.to)),
    ...shared.filter((lock) => lock.isWrite && WAL_WRITER.some((byte) => overlaps(lock, byte))),
  ]
  const readers = shared.filter((lock) => !lock.isWrite && overlaps(lock, WAL_READERS.from, WAL_READERS.to))
  return { writers: pidsOf(writers), readers: pidsOf(readers) }
}

/** Every process that has one of the two files locked for writing, or open; lsof does not tell the bytes. */
async function byLsof(file: string, target: Pick<ProbeTarget, 'run'>, signal: AbortSignal) {
  const { stdout } = await target.run(['lsof', '-F', 'pl', '--', file, `${file}-shm`], { signal })
  const writers = new Set<number>()
  const readers = new Set<number>()
  let pid = 0
  for (const field of stdout.split('\n')) {
    if (field.startsWith('p')) pid = Number(field.slice(1))
    else if (/^l[wWuU]/.test(field)) writers.add(pid)
    else if (/^l[rR]/.test(field)) readers.add(pid)
  }
  return { writers: [...writers], readers: [...readers] }
}

/** Pids that keep others from writing, and those that keep the WAL from being written back. */
export function lockHolders(
  file: string,
  target: Pick<ProbeTarget, 'run'>,
  signal: AbortSignal,
): Promise<{ readonly writers: readonly number[]; readonly readers: readonly number[] }> {
  return process.platform === 'linux' ? onLinux(file) : byLsof(file, target, signal)
}
