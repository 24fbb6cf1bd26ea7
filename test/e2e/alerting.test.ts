import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { AlertsStatus, IncidentReport } from '../../schemas/incidents.ts'
import { type FakeTelegram, OWNER, type Shown, startTelegram, TOKEN } from '../telegram-server.ts'
import { createMesh, kill, until } from './mesh.ts'

const LIMIT = { timeout: 360_000 }

/** A real mesh whose services run as long as a file of their name is there, and a Telegram that takes messages. */
describe('a failure reaches the phone', LIMIT, () => {
  const mesh = createMesh()
  let telegram: FakeTelegram
  const wellOf = (name: string) => join(mesh.home, `${name}.well`)
  const program = (name: string) => ({
    command: ['/bin/sh', '-c', `test -e ${wellOf(name)} && exec sleep 100000; exit 3`, 'sh'],
    intensity: { max: 1, within: '10m' },
    importance: 'high',
  })
  const about = (name: string): Shown[] => telegram.shown().filter(({ text }) => text.includes(name))
  const alerts = async (...flags: string[]): Promise<AlertsStatus> =>
    JSON.parse((await mesh.cli(['alerts', ...flags, '--json'])).stdout) as AlertsStatus
  const incident = async (name: string) => {
    const { incidents } = await alerts()
    return incidents.find(({ subject }) => subject.name === name) ?? null
  }
  async function fail(name: string): Promise<number> {
    rmSync(wellOf(name))
    const at = performance.timeOrigin + performance.now()
    kill((await mesh.service(name)).pid!)
    return at
  }

  before(async () => {
    telegram = await startTelegram()
    const secret = join(mesh.home, 'secrets', 'telegram')
    mkdirSync(join(mesh.home, 'secrets'), { recursive: true, mode: 0o700 })
    writeFileSync(secret, TOKEN, { mode: 0o600 })
    for (const name of ['kb', 'web', 'calm']) writeFileSync(wellOf(name), '')
    mesh.write(
      { kb: program('kb'), web: program('web'), calm: program('calm') },
      { alerts: { telegram: { token: `\${file:${secret}}`, chat: OWNER, api: telegram.url } } },
    )
    const { code, stderr } = await mesh.cli(['up'])
    assert.equal(code, 0, stderr)
  })
  after(async () => {
    await mesh.end()
    await telegram.close()
  })

  it('once, with a sound, within seconds', async (t) => {
    const failedAt = await fail('kb')
    const [message] = await until('the message', () => {
      const found = about('kb failed for good').filter(({ replyTo }) => replyTo === null)
      return found.length > 0 ? found : null
    })
    assert.ok(message)
    t.diagnostic(`from the kill to the message: ${Math.round(message.at - failedAt)} ms`)
    assert.deepEqual(
      message.buttons.map(({ text }) => text),
      ['Acknowledge', 'Silence 1 h', 'Restart', 'Runbook'],
    )
    assert.equal(message.isSilent, false)
    assert.match(message.text, /exit code 3/)
    assert.equal(about('kb failed for good').length, 1)
  })

  it('and stands beside the service and in paios alerts, with what to type next', async () => {
    const { id, severity, told, why, next, runbook } = (await incident('kb'))!
    assert.deepEqual([severity, why, next], ['critical', null, 'paios logs kb; then paios start kb'])
    assert.ok(told !== null && runbook !== null)
    // What follows the first message comes a second later, since a chat takes one a second.
    const screen = await until('all of it is told', async () => {
      const shown = await mesh.cli(['status'])
      return /alerts: telegram ok \d\d:\d\d/.test(shown.stdout) ? shown : null
    })
    assert.match(screen.stdout, new RegExp(`kb +failed .*\\(${id}\\)`))
    const { stdout, code } = await mesh.cli(['alerts'])
    assert.equal(code, 1)
    assert.match(stdout, new RegExp(`^${id} +critical .*kb failed for good`, 'm'))
    const shown = await mesh.cli(['alerts', 'show', id])
    assert.match(shown.stdout, /telegram opened: sent/)
    assert.match(shown.stdout, /timeline/)
    assert.equal((await mesh.cli(['alerts', 'show', 'i99'])).code, 2)
  })

  it('acknowledged, it is taken on', async () => {
    const { stdout, code } = await mesh.cli(['ack', 'kb'])
    assert.equal(code, 0)
    assert.match(stdout, /acknowledged: i\d+ \(kb\)/)
    assert.match((await incident('kb'))?.acknowledged?.by ?? '', /at a terminal/)
    assert.equal((await mesh.cli(['alerts'])).code, 0)
  })

  it('is not lost and not told again by a supervisor that is killed and started anew', async () => {
    const before = (await incident('kb'))!
    const messages = about('kb failed for good').length
    await mesh.killSupervision()
    assert.equal((await mesh.cli(['up', '--no-wait'])).code, 0)
    await mesh.until('the mesh is back', ({ services }) => services.length === 3)
    const taken = (await incident('kb'))!
    assert.deepEqual(
      [taken.id, taken.told, taken.acknowledged, taken.since],
      [before.id, before.told, before.acknowledged, before.since],
    )
    assert.equal(about('kb failed for good').length, messages)
  })

  it('is edited in its own message when the service is back', async () => {
    const [first] = about('kb failed for good').filter(({ replyTo }) => replyTo === null)
    writeFileSync(wellOf('kb'), '')
    assert.equal((await mesh.cli(['start', 'kb'])).code, 0)
    const edited = await until('the edit', () =>
      telegram.shown().find(({ id, text }) => id === first?.id && text.includes('kb recovers')),
    )
    assert.ok(edited.edits > 0)
    assert.equal((await incident('kb'))?.state, 'resolving')
  })

  it('stays silent where it is muted, with the reason shown', async () => {
    const refused = await mesh.cli(['mute', 'nobody', '1h', '--because', 'a test'])
    assert.equal(refused.code, 2)
    assert.equal((await mesh.cli(['mute', 'web', '1h'])).code, 2)
    const muted = await mesh.cli(['mute', 'web', '1h', '--because', 'a test of silence'])
    assert.match(muted.stdout, /muted as m\d+: web for 60 min/)
    await fail('web')
    const silent = await until('the incident', async () => {
      const found = await incident('web')
      return found?.alerts.some(({ rule }) => rule === 'ServiceGaveUp') ? found : null
    })
    assert.equal(silent.told, null)
    assert.match(silent.why ?? '', /muted by .*: a test of silence/)
    assert.deepEqual(about('web'), [])
    assert.equal((await mesh.cli(['unmute', 'web'])).code, 0)
    await until('the message', () => about('web failed for good')[0])
  })

  it('is taken on by a press in the chat, which answers like the terminal', async () => {
    const message = await until('its buttons', () =>
      about('web failed for good').find(({ replyTo, buttons }) => replyTo === null && buttons.length > 0),
    )
    await telegram.press(message, 'Acknowledge')
    await until('the press', async () => (await incident('web'))?.acknowledged)
    assert.match((await incident('web'))?.acknowledged?.by ?? '', /^telegram /)
    await until('its answer', () =>
      telegram.answers().some((text) => /acknowledged: i\d+ \(web\)/.test(text)),
    )
    await telegram.write('/status')
    await until('the status', () => telegram.shown().some(({ text }) => text.includes('calm: running')))
  })

  it('is held in maintenance, which status shows', async () => {
    assert.equal((await mesh.cli(['maintenance', 'on', '9h'])).code, 0)
    assert.match((await mesh.cli(['status'])).stdout, /maintenance until .* paios maintenance off/)
    const { held, maintenance } = await alerts()
    assert.ok(held.includes('maintenance'))
    assert.ok(Date.parse(maintenance?.until ?? '') <= Date.now() + 4 * 3_600_000)
    assert.equal((await mesh.cli(['maintenance', 'off'])).code, 0)
    assert.equal((await alerts()).maintenance, null)
  })

  it('tells its whole story to a script', async () => {
    const { id } = (await incident('kb'))!
    const report = JSON.parse((await mesh.cli(['alerts', 'show', id, '--json'])).stdout) as IncidentReport
    assert.ok(report.timeline.some(({ text }) => text.includes('acknowledged by')))
    assert.ok(report.messages.every(({ state }) => state === 'sent' || state === 'superseded'))
    assert.ok((await mesh.events('kb')).some(({ kind }) => kind === 'told'))
  })

  it('is struck through once nothing fires for two minutes: how long, why, what was done', async (t) => {
    const first = about('kb').find(({ replyTo }) => replyTo === null)!
    const closed = await until(
      'the last edit',
      () => telegram.shown().find(({ id, text }) => id === first.id && text.startsWith('✅ <s>')),
      LIMIT.timeout,
    )
    const [title, ...lines] = closed.text.split('\n')
    assert.match(title ?? '', /^✅ <s>kb: over after \d+ (s|min)<\/s>$/)
    assert.match(lines[0] ?? '', /^kb failed for good: its automatic restarts are used up\.$/)
    assert.match(lines.join('\n'), /acknowledged by .* at a terminal\n\d\d:\d\d to \d\d:\d\d$/)
    assert.deepEqual(closed.buttons, [])
    const events = (await mesh.events('kb')).filter(
      ({ kind }) => kind === 'alert-ended' || kind === 'incident-closed',
    )
    const [quiet, end] = events.slice(-2).map(({ at }) => Date.parse(at))
    assert.equal(events.at(-1)?.kind, 'incident-closed')
    assert.ok(end! - quiet! >= 119_000, JSON.stringify(events.slice(-2)))
    t.diagnostic(`over ${Math.round((end! - quiet!) / 1000)} s after nothing fired any more`)
    // What is critical is said to be over once more, silently.
    const over = await until('the reply', () =>
      telegram.shown().find(({ replyTo, text }) => replyTo === first.id && text.includes('kb: over after')),
    )
    assert.deepEqual([over.isSilent, over.buttons], [true, []])
    assert.equal(await incident('kb'), null)
  })
})
