/** What the tests of logs need: programs that write numbered lines, and how to see that none is lost. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { streamLog } from '../probes/log-stream.ts'
import type { Process } from '../supervisor/core/state.ts'
import type { ProcessTable } from '../supervisor/shell/process-table.ts'

const NUMBERS = resolve(import.meta.dirname, 'fixtures/numbers.mjs')

/** Every label counts from 0 without gap and without duplicate; how many lines each has. */
export function assertNumbered(lines: readonly string[]): Record<string, number> {
  const next: Record<string, number> = {}
  for (const line of lines) {
    const [label = '', number] = line.split(' ')
    assert.equal(line.length, `${label} ${number} `.length + 40, `a torn line: ${line}`)
    assert.equal(Number(number), next[label] ?? 0, `in ${label}`)
    next[label] = Number(number) + 1
  }
  return next
}

/** All lines of a log, archives included. */
export async function linesIn(path: string): Promise<string[]> {
  const parts: Buffer[] = []
  for await (const { bytes } of streamLog(path, 0)) parts.push(bytes)
  return Buffer.concat(parts).toString().split('\n').slice(0, -1)
}

/** True if every thread of a process is stopped. */
export function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) =>
    /\) T /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')),
  )
}

/** Resolves once the log has grown by some lines. */
export async function grown(path: string, bytes = 2_000): Promise<void> {
  const size = () => statSync(path, { throwIfNoEntry: false })?.size ?? 0
  for (const from = size(); Math.abs(size() - from) < bytes; )
    await new Promise((done) => setTimeout(done, 5))
}

/** A program that writes numbered lines into a log, with some children that do; its group ends with the test. */
export async function startNumbers(
  t: TestContext,
  table: ProcessTable,
  path: string,
  { label = 'a', children = 0, lines = 5, run = 'run-of-a-test' } = {},
): Promise<{ child: ChildProcess; owner: Process }> {
  mkdirSync(dirname(path), { recursive: true })
  const log = openSync(path, 'a', 0o600)
  const child = spawn(process.execPath, [NUMBERS, label, String(children), String(lines)], {
    stdio: ['ignore', log, log],
    detached: true,
    env: { PATH: process.env['PATH'], PAIOS_RUN: run },
  })
  closeSync(log)
  const pid = child.pid!
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    process.kill(-pid, 'SIGKILL')
    await ended
  })
  const identity = { boot: table.boot, pid, start: table.entry(pid)!.start }
  const owner = { identity, run, startedAt: 0, startedWall: Date.now(), logOffset: 0, adopted: false }
  const labels = [label, ...Array.from({ length: children }, (_, index) => `${label}${index + 1}`)]
  while (!labels.every((each) => readFileSync(path, 'utf8').includes(`${each} 1 `)))
    await new Promise((done) => setTimeout(done, 20))
  return { child, owner }
}

/** `…/logs/<service>/current.log` of a home. */
export const logIn = (home: string, service: string) => join(home, 'logs', service, 'current.log')
