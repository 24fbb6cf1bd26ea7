import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import type { Child } from '../../supervisor/core/state.ts'
import { NO_ALERT_ROWS } from '../../supervisor/shell/alert-tables.ts'
import type { Writes } from '../../supervisor/shell/backlog.ts'
import type { EventQuery } from '../../supervisor/shell/history.ts'
import { type Journal, openJournal } from '../../supervisor/shell/journal.ts'
import type { Intent } from '../../supervisor/shell/standstill.ts'
import { Stage } from '../core/stage.ts'
import { makeSpec } from '../sim/mesh.ts'

const SAVES = resolve(import.meta.dirname, '../fixtures/saves.mjs')
const DAY_MS = 86_400_000
const WALL = 1_750_000_000_000
const SECRET = '123456'
const redact = (text: string) => text.replaceAll(SECRET, '[redacted]')
const EVERY: EventQuery = { after: 0, limit: 100, service: null, sinceMs: null }

/** The files of one journal, and ways to look at it. */
function place(t: TestContext) {
  const folder = mkdtempSync('/tmp/pj-')
  const path = join(folder, 'journal.db')
  const spoolPath = join(folder, 'spool')
  const opened = new Set<Journal | Database.Database>()
  const keep = <T extends Journal | Database.Database>(one: T): T => {
    opened.add(one)
    return one
  }
  t.after(() => {
    for (const one of opened) one.close()
    rmSync(folder, { recursive: true })
  })
  return {
    path,
    spoolPath,
    open: () => keep(openJournal(path, spoolPath, redact)),
    /** The database alone, as a stranger sees it. */
    raw: () => keep(new Database(path)),
    close(one: Journal): void {
      opened.delete(one)
      one.close()
    },
  }
}

/** A child as the core makes it. */
function childOf(name: string, over: Partial<Child> = {}): Child {
  return { ...new Stage([makeSpec(name)]).child(name), name, ...over }
}

const record = (id: number, subject: string, cause: number | null = null, data: object = {}) => ({
  kind: 'record' as const,
  id,
  subject,
  generation: 1,
  event: 'ready',
  text: `${subject} is ready`,
  data: data as Record<string, unknown>,
  cause,
})

const writes = (over: Partial<Writes>): Writes => ({
  at: 1,
  wall: WALL,
  rows: [],
  gone: [],
  records: [],
  wanted: null,
  breakers: {},
  alerting: NO_ALERT_ROWS,
  durable: false,
  ...over,
})

const names = ({ rows }: { rows: readonly { child: Child }[] }) => rows.map(({ child }) => child.name).sort()
const ids = (events: readonly { id: number }[]) => events.map(({ id }) => id)

