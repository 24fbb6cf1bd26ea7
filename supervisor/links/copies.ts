/**
 * From a process table to running copies of servers, as pure functions. A wrapper and what it has started
 * are one copy; the client of a copy is its nearest ancestor that is Claude Code, Codex or OpenClaw.
 */
import { isInstance, type RealPath } from './argv-match.ts'
import { clientOf } from './client-formats.ts'
import type { Client } from './identity.ts'

/** One process. `words` are its arguments, the program first. */
export type Seen = {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number | null
  /** Only compared: a pid with another start is another process. */
  readonly start: string
  readonly program: string
  readonly words: readonly string[]
}

/** A server to look for. */
export type Wanted = { readonly id: string; readonly argv: readonly string[] }

/** One running copy: its outermost process first, then what that has started. */
export type Tree = {
  readonly id: string
  readonly members: readonly [Seen, ...Seen[]]
  /** Null if the parent cannot be seen. */
  readonly parent: Seen | null
  readonly client: { readonly kind: Client; readonly pid: number } | null
}

/** How the world decides what a command line alone cannot: `choose` picks one of several servers. */
export type Judge = {
  readonly realPath: RealPath
  readonly choose: (seen: Seen, ids: readonly string[]) => string
}

/** Every copy of the wanted servers among these processes, in the order of their pids. */
export function findTrees(processes: readonly Seen[], wanted: readonly Wanted[], judge: Judge): Tree[] {
  const byPid = new Map(processes.map((seen) => [seen.pid, seen]))
  const children = Map.groupBy(processes, ({ parent }) => parent)
  const ids = identify(processes, wanted, judge)
  const client = memoized((seen: Seen) => clientOf(seen.words, seen.program))
  const roots = new Map<number, Pick<Tree, 'id' | 'client'>>()
  for (const [pid, id] of ids) {
    const above = lookUp(byPid.get(pid)!, id, byPid, ids, client)
    if (above.kind === 'root') roots.set(pid, { id, client: above.client })
  }
  return [...roots]
    .sort(([a], [b]) => a - b)
    .map(([pid, { id, client: by }]) => {
      const root = byPid.get(pid)!
      const isOwn = (seen: Seen) => !roots.has(seen.pid) && client(seen) === null
      const members = descend(root, children, isOwn)
      return { id, members, parent: byPid.get(root.parent) ?? null, client: by }
    })
}

/** The server of each process that is an instance of one. */
function identify(processes: readonly Seen[], wanted: readonly Wanted[], judge: Judge): Map<number, string> {
  const found = new Map<number, string>()
  for (const seen of processes) {
    if (seen.words.length === 0) continue
    const fits = wanted.filter(({ argv }) => isInstance(argv, seen.words, judge.realPath))
    const [first, ...others] = fits.map(({ id }) => id)
    if (first !== undefined)
      found.set(seen.pid, others.length === 0 ? first : judge.choose(seen, [first, ...others]))
  }
  return found
}

type Above = { readonly kind: 'inner' } | { readonly kind: 'root'; readonly client: Tree['client'] }

/** Whether an ancestor is the same copy already, and which client stands above. */
function lookUp(
  seen: Seen,
  id: string,
  byPid: ReadonlyMap<number, Seen>,
  ids: ReadonlyMap<number, string>,
  client: (seen: Seen) => Client | null,
): Above {
  const passed = new Set([seen.pid])
  for (let above = byPid.get(seen.parent); above; above = byPid.get(above.parent)) {
    // The table was not read in one instant: a pid that was given anew may close a circle.
    if (passed.has(above.pid)) break
    passed.add(above.pid)
    if (ids.get(above.pid) === id) return { kind: 'inner' }
    const kind = client(above)
    if (kind !== null) return { kind: 'root', client: { kind, pid: above.pid } }
  }
  return { kind: 'root', client: null }
}

function descend(
  root: Seen,
  children: ReadonlyMap<number, readonly Seen[]>,
  isOwn: (seen: Seen) => boolean,
): [Seen, ...Seen[]] {
  const members = new Set([root])
  // A set goes on to what is added while it is walked.
  for (const member of members) {
    for (const child of children.get(member.pid) ?? []) if (isOwn(child)) members.add(child)
  }
  return [root, ...[...members].filter((member) => member !== root)]
}

function memoized<T>(ask: (seen: Seen) => T): (seen: Seen) => T {
  const known = new Map<number, T>()
  return (seen) => {
    const value = known.has(seen.pid) ? known.get(seen.pid)! : ask(seen)
    known.set(seen.pid, value)
    return value
  }
}
