/**
 * What a hung process was doing, taken before it is killed: for each process of its tree the state, what it waits for
 * in the kernel, its memory, threads and descriptors, and the end of the log. Linux reads /proc; elsewhere only the
 * process table and the log are there (not tried on macOS).
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readTail } from './log-file.ts'
import type { ProcessTable } from './process-table.ts'

/** The newest so many are kept for each service. */
const KEEP = 10
/** More processes of one tree than this are counted, not described. */
const DESCRIBED = 32
const STATUS = /^(?:State|VmRSS|VmSwap|Threads|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):.*$/gm

export type HangEvidence = {
  readonly service: string
  readonly reason: string
  readonly pids: readonly number[]
  readonly logPath: string
  /** Where this life's output begins in the log. */
  readonly logOffset: number
}

/** Writes one file (0600) below `folder` and returns its path. `redact` is applied to all of it. */
export function keepHangEvidence(
  folder: string,
  table: ProcessTable,
  redact: (text: string) => string,
  { service, reason, pids, logPath, logOffset }: HangEvidence,
): string {
  const own = join(folder, service)
  mkdirSync(own, { recursive: true, mode: 0o700 })
  const now = new Date().toISOString()
  const described = pids.slice(0, DESCRIBED).map((pid) => describe(pid, table))
  const more = pids.length > DESCRIBED ? [`and ${pids.length - DESCRIBED} processes more`] : []
  const tail = readTail(logPath, logOffset)
  const parts = [`${service}: ${reason}`, `taken at ${now}`, ...described, ...more, `last output:\n${tail}`]
  const path = join(own, `${now.replaceAll(':', '-')}.txt`)
  writeFileSync(path, redact(`${parts.join('\n\n')}\n`), { mode: 0o600 })
  for (const old of readdirSync(own).sort().slice(0, -KEEP)) rmSync(join(own, old))
  return path
}

function describe(pid: number, table: ProcessTable): string {
  const entry = table.entry(pid)
  if (entry === null) return `pid ${pid}: gone`
  const status = read(`/proc/${pid}/status`).match(STATUS) ?? []
  const threads = list(`/proc/${pid}/task`).map((thread) => {
    const at = `/proc/${pid}/task/${thread}`
    const state = /^\d+ \((.*)\) (\S)/.exec(read(`${at}/stat`))
    const where = `in ${read(`${at}/wchan`) || '?'}, syscall ${read(`${at}/syscall`).split(' ')[0] || '?'}`
    return `  thread ${thread} ${state?.[1] ?? '?'} ${state?.[2] ?? '?'} ${where}`
  })
  const stack = read(`/proc/${pid}/stack`).trimEnd()
  return [
    `pid ${pid} (${entry.program}), parent ${entry.parent}`,
    ...status.map((line) => `  ${line.replace(/\s+/g, ' ')}`),
    `  descriptors: ${list(`/proc/${pid}/fd`).length}`,
    ...threads,
    ...(stack === '' ? [] : [`  kernel stack:\n${stack.replace(/^/gm, '    ')}`]),
  ].join('\n')
}

/** What a process shows may end with it, or belong to somebody else: then there is nothing to tell. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
