/**
 * Who runs on this machine: pids, parents, groups, start times, and the PAIOS_RUN marker. Linux reads /proc;
 * elsewhere `ps` is asked (tried on Linux against the same contract, not on macOS). Start times are text that
 * is only compared: clock ticks since boot on Linux, the start date of `ps` elsewhere (1 s grain).
 */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, realpathSync } from 'node:fs'

/** The environment variable that names the run a process belongs to. */
export const MARKER = 'PAIOS_RUN'

/** One process. `session` is null where the system does not tell. */
export type Entry = {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number | null
  readonly start: string
  readonly zombie: boolean
  readonly program: string
}

/**
 * What the marker says: the run, `none` if the environment is readable and has none, `hidden` if it cannot be
 * read.
 */
export type Marker = { readonly kind: 'run'; readonly run: string } | { readonly kind: 'none' | 'hidden' }

export type ProcessTable = {
  /** Names this boot; start times of different boots are not comparable. */
  readonly boot: string
  /** One process, null if there is none. Throws if the system would not say. */
  entry(pid: number): Entry | null
  /** Every process. Throws if the system would not say. */
  list(): Entry[]
  /** Every pid; null where asking for them costs as much as the whole list. */
  pids(): number[] | null
  marker(pid: number): Marker
  /** True if the process writes its output to this file, false if not, null if that cannot be seen. */
  writesTo(pid: number, path: string): boolean | null
  /**
   * Processes whose parent has died and that were handed to one of our ancestors; null where that is not
   * cheap.
   */
  orphans(): number[] | null
}

/** The table of this machine. */
export function openProcessTable(platform: NodeJS.Platform = process.platform): ProcessTable {
  return platform === 'linux' ? linuxTable() : psTable()
}

function parseStat(pid: number, text: string): Entry {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  const rest = text.slice(close + 2).split(' ')
  return {
    pid,
    program: text.slice(open + 1, close),
    zombie: rest[0] === 'Z' || rest[0] === 'X',
    parent: Number(rest[1]),
    group: Number(rest[2]),
    session: Number(rest[3]),
    start: rest[19] ?? '',
  }
}

/** ENOENT and ESRCH: it is gone. EACCES and EPERM: it is there and not ours to look at. */
const isGone = (error: unknown) => ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')

const buffer = Buffer.allocUnsafeSlow(131_072)

/** A file of /proc, in as few system calls as it takes: sweeps and scans read hundreds. */
function readProc(path: string): string {
  const fd = openSync(path, 'r')
  try {
    let text = ''
    for (;;) {
      const size = readSync(fd, buffer, 0, buffer.length, null)
      text += buffer.toString('latin1', 0, size)
      // Some files give about a page at a time, so this little can only be the end.
      if (size < 2_048) return text
    }
  } finally {
    closeSync(fd)
  }
}

function readEntry(pid: number): Entry | null {
  try {
    return parseStat(pid, readProc(`/proc/${pid}/stat`))
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

const readPids = () =>
  readdirSync('/proc')
    .filter((name) => name.charCodeAt(0) >= 48 && name.charCodeAt(0) <= 57)
    .map(Number)

function linuxTable(): ProcessTable {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const table: ProcessTable = {
    boot: `linux:${boot}`,
    entry: readEntry,
    list: () =>
      readPids()
        .map(readEntry)
        .filter((entry) => entry !== null),
    pids: readPids,
    marker(pid) {
      try {
        return findMarker(readProc(`/proc/${pid}/environ`).split('\0'))
      } catch {
        return { kind: 'hidden' }
      }
    },
    writesTo(pid, path) {
      try {
        // The kernel names the file itself, the home may be reached through a link.
        const real = realPathOf(path)
        return ['1', '2'].some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === real)
      } catch {
        return null
      }
    },
    orphans: () => linuxOrphans(table),
  }
  return table
}

/** The path without links; as it is where there is no such file. */
function realPathOf(path: string): string {
  try {
    return realpathSync.native(path)
  } catch {
    return path
  }
}

function findMarker(variables: readonly string[]): Marker {
  const found = variables.find((variable) => variable.startsWith(`${MARKER}=`))
  if (found) return { kind: 'run', run: found.slice(MARKER.length + 1) }
  return variables.some((variable) => variable.includes('=')) ? { kind: 'none' } : { kind: 'hidden' }
}

/** Children of our ancestors, by the kernel's own lists (CONFIG_PROC_CHILDREN); null where it has none. */
function linuxOrphans(table: ProcessTable): number[] | null {
  const found: number[] = []
  const ancestors: number[] = []
  try {
    let ancestor = process.ppid
    for (let depth = 0; ancestor > 0 && depth < 64; depth++) {
      // The kernel hands an orphan to the first thread that lives, which is the main one.
      const children = readProc(`/proc/${ancestor}/task/${ancestor}/children`)
      if (children) found.push(...children.trim().split(' ').map(Number))
      ancestors.push(ancestor)
      ancestor = table.entry(ancestor)?.parent ?? 0
    }
    return found.filter((pid) => pid !== process.pid && !ancestors.includes(pid))
  } catch {
    return null
  }
}

const PS = {
  env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/bin:/usr/bin' },
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
} as const
const PS_LINE = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/

function parsePs(text: string): Entry[] {
  const entries: Entry[] = []
  for (const line of text.split('\n')) {
    const match = PS_LINE.exec(line)
    if (!match) continue
    const [, pid, parent, group, stat, start, program] = match
    entries.push({
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      session: null,
      start: (start ?? '').replace(/\s+/g, ' '),
      zombie: (stat ?? '').startsWith('Z'),
      program: (program ?? '').replace(/ <defunct>$/, ''),
    })
  }
  if (entries.length === 0) throw new Error('the answer of ps cannot be read')
  return entries
}

/** The table by `ps`, for systems without /proc. */
export function psTable(): ProcessTable {
  // One option for each: by POSIX, all that follows an equals sign is the heading. The program comes last,
  // without its arguments, which may hold anything.
  const fields = ['pid', 'ppid', 'pgid', 'stat', 'lstart', 'ucomm'].flatMap((field) => ['-o', `${field}=`])
  const ask = (args: string[]) =>
    execFileSync('/bin/ps', args, { ...PS, stdio: ['ignore', 'pipe', 'ignore'] })
  return {
    boot: `${process.platform}:${readBootId()}`,
    entry(pid) {
      try {
        const [entry] = parsePs(ask([...fields, '-p', String(pid)]))
        return entry ?? null
      } catch (error) {
        // ps says 1 and nothing else when there is no such process.
        if ((error as { status?: number }).status === 1) return null
        throw error
      }
    },
    list: () => parsePs(ask(['-ax', ...fields])),
    marker(pid) {
      try {
        const command = ['-o', 'command=', '-p', String(pid)]
        const text = ask(['eww', ...command])
        const bare = ask(['-ww', ...command]).trimEnd()
        // What follows the arguments is the environment; nothing is known of what was renamed in between.
        return findMarker(text.startsWith(bare) ? text.slice(bare.length).split(/\s+/) : [])
      } catch {
        return { kind: 'hidden' }
      }
    },
    pids: () => null,
    writesTo: () => null,
    orphans: () => null,
  }
}

function readBootId(): string {
  if (process.platform === 'darwin')
    return execFileSync('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], PS).trim()
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
