import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, copyFileSync, mkdtempSync, openSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { MARKER, openProcessTable } from '../../supervisor/shell/process-table.ts'

const SLEEP = ['/bin/sleep', '100000'] as const
const CLEAN = { PATH: '/usr/bin:/bin' }

function folderOf(t: TestContext): string {
  const folder = mkdtempSync('/tmp/pt-')
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Kills what is left of a group that a test has started. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH')
  }
}

/** A program that leads its own group; resolves once it runs. */
async function start(
  t: TestContext,
  [program, ...args]: readonly [string, ...string[]],
  env: Record<string, string> = CLEAN,
  output: 'ignore' | 'pipe' | number = 'ignore',
): Promise<ChildProcess & { pid: number }> {
  const child = spawn(program, args, { detached: true, stdio: ['pipe', output, 'ignore'], env })
  t.after(() => endGroup(child.pid))
  await once(child, 'spawn')
  return child as ChildProcess & { pid: number }
}

/** A shell script that says the pid of its background process and stays. */
async function startPair(t: TestContext, script: string) {
  const shell = await start(t, ['/bin/sh', '-c', script], CLEAN, 'pipe')
  const child = Number(String(await once(shell.stdout!, 'data')))
  return { parent: shell.pid, child, input: shell.stdin! }
}

/** The pid of a process that has just ended and was waited for. */
async function pidOfTheDead(t: TestContext): Promise<number> {
  const child = await start(t, ['/bin/sleep', '0'])
  if (child.exitCode === null) await once(child, 'exit')
  return child.pid
}

for (const platform of ['linux', 'darwin'] as const) {
  describe(`the process table (${platform === 'linux' ? '/proc' : 'ps'})`, { timeout: 30_000 }, () => {
    const table = openProcessTable(platform)

    it('knows a process by its pid, parent, group, start and program', async (t) => {
      const { pid } = await start(t, SLEEP)
      const entry = table.entry(pid)
      assert.deepEqual(entry, {
        pid,
        parent: process.pid,
        group: pid,
        session: platform === 'linux' ? pid : null,
        start: entry?.start,
        zombie: false,
        program: 'sleep',
      })
      assert.ok(entry.start)
      assert.deepEqual(table.entry(pid), entry, 'the start does not change')
      assert.notEqual(table.entry(1)?.start, entry.start)
    })

    it('lists every process with the same entries', async (t) => {
      const { parent, child } = await startPair(t, 'sleep 100000 & echo $!; wait')
      const list = table.list()
      for (const pid of [process.pid, process.ppid, parent, child]) {
        const found = list.filter((entry) => entry.pid === pid)
        assert.deepEqual(found, [table.entry(pid)])
      }
      assert.equal(list.find(({ pid }) => pid === child)?.parent, parent)
      assert.equal(list.find(({ pid }) => pid === child)?.group, parent)
    })

    it('has no entry for a pid that does not exist', async (t) => {
      const pid = await pidOfTheDead(t)
      assert.equal(table.entry(pid), null)
      assert.equal(
        table.list().find((entry) => entry.pid === pid),
        undefined,
      )
    })

    it('tells a zombie from what lives', async (t) => {
      const script = 'exec 3<&0; read line <&3 & echo $!; exec sleep 100000'
      const { parent, child, input } = await startPair(t, script)
      // The shell would take note of an end that comes before it has become a program that does not.
      while (table.entry(parent)?.program !== 'sleep') await wait(10)
      assert.equal(table.entry(child)?.zombie, false)
      input.write('end\n')
      while (table.entry(child)?.zombie === false) await wait(10)
      const entry = table.entry(child)
      assert.equal(entry?.zombie, true)
      assert.equal(entry?.parent, parent)
      assert.equal(table.list().find(({ pid }) => pid === child)?.zombie, true)
      assert.deepEqual(table.marker(child), { kind: 'hidden' })
    })

    for (const name of ['two words', 'a) R 1 (b', ') Z 1 1 1', ' 1 2 3 S']) {
      it(`is not deceived by a program that is called "${name}"`, async (t) => {
        const path = join(folderOf(t), name)
        copyFileSync('/bin/sleep', path)
        const { pid } = await start(t, [path, '100000'])
        const entry = table.entry(pid)
        assert.equal(entry?.parent, process.pid)
        assert.equal(entry?.group, pid)
        assert.equal(entry?.zombie, false)
        assert.equal(entry?.program.trim(), name.trim())
      })
    }

    it('reads the marker of a run', async (t) => {
      const { pid } = await start(t, SLEEP, { ...CLEAN, BEFORE: 'a b=c', [MARKER]: 'run-7', AFTER: '' })
      assert.deepEqual(table.marker(pid), { kind: 'run', run: 'run-7' })
    })

    it('says where an environment has no marker; one with a similar name is none', async (t) => {
      const { pid } = await start(t, SLEEP, { ...CLEAN, [`MY_${MARKER}`]: 'run-7', [`${MARKER}S`]: 'run-8' })
      assert.deepEqual(table.marker(pid), { kind: 'none' })
    })

    it('takes no argument for a marker', async (t) => {
      const { pid } = await start(t, ['/bin/sh', '-c', 'sleep 100000; :', `${MARKER}=run-7`])
      assert.deepEqual(table.marker(pid), { kind: 'none' })
    })

    it('says that it cannot see an environment that is empty or of nobody', async (t) => {
      const { pid } = await start(t, ['/bin/sh', '-c', 'sleep 100000; :', 'a=b'], {})
      assert.deepEqual(table.marker(pid), { kind: 'hidden' })
      assert.deepEqual(table.marker(await pidOfTheDead(t)), { kind: 'hidden' })
    })
  })
}

