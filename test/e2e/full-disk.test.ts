import assert from 'node:assert/strict'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import Database from 'better-sqlite3'
import { kill, type TestMesh, until } from './mesh.ts'
import { freeBytes, openMeshOnDisk, pidsOf, SLEEPER } from './run-cli.ts'

const isRoot = process.getuid?.() === 0
const skip = isRoot ? false : 'NOT RUN: a disk of a few MiB can be mounted by root only'
const WARNING = /^the journal \S+journal\.db cannot be written: its disk is full; free some space$/

// The cache of compiled code would take the room of a disk this small.
process.env['NODE_DISABLE_COMPILE_CACHE'] = '1'

/** Leaves not one block free. */
function fill(mesh: TestMesh): void {
  const path = join(mesh.home, 'filler')
  for (const bytes of [65_536, 4_096]) {
    while (freeBytes(mesh.home) >= bytes) {
      try {
        writeFileSync(path, Buffer.alloc(bytes, 1), { flag: 'a' })
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
        return
      }
    }
  }
}

const free = (mesh: TestMesh) => rmSync(join(mesh.home, 'filler'))

/** Kills one service; the next write of the journal fails and its restart goes to the spool. */
async function crash(mesh: TestMesh, name: string): Promise<void> {
  const before = await mesh.service(name)
  kill(before.pid!)
  await mesh.untilService(name, 'runs anew', ({ pid, ready }) => ready && pid !== null && pid !== before.pid)
}

describe('a full disk', { skip, timeout: 120_000 }, () => {
  it('leaves all running, replaces what dies, says so, and is caught up when there is room', async (t) => {
    const mesh = openMeshOnDisk(t, 8)
    mesh.write({ a: { command: SLEEPER }, b: { command: SLEEPER } })
    assert.equal((await mesh.cli(['up'])).code, 0)
    const first = await mesh.status()
    fill(mesh)
    await crash(mesh, 'a')
    const full = await mesh.until('the warning', ({ warnings }) => warnings.length > 0)
    assert.match(full.warnings[0]!, WARNING)
    assert.equal(full.pid, first.pid)
    assert.equal(pidsOf(full)['b'], pidsOf(first)['b'])
    assert.match((await mesh.cli(['status'])).stdout, /! the journal \S+ cannot be written: its disk is full/)
    assert.match((await mesh.cli(['events'])).stdout, /a\/1 killed by SIGKILL/)

    free(mesh)
    await mesh.until('no warning', ({ warnings }) => warnings.length === 0)
    const kinds = (await mesh.events()).map(({ kind }) => kind)
    assert.ok(kinds.includes('journal-back'), kinds.join(' '))
    assert.equal((await mesh.cli(['down'])).code, 0)
    const journal = new Database(mesh.journal)
    const texts = journal.prepare("SELECT text FROM event WHERE subject = 'a'").pluck().all()
    journal.close()
    assert.ok(
      texts.some((text) => String(text).startsWith('killed by SIGKILL')),
      'the crash on the full disk is in the database',
    )
  })

  it('refuses what would stop a healthy service that could not be started again (exit 5)', async (t) => {
    const mesh = openMeshOnDisk(t, 8)
    mesh.write({ a: { command: SLEEPER }, b: { command: SLEEPER } })
    await mesh.cli(['up'])
    fill(mesh)
    await crash(mesh, 'a')
    const before = pidsOf(await mesh.until('the warning', ({ warnings }) => warnings.length > 0))
    const restart = await mesh.cli(['restart', 'b'])
    assert.equal(restart.code, 5)
    assert.match(
      restart.stderr,
      /^paios: b is not restarted: the journal \S+ cannot be written: its disk is full/,
    )
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 5)
    assert.match(up.stderr, /^paios: nothing is applied: the journal/)
    assert.deepEqual(pidsOf(await mesh.status()), before)
  })

  it('does not keep a killed supervisor from coming back to its children', async (t) => {
    const mesh = openMeshOnDisk(t, 8)
    mesh.write({ a: { command: SLEEPER }, b: { command: SLEEPER } })
    await mesh.cli(['up'])
    fill(mesh)
    await crash(mesh, 'a')
    const before = await mesh.until('the warning', ({ warnings }) => warnings.length > 0)
    kill(before.pid!)
    const after = await mesh.until(
      'another supervisor with both services',
      ({ pid, services }) => pid !== before.pid && services.every(({ ready }) => ready),
    )
    assert.deepEqual(pidsOf(after), pidsOf(before), 'the life that only the spool knew is adopted, too')
    free(mesh)
    await mesh.until('no warning', ({ warnings }) => warnings.length === 0)
    assert.equal((await mesh.cli(['down'])).code, 0)
    assert.deepEqual(mesh.processesOf('a'), [])
  })

  it('says so where the home cannot be made, and leaves nothing behind (exit 1)', async (t) => {
    const mesh = openMeshOnDisk(t, 8)
    const home = join(mesh.home, 'new')
    fill(mesh)
    // Folders need no blocks on this file system, so it is the document that does not fit.
    const { code, stderr } = await mesh.cli(['--home', home, 'up'], { HOME: mesh.home })
    assert.equal(code, 1, stderr)
    assert.match(stderr, /^paios: cannot create \S+paios\.yaml: no space left on the disk/m)
    assert.equal(existsSync(join(home, 'run', 'supervisor.lock')), false)
    await until('no process', () => mesh.processes().length === 0)
  })
})
