import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { archiveName, layoutOf, readLayoutSync } from '../../probes/log-stream.ts'
import { openDescendants } from '../../supervisor/shell/descendants.ts'
import { ensureHome, homeAt } from '../../supervisor/shell/home.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { rotateLog, settleLog } from '../../supervisor/shell/rotation.ts'
import { type Intent, openStandstill } from '../../supervisor/shell/standstill.ts'
import { assertNumbered, grown, isStopped, linesIn, logIn, startNumbers } from '../numbered.ts'

const table = openProcessTable()
const DIES = resolve(import.meta.dirname, '../fixtures/dies-rotating.mjs')
const skip =
  process.platform === 'linux' ? false : 'NOT RUN: the threads of a process are only to be seen on Linux'

/** A home with the log of a service in it, and a journal. */
function homeOf(t: TestContext) {
  const root = mkdtempSync('/tmp/pr-')
  const home = homeAt(root)
  ensureHome(home)
  t.after(() => rmSync(root, { recursive: true, force: true }))
  return { root, path: logIn(root, 'a'), open: () => openJournal(home.journal, home.spool, (text) => text) }
}

const treesOf = (path: string) =>
  openDescendants(
    table,
    () => new Set(),
    () => path,
  )

/** Rotates while nothing has to be stopped. */
const rotate = (path: string, before: () => void = () => undefined) =>
  rotateLog({
    path,
    wall: Date.now,
    whileStill: (work) => {
      before()
      work()
      return true
    },
  })

describe('rotating the log of a tree of processes', { skip, timeout: 120_000 }, () => {
  it('loses no line and doubles none, and each time all of the tree goes on', async (t) => {
    const { path, open } = homeOf(t)
    const journal = open()
    const { owner } = await startNumbers(t, table, path, { children: 2 })
    const trees = treesOf(path)
    const stopped: boolean[] = []
    const standstill = openStandstill({ table, journal, kill: process.kill.bind(process) })
    let count = 0
    while (count < 40) {
      await grown(path)
      const whileStill = (work: () => void) => {
        const find = () => ({ process: owner, members: trees.members('a', owner) })
        const held = standstill.hold('a', find, () => {
          stopped.push(...trees.members('a', owner).map(({ pid }) => isStopped(pid)))
          work()
        })
        // On a machine that gives its threads no time for 50 ms it goes on, and this is tried again.
        if (held.kind === 'held') count++
        return held.kind === 'held'
      }
      await rotateLog({ path, wall: Date.now, whileStill })
    }
    await grown(path)
    process.kill(-owner.identity.pid, 'SIGSTOP')
    assert.equal(stopped.length, 120)
    assert.ok(stopped.every((is) => is))
    assert.equal(readLayoutSync(path).archives.length, 40)
    assert.deepEqual(Object.keys(assertNumbered(await linesIn(path))).sort(), ['a', 'a1', 'a2'])
    assert.deepEqual(journal.intents(), [])
    journal.close()
  })

  it('goes on when what is done meanwhile fails, and leaves stopped what somebody else had stopped', async (t) => {
    const { path, open } = homeOf(t)
    const journal = open()
    const { owner } = await startNumbers(t, table, path, { children: 1 })
    const trees = treesOf(path)
    const members = trees.members('a', owner)
    const child = members.find(({ pid }) => pid !== owner.identity.pid)!
    process.kill(child.pid, 'SIGSTOP')
    while (!isStopped(child.pid)) await new Promise((done) => setTimeout(done, 1))
    const standstill = openStandstill({ table, journal, kill: process.kill.bind(process) })
    const find = () => ({ process: owner, members: trees.members('a', owner) })
    const failing = () => {
      throw new Error('it failed')
    }
    assert.throws(() => standstill.hold('a', find, failing), /it failed/)
    await grown(path)
    assert.ok(isStopped(child.pid))
    assert.deepEqual(journal.intents(), [])
    journal.close()
  })

  it('never stops the supervisor itself, also where it was started from the service', async (t) => {
    const { path } = homeOf(t)
    const { owner } = await startNumbers(t, table, path)
    const signalled: number[] = []
    const kill = (pid: number, name: NodeJS.Signals) => {
      signalled.push(pid)
      process.kill(pid, name)
    }
    const standstill = openStandstill({ table, journal: { keepIntent: () => true, intents: () => [] }, kill })
    const own = [table.entry(process.pid)!, table.entry(process.ppid)!]
    const members = [...treesOf(path).members('a', owner), ...own]
    standstill.hold(
      'a',
      () => ({ process: owner, members }),
      () => undefined,
    )
    assert.deepEqual(new Set(signalled), new Set([owner.identity.pid]))
  })

  it('signals nothing that the journal did not take down before', async (t) => {
    const { path } = homeOf(t)
    const { owner } = await startNumbers(t, table, path)
    const signals: string[] = []
    const journal = { keepIntent: () => false, intents: () => [] }
    const standstill = openStandstill({ table, journal, kill: (_, name) => void signals.push(name) })
    const members = treesOf(path).members('a', owner)
    const held = standstill.hold('a', () => ({ process: owner, members }), assert.fail)
    assert.deepEqual(held, { kind: 'not-held', why: 'the journal cannot be written' })
    assert.deepEqual(signals, [])
  })
})

