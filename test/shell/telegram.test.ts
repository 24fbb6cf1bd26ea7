import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { Notice } from '../../supervisor/core/alert.ts'
import { openAlerts } from '../../supervisor/shell/alerts.ts'
import { ensureHome, homeAt } from '../../supervisor/shell/home.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import type { AlertWrites } from '../../supervisor/shell/outbox.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'
import { openTelegram } from '../../supervisor/shell/telegram.ts'
import { OWNER, startTelegram, TOKEN } from '../telegram-server.ts'
import { SILENT_NUMBERS } from './silent-numbers.ts'

const NOTHING: AlertWrites = { incidents: [], mutes: [], kept: [], notices: [], events: [] }

/** A notice of the usual form. */
function notice(key: string, over: Partial<Notice> = {}): Notice {
  const base = { thread: key, kind: 'opened', op: 'send', severity: 'critical', sound: true } as const
  return { key, ...base, title: key, lines: [], buttons: [], service: 'kb', wall: Date.now(), ...over }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not seen: ${what}`)
    await wait(5)
  }
}

/** The channels of a document over the fake Telegram; a new one over the same files with `reopen`. */
async function place(t: TestContext, more: object = {}) {
  const telegram = await startTelegram()
  const folder = mkdtempSync('/tmp/pt-')
  ensureHome(homeAt(folder))
  const notes: string[] = []
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`)
  const journal = openJournal(join(folder, 'journal.db'), join(folder, 'spool'), (text) => text)
  let { nextEventId } = journal.left()
  const alerts = openAlerts({
    ...{
      journal,
      numbers: SILENT_NUMBERS,
      retryMs: 1,
      pace: 0.01,
      home: homeAt(folder),
    },
    clock: { awake: () => performance.now(), wall: () => Date.now() },
    programs: openProbePrograms(openProcessTable(), folder),
    secrets: openSecrets(join(folder, 'env')),
    note: (event, text) => notes.push(`${event}: ${text}`),
    nextEventId: () => nextEventId++,
  })
  const wanted = { token: `\${file:${folder}/token}`, chat: OWNER, api: telegram.url, commands: true }
  alerts.apply({ alerts: { telegram: { ...wanted, ...more } }, deadman: undefined })
  t.after(async () => {
    alerts.close()
    journal.close()
    await telegram.close()
    rmSync(folder, { recursive: true })
  })
  const { outbox } = alerts
  const tell = (...notices: Notice[]) => outbox.save({ ...NOTHING, notices })
  const state = (thread: string) => outbox.told(thread).map((one) => one.state)
  return { telegram, alerts, outbox, notes, folder, tell, state }
}

describe('Telegram as a channel', { timeout: 300_000 }, () => {
  it('makes one message an incident, edited in place and answered, loud only where it must be', async (t) => {
    const { telegram, tell } = await place(t)
    tell(
      notice('i1', {
        title: 'kb is down',
        lines: ['exit code 1'],
        buttons: ['acknowledge', 'silence', 'restart'],
      }),
    )
    await until('the message', () => telegram.shown().length === 1)
    const first = telegram.shown()[0]!
    assert.equal(first.text, '🔴 <b>kb is down</b>\nexit code 1')
    assert.deepEqual([first.isSilent, first.chat], [false, OWNER])
    assert.deepEqual(
      first.buttons.map(({ text }) => text),
      ['Acknowledge', 'Silence 1 h', 'Restart'],
    )
    assert.ok(first.buttons.every(({ callback_data }) => callback_data.length <= 40))
    const quiet = { thread: 'i1', sound: false, severity: 'warning' } as const
    tell(
      notice('i1-e', { ...quiet, op: 'edit', kind: 'closed', title: 'kb is down', lines: ['for 2 min'] }),
      notice('i1-r', { ...quiet, op: 'reply', kind: 'closed', title: 'kb is well' }),
    )
    await until('edit and reply', () => telegram.shown().length === 2 && telegram.shown()[0]?.edits === 1)
    const [edited, reply] = telegram.shown()
    assert.deepEqual([edited?.text, edited?.buttons], ['✅ <s>kb is down</s>\nfor 2 min', []])
    assert.deepEqual([reply?.replyTo, reply?.isSilent], [first.id, true])
  })

  it('escapes, cuts to its limits, and names neither secrets nor the home of the user', async (t) => {
    const { telegram, tell, folder } = await place(t)
    const long = Array.from({ length: 200 }, (_, line) => `<${line}> & ${'x'.repeat(700)}`)
    tell(
      notice('i1', {
        title: `<b>&${homedir()}/kb&`,
        lines: [`${homedir()}/a ${homedir()}b ${TOKEN}`, ...long],
      }),
    )
    await until('the message', () => telegram.shown().length === 1)
    const { text, isHtml } = telegram.shown()[0]!
    assert.ok(isHtml)
    const [title, line, ...rest] = text.split('\n')
    assert.equal(title, '🔴 <b>&lt;b&gt;&amp;~/kb&amp;</b>')
    assert.equal(line, `~/a ${homedir()}b [redacted]`)
    assert.match(rest.at(-1) ?? '', /^… \d+ more lines$/)
    assert.ok(text.length < 4_096)
    assert.ok(!readFileSync(join(folder, 'journal.db')).includes(TOKEN))
  })

  it('sends one message a second to a chat', async (t) => {
    const { telegram, tell } = await place(t)
    tell(notice('a'), notice('b'), notice('c'))
    await until('all', () => telegram.shown().length === 3)
    const times = telegram.calls('sendMessage').map(({ at }) => at)
    assert.ok(times[2]! - times[0]! >= 1_900, `${times[2]! - times[0]!} ms for three`)
  })
})

