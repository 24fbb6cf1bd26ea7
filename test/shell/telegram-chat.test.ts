import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Notice } from '../../supervisor/core/alert.ts'
import { PaiosError } from '../../supervisor/errors.ts'
import { openAlerts } from '../../supervisor/shell/alerts.ts'
import { ensureHome, homeAt } from '../../supervisor/shell/home.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'
import type { ChatPort, Press } from '../../supervisor/shell/telegram-chat.ts'
import { OWNER, startTelegram, TOKEN } from '../telegram-server.ts'
import { SILENT_NUMBERS } from './silent-numbers.ts'

const STRANGER = 666
const NOTHING = { incidents: [], mutes: [], kept: [], notices: [], events: [] }
const BUTTONS = ['acknowledge', 'silence', 'restart', 'approve', 'deny', 'runbook'] as const

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not seen: ${what}`)
    await wait(5)
  }
}

/** A chat whose decisions are written down. `open` makes a supervisor's part of it anew over the same journal. */
async function place(t: TestContext, more: { allow?: number[]; chat?: number } = {}) {
  const telegram = await startTelegram()
  const folder = mkdtempSync('/tmp/pc-')
  ensureHome(homeAt(folder))
  const done: string[] = []
  const notes: string[] = []
  const slow = { until: Promise.resolve() }
  const open: (() => void)[] = []
  writeFileSync(join(folder, 'token'), TOKEN)
  t.after(async () => {
    for (const end of open) end()
    await telegram.close()
    rmSync(folder, { recursive: true })
  })
  return {
    ...{ telegram, done, notes, folder, slow },
    open() {
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
      const write = (what: string) => (press: Press) => {
        done.push(`${what} ${press.thread} ${press.key} ${press.service} ${press.by}`)
        return `${what}: done`
      }
      const port: ChatPort = {
        acknowledge(press) {
          alerts.outbox.save({ ...NOTHING, kept: [{ key: 'acked', value: press.thread }] })
          return write('acknowledge')(press)
        },
        mute({ name, thread, forMs, because, by }) {
          done.push(`mute ${name} ${thread} ${forMs} ${because} ${by}`)
          return `${name} is muted`
        },
        async restart(press) {
          await slow.until
          return write('restart')(press)
        },
        async approve() {
          throw new PaiosError('refused', 'the approval has expired')
        },
        deny: write('deny'),
        runbookText: () => `# kb\n${'<step> & '.repeat(900)}`,
        status: () => ['kb  running', 'gateway  down <why>'],
        events: (count) => [`${count} events`],
      }
      alerts.listening.connect(port)
      let isOpen = true
      const end = () => {
        if (!isOpen) return
        isOpen = false
        alerts.close()
        journal.close()
      }
      open.push(end)
      const tell = async () => {
        const base = { kind: 'opened', op: 'send', severity: 'critical', sound: true } as const
        const notice: Notice = {
          ...{ key: 'i1-opened', thread: 'i1', ...base, title: 'kb is down', lines: [] },
          ...{ buttons: BUTTONS, service: 'kb', wall: Date.now() },
        }
        alerts.outbox.save({ ...NOTHING, notices: [notice] })
        await until('the message', () => alerts.outbox.told('i1')[0]?.state === 'sent')
        return telegram.shown()[0]!
      }
      return { alerts, end, tell }
    },
  }
}

