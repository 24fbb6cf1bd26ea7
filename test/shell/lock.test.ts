import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { ensureHome, type Home, homeAt } from '../../supervisor/shell/home.ts'
import { readHolder, takeLock } from '../../supervisor/shell/lock.ts'

const LOCK = resolve(import.meta.dirname, '../../supervisor/shell/lock.ts')
const HOME = resolve(import.meta.dirname, '../../supervisor/shell/home.ts')

function openHome(t: TestContext): Home {
  const root = mkdtempSync('/tmp/pl-')
  t.after(() => rmSync(root, { recursive: true }))
  const home = homeAt(root)
  ensureHome(home)
  return home
}

/** Another process that holds the lock of a home until it is killed. */
async function holdElsewhere(t: TestContext, home: Home) {
  const script = `
    const { takeLock } = await import(${JSON.stringify(LOCK)})
    const { homeAt } = await import(${JSON.stringify(HOME)})
    takeLock(homeAt(${JSON.stringify(home.root)}), '1.0.0')
    globalThis.gc()
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return {
    pid: child.pid!,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** What another process is told that wants the lock. */
async function refusalElsewhere(t: TestContext, home: Home): Promise<string> {
  const script = `
    const { takeLock } = await import(${JSON.stringify(LOCK)})
    const { homeAt } = await import(${JSON.stringify(HOME)})
    try { takeLock(homeAt(${JSON.stringify(home.root)}), '1.0.0'); console.log('taken') }
    catch (error) { console.log(error.message) }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  return String((await once(child.stdout, 'data'))[0])
}

describe('the lock of a home', () => {
  it("is held with no reference to it, refused with the holder's pid, and free after kill -9", async (t) => {
    const home = openHome(t)
    const other = await holdElsewhere(t, home)
    assert.throws(() => takeLock(home, '1.0.0'), {
      code: 'supervisor-running',
      exitCode: 5,
      message: `a supervisor with pid ${other.pid} already runs for ${home.root}: see \`paios status\``,
    })
    await other.kill()
    assert.equal(readHolder(home), other.pid, 'the note is as stale as it may be')
    takeLock(home, '1.0.0').release()
  })

  it('tells people who holds it in a file of the owner alone, whose first member is the pid', (t) => {
    const home = openHome(t)
    const lock = takeLock(home, '1.2.3')
    const text = readFileSync(home.lockInfo, 'utf8')
    assert.ok(text.startsWith(`{"pid":${process.pid},`), text)
    assert.equal((JSON.parse(text) as { version: string }).version, '1.2.3')
    lock.release()
    assert.equal(readHolder(home), null)
  })

  it('is refused without a name where the note cannot be read', async (t) => {
    const home = openHome(t)
    await holdElsewhere(t, home)
    writeFileSync(home.lockInfo, 'no JSON')
    assert.throws(() => takeLock(home, '1.0.0'), { message: /^another supervisor already runs for / })
  })

  it('that was deleted is taken again, with its note, and holds others off again', async (t) => {
    const home = openHome(t)
    const lock = takeLock(home, '1.0.0')
    assert.equal(lock.look(), 'held')
    rmSync(home.lock)
    rmSync(home.lockInfo)
    assert.equal(lock.look(), 'retaken')
    assert.equal(lock.look(), 'held')
    assert.equal(readHolder(home), process.pid)
    assert.match(await refusalElsewhere(t, home), new RegExp(`pid ${process.pid} already runs`))
    lock.release()
  })

  it('that another has taken after it was deleted is lost, though not at the first look; its note is left', async (t) => {
    const home = openHome(t)
    const lock = takeLock(home, '1.0.0')
    rmSync(home.lock)
    const other = await holdElsewhere(t, home)
    assert.deepEqual([lock.look(), lock.look(), lock.look()], ['held', 'held', 'lost'])
    lock.release()
    assert.equal(readHolder(home), other.pid)
  })

  it('that another had for a moment only is taken again', async (t) => {
    const home = openHome(t)
    const lock = takeLock(home, '1.0.0')
    rmSync(home.lock)
    const other = await holdElsewhere(t, home)
    assert.equal(lock.look(), 'held')
    await other.kill()
    assert.equal(lock.look(), 'retaken')
    lock.release()
  })
})