describe('every answer of Telegram', { timeout: 300_000, concurrency: true }, () => {
  const refuse = (code: number, text: string, parameters = {}) =>
    ({ kind: 'refuse', code, text: `Bad Request: ${text}`, parameters }) as const

  it('429: waits as long as it asks, for the whole chat, and counts no failure', async (t) => {
    const { telegram, tell, outbox, state } = await place(t)
    telegram.fail(['sendMessage'], refuse(429, 'Too Many Requests: retry after 2', { retry_after: 2 }), 1)
    tell(notice('a'), notice('b'))
    await until('both', () => telegram.shown().length === 2)
    const [refused, next] = telegram.calls('sendMessage')
    assert.ok(next!.at - refused!.at >= 1_900)
    assert.deepEqual([state('a'), outbox.told('a')[0]?.attempts], [['sent'], 0])
  })

  for (const [name, fault] of [
    ['502 with HTML', { kind: 'status', status: 502, body: '<html>Bad Gateway</html>' }],
    ['200 that is no JSON', { kind: 'status', status: 200, body: '<html>Welcome</html>' }],
    ['500', { kind: 'refuse', code: 500, text: 'Internal Server Error' }],
    ['a reset connection', { kind: 'reset' }],
  ] as const) {
    it(`${name}: tries again until it passes`, async (t) => {
      const { telegram, tell, outbox, notes } = await place(t)
      telegram.fail(['sendMessage'], fault, 3)
      tell(notice('a'))
      await until('the message', () => outbox.told('a')[0]?.state === 'sent')
      assert.deepEqual([telegram.shown().length, outbox.told('a')[0]?.attempts], [1, 3])
      assert.deepEqual(outbox.problems(), [])
      assert.ok(!notes.join().includes(TOKEN))
    })
  }

  it('a test tells what came back in the end, not of a try that failed before', async (t) => {
    const { telegram, alerts } = await place(t)
    telegram.fail(['sendMessage'], { kind: 'reset' }, 1)
    const [tested] = await alerts.test()
    assert.deepEqual([tested?.isSent, tested?.text, telegram.shown().length], [true, '', 1])
  })

  it('silence: gives up after ten seconds and tries again', async (t) => {
    const { telegram, tell, outbox } = await place(t)
    telegram.fail(['sendMessage'], { kind: 'hang' }, 1)
    tell(notice('a'))
    await until('the message', () => outbox.told('a')[0]?.state === 'sent')
    assert.equal(outbox.told('a')[0]?.attempts, 1)
  })

  it('an answer that was lost after the message was taken makes a second one: nobody can know', async (t) => {
    const { telegram, tell, state } = await place(t)
    telegram.fail(['sendMessage'], { kind: 'drop-after' }, 1)
    tell(notice('a'))
    await until('sent', () => state('a')[0] === 'sent')
    assert.equal(telegram.shown().length, 2)
  })

  it('message is not modified: has been told', async (t) => {
    const { telegram, tell, state } = await place(t)
    tell(notice('a'), notice('b', { thread: 'a', op: 'edit', title: 'a' }))
    await until('both', () => state('a').join() === 'sent,sent')
    assert.equal(telegram.shown().length, 1)
  })

  for (const text of ['message to edit not found', "message can't be edited"]) {
    it(`${text}: sends it anew, and what follows answers that one`, async (t) => {
      const { telegram, tell, state } = await place(t)
      tell(notice('a'))
      await until('the first', () => state('a')[0] === 'sent')
      telegram.fail(['editMessageText'], refuse(400, text), 1)
      tell(notice('b', { thread: 'a', op: 'edit' }), notice('c', { thread: 'a', op: 'reply' }))
      await until('all', () => state('a').join() === 'sent,sent,sent')
      const [, second, third] = telegram.shown()
      assert.equal(third?.replyTo, second?.id)
    })
  }

  it("can't parse entities: sends plain text once, and keeps that as a fault of ours", async (t) => {
    const { telegram, tell, outbox } = await place(t)
    telegram.fail(['sendMessage'], refuse(400, "can't parse entities: unsupported start tag"), 1)
    tell(notice('a', { title: 'a < b' }))
    await until('the message', () => telegram.shown().length === 1)
    assert.deepEqual([telegram.shown()[0]?.isHtml, telegram.shown()[0]?.text], [false, '🔴 a < b'])
    await until('the record', () => outbox.told('a')[0]?.state === 'sent')
    assert.match(outbox.told('a')[0]?.error ?? '', /plain text/)
  })

  it('message is too long: cuts it', async (t) => {
    const { telegram, tell } = await place(t)
    telegram.fail(['sendMessage'], refuse(400, 'message is too long'), 1)
    tell(notice('a', { lines: Array.from({ length: 9 }, () => 'y'.repeat(400)) }))
    await until('the message', () => telegram.shown().length === 1)
    assert.ok(telegram.shown()[0]!.text.length <= 1_600)
  })

  it('any other 400: that one is dead and counted, others pass', async (t) => {
    const { telegram, tell, outbox, state } = await place(t)
    telegram.fail(['sendMessage'], refuse(400, 'something new'), 1)
    tell(notice('a'))
    await until('dead', () => state('a')[0] === 'dead')
    assert.equal(outbox.figures()[0]?.dead, 1)
    tell(notice('b'))
    await until('the other', () => state('b')[0] === 'sent')
  })

  for (const [code, text] of [
    [401, 'Unauthorized'],
    [403, 'Forbidden: bot was blocked by the user'],
    [404, 'Not Found'],
    [400, 'chat not found'],
  ] as const) {
    it(`${code} ${text}: the channel is down until somebody mends it, and then everything is told`, async (t) => {
      const { telegram, tell, outbox, notes, state } = await place(t)
      telegram.fail(['getMe', 'sendMessage'], refuse(code, text))
      tell(notice('a'), notice('b'))
      await until('the trouble', () => outbox.problems().length === 1 && outbox.figures()[0]?.isUp === false)
      assert.match(
        outbox.problems()[0]!,
        /^Telegram does not take messages: answer \d+: .*paios alerts setup/,
      )
      telegram.fail([], null)
      await until('both', () => state('a')[0] === 'sent' && state('b')[0] === 'sent')
      assert.deepEqual(outbox.problems(), [])
      assert.deepEqual([...new Set(notes.map((note) => note.split(':')[0]))], ['alert-failed', 'alert-back'])
    })
  }

  it('a group that became a supergroup: goes on with the new id, and remembers it', async (t) => {
    const { telegram, tell, outbox, state } = await place(t, { chat: -5, allow: [OWNER] })
    const moved = refuse(400, 'group chat was upgraded to a supergroup chat', { migrate_to_chat_id: -1005 })
    telegram.fail(['sendMessage'], moved, 1)
    tell(notice('a'))
    await until('the message', () => state('a')[0] === 'sent')
    assert.deepEqual([telegram.shown()[0]?.chat, outbox.keep.get('telegram-chat--5')], [-1005, -1005])
  })
})