describe('the journal', { timeout: 30_000 }, () => {
  it('begins with nothing: the mesh is wanted up, and the first event is 1', (t) => {
    const journal = place(t).open()
    assert.deepEqual(journal.left(), { rows: [], wanted: 'up', breakers: {}, nextEventId: 1, awakeMs: 0 })
    assert.deepEqual(journal.events(EVERY), [])
    assert.equal(journal.lastDocument(), null)
    assert.equal(journal.problem(), null)
  })

  it('keeps the breakers of groups until they are forgotten', (t) => {
    const files = place(t)
    const first = files.open()
    const breaker = { ends: [1], failedMs: 0, triedAt: null, open: { reason: 'too many', retryAt: 9 } }
    first.save([writes({ breakers: { g: breaker, h: breaker } }), writes({ breakers: { h: null } })])
    files.close(first)
    assert.deepEqual(files.open().left().breakers, { g: breaker })
  })

  it('gives the next supervisor the newest row of each service with its spec, and where to go on', (t) => {
    const files = place(t)
    const first = files.open()
    const a = childOf('a', { generation: 3 })
    first.save([writes({ rows: [childOf('a', { generation: 2 }), childOf('b')], records: [record(1, 'a')] })])
    first.save([
      writes({ at: 20, rows: [{ ...a, generation: 2 }] }),
      writes({ at: 30.5, rows: [a], wanted: 'down', records: [record(2, 'a'), record(3, 'b')] }),
    ])
    files.close(first)
    const left = files.open().left()
    assert.deepEqual(names(left), ['a', 'b'])
    assert.deepEqual(left.rows.find(({ child }) => child.name === 'a')?.child, a)
    assert.deepEqual(
      { ...left, rows: [] },
      { rows: [], wanted: 'down', breakers: {}, nextEventId: 4, awakeMs: 30.5 },
    )
  })

  it('leaves out the newer spec of a row: the document is read again', (t) => {
    const journal = place(t).open()
    journal.save([writes({ rows: [childOf('a', { nextSpec: { spec: makeSpec('a'), hash: 'new' } })] })])
    assert.equal(journal.left().rows[0]?.child.nextSpec, null)
  })

  it('forgets a service that is gone, and takes it up again later', (t) => {
    const journal = place(t).open()
    journal.save([writes({ rows: [childOf('a'), childOf('b')] })])
    journal.save([writes({ gone: ['a', 'nobody'] })])
    assert.deepEqual(names(journal.left()), ['b'])
    journal.prune(WALL)
    journal.save([writes({ rows: [childOf('a')] })])
    assert.deepEqual(names(journal.left()), ['a', 'b'], 'with its spec, which was pruned meanwhile')
  })

  it('shows the newest events that match, oldest first', (t) => {
    const journal = place(t).open()
    for (const id of [1, 2, 3, 4, 5, 6]) {
      journal.save([writes({ wall: WALL + id, records: [record(id, id % 2 === 0 ? 'even' : 'odd')] })])
    }
    const ask = (over: Partial<EventQuery>) => ids(journal.events({ ...EVERY, ...over }))
    assert.deepEqual(ask({}), [1, 2, 3, 4, 5, 6])
    assert.deepEqual(ask({ limit: 2 }), [5, 6])
    assert.deepEqual(ask({ limit: 0 }), [])
    assert.deepEqual(ask({ after: 3 }), [4, 5, 6])
    assert.deepEqual(ask({ service: 'odd', limit: 2 }), [3, 5])
    assert.deepEqual(ask({ sinceMs: WALL + 5 }), [5, 6])
    assert.deepEqual(ask({ service: 'nobody' }), [])
    assert.deepEqual(journal.events({ ...EVERY, limit: 1 }), [
      {
        id: 6,
        at: new Date(WALL + 6).toISOString(),
        awakeMs: 1,
        subject: 'even',
        generation: 1,
        kind: 'ready',
        text: 'even is ready',
        data: {},
        cause: null,
      },
    ])
  })

  it('tells what an event follows from, first cause first, as far as it is known', (t) => {
    const journal = place(t).open()
    const records = [record(1, 'a'), record(2, 'b'), record(3, 'a', 1), record(4, 'a', 3), record(5, 'a', 99)]
    journal.save([writes({ records })])
    assert.deepEqual(ids(journal.why(4)), [1, 3, 4])
    assert.deepEqual(ids(journal.why(5)), [5])
    assert.deepEqual(journal.why(77), [])
  })

  it('keeps the last valid document only', (t) => {
    const files = place(t)
    const journal = files.open()
    journal.keepDocument('one', '{"mesh":1}')
    journal.keepDocument('two', '{"mesh":2}')
    files.close(journal)
    assert.deepEqual(files.open().lastDocument(), { hash: 'two', mesh: '{"mesh":2}' })
  })

  it('cuts old events and those beyond half a million, but never the newest one', (t) => {
    const files = place(t)
    const journal = files.open()
    journal.save([
      writes({ wall: WALL, records: [record(1, 'a')] }),
      writes({ wall: WALL + 2 * DAY_MS, records: [record(2, 'a'), record(3, 'a')] }),
    ])
    journal.prune(WALL + 91 * DAY_MS)
    assert.deepEqual(ids(journal.events(EVERY)), [2, 3])
    journal.prune(WALL + 200 * DAY_MS)
    assert.equal(journal.left().nextEventId, 4, 'ids are not used again after a quiet season')
    journal.save([writes({ wall: WALL + 200 * DAY_MS, records: [record(4, 'a'), record(500_004, 'a')] })])
    journal.prune(WALL + 200 * DAY_MS)
    assert.deepEqual(ids(journal.events(EVERY)), [500_004])
  })

  it('holds no secret in the texts and data of events; a number that looks like one stays a number', (t) => {
    const files = place(t)
    const journal = files.open()
    const data = { said: `it is ${SECRET}`, deep: [{ said: SECRET }], pid: Number(SECRET) }
    journal.save([writes({ records: [{ ...record(1, 'a', null, data), text: `not ${SECRET}` }] })])
    const [event] = journal.events(EVERY)
    assert.equal(event?.text, 'not [redacted]')
    assert.deepEqual(event?.data, {
      said: 'it is [redacted]',
      deep: [{ said: '[redacted]' }],
      pid: Number(SECRET),
    })
  })

  it('has all that was saved after kill -9', async (t) => {
    const files = place(t)
    const child = spawn(process.execPath, [SAVES, files.path, files.spoolPath], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 30_000,
    })
    t.after(() => child.kill('SIGKILL'))
    const ended = once(child, 'exit')
    let saved = 0
    for await (const chunk of child.stdout) {
      saved = Number(String(chunk).trim().split('\n').at(-1))
      if (saved >= 20) child.kill('SIGKILL')
    }
    assert.deepEqual(await ended, [null, 'SIGKILL'])
    const left = files.open().left()
    assert.ok(left.nextEventId > saved, `${left.nextEventId} after ${saved}`)
    assert.equal(left.rows[0]?.child.generation, left.nextEventId - 1, 'rows and events are of the same step')
  })
})

