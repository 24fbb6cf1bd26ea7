/**
 * The census: which copies of the registered servers run, who has started them, what they cost, and which
 * nobody talks to any more. Linux reads /proc; elsewhere `ps` is asked, whose lines do not tell one argument
 * with a blank from two (tried on Linux, not tried on macOS).
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { uptime } from 'node:os'
import type { Entry, ProcessTable } from '../shell/process-table.ts'
import { findTrees, type Seen, type Tree, type Wanted } from './copies.ts'
import { judgeStanding, type Standing } from './evidence.ts'
import { type Client, digest, type StdioServer } from './identity.ts'

/** A running copy. `memoryBytes` is proportional (PSS) where the system tells it, else resident (RSS). */
export type Copy = {
  readonly id: string
  readonly pid: number
  readonly members: readonly [Seen, ...Seen[]]
  readonly parent: { readonly pid: number; readonly program: string } | null
  readonly client: { readonly kind: Client; readonly pid: number } | null
  readonly standing: Standing
  /** Wall clock milliseconds, null where it is not known. */
  readonly startedAt: number | null
  readonly memoryBytes: number | null
  readonly measure: 'pss' | 'rss'
}

/** A server to count: its command, and what tells it from others with the same command. */
export type Counted = Wanted & {
  readonly env: StdioServer['env']
  readonly cwd: string | null
}

/** Ticks of a process's start time in a second; Linux has said 100 to programs on every machine since 2.6. */
const TICKS = 100

/** How the arguments of processes are read; `isExact` is false where words with blanks have fallen apart. */
export type ArgvSource = {
  readonly isExact: boolean
  /** Empty if the process is gone or belongs to somebody else. */
  wordsOf(pid: number): readonly string[]
  refresh(): void
}

/** The arguments of this machine's processes. */
export function openArgvSource(platform: NodeJS.Platform = process.platform): ArgvSource {
  return platform === 'linux' ? procSource() : psSource()
}

function procSource(): ArgvSource {
  return {
    isExact: true,
    refresh: () => undefined,
    wordsOf(pid) {
      try {
        if (statSync(`/proc/${pid}`).uid !== process.getuid!()) return []
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        // Every word ends with a NUL; a program that sets its title leaves a row of them.
        while (words.at(-1) === '') words.pop()
        return words
      } catch {
        return []
      }
    },
  }
}

function psSource(): ArgvSource {
  let lines = new Map<number, string>()
  return {
    isExact: false,
    wordsOf: (pid) => lines.get(pid)?.split(/\s+/) ?? [],
    refresh() {
      const options = {
        encoding: 'utf8',
        maxBuffer: 64 * 1024 ** 2,
        env: { LC_ALL: 'C', PATH: '/bin:/usr/bin' },
      } as const
      const text = execFileSync('/bin/ps', ['-axww', '-o', 'pid=', '-o', 'uid=', '-o', 'args='], options)
      const own = String(process.getuid!())
      const rows = [...text.matchAll(/^\s*(\d+)\s+(\d+)\s+(.*?)\s*$/gm)].filter((row) => row[2] === own)
      lines = new Map(rows.map(([, pid, , args]) => [Number(pid), args!]))
    },
  }
}

/** Counts the copies of these servers. Throws if the system would not say which processes there are. */
export function takeCensus(table: ProcessTable, source: ArgvSource, servers: readonly Counted[]): Copy[] {
  source.refresh()
  const processes = table
    .list()
    .filter((entry) => !entry.zombie)
    .map((entry) => seenOf(entry, source))
  const fall = (argv: readonly string[]) => (source.isExact ? argv : argv.join(' ').split(/\s+/))
  const wanted = servers.map(({ id, argv }) => ({ id, argv: fall(argv) }))
  const byId = new Map(servers.map((server) => [server.id, server]))
  const trees = findTrees(processes, wanted, {
    realPath: realPathOf,
    choose: (seen, ids) => choose(seen, ids, byId),
  })
  const standings = judgeStanding(trees, processes, table, (id) => byId.get(id)!.argv)
  return trees.map((tree, index) => copyOf(tree, standings[index]!))
}

function seenOf(entry: Entry, source: ArgvSource): Seen {
  const { pid, parent, group, session, start, program } = entry
  return { pid, parent, group, session, start, program, words: source.wordsOf(pid) }
}

const realPaths = new Map<string, string | null>()

function realPathOf(word: string): string | null {
  if (!word.startsWith('/')) return null
  if (!realPaths.has(word)) {
    try {
      realPaths.set(word, realpathSync(word))
    } catch {
      realPaths.set(word, null)
    }
  }
  return realPaths.get(word)!
}

/**
 * Servers with the same command line differ in their variables or their folder, which the process has too.
 */
function choose({ pid }: Seen, ids: readonly string[], byId: ReadonlyMap<string, Counted>): string {
  const env = hashesOf(pid)
  const cwd = linkOf(`/proc/${pid}/cwd`)
  const score = (id: string) => {
    const server = byId.get(id)!
    const wrong = Object.entries(server.env).filter(([name, hash]) => env !== null && env.get(name) !== hash)
    const isElsewhere = cwd !== null && server.cwd !== null && realPathOf(server.cwd) !== cwd
    return wrong.length * -100 + (isElsewhere ? -50 : 0) + Object.keys(server.env).length
  }
  return ids.toSorted((a, b) => score(b) - score(a))[0]!
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}

function hashesOf(pid: number): Map<string, string> | null {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    return new Map(
      variables.map((line) => {
        const at = line.indexOf('=')
        return [line.slice(0, at), digest(line.slice(at + 1))]
      }),
    )
  } catch {
    return null
  }
}

function copyOf({ id, members, parent, client }: Tree, standing: Standing): Copy {
  const [root] = members
  const memory = members.map(({ pid }) => memoryOf(pid))
  const known = memory.filter((part) => part !== null)
  return {
    id,
    pid: root.pid,
    members,
    parent: parent === null ? null : { pid: parent.pid, program: parent.program },
    client,
    standing,
    startedAt: startedAt(root.start),
    memoryBytes: known.length === 0 ? null : known.reduce((sum, { bytes }) => sum + bytes, 0),
    measure: known.every(({ measure }) => measure === 'pss') ? 'pss' : 'rss',
  }
}

function startedAt(start: string): number | null {
  const at = /^\d+$/.test(start)
    ? Date.now() - (uptime() - Number(start) / TICKS) * 1_000
    : Date.parse(`${start} UTC`)
  return Number.isFinite(at) ? Math.round(at) : null
}

/** What a process costs; null if it is gone. */
function memoryOf(pid: number): { readonly bytes: number; readonly measure: 'pss' | 'rss' } | null {
  const pss = kibibytesIn(`/proc/${pid}/smaps_rollup`, 'Pss')
  if (pss !== null) return { bytes: pss * 1024, measure: 'pss' }
  const rss = kibibytesIn(`/proc/${pid}/status`, 'VmRSS') ?? residentByPs(pid)
  return rss === null ? null : { bytes: rss * 1024, measure: 'rss' }
}

function kibibytesIn(path: string, field: string): number | null {
  try {
    const found = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(path, 'utf8'))
    return found === null ? null : Number(found[1])
  } catch {
    return null
  }
}

function residentByPs(pid: number): number | null {
  try {
    return (
      Number(execFileSync('/bin/ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).trim()) || null
    )
  } catch {
    return null
  }
}
