import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Child } from '../../supervisor/core/state.ts'
import { NO_ALERT_ROWS } from '../../supervisor/shell/alert-tables.ts'
import { openBacklog, type Writes } from '../../supervisor/shell/backlog.ts'
import { openSpool, type Spool } from '../../supervisor/shell/spool.ts'

const plain = (text: string) => text

function place(t: TestContext): string {
  const folder = mkdtempSync('/tmp/pb-')
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'spool')
}

function open(t: TestContext, path: string): Spool {
  const spool = openSpool(path)
  t.after(() => spool.close())
  return spool
}

/** A step that changed these services; `size` bytes of event text. */
function stepOf(id: number, names: readonly string[], size = 10, gone: readonly string[] = []): Writes {
  return {
    at: id,
    wall: 1_000 + id,
    rows: names.map((name) => ({ name, generation: id }) as Child),
    gone,
    records: [
      {
        kind: 'record',
        id,
        subject: names[0] ?? 'mesh',
        generation: id,
        event: 'ready',
        text: 'x'.repeat(size),
        data: {},
        cause: null,
      },
    ],
    wanted: null,
    breakers: {},
    alerting: NO_ALERT_ROWS,
    durable: false,
  }
}

const generations = (writes: readonly Writes[]) =>
  writes.map(({ rows }) => Object.fromEntries(rows.map(({ name, generation }) => [name, generation])))

describe('the backlog of the journal', () => {
  it('outlives the supervisor in the spool, in order, and is gone once it was written', (t) => {
    const path = place(t)
    const first = openBacklog(open(t, path), plain)
    first.add(stepOf(1, ['a']))
    first.add(stepOf(2, ['a', 'b']))
    const second = openBacklog(open(t, path), plain)
    assert.deepEqual(generations(second.writes()), [{ a: 1 }, { a: 2, b: 2 }])
    assert.deepEqual(
      second.events().map(({ id }) => id),
      [1, 2],
    )
    const written: Writes[] = []
    second.empty((writes) => written.push(writes))
    assert.deepEqual(generations(written), [{ a: 1 }, { a: 2, b: 2 }])
    assert.deepEqual(second.writes(), [])
    assert.deepEqual(openBacklog(open(t, path), plain).writes(), [])
  })

  it('stays whole where it could not be written', (t) => {
    const backlog = openBacklog(open(t, place(t)), plain)
    backlog.add(stepOf(1, ['a']))
    const full = () => {
      throw new Error('the disk is full')
    }
    assert.throws(() => backlog.empty(full), /the disk is full/)
    assert.deepEqual(generations(backlog.writes()), [{ a: 1 }])
  })

  it('keeps the newest row of each service when the spool is full, too', (t) => {
    const path = place(t)
    const backlog = openBacklog(open(t, path), plain)
    const mebibyte = 1024 ** 2
    for (const id of [1, 2, 3]) backlog.add(stepOf(id, ['a'], 1.2 * mebibyte))
    backlog.add(stepOf(4, ['a', 'gone'], mebibyte))
    backlog.add(stepOf(5, ['a', 'b']))
    backlog.add(stepOf(6, ['b'], 10, ['gone']))
    assert.deepEqual(generations(backlog.writes()), [{ a: 1 }, { a: 2 }, { a: 3 }, { a: 5, b: 6 }])
    assert.deepEqual(backlog.writes().at(-1)?.gone, ['gone'])
    assert.deepEqual(
      backlog.events().map(({ id }) => id),
      [1, 2, 3, 4, 5, 6],
    )
    assert.equal(openBacklog(open(t, path), plain).writes().length, 3, 'only what was spooled survives')
  })

  it('counts a spool that cannot be written as full', () => {
    const broken: Spool = {
      append: () => {
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      },
      read: () => [],
      clear: () => undefined,
      close: () => undefined,
    }
    const backlog = openBacklog(broken, plain)
    backlog.add(stepOf(1, ['a']))
    backlog.add(stepOf(2, ['a']))
    assert.deepEqual(generations(backlog.writes()), [{ a: 2 }])
  })

  it('has no secret in its texts', (t) => {
    const backlog = openBacklog(open(t, place(t)), (text) => text.replaceAll('hunter22', '[redacted]'))
    const step = stepOf(1, ['a'])
    backlog.add({ ...step, records: [{ ...step.records[0]!, text: 'hunter22', data: { env: 'hunter22' } }] })
    assert.doesNotMatch(JSON.stringify(backlog.writes()), /hunter22/)
  })
})
