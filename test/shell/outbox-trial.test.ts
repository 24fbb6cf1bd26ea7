/** The daily trial of the Telegram channel against the fake server: what it shows, and what it leaves in the chat. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openAlerts } from '../../supervisor/shell/alerts.ts'
import { ensureHome, homeAt } from '../../supervisor/shell/home.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'
import { OWNER, startTelegram, TOKEN } from '../telegram-server.ts'
import { SILENT_NUMBERS } from './silent-numbers.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not seen: ${what}`)
    await wait(5)
  }
}

/** A channel whose self tests come every 0.3 s, on a clock that a test sets forward. */
async function place(t: TestContext) {
  const telegram = await startTelegram()
  const folder = mkdtempSync('/tmp/pl-')
  ensureHome(homeAt(folder))
  writeFileSync(join(folder, 'token'), TOKEN)
  const clock = { aheadMs: 0 }
  const ends: (() => void)[] = []
  t.after(async () => {
    for (const end of ends) end()
    await telegram.close()
    rmSync(folder, { recursive: true })
  })
  const trials = () =>
    telegram
      .calls('sendMessage')
      .filter(({ params }) => String(params['text']).startsWith('Self test of PAIOS'))
  return {
    ...{ telegram, clock, trials },
    /** The channel of a supervisor over the files that are there. */
    open() {
      const journal = openJournal(join(folder, 'journal.db'), join(folder, 'spool'), (text) => text)
      let { nextEventId } = journal.left()
      const alerts = openAlerts({
        ...{ journal, numbers: SILENT_NUMBERS, pace: 0.001, home: homeAt(folder) },
        clock: { awake: () => performance.now(), wall: () => Date.now() + clock.aheadMs },
        programs: openProbePrograms(openProcessTable(), folder),
        secrets: openSecrets(join(folder, 'env')),
        note: () => undefined,
        nextEventId: () => nextEventId++,
      })
      const token = `\${file:${folder}/token}`
      const wanted = { token, chat: OWNER, api: telegram.url, commands: false }
      alerts.apply({ alerts: { telegram: wanted }, deadman: undefined })
      let isOpen = true
      const end = () => {
        if (isOpen) alerts.close()
        if (isOpen) journal.close()
        isOpen = false
      }
      ends.push(end)
      const channel = () => alerts.outbox.figures()[0]!
      /** So many self tests more. */
      const tests = (many: number) => {
        const from = telegram.calls('getMe').length
        return until('self tests', () => telegram.calls('getMe').length > from + many)
      }
      return { alerts, channel, tests, end }
    },
  }
}

const REFUSED = { kind: 'refuse', code: 403, text: 'Forbidden: bot was blocked by the user' } as const

describe('the daily trial of a channel', { timeout: 120_000 }, () => {
  it('is a silent message a day that is gone at once, and the time of it is known', async (t) => {
    const { telegram, clock, trials, open } = await place(t)
    const { channel, tests, end } = open()
    await tests(2)
    assert.deepEqual([trials().length, channel().provenWall, channel().isUp], [0, null, true])
    clock.aheadMs = DAY_MS + 1
    await until('the message is deleted', () => telegram.calls('deleteMessage').length === 1)
    await tests(3)
    assert.equal(trials().length, 1)
    assert.deepEqual([trials()[0]?.params['disable_notification'], telegram.shown()], [true, []])
    const proven = channel().provenWall!
    assert.ok(proven >= Date.now() + DAY_MS - 60_000, String(proven))
    end()
    // The next supervisor knows of it, and has nothing to try for a day.
    const next = open()
    await next.tests(2)
    assert.deepEqual([trials().length, next.channel().provenWall], [1, proven])
    clock.aheadMs = 2 * DAY_MS + 60_000
    await until('the next day', () => trials().length === 2)
  })

  it('that is refused shows a channel that seemed to work as one that does not, until a message passes', async (t) => {
    const { telegram, clock, trials, open } = await place(t)
    const { alerts, channel, tests } = open()
    await tests(1)
    telegram.fail(['sendMessage'], REFUSED)
    clock.aheadMs = DAY_MS + 1
    await until('it is down', () => channel().isUp === false)
    assert.match(alerts.problems()[0] ?? '', /Telegram does not take messages: .*blocked by the user/)
    assert.match(alerts.summary(), /telegram does not work/)
    await tests(3)
    assert.equal(channel().isUp, false, 'token and chat that answer are not enough')
    assert.ok(trials().length >= 3, 'tried again at each self test')
    assert.deepEqual(telegram.shown(), [])
    telegram.fail([], null)
    await until('it is up', () => channel().isUp === true)
    assert.deepEqual(alerts.problems(), [])
    await until('nothing is left', () => telegram.shown().length === 0)
  })

  it('whose answers are lost leaves three messages at most, and an hour between the next', async (t) => {
    const { telegram, clock, trials, open } = await place(t)
    const { channel, tests } = open()
    await tests(1)
    telegram.fail(['sendMessage'], { kind: 'drop-after' })
    clock.aheadMs = DAY_MS + 1
    await until('three tries', () => trials().length === 3)
    await tests(5)
    assert.deepEqual([trials().length, channel().isUp], [3, false])
    clock.aheadMs += HOUR_MS
    await until('the fourth', () => trials().length === 4)
    await tests(1)
    assert.equal(trials().length, 4)
    telegram.fail([], null)
    clock.aheadMs += HOUR_MS
    await until('it passes', () => channel().isUp === true)
  })

  it('that fails once by the network is tried again soon', async (t) => {
    const { telegram, clock, trials, open } = await place(t)
    const { channel, tests } = open()
    await tests(1)
    telegram.fail(['sendMessage'], { kind: 'reset' }, 1)
    clock.aheadMs = DAY_MS + 1
    await until('both tries', () => trials().length === 2)
    await until('it is up', () => channel().isUp === true && telegram.shown().length === 0)
  })

  it('that could not be taken back is taken back later, also by the next supervisor', async (t) => {
    const { telegram, clock, trials, open } = await place(t)
    const first = open()
    await first.tests(1)
    telegram.fail(['deleteMessage'], { kind: 'status', status: 502, body: '<html>' })
    clock.aheadMs = DAY_MS + 1
    await until('it was tried', () => telegram.calls('deleteMessage').length >= 2)
    assert.deepEqual([telegram.shown().length, first.channel().isUp], [1, true])
    first.end()
    telegram.fail([], null)
    open()
    await until('it is gone', () => telegram.shown().length === 0)
    assert.equal(trials().length, 1)
  })

  it('that somebody else has deleted is over', async (t) => {
    const { telegram, clock, open } = await place(t)
    const { channel, tests } = open()
    await tests(1)
    telegram.fail(['deleteMessage'], {
      kind: 'refuse',
      code: 400,
      text: "Bad Request: message can't be deleted",
    })
    clock.aheadMs = DAY_MS + 1
    await until('it was tried', () => telegram.calls('deleteMessage').length === 1)
    await tests(4)
    assert.deepEqual([telegram.calls('deleteMessage').length, channel().isUp], [1, true])
  })
})
