/**
 * Whether anybody still talks to a copy. A parent that is gone is not enough to call it an orphan: what
 * systemd or launchd has started looks the same, and so does a server whose launcher has ended while its
 * client lives. So an orphan is one that was handed to a reaper, carries no mark of a supervisor, and whose
 * stdin has nobody at its other end. What cannot be proven is said and never signalled.
 */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { ProcessTable } from '../shell/process-table.ts'
import { isTelling } from './argv-match.ts'
import { clientOf } from './client-formats.ts'
import type { Seen, Tree } from './copies.ts'

/** What a copy is to the world, and why. */
export type Standing = {
  /** `held`: somebody who is no client of ours uses it; `unproven`: looks left alone, and nobody can tell. */
  readonly kind: 'client' | 'supervisor' | 'held' | 'orphan' | 'unproven'
  readonly why: string
}

/** Programs that take over processes whose parent has ended. */
const REAPERS = /^(systemd|launchd|init|tini|dumb-init|docker-init|catatonit|s6-svscan|containerd-shim.*)$/

const of = (kind: Standing['kind'], why: string): Standing => ({ kind, why })

/** The standing of each copy, in the same order. `argvOf` is the registered command of a server. */
export function judgeStanding(
  trees: readonly Tree[],
  processes: readonly Seen[],
  table: ProcessTable,
  argvOf: (id: string) => readonly string[],
): Standing[] {
  const wires = openWires(processes)
  return trees.map((tree) => {
    const [root] = tree.members
    if (tree.client !== null) return of('client', `${tree.client.kind} (pid ${tree.client.pid})`)
    const marker = table.marker(root.pid)
    if (marker.kind === 'run') return of('supervisor', 'started by a PAIOS supervisor')
    if (tree.parent !== null && !isReaper(tree.parent, root)) {
      return of('held', `started by ${tree.parent.program} (pid ${tree.parent.pid})`)
    }
    if (marker.kind === 'hidden') return of('unproven', 'its environment cannot be read')
    if (!isTelling(argvOf(tree.id))) return of('unproven', 'its command line names no script')
    return wires(tree)
  })
}

/**
 * A process inherits its parent's session, so one that leads none and has another than its parent was handed
 * on.
 */
function isReaper(parent: Seen, child: Seen): boolean {
  if (parent.pid === 1 || REAPERS.test(parent.program)) return true
  if (child.session === null || parent.session === null || child.session === child.pid) return false
  return child.session !== parent.session
}

/** Who is at the other end of a copy's stdin. */
type Wires = (tree: Tree) => Standing

function openWires(processes: readonly Seen[]): Wires {
  if (process.platform !== 'linux') return lsofWires()
  const byPid = new Map(processes.map((seen) => [seen.pid, seen]))
  let peers: ReadonlyMap<string, string> | null | undefined
  const held = (holder: number) => {
    const { words, program } = byPid.get(holder)!
    const client = clientOf(words, program)
    // Its launcher has ended, and the client talks on to what that has left.
    if (client !== null) return of('client', `${client} (pid ${holder}) talks to it, its launcher has ended`)
    return of('held', `pid ${holder} (${program}) holds the other end of its stdin`)
  }
  return ({ members }) => {
    const [root] = members
    if (variableOf(root.pid, 'SYSTEMD_EXEC_PID') === String(root.pid)) return of('held', 'started by systemd')
    const stdin = linkOf(`/proc/${root.pid}/fd/0`)
    if (stdin === null) return of('unproven', 'its stdin cannot be seen')
    const own = new Set(members.map(({ pid }) => pid))
    if (stdin.startsWith('pipe:')) {
      const holder = holderOf(stdin, own, processes, true)
      return holder === null ? of('orphan', 'nobody holds the other end of its stdin') : held(holder)
    }
    if (!stdin.startsWith('socket:')) return of('held', `reads from ${stdin}, which is no client`)
    peers ??= readPeers()
    if (peers === null) return byGroup(root, processes)
    const peer = peers.get(stdin.slice('socket:['.length, -1))
    if (peer === undefined) return of('unproven', 'the other end of its stdin cannot be seen')
    if (peer === '0') return of('orphan', 'nobody holds the other end of its stdin')
    const holder = holderOf(`socket:[${peer}]`, own, processes, false)
    return holder === null
      ? of('unproven', 'who holds the other end of its stdin cannot be seen')
      : held(holder)
  }
}

