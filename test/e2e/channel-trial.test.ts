/** The daily trial of the Telegram channel by a real supervisor, whose record says that it is due. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import type { AlertsStatus } from '../../schemas/incidents.ts'
import { type FakeTelegram, OWNER, startTelegram, TOKEN } from '../telegram-server.ts'
import { type TestMesh, until } from './mesh.ts'
import { openMesh, SLEEPER } from './run-cli.ts'

/** A mesh that was up before, and is down now; its trial is due. */
async function place(t: TestContext): Promise<{ telegram: FakeTelegram; mesh: TestMesh }> {
  const telegram = await startTelegram()
  t.after(() => telegram.close())
  const mesh = openMesh(t)
  const token = join(mesh.home, 'token')
  writeFileSync(token, TOKEN, { mode: 0o600 })
  const alerts = { telegram: { token: `\${file:${token}}`, chat: OWNER, api: telegram.url } }
  mesh.write({ kb: { command: SLEEPER } }, { alerts })
  await mesh.cli(['up'])
  await until('its first self test', () => telegram.calls('sendChatAction').length === 1)
  await mesh.cli(['down'])
  const journal = new Database(mesh.journal)
  const due = JSON.stringify({ dueWall: 1, left: null, failures: 0 })
  assert.equal(
    journal.prepare("UPDATE kept SET value = ? WHERE key = 'trial-telegram'").run(due).changes,
    1,
    'the day of the first trial is on record',
  )
  journal.close()
  return { telegram, mesh }
}

describe('the trial of a channel by a supervisor', { concurrency: true, timeout: 420_000 }, () => {
  it('leaves nothing in the chat, and status says when it passed', async (t) => {
    const { telegram, mesh } = await place(t)
    await mesh.cli(['up'])
    await until('the message is deleted', () => telegram.calls('deleteMessage').length === 1)
    const [sent] = telegram.calls('sendMessage')
    assert.equal(sent?.params['disable_notification'], true)
    assert.deepEqual(telegram.shown(), [])
    await until('status', async () => /telegram ok \d\d:\d\d/.test((await mesh.cli(['status'])).stdout))
  })

  it('that does not pass is an alert of the channel, though token and chat answer', async (t) => {
    const { telegram, mesh } = await place(t)
    const text = 'Bad Request: not enough rights to send text messages to the chat'
    telegram.fail(['sendMessage'], { kind: 'refuse', code: 400, text })
    await mesh.cli(['up'])
    const { warnings } = await mesh.until('the warning', (status) => status.warnings.length > 0)
    assert.match(warnings.join(), /Telegram does not take messages: .*not enough rights/)
    const incident = await until(
      'the incident',
      async () => {
        const { stdout } = await mesh.cli(['alerts', '--json'])
        const { incidents } = JSON.parse(stdout) as AlertsStatus
        return incidents.find(({ alerts }) => alerts.some(({ rule }) => rule === 'AlertChannelDown'))
      },
      300_000,
    )
    assert.deepEqual(incident.subject, { kind: 'channel', name: 'telegram' })
  })
})
