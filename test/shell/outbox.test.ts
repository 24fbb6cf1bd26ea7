import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { Notice } from '../../supervisor/core/alert.ts'
import type { ChannelName, Message } from '../../supervisor/shell/alert-tables.ts'
import type { Channel, Outcome } from '../../supervisor/shell/channel.ts'
import { type Journal, openJournal } from '../../supervisor/shell/journal.ts'
import { type AlertWrites, type Outbox, openOutbox } from '../../supervisor/shell/outbox.ts'
import { SILENT_NUMBERS } from './silent-numbers.ts'

const HOUR_MS = 3_600_000
const NOTHING: AlertWrites = { incidents: [], mutes: [], kept: [], notices: [], events: [] }
const SENT: Outcome = { kind: 'sent', remote: null, bug: null }
const FAILED: Outcome = { kind: 'failed', reason: 'network', text: 'ECONNREFUSED' }
const FAULT: Outcome = { kind: 'fault', reason: 'auth', text: 'the token is refused' }

function notice(key: string, over: Partial<Notice> = {}): Notice {
  const base = { thread: key, kind: 'opened', op: 'send', severity: 'warning', sound: false } as const
  return { key, ...base, title: key, lines: [], buttons: [], service: 'kb', wall: Date.now(), ...over }
}

/** A channel that answers as it is told to, and counts from 1 what it accepts. */
function fakeChannel(name: ChannelName = 'telegram', isStandby = false) {
  const seen: { message: Message; first: string | null }[] = []
  let answer: (message: Message) => Outcome | Promise<Outcome> = () => SENT
  const channel: Channel = {
    ...{ name, isStandby, gapMs: 0, trouble: `${name} fails` },
    async deliver(message, first) {
      const outcome = await answer(message)
      seen.push({ message, first })
      return outcome.kind === 'sent' ? { ...outcome, remote: String(seen.length) } : outcome
    },
    check: async () => ({ kind: 'wait', ms: 0 }),
  }
  return {
    channel,
    seen,
    titles: () => seen.map(({ message }) => (JSON.parse(message.body) as Notice).title),
    answers(fresh: typeof answer) {
      answer = fresh
    },
  }
}

function place(t: TestContext) {
  const folder = mkdtempSync('/tmp/po-')
  const open: { journal: Journal; outbox: Outbox }[] = []
  const time = { awake: 1_000, pace: 0.002 }
  const troubles: string[] = []
  const end = (one: { journal: Journal; outbox: Outbox }) => {
    open.splice(open.indexOf(one), 1)
    one.outbox.close()
    one.journal.close()
  }
  t.after(() => {
    for (const one of open.slice()) end(one)
    rmSync(folder, { recursive: true })
  })
  return {
    path: join(folder, 'journal.db'),
    time,
    troubles,
    end,
    /** A supervisor's outbox over the files that are there. */
    open(...channels: Channel[]) {
      const journal = openJournal(join(folder, 'journal.db'), join(folder, 'spool'), (text) => text)
      let { nextEventId } = journal.left()
      const outbox = openOutbox({
        journal,
        clock: { awake: () => time.awake, wall: () => Date.now() },
        nextEventId: () => nextEventId++,
        redact: (text) => text.replaceAll('s3cret', '[redacted]'),
        numbers: SILENT_NUMBERS,
        trouble: (_, text) => troubles.push(text ?? 'over'),
        random: () => 0.5,
        pace: time.pace,
      })
      outbox.use(channels)
      const one = { journal, outbox }
      open.push(one)
      return { ...one, end: () => end(one) }
    },
  }
}

const until = async (holds: () => boolean) => {
  while (!holds()) await wait(2)
}

