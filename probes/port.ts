/**
 * Who holds a listening TCP port. On Linux the kernel's table names the socket and /proc/<pid>/fd its owner;
 * macOS asks lsof (not tried on macOS). Where no owner can be seen, a bind attempt is the last word.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { defineProbe, fail, type ProbeTarget, pass, unknown } from './probe.ts'
import { nameProcess } from './process-table.ts'

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

type Holder = { readonly listening: boolean; readonly pids: readonly number[] }

async function holdersOnLinux(
  port: number,
  host: string | undefined,
  tree: readonly number[],
): Promise<Holder> {
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

async function holdersByLsof(
  port: number,
  host: string | undefined,
  target: ProbeTarget,
  signal: AbortSignal,
) {
  const address = host === undefined ? '' : host.includes(':') ? `@[${host}]` : `@${host}`
  const argv = ['lsof', '-nP', `-iTCP${address}:${port}`, '-sTCP:LISTEN', '-Fpc']
  const { stdout } = await target.run(argv, { signal })
  const pids = [...stdout.matchAll(/^p(\d+)$/gm)].map((match) => Number(match[1]))
  return { listening: pids.length > 0, pids }
}

/** Null if the port can be bound, otherwise the error's code. */
function bindError(port: number, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/**
 * `free`: nobody but the service's own tree listens on the port; `ours`: a process of the tree does. Without
 * `host` a listener on any address counts, with it those on that address and on all addresses.
 */
export const port = defineProbe(
  'port',
  ({ z }) => ({
    port: z.int().min(1).max(65_535),
    host: z.union([z.ipv4(), z.literal('::1')]).optional(),
    expect: z.enum(['free', 'ours']),
  }),
  async ({ port: number, host, expect }, target) => ({
    async check(signal) {
      const tree = await target.tree()
      const { listening, pids } =
        process.platform === 'linux'
          ? await holdersOnLinux(number, host, tree)
          : await holdersByLsof(number, host, target, signal)
      const own = pids.find((pid) => tree.includes(pid))
      if (own !== undefined) return pass(`held by our own pid ${own}`)
      if (pids[0] !== undefined)
        return fail(`port ${number} is held by ${await nameProcess(pids[0], target, signal)}`)
      if (listening) return fail(`port ${number} is held by a process that cannot be seen`)
      if (expect === 'ours') return fail(`nobody listens on port ${number}`)
      const error = await bindError(number, host ?? '127.0.0.1')
      if (error === null) return pass()
      if (error === 'EADDRINUSE') return fail(`port ${number} is held by a process that cannot be seen`)
      return unknown(`port ${number} cannot be bound: ${error}`)
    },
    close: () => Promise.resolve(),
  }),
)