describe('both forms of the process table', () => {
  it('name the same boot', () => {
    assert.equal(openProcessTable('darwin').boot, openProcessTable('linux').boot)
  })
})

describe('the process table of Linux', { skip: process.platform !== 'linux', timeout: 30_000 }, () => {
  const table = openProcessTable('linux')

  it('sees who writes its output to a file, through links, too', async (t) => {
    const folder = folderOf(t)
    const path = join(folder, 'current.log')
    const fd = openSync(path, 'a')
    const writer = await start(t, SLEEP, CLEAN, fd)
    closeSync(fd)
    assert.equal(table.writesTo(writer.pid, path), true)
    assert.equal(table.writesTo(writer.pid, join(folder, 'other.log')), false)
    symlinkSync(folder, `${folder}.link`)
    t.after(() => rmSync(`${folder}.link`))
    assert.equal(table.writesTo(writer.pid, join(`${folder}.link`, 'current.log')), true)
    const again = openSync(path, 'a')
    const silent = await start(t, ['/bin/sh', '-c', 'exec sleep 100000 2>&-'], CLEAN, again)
    closeSync(again)
    assert.equal(table.writesTo(silent.pid, path), true, 'its standard error is closed')
    const stranger = await start(t, SLEEP)
    assert.equal(table.writesTo(stranger.pid, path), false)
    renameSync(path, `${path}.1`)
    assert.equal(table.writesTo(writer.pid, path), false, 'it is another file now')
  })

  it('cannot say what a process writes to that is gone', async (t) => {
    assert.equal(table.writesTo(await pidOfTheDead(t), '/dev/null'), null)
  })

  it('finds processes whose parent has died, and neither itself nor its ancestors', async (t) => {
    const shell = await start(t, ['/bin/sh', '-c', 'sleep 100000 >&- & echo $!'], CLEAN, 'pipe')
    const ended = once(shell, 'exit')
    const orphan = Number(String(await once(shell.stdout!, 'data')))
    await ended
    const orphans = table.orphans()
    assert.ok(orphans?.includes(orphan), `${orphan} of ${orphans}`)
    for (const pid of [process.pid, process.ppid]) assert.ok(!orphans?.includes(pid))
  })
})