const intentOf = (run: string): Intent => {
  const identity = { boot: 'b', pid: 7, start: '9' }
  const process = { identity, run, startedAt: 0, startedWall: 0, logOffset: 0, adopted: false }
  return { process, stops: [{ pid: 7, start: '9' }], still: [] }
}

describe('an intent in the journal', () => {
  it('is there for the next supervisor, after a kill, until it is over', (t) => {
    const files = place(t)
    const journal = files.open()
    assert.equal(journal.keepIntent('a', intentOf('old')), true)
    assert.equal(journal.keepIntent('a', intentOf('new')), true)
    assert.equal(journal.keepIntent('b', intentOf('b')), true)
    assert.equal(journal.keepIntent('b', null), true)
    assert.deepEqual(files.open().intents(), [['a', intentOf('new')]])
  })

  it('that could not be ended while the database was locked ends as soon as it can be written', (t) => {
    const files = place(t)
    const journal = files.open()
    journal.keepIntent('a', intentOf('a'))
    const stranger = files.raw()
    stranger.exec('BEGIN IMMEDIATE')
    journal.save([writes({ records: [record(1, 'a')] })])
    assert.equal(journal.keepIntent('a', null), false)
    stranger.exec('ROLLBACK')
    journal.recheck()
    assert.deepEqual(files.open().intents(), [])
  })
})

describe('a journal that cannot be written', { timeout: 30_000 }, () => {
  it('goes to the spool, is part of every answer, and enters the database later', (t) => {
    const files = place(t)
    const journal = files.open()
    journal.save([writes({ at: 1, rows: [childOf('a'), childOf('b')], records: [record(1, 'a')] })])
    const stranger = files.raw()
    stranger.exec('BEGIN IMMEDIATE')
    journal.save([writes({ at: 2, rows: [childOf('a', { generation: 7 })], records: [record(2, 'a', 1)] })])
    assert.match(
      journal.problem() ?? '',
      /^the journal \S+journal\.db cannot be written: database is locked$/,
    )
    journal.save([writes({ at: 3, gone: ['b'], records: [record(3, 'b', 2)], wanted: 'down' })])
    journal.keepDocument('hash', '{}')
    assert.equal(journal.keepIntent('a', intentOf('a')), false, 'so nothing is stopped')
    const check = (one: Journal) => {
      const left = one.left()
      assert.deepEqual(names(left), ['a'])
      assert.equal(left.rows[0]?.child.generation, 7)
      assert.deepEqual(
        { ...left, rows: [] },
        { rows: [], wanted: 'down', breakers: {}, nextEventId: 4, awakeMs: 3 },
      )
      assert.deepEqual(ids(one.events(EVERY)), [1, 2, 3])
      assert.deepEqual(ids(one.events({ ...EVERY, service: 'a', limit: 1 })), [2])
      assert.deepEqual(ids(one.why(3)), [1, 2, 3])
    }
    check(journal)
    assert.deepEqual(journal.lastDocument(), { hash: 'hash', mesh: '{}' })
    check(files.open())
    const inDatabase = 'SELECT count(*) FROM event'
    assert.equal(stranger.prepare(inDatabase).pluck().get(), 1)

    stranger.exec('ROLLBACK')
    journal.recheck()
    assert.equal(journal.problem(), null)
    assert.equal(stranger.prepare(inDatabase).pluck().get(), 3)
    assert.equal(readFileSync(files.spoolPath)[0], 0, 'the spool is empty')
    check(journal)
    assert.deepEqual(journal.lastDocument(), { hash: 'hash', mesh: '{}' })
  })

  it('does not end the supervisor where its file is damaged while it runs', (t) => {
    const files = place(t)
    const journal = files.open()
    const stranger = files.raw()
    stranger.exec('DROP TABLE event')
    journal.save([writes({ rows: [childOf('a')], records: [record(1, 'a')], durable: true })])
    assert.match(journal.problem() ?? '', /cannot be written: no such table/)
    assert.equal(stranger.prepare('SELECT count(*) FROM service').pluck().get(), 0, 'all of it or nothing')
  })

  for (const [what, damage] of [
    ['is no database', (path: string) => writeFileSync(path, 'x'.repeat(8_192))],
    [
      'has a damaged page',
      (path: string) => {
        const bytes = readFileSync(path)
        writeFileSync(path, bytes.fill(0xff, 4_096))
      },
    ],
  ] as const) {
    it(`is refused in words where its file ${what}`, (t) => {
      const files = place(t)
      files.close(files.open())
      damage(files.path)
      assert.throws(() => files.open().left(), {
        name: 'PaiosError',
        message: /^the journal \S+journal\.db cannot be read: .*(not a database|malformed)/,
      })
    })
  }
})
