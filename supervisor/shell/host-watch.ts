/**
 * What the machine itself says: how full its disks and its memory are, and whether it has a way out. It asks nobody
 * outside. The network counts as there if an interface has an address and, where the system tells, there is a default
 * route; what has just become of a message outside is stronger than either.
 */
import { readFileSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { dirname, resolve } from 'node:path'
import { type HostMemory, readHostMemory } from './host-memory.ts'

const DISKS_MS = 30_000
const NETWORK_MS = 10_000
const MEMORY_MS = 10_000
/** What became of a message says something about the network for this long. */
const EVIDENCE_MS = 60_000
const isRoot = process.getuid?.() === 0

/** One file system; bytes. */
export type Filesystem = { readonly mountpoint: string; readonly avail: number; readonly size: number }
export type HostFigures = {
  readonly filesystems: readonly Filesystem[]
  readonly isOnline: boolean
  /** Null while nobody has looked, and where the system does not tell. */
  readonly memory: HostMemory | null
}

export type HostWatch = {
  /** Looks at what is due; the answer of a disk is there at the next look. */
  look(): void
  /** A message got through, or did not leave this machine. */
  heard(isThrough: boolean): void
  figures(): HostFigures
}

export type HostWatchOptions = {
  /** The file systems of these paths are watched. */
  readonly paths: () => readonly string[]
  readonly interfaces?: () => NodeJS.Dict<NetworkInterfaceInfo[]>
  /** The kernel's tables of routes as texts (IPv4, IPv6), null where they cannot be read. */
  readonly routes?: () => readonly [string | null, string | null]
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** Opens the watch; the network is looked at before it returns. */
export function openHostWatch({
  paths,
  interfaces = networkInterfaces,
  routes = readRoutes,
  now = () => performance.now(),
}: HostWatchOptions): HostWatch {
  let disksAt = Number.NEGATIVE_INFINITY
  let networkAt = Number.NEGATIVE_INFINITY
  let memoryAt = Number.NEGATIVE_INFINITY
  let memory: HostMemory | null = null
  let hasWayOut = true
  let evidence: { readonly at: number; readonly isThrough: boolean } | null = null
  let filesystems: readonly Filesystem[] = []

  const look = () => {
    if (now() - networkAt >= NETWORK_MS) {
      networkAt = now()
      hasWayOut = hasAddress(interfaces()) && hasDefaultRoute(routes())
    }
    if (now() - memoryAt >= MEMORY_MS) {
      memoryAt = now()
      void readHostMemory().then((found) => {
        memory = found
      })
    }
    if (now() - disksAt < DISKS_MS) return
    disksAt = now()
    void readFilesystems(paths()).then((found) => {
      filesystems = found
    })
  }
  look()
  return {
    look,
    heard(isThrough) {
      evidence = { at: now(), isThrough }
    },
    figures: () => ({
      filesystems,
      memory,
      isOnline: evidence && now() - evidence.at < EVIDENCE_MS ? evidence.isThrough : hasWayOut,
    }),
  }
}

/** An address by which others could be reached: neither loopback nor one that an interface gives itself. */
function hasAddress(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): boolean {
  return Object.values(interfaces).some((addresses) =>
    addresses?.some(({ internal, address }) => !internal && !/^(169\.254\.|fe[89ab]|::1$)/i.test(address)),
  )
}

/** True where there is one, or nobody can tell. */
function hasDefaultRoute([v4, v6]: readonly [string | null, string | null]): boolean {
  if (v4 === null && v6 === null) return true
  const isUp = (flags: string | undefined) => (Number.parseInt(flags ?? '', 16) & 1) === 1
  const inV4 = (v4 ?? '').split('\n').some((line) => {
    const [, destination, , flags, , , , mask] = line.split(/\s+/)
    return destination === '00000000' && mask === '00000000' && isUp(flags)
  })
  const inV6 = (v6 ?? '').split('\n').some((line) => {
    const [destination, length, , , , , , , flags, name] = line.trim().split(/\s+/)
    return destination === '0'.repeat(32) && length === '00' && name !== 'lo' && isUp(flags?.slice(-2))
  })
  return inV4 || inV6
}

function readRoutes(): [string | null, string | null] {
  if (process.platform !== 'linux') return [null, null]
  return [readOrNull('/proc/net/route'), readOrNull('/proc/net/ipv6_route')]
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    // A kernel without that protocol has no such file.
    return null
  }
}

/** Each file system once; what cannot be looked at is left out. */
async function readFilesystems(paths: readonly string[]): Promise<Filesystem[]> {
  const found = new Map<string, Filesystem>()
  for (const path of paths) {
    try {
      const mountpoint = mountpointOf(path)
      if (found.has(mountpoint)) continue
      const { blocks, bfree, bavail, bsize } = await statfs(mountpoint)
      const avail = (isRoot ? bfree : bavail) * bsize
      found.set(mountpoint, { mountpoint, avail, size: blocks * bsize })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error
    }
  }
  return [...found.values()].filter(({ size }) => size > 0)
}

/** The topmost folder on the same file system; of a path that is not there, that of the folder it would lie in. */
export function mountpointOf(path: string): string {
  let here = resolve(path)
  while (deviceOf(here) === null) here = dirname(here)
  const device = deviceOf(here)
  while (dirname(here) !== here && deviceOf(dirname(here)) === device) here = dirname(here)
  return here
}

function deviceOf(path: string): number | null {
  try {
    return statSync(path).dev
  } catch (error) {
    if (path === '/') throw error
    return null
  }
}
