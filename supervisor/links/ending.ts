/**
 * Ends orphans. A pid is only a number: right before each signal the process must have the start time and the
 * arguments that were looked at, and the first one of a copy must still be proven to be an orphan.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { ProcessTable } from '../shell/process-table.ts'
import type { ArgvSource, Copy } from './census.ts'
import type { Seen } from './copies.ts'

/** Between SIGTERM and SIGKILL. */
const POLITE_MS = 2_000
/** After SIGKILL a process may still be in the kernel for this long. */
const GONE_MS = 2_000
const LOOK_MS = 50

/** What became of an orphan; `pids` are those that were signalled, `left` those that are still there. */
export type Ended = {
  readonly kind: 'ended' | 'left' | 'spared'
  readonly pids: readonly number[]
  readonly left: readonly number[]
  readonly why: string | null
}

/** What ending needs of the world; `look` is a fresh census. */
export type EndingOptions = {
  readonly table: ProcessTable
  readonly source: ArgvSource
  readonly look: () => readonly Copy[]
}

/** SIGTERM to the whole copy, 2 s, SIGKILL to what is left, children that came meanwhile included. */
export async function endOrphan(orphan: Copy, options: EndingOptions): Promise<Ended> {
  const { table, source } = options
  const [was] = orphan.members
  const now = options.look().find(({ members: [root] }) => isSame(root, was))
  if (now === undefined) return { kind: 'spared', pids: [], left: [], why: 'it has ended by itself' }
  if (now.standing.kind !== 'orphan') return { kind: 'spared', pids: [], left: [], why: now.standing.why }
  const members = new Map(now.members.map((member) => [member.pid, member]))
  const signalled = new Map<number, NodeJS.Signals>()
  const signal = (name: NodeJS.Signals) => {
    for (const member of members.values()) {
      if (signalled.get(member.pid) === name || !isProven(member, table, source)) continue
      if (send(member.pid, name)) signalled.set(member.pid, name)
    }
  }
  const begun = performance.now()
  for (;;) {
    addChildren(members, table, source)
    const left = [...members.values()].filter((member) => lives(member, table))
    const passed = performance.now() - begun
    if (left.length === 0 || passed > POLITE_MS + GONE_MS) {
      const pids = [...signalled.keys()]
      const kind = left.length === 0 ? 'ended' : 'left'
      return { kind, pids, left: left.map(({ pid }) => pid), why: null }
    }
    signal(passed < POLITE_MS ? 'SIGTERM' : 'SIGKILL')
    await wait(LOOK_MS)
  }
}

const isSame = (a: Seen, b: Seen) =>
  a.pid === b.pid &&
  a.start === b.start &&
  a.words.length === b.words.length &&
  a.words.every((word, index) => word === b.words[index])

function lives({ pid, start }: Seen, table: ProcessTable): boolean {
  const entry = table.entry(pid)
  return entry !== null && !entry.zombie && entry.start === start
}

function isProven(member: Seen, table: ProcessTable, source: ArgvSource): boolean {
  if (!lives(member, table)) return false
  source.refresh()
  return isSame(member, { ...member, words: source.wordsOf(member.pid) })
}

/** What a living member has started since the last look belongs to it. */
function addChildren(members: Map<number, Seen>, table: ProcessTable, source: ArgvSource): void {
  const list = table.list().filter(({ zombie }) => !zombie)
  const known = () =>
    new Set([...members.values()].filter((member) => lives(member, table)).map(({ pid }) => pid))
  for (let parents = known(), before = -1; before !== members.size; parents = known()) {
    before = members.size
    for (const { pid, parent, group, session, start, program } of list) {
      if (!parents.has(parent) || members.get(pid)?.start === start) continue
      members.set(pid, { pid, parent, group, session, start, program, words: source.wordsOf(pid) })
    }
  }
}

/** True if it was sent; a process that has ended in between is what was wanted, a stranger's is left. */
function send(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
    return false
  }
}