describe('rotating a log', () => {
  it('has copied all that was there before anything stands still, however little that is', async (t) => {
    for (const bytes of [1, 10_000, 3_000_000]) {
      const { path } = homeOf(t)
      mkdirSync(join(path, '..'))
      writeFileSync(path, 'x'.repeat(bytes))
      let copied = 0
      const rotated = await rotate(path, () => {
        copied = statSync(join(path, '..', 'rotating')).size
      })
      assert.deepEqual([copied, rotated?.end], [bytes, bytes])
    }
  })

  it('is not done now where somebody has cut the file off meanwhile, and nothing is changed', async (t) => {
    const { path } = homeOf(t)
    mkdirSync(join(path, '..'))
    writeFileSync(path, 'x'.repeat(50_000))
    assert.equal(await rotate(path, () => writeFileSync(path, 'cut off\n')), null)
    assert.deepEqual(readdirSync(join(path, '..')), ['current.log'])
    assert.equal(readFileSync(path, 'utf8'), 'cut off\n')
  })
})

describe('a supervisor that is killed while a tree is stopped', { skip, timeout: 60_000 }, () => {
  for (const moment of ['stopped', 'emptied'] as const) {
    it(`(${moment}) leaves it to the next one, which lets it go on; no line is lost or doubled`, async (t) => {
      const { root, path, open } = homeOf(t)
      const { owner } = await startNumbers(t, table, path, { children: 2 })
      const argv = [DIES, root, 'a', JSON.stringify(owner), moment]
      assert.equal(spawnSync(process.execPath, argv, { stdio: 'inherit' }).signal, 'SIGKILL')
      const trees = treesOf(path)
      const pids = trees.members('a', owner).map(({ pid }) => pid)
      assert.equal(pids.length, 3)
      if (moment === 'emptied') assert.ok(pids.every(isStopped))
      const journal = open()
      const standstill = openStandstill({ table, journal, kill: process.kill.bind(process) })
      const recall = (service: string, { process, stops }: Intent) => {
        trees.recall(service, stops)
        return trees.members(service, { ...process, adopted: true })
      }
      const mended = standstill.mend(recall, () => settleLog(path))
      assert.match(
        mended[0]!.text,
        moment === 'emptied' ? /^3 of its processes go on/ : /^\d of its processes/,
      )
      await grown(path)
      assert.ok(!pids.some(isStopped))
      assert.deepEqual(journal.intents(), [])
      journal.close()
      await rotate(path)
      process.kill(-owner.identity.pid, 'SIGSTOP')
      assertNumbered(await linesIn(path))
    })
  }

  it('does not make the next one signal a stranger that has the number of one of its processes', async (t) => {
    const { path, open } = homeOf(t)
    const { owner, child } = await startNumbers(t, table, path, { run: 'of-a-stranger' })
    const pid = child.pid!
    process.kill(pid, 'SIGSTOP')
    while (!isStopped(pid)) await new Promise((done) => setTimeout(done, 1))
    const journal = open()
    const recorded = { ...owner, run: 'another', identity: { ...owner.identity, start: '1' } }
    journal.keepIntent('a', { process: recorded, stops: [{ pid, start: '1' }], still: [] })
    const trees = treesOf('/nowhere')
    const standstill = openStandstill({ table, journal, kill: process.kill.bind(process) })
    const recall = (service: string, intent: Intent) => {
      trees.recall(service, intent.stops)
      return trees.members(service, { ...intent.process, adopted: true })
    }
    assert.deepEqual(
      standstill.mend(recall, () => undefined),
      [],
    )
    assert.ok(isStopped(pid))
    assert.deepEqual(journal.intents(), [])
    journal.close()
  })
})

