import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import type { Process } from '../../supervisor/core/state.ts'
import { openDescendants } from '../../supervisor/shell/descendants.ts'
import { openProcessTable, type ProcessTable } from '../../supervisor/shell/process-table.ts'

const table = openProcessTable()

/** A shell that starts a child for each line that it reads, and says its pid. */
async function openParent(t: TestContext): Promise<{ child: ChildProcess; fork(): Promise<number> }> {
  const script = 'while read -r word; do setsid sleep 600 >/dev/null 2>&1 & echo $!; done'
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] })
  const forked: number[] = []
  t.after(() => {
    for (const pid of forked) process.kill(pid, 'SIGKILL')
    child.kill('SIGKILL')
  })
  return {
    child,
    async fork() {
      child.stdin?.write('go\n')
      const [line] = await once(child.stdout!, 'data')
      forked.push(Number(String(line)))
      return forked.at(-1)!
    },
  }
}

function processOf({ pid = 0 }: ChildProcess): Process {
  const identity = { boot: table.boot, pid, start: table.entry(pid)?.start ?? '' }
  return { identity, run: 'a-run', startedAt: 0, startedWall: 0, logOffset: 0, adopted: false }
}

const open = (over: Partial<ProcessTable> = {}) =>
  openDescendants(
    { ...table, ...over },
    () => new Set(),
    () => '/nowhere',
  )

describe('what a service has started', { skip: process.platform !== 'linux' }, () => {
  it('is remembered by the scans, also what was started between two of them', async (t) => {
    const { child, fork } = await openParent(t)
    const living = new Map([['a', processOf(child)]])
    const descendants = open()
    const first = await fork()
    descendants.scan(living)
    assert.deepEqual(descendants.remembered('a').sort(), [child.pid!, first].sort())
    const second = await fork()
    for (let scan = 0; scan < 8; scan++) descendants.scan(living)
    assert.deepEqual(descendants.remembered('a').sort(), [child.pid!, first, second].sort())
  })

  it('is looked for among what is new: strangers are read once in a minute', async (t) => {
    const { child, fork } = await openParent(t)
    const read: number[] = []
    const descendants = open({
      entry(pid) {
        read.push(pid)
        return table.entry(pid)
      },
    })
    const living = new Map([['a', processOf(child)]])
    descendants.scan(living)
    const fresh = await fork()
    descendants.scan(living)
    assert.ok(read.includes(fresh) && read.includes(child.pid!))
    assert.ok(!read.includes(process.pid), 'a stranger was read again')
  })

  it('is found though its number was a stranger’s before', async (t) => {
    const { child } = await openParent(t)
    const descendants = open()
    descendants.scan(new Map())
    descendants.scan(new Map([['a', processOf(child)]]))
    assert.deepEqual(descendants.remembered('a'), [child.pid])
  })
})
