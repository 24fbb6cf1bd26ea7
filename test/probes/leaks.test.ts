/**
 * What checks leave: no process, no socket, no descriptor, no file. `PAIOS_TEST_LONG=1` makes 10,000 checks of each
 * kind; otherwise 100 of each that starts nothing and 10 of each that does.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import { probeKinds } from '../../probes/index.ts'
import type { ProbeKind, ProbeTarget } from '../../probes/probe.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { freePort } from '../brains.ts'
import { createTarget, openProbe, temporaryFolder } from './target.ts'

const isLong = process.env['PAIOS_TEST_LONG'] !== undefined
const QUICK = isLong ? 10_000 : 100
const STARTS = isLong ? 10_000 : 10
const table = openProcessTable()
/** In a process of its own, since its sockets are descriptors, too. */
const SERVER = `
  const server = require('node:http').createServer((_, response) => response.end('{"ok":true}'))
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))`

/** Descriptors of this process by what they point to, without the numbers that differ. */
function descriptors(): string[] {
  const seen: string[] = []
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      seen.push(readlinkSync(`/proc/self/fd/${fd}`).replace(/\d+/g, 'N'))
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return seen.sort()
}

/** Living programs of this target's probes: other tests run some, too. */
async function programsOf(target: ProbeTarget): Promise<() => number[]> {
  const told = await target.run(['/bin/sh', '-c', 'echo $PAIOS_RUN'], { signal: AbortSignal.timeout(10_000) })
  const home = told.stdout.trim().replace(/-\d+-\d+$/, '')
  assert.match(home, /^probe-[0-9a-f]{16}$/)
  return () =>
    table.list().flatMap(({ pid, zombie }) => {
      const marker = table.marker(pid)
      return !zombie && marker.kind === 'run' && marker.run.startsWith(home) ? [pid] : []
    })
}

type Case = {
  readonly kind: keyof typeof probeKinds
  readonly settings: Record<string, unknown>
  readonly times: number
}

async function stage(t: TestContext): Promise<{ target: ProbeTarget; folder: string; cases: Case[] }> {
  const folder = await temporaryFolder(t)
  const server = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => server.kill('SIGKILL'))
  const port = Number(String(await once(server.stdout, 'data')))
  const file = join(folder, 'kb.db')
  new Database(file).exec('CREATE TABLE a (b); PRAGMA journal_mode = WAL').close()
  writeFileSync(join(folder, 'a.json'), '{}')
  mkdirSync(join(folder, 'cache'))
  const memory = join(
    import.meta.dirname,
    '../../node_modules/@modelcontextprotocol/server-memory/dist/index.js',
  )
  const target = createTarget(join(folder, 'cache'), { pid: process.pid, logPath: join(folder, 'a.json') })
  const cases: Case[] = [
    { kind: 'http', settings: { port }, times: QUICK },
    { kind: 'tcp', settings: { port }, times: QUICK },
    { kind: 'tcp', settings: { port: 1 }, times: QUICK },
    { kind: 'port', settings: { port: await freePort(), expect: 'free' }, times: QUICK },
    { kind: 'file', settings: { path: file }, times: QUICK },
    { kind: 'disk', settings: { path: folder, free: '1KiB' }, times: QUICK },
    { kind: 'memory', settings: { max: '64GiB' }, times: QUICK },
    { kind: 'config', settings: { file: join(folder, 'a.json') }, times: QUICK },
    { kind: 'exec', settings: { command: ['/bin/true'] }, times: STARTS },
    { kind: 'sqlite', settings: { file }, times: STARTS },
    { kind: 'mcp', settings: { command: [process.execPath, memory] }, times: STARTS },
  ]
  return { target, folder, cases }
}

describe('what checks leave', { timeout: 10_800_000 }, () => {
  it('is nothing: no process, no descriptor, no file', async (t) => {
    const { target, folder, cases } = await stage(t)
    const left = await programsOf(target)
    for (const { kind, settings, times } of cases) {
      const check = await openProbe(t, probeKinds[kind] as unknown as ProbeKind, settings, target)
      const kinds = new Set([(await check()).kind])
      const before = { descriptors: descriptors(), files: readdirSync(folder, { recursive: true }).sort() }
      for (let count = 0; count < times; count++) kinds.add((await check()).kind)
      assert.equal(kinds.size, 1, `${kind} said ${[...kinds]}`)
      // A socket that was destroyed is closed in the same turn of the loop, or in the next one.
      await new Promise((resolve) => setImmediate(resolve))
      const found = { descriptors: descriptors(), files: readdirSync(folder, { recursive: true }).sort() }
      assert.deepEqual(found, before, kind)
      assert.deepEqual(left(), [], kind)
    }
  })
})