describe('buttons', { timeout: 120_000 }, () => {
  it('hand over what was pressed, by whom, and answer', async (t) => {
    const { telegram, done, open, folder } = await place(t)
    const message = await open().tell()
    for (const button of ['Acknowledge', 'Silence 1 h', 'Deny']) await telegram.press(message, button)
    await until('three answers', () => telegram.answers().length === 3)
    assert.deepEqual(done, [
      `acknowledge i1 i1-opened kb telegram user${OWNER}`,
      `mute kb i1 3600000 silenced in the chat telegram user${OWNER}`,
      `deny i1 i1-opened kb telegram user${OWNER}`,
    ])
    assert.deepEqual(telegram.answers(), ['acknowledge: done', 'kb is muted', 'deny: done'])
    assert.equal(statSync(homeAt(folder).buttons).mode & 0o777, 0o600)
  })

  it('answer at once and say the rest in the chat where it takes its time or is long', async (t) => {
    const { telegram, open } = await place(t)
    const message = await open().tell()
    await telegram.press(message, 'Restart')
    await telegram.press(message, 'Runbook')
    await until('both', () => telegram.shown().length === 3)
    assert.deepEqual(telegram.answers(), ['Taken on.', 'Taken on.'])
    const [, restart, runbook] = telegram.shown()
    assert.deepEqual([restart?.text, restart?.replyTo], ['restart: done', message.id])
    assert.ok(runbook!.text.startsWith('# kb\n&lt;step&gt; &amp; '))
  })

  it('say why something is refused', async (t) => {
    const { telegram, open } = await place(t)
    await telegram.press(await open().tell(), 'Approve')
    await until('the answer', () => telegram.shown().length === 2)
    assert.equal(telegram.shown()[1]?.text, 'the approval has expired')
  })

  it('keep nobody waiting for what an earlier press has begun', async (t) => {
    const { telegram, open, done, slow } = await place(t)
    const { promise, resolve } = Promise.withResolvers<void>()
    slow.until = promise
    const message = await open().tell()
    await telegram.press(message, 'Restart')
    await telegram.press(message, 'Acknowledge')
    await until('the second one', () => done.length === 1)
    resolve()
    await until('the first one', () => telegram.shown().length === 2)
    assert.deepEqual(
      done.map((line) => line.split(' ')[0]),
      ['acknowledge', 'restart'],
    )
  })

  it('refuse strangers, other chats, forged and foreign presses, and tell the journal of a stranger once', async (t) => {
    const { telegram, done, notes, open } = await place(t)
    const message = await open().tell()
    const [first] = message.buttons
    await telegram.press(message, 'Restart', STRANGER)
    await telegram.press(message, 'Acknowledge', STRANGER)
    await telegram.pressRaw(first!.callback_data, { ...message, chat: -9 }, OWNER)
    const forged = first!.callback_data.replace(/^v1\.a/, 'v1.r')
    for (const data of [forged, 'v1.a.zzzz.0123456789', 'v2.a.1.0123456789', 'nonsense', ''])
      await telegram.pressRaw(data, message, OWNER)
    await until('all are answered', () => telegram.answers().length === 8)
    assert.deepEqual(done, [])
    assert.deepEqual(
      [...new Set(telegram.answers())],
      ['You may not decide this.', 'This button is not one of this supervisor.'],
    )
    assert.equal(notes.filter((note) => note.startsWith('telegram-stranger')).length, 1)
    assert.match(notes.join(), /Telegram id 666\) pressed a button: refused/)
  })

  it('are those of the edited message, once it was edited', async (t) => {
    const { telegram, done, open } = await place(t)
    const { alerts, tell } = open()
    const message = await tell()
    const base = { kind: 'updated', op: 'edit', severity: 'critical', sound: false } as const
    const edit: Notice = {
      ...{ key: 'i1-edit', thread: 'i1', ...base, title: 'kb is down still', lines: [] },
      ...{ buttons: ['silence'], service: 'kb', wall: Date.now() },
    }
    alerts.outbox.save({ ...NOTHING, notices: [edit] })
    await until('the edit', () => telegram.shown()[0]?.edits === 1)
    await telegram.press(telegram.shown()[0]!, 'Silence 1 h')
    await until('the answer', () => telegram.answers().length === 1)
    assert.equal(done.length, 1)
    assert.deepEqual(
      telegram.shown()[0]?.buttons.map(({ text }) => text),
      ['Silence 1 h'],
    )
    assert.equal(message.id, telegram.shown()[0]?.id)
  })
})

describe('an update', { timeout: 120_000 }, () => {
  it('that Telegram offers again is handled once, also by the next supervisor', async (t) => {
    const { telegram, done, open } = await place(t)
    const first = open()
    const message = await first.tell()
    // Its answer to the press, and the poll that would confirm it, never come through.
    telegram.fail(['answerCallbackQuery'], { kind: 'hang' })
    await telegram.press(message, 'Acknowledge')
    await until('the decision', () => done.length === 1)
    first.end()
    assert.equal(telegram.waiting(), 1)
    telegram.fail([], null)
    open()
    await telegram.write('/help')
    await until('the next one', () => telegram.shown().length === 2)
    assert.equal(done.length, 1)
    await until('both are confirmed', () => telegram.waiting() === 0)
  })

  it('is waited for in a long poll, and not asked for again and again', async (t) => {
    const { telegram, open } = await place(t)
    await open().tell()
    await telegram.write('/status')
    await until('the answer', () => telegram.shown().length === 2)
    await wait(300)
    assert.ok(telegram.calls('getUpdates').length <= 4, `${telegram.calls('getUpdates').length} polls`)
    assert.equal(telegram.calls('getUpdates')[0]?.params['timeout'], 25)
  })
})