/**
 * Without the kernel's word on sockets: a living client in the same process group may be the one that
 * started it.
 */
function byGroup(root: Seen, processes: readonly Seen[]): Standing {
  const client = processes.find(
    ({ group, words, program }) => group === root.group && clientOf(words, program),
  )
  if (client !== undefined) return of('unproven', `its group has a living client, pid ${client.pid}`)
  if (root.group === root.pid) return of('unproven', 'it leads its own group, and `ss` is not installed')
  return of('orphan', 'its parent has ended, and no client lives in its group')
}

/** A process outside the copy that has this pipe (for writing) or socket open; null if there is none. */
function holderOf(link: string, own: ReadonlySet<number>, processes: readonly Seen[], writing: boolean) {
  for (const { pid } of processes) {
    if (own.has(pid)) continue
    const fd = descriptorsOf(pid).find((name) => linkOf(`/proc/${pid}/fd/${name}`) === link)
    if (fd !== undefined && (!writing || isWritable(pid, fd))) return pid
  }
  return null
}

function descriptorsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
  } catch {
    // It has ended, or it belongs to somebody else.
    return []
  }
}

function isWritable(pid: number, fd: string): boolean {
  try {
    const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1]
    return flags === undefined || (Number.parseInt(flags, 8) & 3) !== 0
  } catch {
    return true
  }
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}

function variableOf(pid: number, name: string): string | null {
  try {
    const lines = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    return lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? null
  } catch {
    return null
  }
}

const SYSTEM_PATH = { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
const QUIET: ExecFileSyncOptionsWithStringEncoding = {
  env: SYSTEM_PATH,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'ignore'],
  timeout: 10_000,
}

/**
 * Inode of the peer by inode of a Unix socket, `0` where it is gone; null if the system's tool is not there.
 */
function readPeers(): ReadonlyMap<string, string> | null {
  try {
    const text = execFileSync('ss', ['-xan'], { ...QUIET, maxBuffer: 64 * 1024 ** 2 })
    const rows = text.split('\n').map((line) => line.trim().split(/\s+/))
    // Netid State Recv-Q Send-Q Local Inode Peer Inode.
    return new Map(rows.filter((row) => row.length >= 8).map((row) => [row[5]!, row[7]!]))
  } catch {
    return null
  }
}

/** The same by `lsof`, where pipes and sockets are named by address (not tried on macOS). */
function lsofWires(): Wires {
  type Open = { pid: number; fd: string; type: string; device: string; name: string }
  let opened: readonly Open[] | null = null
  const read = (): Open[] => {
    const text = execFileSync('lsof', ['-nP', '-w', '-u', String(process.getuid!()), '-F', 'pftdn'], {
      ...QUIET,
      maxBuffer: 256 * 1024 ** 2,
    })
    const found: Open[] = []
    let pid = 0
    for (const line of text.split('\n')) {
      const value = line.slice(1)
      const last = found.at(-1)
      if (line.startsWith('p')) pid = Number(value)
      else if (line.startsWith('f')) found.push({ pid, fd: value, type: '', device: '', name: '' })
      else if (last && line.startsWith('t')) last.type = value
      else if (last && line.startsWith('d')) last.device = value
      else if (last && line.startsWith('n')) last.name = value
    }
    return found
  }
  return ({ members }) => {
    try {
      opened ??= read()
    } catch {
      return of('unproven', 'lsof does not tell who holds its stdin')
    }
    const own = new Set(members.map(({ pid }) => pid))
    const stdin = opened.find(({ pid, fd }) => pid === members[0].pid && fd === '0')
    if (stdin === undefined) return of('unproven', 'its stdin cannot be seen')
    if (!/^(PIPE|unix)$/.test(stdin.type)) return of('held', 'its stdin is no pipe of a client')
    const peer = /^->(0x[0-9a-f]+)$/i.exec(stdin.name)?.[1]
    const holder = opened.find(({ pid, device }) => device === peer && !own.has(pid))
    if (peer !== undefined && holder !== undefined) {
      return of('held', `pid ${holder.pid} holds the other end of its stdin`)
    }
    return of('orphan', 'nobody holds the other end of its stdin')
  }
}
