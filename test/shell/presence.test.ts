import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { ControlSocket } from '../../supervisor/shell/control-socket.ts'
import { ensureHome, homeAt } from '../../supervisor/shell/home.ts'
import type { Lock } from '../../supervisor/shell/lock.ts'
import { watchPresence } from '../../supervisor/shell/presence.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'

/** What the next looks find; an error is thrown. */
type Found = {
  lock: ReturnType<Lock['look']> | Error
  socket: Awaited<ReturnType<ControlSocket['look']>> | Error
  isKeeperGone: boolean
}

function stage(t: TestContext) {
  const home = homeAt(mkdtempSync('/tmp/pp-'))
  ensureHome(home)
  const found: Found = { lock: 'held', socket: 'there', isKeeperGone: false }
  const told: string[] = []
  let lookNow = assert.fail as () => void
  const give = <T>(value: T | Error): T => {
    if (value instanceof Error) throw value
    return value
  }
  const presence = watchPresence({
    home,
    lock: { look: () => give(found.lock), release: assert.fail },
    socket: { look: async () => give(found.socket), remove: assert.fail, close: assert.fail },
    table: openProcessTable(),
    note: (event) => void told.push(event),
    logger: { warn: () => void told.push('warned') },
    isKeeperGone: () => found.isKeeperGone,
    every(everyMs, look) {
      assert.equal(everyMs, 1_000)
      lookNow = look
      return () => {
        lookNow = () => undefined
      }
    },
    end: (why) => void told.push(`end: ${why}`),
  })
  t.after(() => {
    presence.close()
    rmSync(home.root, { recursive: true })
  })
  /** One look, and what it has told. */
  const look = async (now: Partial<Found> = {}) => {
    Object.assign(found, now)
    lookNow()
    await new Promise((handled) => setImmediate(handled))
    return told.splice(0)
  }
  return { home, presence, look }
}

describe('what a supervisor is found by', () => {
  it('is told when it was made anew, and not while nothing is lost', async (t) => {
    const { look } = stage(t)
    assert.deepEqual(await look(), [])
    assert.deepEqual(await look({ lock: 'retaken', socket: 'remade' }), [
      'lock-made-anew',
      'socket-made-anew',
    ])
    assert.deepEqual(await look({ lock: 'held', socket: 'there' }), [])
  })

  it('is a standing warning, told once, while it cannot be made', async (t) => {
    const { look, presence } = stage(t)
    const full = new Error('no space left')
    assert.deepEqual(await look({ lock: full, socket: full }), ['lock-lost', 'socket-lost'])
    assert.deepEqual(await look(), [])
    const [lock, socket] = presence.problems()
    assert.match(lock!, /lock\.db is lost and cannot be made: no space left; .* second supervisor/)
    assert.match(socket!, /paios\.sock is lost and cannot be made: no space left$/)
    assert.deepEqual(await look({ lock: 'retaken', socket: 'remade' }), [
      'lock-made-anew',
      'socket-made-anew',
    ])
    assert.deepEqual(presence.problems(), [])
  })

  it('comes back with its folders', async (t) => {
    const { home, look } = stage(t)
    rmSync(dirname(home.socket), { recursive: true })
    await look()
    assert.ok(existsSync(home.beats))
  })

  it("is another supervisor's once that one has the lock: this one ends, and writes no event any more", async (t) => {
    const { look } = stage(t)
    assert.deepEqual(await look({ lock: 'lost' }), ['warned', 'end: displaced'])
    assert.deepEqual(await look(), [])
  })

  it('is also its keeper: without it, it hands over', async (t) => {
    const { look } = stage(t)
    assert.deepEqual(await look({ isKeeperGone: true }), ['keeper-gone', 'end: keeper-gone'])
    assert.deepEqual(await look(), [])
  })
})