describe('what a crash leaves of a rotation', () => {
  const full = archiveName(Date.now(), 100, 110, 'full')
  const state = (t: TestContext, files: Record<string, string>) => {
    const { path } = homeOf(t)
    writeFileSync(join(path, '..', '..', 'x'), '')
    execFileSync('mkdir', ['-p', join(path, '..')])
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, '..', name), text)
    settleLog(path)
    return { path, names: readdirSync(join(path, '..')).sort() }
  }

  it('is nothing where the copy is not complete, or the file was not emptied', (t) => {
    assert.deepEqual(state(t, { 'current.log': 'all', rotating: 'a' }).names, ['current.log'])
    const { path, names } = state(t, { 'current.log': '0123456789 and more', [full]: '0123456789' })
    assert.deepEqual(names, ['current.log'])
    assert.equal(readLayoutSync(path).base, 0)
  })

  it('is an archive where the file was emptied, also if it has grown since', async (t) => {
    for (const current of ['', 'new', 'as much that is new']) {
      const { path, names } = state(t, { 'current.log': current, [full]: '0123456789' })
      assert.deepEqual(names, [full.replace('.full', '.log'), 'current.log'])
      assert.deepEqual(await linesIn(path), `0123456789${current}`.split('\n').slice(0, -1))
      assert.equal(readLayoutSync(path).base, 110)
    }
  })

  it('is told by sizes alone to a reader that comes before', () => {
    assert.equal(layoutOf([full], 10).base, 0)
    assert.equal(layoutOf([full], 9).base, 110)
  })
})

describe('the file itself', () => {
  it('keeps the time of its last write, for those who judge silence by it', async (t) => {
    const { path } = homeOf(t)
    execFileSync('mkdir', ['-p', join(path, '..')])
    writeFileSync(path, 'a line\n')
    utimesSync(path, 1_000_000, 1_000_000)
    await rotate(path)
    assert.equal(statSync(path).mtimeMs, 1_000_000_000)
    assert.equal(statSync(path).size, 0)
  })

  it('is copied to its end where nobody stands still, and what comes in between is in it', async (t) => {
    const { path } = homeOf(t)
    execFileSync('mkdir', ['-p', join(path, '..')])
    writeFileSync(path, 'x'.repeat(100_000))
    const rotated = await rotate(path, () => appendFileSync(path, 'late\n'))
    assert.equal(rotated?.end, 100_005)
    assert.ok(readFileSync(join(path, '..', rotated!.name), 'utf8').endsWith('late\n'))
  })
})

const isRoot = process.getuid?.() === 0
const noDisk = isRoot ? false : 'NOT RUN: a disk of a few MiB can be mounted by root only'
describe('a full disk', { skip: noDisk }, () => {
  /** A log on a disk of 1 MiB. */
  function onDisk(t: TestContext, text: string): string {
    const folder = mkdtempSync('/tmp/pd-')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
    t.after(() => {
      // Whoever still writes there is ended after this.
      execFileSync('umount', ['--lazy', folder])
      rmSync(folder, { recursive: true })
    })
    writeFileSync(join(folder, 'current.log'), text)
    return join(folder, 'current.log')
  }
  /** Leaves not one block free. */
  function fill(path: string): void {
    try {
      for (;;) appendFileSync(join(path, '..', 'filler'), Buffer.alloc(4096))
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
    }
  }

  it('while most is copied: the file is as it was, and nothing was stopped', async (t) => {
    const path = onDisk(t, 'y'.repeat(700_000))
    await assert.rejects(rotate(path, assert.fail), { code: 'ENOSPC' })
    assert.deepEqual(readdirSync(join(path, '..')), ['current.log'])
    assert.equal(statSync(path).size, 700_000)
  })

  it('within the standstill: the file is as it was, the tree goes on, and later it works', {
    skip,
  }, async (t) => {
    const path = onDisk(t, '')
    const { open } = homeOf(t)
    const journal = open()
    const { owner } = await startNumbers(t, table, path, { lines: 1 })
    const trees = treesOf(path)
    const standstill = openStandstill({ table, journal, kill: process.kill.bind(process) })
    const find = () => ({ process: owner, members: trees.members('a', owner) })
    let bytes = 0
    const whileStill = (work: () => void) => {
      const held = standstill.hold('a', find, () => {
        // What came last needs another block.
        appendFileSync(path, 'z'.repeat(9_000))
        fill(path)
        bytes = statSync(path).size
        try {
          work()
        } finally {
          rmSync(join(path, '..', 'filler'))
        }
      })
      return held.kind === 'held'
    }
    await assert.rejects(rotateLog({ path, wall: Date.now, whileStill }), { code: 'ENOSPC' })
    assert.deepEqual(readdirSync(join(path, '..')), ['current.log'])
    assert.ok(statSync(path).size >= bytes)
    await grown(path, 200)
    assert.deepEqual(journal.intents(), [])
    assert.ok(await rotate(path))
    assert.equal(existsSync(join(path, '..', 'rotating')), false)
    journal.close()
  })
})
