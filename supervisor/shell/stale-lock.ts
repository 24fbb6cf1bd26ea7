/**
 * Lock files whose owner is proven dead. Proof is that no process has the pid, or that another one has it: the file
 * says when its owner was started, and the process of that pid was started at another time. Whatever cannot be told
 * counts as a living owner.
 */
import { globSync, readFileSync } from 'node:fs'
import { errnoOf } from '../errors.ts'
import type { ProcessTable } from './process-table.ts'

/** What a lock file says. */
export type LockFile = {
  readonly path: string
  readonly pid: number | null
  readonly isDead: boolean
  readonly why: string
}

/** Every lock file of a pattern with its verdict; `pidField` is the dotted path of the pid in its JSON. */
export function lockFiles(table: ProcessTable, pattern: string, pidField: string): LockFile[] {
  const paths = pattern.includes('*') ? globSync(pattern) : [pattern]
  return paths.sort().flatMap((path) => {
    const found = judge(table, path, pidField)
    return found === null ? [] : [found]
  })
}

function judge(table: ProcessTable, path: string, pidField: string): LockFile | null {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    return { path, pid: null, isDead: false, why: 'it cannot be read as JSON' }
  }
  const pid = pidField.split('.').reduce<unknown>((value, key) => member(value, key), content)
  if (!Number.isSafeInteger(pid) || (pid as number) <= 0)
    return { path, pid: null, isDead: false, why: `it has no pid in ${pidField}` }
  const owner = pid as number
  const entry = table.entry(owner)
  if (entry === null || entry.zombie) return { path, pid: owner, isDead: true, why: `pid ${owner} is gone` }
  const start = member(content, 'startTime')
  // On Linux programs write what the kernel says, clock ticks since boot; elsewhere the unit is not known.
  if (process.platform === 'linux' && Number.isSafeInteger(start) && String(start) !== entry.start)
    return { path, pid: owner, isDead: true, why: `pid ${owner} is another program now (${entry.program})` }
  return { path, pid: owner, isDead: false, why: `pid ${owner} (${entry.program}) may be its owner` }
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