describe('commands', { timeout: 120_000 }, () => {
  it('of the allow list are answered', async (t) => {
    const { telegram, done, open } = await place(t)
    open()
    const say = async (text: string) => {
      const before = telegram.shown().length
      await telegram.write(text)
      await until(text, () => telegram.shown().length === before + 1)
      return telegram.shown().at(-1)!.text
    }
    assert.equal(await say('/status'), 'kb  running\ngateway  down &lt;why&gt;')
    assert.equal(await say('/events'), '10 events')
    assert.equal(await say('/Events@paios_test_bot 500'), '50 events')
    assert.match(await say('/mute kb'), /\/mute NAME 2h REASON/)
    assert.equal(await say('/mute kb 2h being moved'), 'kb is muted')
    assert.match(await say('hello'), /\/status: .*\n\/events/)
    assert.deepEqual(done, [`mute kb null 7200000 being moved telegram user${OWNER}`])
  })

  it('of strangers are not, nor of the right person in another chat', async (t) => {
    const { telegram, open, notes } = await place(t)
    open()
    await telegram.write('/status', STRANGER)
    await telegram.write('/status', OWNER, -4)
    await telegram.write('/help')
    await until('the one answer', () => telegram.shown().length === 1)
    assert.match(telegram.shown()[0]!.text, /\/status: /)
    assert.match(notes.join(), /wrote to the bot: refused/)
  })

  it('in a group are of those that are named', async (t) => {
    const { telegram, open } = await place(t, { chat: -4, allow: [1, OWNER] })
    open()
    await telegram.write('/events 3', OWNER, -4)
    await until('the answer', () => telegram.shown().length === 1)
    assert.deepEqual([telegram.shown()[0]?.chat, telegram.shown()[0]?.text], [-4, '3 events'])
  })
})

describe('the poll', { timeout: 120_000 }, () => {
  it('that another program takes away is a standing trouble, and goes on once that has ended', async (t) => {
    const { telegram, open } = await place(t)
    const { alerts } = open()
    await until('it polls', () => telegram.calls('getUpdates').length === 1)
    const other = fetch(`${telegram.url}/bot${TOKEN}/getUpdates`, { method: 'POST', body: '{"timeout":50}' })
    await until('the trouble', () => alerts.problems().length === 1)
    assert.match(alerts.problems()[0]!, /another program asks for this bot's updates/)
    assert.equal((await other).status, 409, 'ours ends the other one in turn')
    assert.equal(alerts.problems().length, 1, 'and knows only later that it does not come back')
    await until('its end', () => alerts.problems().length === 0)
    assert.ok(Date.now() - (alerts.listening.lastSuccess() ?? 0) < 20_000)
  })

  it("of a supervisor that was killed is in nobody's way: the next one has the first press at once", async (t) => {
    const { telegram, open, done } = await place(t)
    const left = fetch(`${telegram.url}/bot${TOKEN}/getUpdates`, { method: 'POST', body: '{"timeout":50}' })
    await until('it polls', () => telegram.calls('getUpdates').length === 1)
    const { alerts, tell } = open()
    const message = await tell()
    await telegram.press(message, 'Acknowledge')
    await until('the decision', () => done.length === 1)
    assert.deepEqual(alerts.problems(), [])
    assert.equal((await left).status, 409)
  })

  it('tries again after anything else', async (t) => {
    const { telegram, open } = await place(t)
    telegram.fail(['getUpdates'], { kind: 'reset' }, 1)
    telegram.fail(['getUpdates'], { kind: 'status', status: 502, body: '<html>' }, 1)
    telegram.fail(['getUpdates'], { kind: 'refuse', code: 401, text: 'Unauthorized' }, 1)
    const { alerts } = open()
    await telegram.write('/help')
    await until('the answer', () => telegram.shown().length === 1)
    assert.deepEqual(alerts.problems(), [])
  })
})
