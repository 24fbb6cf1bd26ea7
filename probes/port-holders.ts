/**
 * Who listens on a TCP port. On Linux the kernel's table names the socket and /proc/<pid>/fd its owner; macOS asks
 * lsof (not tried on macOS).
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'

const WILDCARDS = ['00000000', '0'.repeat(32)]

/** An address as the kernel's tables print it: bytes reversed in each 32-bit word (little-endian systems). */
function kernelAddresses(host: string): readonly string[] {
  if (host === '::1') return ['00000000000000000000000001000000']
  const bytes = host.split('.').map((part) => Number(part).toString(16).padStart(2, '0').toUpperCase())
  const address = bytes.reverse().join('')
  return [address, `0000000000000000FFFF0000${address}`]
}

/** Inodes of the listening sockets on the port, from both tables; null if no table can be read. */
async function listeningInodes(port: number, host: string | undefined): Promise<Set<string> | null> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => null)),
  )
  if (tables.every((table) => table === null)) return null
  const wanted = host === undefined ? null : [...WILDCARDS, ...kernelAddresses(host)]
  const inodes = new Set<string>()
  for (const line of tables.join('\n').split('\n')) {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
    const [address = '', hexPort = ''] = local.split(':')
    // State 0A is LISTEN.
    if (state !== '0A' || Number.parseInt(hexPort, 16) !== port) continue
    if (wanted === null || wanted.includes(address)) inodes.add(inode)
  }
  return inodes
}

/** True if the process has one of the sockets open. Synchronous, since promises would cost more. */
function hasSocket(pid: string, inodes: Set<string>): boolean {
  return fileDescriptors(pid).some((fd) => {
    try {
      const link = readlinkSync(`/proc/${pid}/fd/${fd}`)
      return link.startsWith('socket:[') && inodes.has(link.slice(8, -1))
    } catch {
      // The descriptor was closed meanwhile; in our own process that is the one that listed the folder.
      return false
    }
  })
}

function fileDescriptors(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
  } catch {
    // The process ended, or it is not ours to read: it is not seen as the holder.
    return []
  }
}

/** `pids` is empty while `listening` is true where the owner cannot be seen. */
type Holders = { readonly listening: boolean; readonly pids: readonly number[] }

/** Runs lsof; what ends with another code than 0 has found nobody. */
type Run = (argv: readonly string[]) => Promise<{ readonly stdout: string }>

/**
 * The processes that listen on a port. Without `host` a listener on any address counts, with it those on that address
 * and on all addresses. Processes of `tree` are looked at first, and the others only if none of them listens.
 */
export function portHolders(
  port: number,
  host: string | undefined,
  tree: readonly number[],
  run: Run,
): Promise<Holders> {
  return process.platform === 'linux' ? holdersOnLinux(port, host, tree) : holdersByLsof(port, host, run)
}

async function holdersOnLinux(
  port: number,
  host: string | undefined,
  tree: readonly number[],
): Promise<Holders> {
  const inodes = await listeningInodes(port, host)
  if (inodes === null || inodes.size === 0) return { listening: false, pids: [] }
  const own = tree.filter((pid) => hasSocket(String(pid), inodes))
  if (own.length > 0) return { listening: true, pids: own }
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const pids: number[] = []
  for (const pid of all) {
    if (hasSocket(pid, inodes)) pids.push(Number(pid))
    // One process at a time, so that a machine with many open files does not block the loop.
    await new Promise(setImmediate)
  }
  return { listening: true, pids }
}

async function holdersByLsof(port: number, host: string | undefined, run: Run): Promise<Holders> {
  const address = host === undefined ? '' : host.includes(':') ? `@[${host}]` : `@${host}`
  const argv = ['lsof', '-nP', `-iTCP${address}:${port}`, '-sTCP:LISTEN', '-Fpc']
  const { stdout } = await run(argv)
  const pids = [...stdout.matchAll(/^p(\d+)$/gm)].map((match) => Number(match[1]))
  return { listening: pids.length > 0, pids }
}