describe('the outbox', { timeout: 60_000 }, () => {
  it('commits incidents, mutes, facts, notices and events as one, and gives them back', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    fake.answers(() => FAILED)
    const { outbox, journal, end } = at.open(fake.channel)
    const event = {
      subject: 'kb',
      event: 'incident-opened',
      text: 's3cret',
      data: { a: 's3cret' },
      cause: null,
    }
    const ids = outbox.save({
      incidents: [{ id: 'i1', closedWall: null, row: { name: 'kb' } }],
      mutes: [{ id: 'm1', row: { until: 5 } }],
      kept: [{ key: 'digest', value: '2026-11-20' }],
      notices: [notice('n1')],
      events: [event, event],
    })
    assert.deepEqual(ids, [1, 2])
    assert.equal(journal.events({ after: 0, limit: 9, service: 'kb', sinceMs: null }).length, 2)
    end()
    const next = at.open(fake.channel)
    assert.deepEqual(next.outbox.restore(), {
      incidents: [{ id: 'i1', closedWall: null, row: { name: 'kb' } }],
      mutes: [{ id: 'm1', row: { until: 5 } }],
      kept: [{ key: 'digest', value: '2026-11-20' }],
    })
    assert.equal(next.outbox.figures()[0]?.pending, 1)
    next.outbox.save({ ...NOTHING, mutes: [{ id: 'm1', row: null }], kept: [{ key: 'digest', value: null }] })
    next.end()
    const last = at.open(fake.channel).outbox.restore()
    assert.deepEqual([last.mutes, last.kept], [[], []])
  })

  it('passes over a key that was enqueued before, also by an earlier supervisor', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    const { outbox, end } = at.open(fake.channel)
    outbox.save({ ...NOTHING, notices: [notice('n1'), notice('n1')] })
    await until(() => fake.seen.length >= 1)
    outbox.save({ ...NOTHING, notices: [notice('n1')] })
    end()
    at.open(fake.channel).outbox.save({ ...NOTHING, notices: [notice('n1'), notice('n2')] })
    await until(() => fake.seen.length >= 2)
    assert.deepEqual(fake.titles(), ['n1', 'n2'])
  })

  it('tells what is critical first, and keeps the order within a thread', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    const { outbox } = at.open(fake.channel)
    outbox.save({
      ...NOTHING,
      notices: [
        notice('a'),
        notice('b'),
        notice('b2', { thread: 'b', op: 'reply', severity: 'critical' }),
        notice('c', { severity: 'critical' }),
      ],
    })
    await until(() => fake.seen.length >= 4)
    assert.deepEqual(fake.titles(), ['b', 'b2', 'c', 'a'])
    assert.equal(fake.seen[1]?.first, '1')
  })

  it('a newer edit takes the place of one that nobody has seen', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    fake.answers(() => FAILED)
    const { outbox } = at.open(fake.channel)
    outbox.save({ ...NOTHING, notices: [notice('n1')] })
    await until(() => fake.seen.length >= 1)
    for (const key of ['e1', 'e2', 'e3'])
      outbox.save({ ...NOTHING, notices: [notice(key, { thread: 'n1', op: 'edit' })] })
    fake.answers(() => SENT)
    outbox.flush()
    await until(() => fake.titles().includes('e3'))
    assert.deepEqual(
      fake.titles().filter((title) => title !== 'n1'),
      ['e3'],
    )
    assert.deepEqual(
      outbox.told('n1').map(({ key, state }) => [key, state]),
      [
        ['n1', 'sent'],
        ['e1', 'superseded'],
        ['e2', 'superseded'],
        ['e3', 'sent'],
      ],
    )
  })

  it('an approval answers its incident from a thread of its own, and is edited there', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    const { outbox } = at.open(fake.channel)
    const approval = { thread: 'approval-1', kind: 'approval', answers: 'i1' } as const
    outbox.save({ ...NOTHING, notices: [notice('i1'), notice('a', { ...approval, op: 'reply' })] })
    await until(() => fake.seen.length === 2)
    outbox.save({ ...NOTHING, notices: [notice('a-reminder', { ...approval, op: 'reply' })] })
    await until(() => fake.seen.length === 3)
    outbox.save({ ...NOTHING, notices: [notice('a-denied', { ...approval, op: 'edit' })] })
    await until(() => fake.seen.length === 4)
    assert.deepEqual(
      fake.seen.map(({ first }) => first),
      [null, '1', '2', '2'],
    )
    outbox.save({ ...NOTHING, notices: [notice('b', { ...approval, thread: 'approval-2', answers: 'i9' })] })
    await until(() => outbox.figures()[0]?.pending === 0)
    assert.deepEqual(
      outbox.told('i1').map(({ key }) => key),
      ['i1', 'a', 'a-reminder', 'a-denied'],
      'what was asked is part of the story of its incident',
    )
  })

  it('of an approval that was decided before it was told, only what came of it is told', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    fake.answers(() => ({ kind: 'wait', ms: 50 }))
    const { outbox } = at.open(fake.channel)
    const approval = { thread: 'approval-1', kind: 'approval' } as const
    outbox.save({ ...NOTHING, notices: [notice('a', approval), notice('a-1', { ...approval, op: 'reply' })] })
    await until(() => fake.seen.length === 1)
    await until(() => outbox.figures()[0]?.pending === 2)
    outbox.save({ ...NOTHING, notices: [notice('a-expired', { ...approval, op: 'edit' })] })
    fake.answers(() => SENT)
    await until(() => outbox.figures()[0]?.pending === 0)
    assert.deepEqual(fake.titles().slice(1), ['a-expired'])
  })

  it('tries again what fails, says so while it does, and gives up after six hours awake, critical after a day', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    fake.answers(() => FAILED)
    const { outbox } = at.open(fake.channel)
    outbox.save({ ...NOTHING, notices: [notice('w'), notice('c', { severity: 'critical' })] })
    await until(() => fake.seen.length >= 4)
    assert.deepEqual(outbox.problems(), ['telegram fails: ECONNREFUSED'])
    at.time.awake += 7 * HOUR_MS
    outbox.flush()
    await until(() => outbox.figures()[0]?.dead === 1)
    fake.answers(() => SENT)
    outbox.flush()
    await until(() => outbox.figures()[0]?.pending === 0)
    assert.deepEqual(
      outbox.toldSince(0).map(({ key, state }) => [key, state]),
      [
        ['w', 'dead'],
        ['c', 'sent'],
      ],
    )
    outbox.acknowledgeDead()
    assert.deepEqual([outbox.figures()[0]?.dead, outbox.figures()[0]?.pending], [0, 0])
  })

  it('waits as long as the other side asks, and counts no failure', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    let asked = 0
    fake.answers(() => (asked++ === 0 ? { kind: 'wait', ms: 30 } : SENT))
    const { outbox } = at.open(fake.channel)
    outbox.save({ ...NOTHING, notices: [notice('n1')] })
    await until(() => outbox.told('n1')[0]?.state === 'sent')
    assert.equal(outbox.told('n1')[0]?.attempts, 0)
    assert.deepEqual(at.troubles, [])
  })

  it('what was in flight when the supervisor died is told by the next one', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    let isAsked = false
    fake.answers(() => {
      isAsked = true
      return new Promise(() => undefined)
    })
    const { outbox, end } = at.open(fake.channel)
    outbox.save({ ...NOTHING, notices: [notice('n1')] })
    await until(() => isAsked)
    assert.equal(outbox.told('n1')[0]?.state, 'sending')
    end()
    fake.answers(() => SENT)
    const { outbox: next } = at.open(fake.channel)
    await until(() => next.told('n1')[0]?.state === 'sent')
  })

  it('tells from memory while the journal cannot be written, and the next supervisor knows of it', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    const { outbox, journal, end } = at.open(fake.channel)
    const stranger = new Database(at.path)
    stranger.exec('BEGIN IMMEDIATE')
    outbox.save({ ...NOTHING, incidents: [{ id: 'i1', closedWall: null, row: 1 }], notices: [notice('n1')] })
    assert.match(journal.problem() ?? '', /cannot be written/)
    await until(() => fake.seen.length >= 1)
    end()
    stranger.exec('ROLLBACK')
    stranger.close()
    const { outbox: next } = at.open(fake.channel)
    next.save({ ...NOTHING, notices: [notice('n1'), notice('n2')] })
    await until(() => fake.seen.length >= 2)
    assert.deepEqual([fake.titles(), next.restore().incidents.length], [['n1', 'n2'], 1])
  })

  it('an update of the chat is handled once, in the transaction of what it decides', async (t) => {
    const at = place(t)
    const fake = fakeChannel()
    const { outbox, end } = at.open(fake.channel)
    const acknowledge = () => outbox.save({ ...NOTHING, kept: [{ key: 'acked', value: 1 }] }).length
    assert.equal(outbox.handling(7, acknowledge), 0)
    assert.equal(outbox.handling(7, acknowledge), null)
    end()
    const { outbox: next } = at.open(fake.channel)
    assert.equal(next.handling(7, acknowledge), null)
    assert.equal(next.lastHandled()?.id, 7)
  })

  it('a standby channel tells what is critical once the first one cannot, and nothing else', async (t) => {
    const at = place(t)
    const [first, standby] = [fakeChannel('telegram'), fakeChannel('ntfy', true)]
    const { outbox } = at.open(first.channel, standby.channel)
    const critical = { severity: 'critical' } as const
    outbox.save({ ...NOTHING, notices: [notice('told', critical)] })
    await until(() => outbox.told('told').every(({ state }) => state === 'sent' || state === 'superseded'))
    first.answers(() => FAULT)
    outbox.save({ ...NOTHING, notices: [notice('lost', critical), notice('small')] })
    await until(() => standby.seen.length === 1)
    assert.deepEqual(standby.titles(), ['lost'])
  })

  it('two standby channels take nothing from each other', async (t) => {
    const at = place(t)
    const [first, screen, phone] = [fakeChannel(), fakeChannel('desktop', true), fakeChannel('ntfy', true)]
    first.answers(() => FAULT)
    phone.answers(() => FAILED)
    const { outbox } = at.open(first.channel, screen.channel, phone.channel)
    outbox.save({ ...NOTHING, notices: [notice('lost', { severity: 'critical' })] })
    await until(() => screen.seen.length === 1 && phone.seen.length > 0)
    phone.answers(() => SENT)
    await until(() =>
      outbox.told('lost').some(({ channel, state }) => channel === 'ntfy' && state === 'sent'),
    )
    assert.equal(outbox.told('lost').find(({ channel }) => channel === 'telegram')?.state, 'pending')
  })

  it('says what came back of a test, channel by channel', async (t) => {
    const at = place(t)
    const [first, other] = [fakeChannel('telegram'), fakeChannel('command')]
    other.answers(() => FAULT)
    const { outbox } = at.open(first.channel, other.channel)
    const told = await outbox.test(notice('t', { kind: 'test' }), 10_000)
    assert.deepEqual(
      told.map(({ channel, isSent, text }) => [channel, isSent, text]),
      [
        ['telegram', true, ''],
        ['command', false, 'the token is refused'],
      ],
    )
  })

  it('a test does not wait for the next try of a channel that was refused, and what waits goes with it', async (t) => {
    const at = place(t)
    at.time.pace = 1
    const fake = fakeChannel()
    fake.answers(() => FAULT)
    const { outbox } = at.open(fake.channel)
    outbox.save({ ...NOTHING, notices: [notice('n')] })
    await until(() => fake.seen.length === 1)
    fake.answers(() => SENT)
    const [told] = await outbox.test(notice('t', { kind: 'test' }), 10_000)
    assert.deepEqual([told?.isSent, told?.text], [true, ''])
    await until(() => outbox.figures()[0]?.pending === 0)
  })
})
