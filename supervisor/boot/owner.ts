/**
 * The systemd unit or launchd job that runs a program which the document only observes. It is found by the process
 * that listens on the service's port, never by a name alone, and is only stopped and disabled, enabled and started:
 * its file belongs to whoever wrote it.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { portHolders } from '../../probes/port-holders.ts'
import { PaiosError } from '../errors.ts'
import type { Entry, ProcessTable } from '../shell/process-table.ts'
import type { Init } from '../shell/under-init.ts'
import { textOf } from './files.ts'
import { initOf } from './init-port.ts'

/** lsof answers within milliseconds. */
const LSOF_LIMIT_MS = 10_000

/** A unit or job as it is now. */
export type Owner = {
  readonly init: Init
  /** The unit's name or the job's label. */
  readonly name: string
  /** Its unit file or plist. */
  readonly file: string
  /** It starts at the next login. */
  readonly isEnabled: boolean
  /** The unit is active, or the job is loaded. */
  readonly isActive: boolean
  readonly pid: number | null
  /** The longest that its stop may take. */
  readonly stopLimitMs: number
  /** Why it cannot be taken over, in words; null if it can. */
  readonly obstacle: string | null
}

/** systemd or launchd, asked about units and jobs that are not ours. Throws init-unavailable. */
export type Owners = {
  readonly init: Init
  /**
   * The unit or job that runs a process, by its name; null if none of this user does. Throws refused for one of the
   * system.
   */
  nameOf(pid: number, table: ProcessTable): Promise<string | null>
  /** True if a process would end with the unit or job. */
  contains(owner: Pick<Owner, 'name' | 'pid'>, pid: number, table: ProcessTable): boolean
  /** One unit or job; null if it is not known and has no file. */
  look(name: string): Promise<Owner | null>
  /** Stops and disables it, and waits until it has ended. Throws takeover-failed. */
  halt(owner: Owner): Promise<void>
  /** Brings back what `was` says: enabled, and started if it was active. Throws takeover-failed. */
  restore(was: Pick<Owner, 'name' | 'file' | 'isEnabled' | 'isActive' | 'pid'>): Promise<void>
}

/** The one of this machine. Throws init-unavailable where there is neither. */
export async function openOwners(): Promise<Owners> {
  switch (initOf()) {
    case 'systemd':
      return (await import('./owner-systemd.ts')).systemdOwners
    case 'launchd':
      return (await import('./owner-launchd.ts')).launchdOwners()
    case null:
      throw new PaiosError('init-unavailable', `there is neither systemd nor launchd on ${process.platform}`)
  }
}

/** SHA-256 of a unit file or plist; null if there is none. */
export function fileHash(path: string): string | null {
  const text = textOf(path)
  return text === null ? null : createHash('sha256').update(text).digest('hex')
}

/** Who listens on one of these ports: `seen` is false where somebody does and cannot be seen. */
export async function holderOf(
  ports: readonly number[],
): Promise<{ readonly pid: number | null; readonly port: number; readonly seen: boolean } | null> {
  for (const port of ports) {
    const { listening, pids } = await portHolders(port, undefined, [], runLsof)
    if (listening) return { port, pid: pids[0] ?? null, seen: pids.length > 0 }
  }
  return null
}

/** lsof ends with 1 where it has found nobody. */
function runLsof(argv: readonly string[]): Promise<{ stdout: string }> {
  const [program = '', ...words] = argv
  return new Promise((settle) => {
    execFile(program, words, { timeout: LSOF_LIMIT_MS }, (_, stdout) => settle({ stdout }))
  })
}

/** A process and those above it, nearest first, without process 1. */
export function lineage(pid: number, table: ProcessTable): number[] {
  const line: number[] = []
  for (let at = pid; at > 1 && !line.includes(at); at = table.entry(at)?.parent ?? 0) line.push(at)
  return line
}

/** A process and everything below it. */
export function treeOf(pid: number, table: ProcessTable): number[] {
  const children = Map.groupBy(table.list(), ({ parent }: Entry) => parent)
  const tree = [pid]
  // The list grows while it is walked.
  for (const at of tree) for (const child of children.get(at) ?? []) tree.push(child.pid)
  return tree
}