describe('the token', () => {
  it('is in no answer and in no error, whatever goes wrong', async (t) => {
    const telegram = await startTelegram()
    t.after(() => telegram.close())
    const faults = [{ kind: 'reset' }, { kind: 'status', status: 502, body: 'no' }] as const
    for (const [api, fault] of [
      [telegram.url, faults[0]],
      [telegram.url, faults[1]],
      ['http://127.0.0.1:1', null],
      ['http://no such host', null],
      ['nonsense', null],
    ] as const) {
      telegram.fail(['getMe'], fault, 1)
      const answer = await openTelegram({ api, token: () => TOKEN }).call('getMe', undefined)
      assert.equal(answer.ok, false)
      assert.ok(!inspect(answer, { depth: 9 }).includes(TOKEN), inspect(answer))
    }
  })

  it('that cannot be read stops the channel in words, and is read anew once it is there', async (t) => {
    const { outbox, tell, state, folder } = await place(t)
    rmSync(join(folder, 'token'))
    tell(notice('a'))
    await until('the trouble', () => outbox.problems().length === 1)
    assert.match(outbox.problems()[0]!, /secret \$\{file:.*token\} cannot be read: ENOENT/)
    writeFileSync(join(folder, 'token'), TOKEN)
    await until('the message', () => state('a')[0] === 'sent')
  })
})
