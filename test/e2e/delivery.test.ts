/** Where a supervisor is killed in the middle of telling: nothing is lost, and nothing told twice needlessly. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import type { Message } from '../../supervisor/shell/alert-tables.ts'
import { type FakeTelegram, OWNER, startTelegram, TOKEN } from '../telegram-server.ts'
import { kill, type TestMesh, until } from './mesh.ts'
import { openMesh, SLEEPER } from './run-cli.ts'

const LIMIT = { timeout: 180_000 }

type Place = { readonly telegram: FakeTelegram; readonly mesh: TestMesh; readonly outbox: () => Message[] }

async function place(
  t: TestContext,
  environmentOf: (home: string) => Record<string, string> = () => ({}),
): Promise<Place> {
  const telegram = await startTelegram()
  t.after(() => telegram.close())
  const mesh = openMesh(t)
  const token = join(mesh.home, 'token')
  writeFileSync(token, TOKEN, { mode: 0o600 })
  const alerts = { telegram: { token: `\${file:${token}}`, chat: OWNER, api: telegram.url, commands: false } }
  const command = ['/bin/sh', '-c', `test -e ${mesh.home}/broken && exit 3; exec sleep 100000`, 'sh']
  mesh.write({ kb: { command, intensity: { max: 1, within: '10m' } } }, { alerts })
  // Killed many times, it is started again at once.
  await mesh.cli(['up'], { PAIOS_KEEPER_MAX_WAIT: '0', ...environmentOf(mesh.home) })
  // What was asked for: so many restarts are told of, too.
  const outbox = () => {
    const database = new Database(mesh.journal, { readonly: true })
    try {
      return database.prepare("SELECT * FROM outbox WHERE kind = 'test' ORDER BY id").all() as Message[]
    } finally {
      database.close()
    }
  }
  return { telegram, mesh, outbox }
}

/** Asks for a message; the answer is for nobody, since whom it was asked of is killed. */
function ask(mesh: TestMesh): void {
  mesh.ask('/alerts/test', {}).catch(() => undefined)
}

async function killSupervisor(mesh: TestMesh): Promise<void> {
  const pid = mesh.supervisorPid()
  kill(pid)
  await mesh.until('the next supervisor', (status) => status.pid !== pid)
}

const tests = ({ telegram }: Place) => telegram.shown().filter(({ text }) => text.includes('Test from'))
const sent = (at: Place) =>
  until(
    'it is sent on record',
    () => at.outbox().length > 0 && at.outbox().every(({ state }) => state === 'sent'),
  )

describe('a supervisor that is killed while it tells', LIMIT, () => {
  it('before it began: the next one tells it, once', async (t) => {
    const at = await place(t)
    const text = 'Too Many Requests: retry after 8'
    at.telegram.fail(['sendMessage'], { kind: 'refuse', code: 429, text, parameters: { retry_after: 8 } }, 1)
    ask(at.mesh)
    await until('it waits', () => at.telegram.calls('sendMessage').length === 1)
    ask(at.mesh)
    await until('both are on record', () => at.outbox().length === 2)
    assert.deepEqual(
      at.outbox().map(({ state }) => state),
      ['pending', 'pending'],
    )
    await killSupervisor(at.mesh)
    await sent(at)
    assert.equal(tests(at).length, 2)
  })

  it('between its record and the other side: the next one tells it, once', async (t) => {
    const at = await place(t)
    at.telegram.fail(['sendMessage'], { kind: 'hang' }, 1)
    ask(at.mesh)
    await until('it is on its way', () => at.telegram.calls('sendMessage').length === 1)
    assert.equal(at.outbox()[0]?.state, 'sending')
    await killSupervisor(at.mesh)
    await sent(at)
    assert.equal(tests(at).length, 1)
  })

  it('after the other side took it and before the answer: told twice, since nobody can know', async (t) => {
    const at = await place(t)
    at.telegram.fail(['sendMessage'], { kind: 'hold-after' }, 1)
    ask(at.mesh)
    await until('it was taken', () => tests(at).length === 1)
    await killSupervisor(at.mesh)
    await sent(at)
    assert.equal(tests(at).length, 2)
  })

  it('after the answer and before its record: told twice, since nobody can know', async (t) => {
    const at = await place(t)
    at.telegram.fail(['sendMessage'], { kind: 'hold-after' }, 1)
    ask(at.mesh)
    await until('it was taken', () => tests(at).length === 1)
    const stranger = new Database(at.mesh.journal)
    stranger.exec('BEGIN IMMEDIATE')
    at.telegram.release()
    // The answer is there, and the journal keeps the supervisor waiting: it answers nothing.
    await new Promise((resolve) => setTimeout(resolve, 500))
    const pid = at.mesh.supervisorPid()
    kill(pid)
    stranger.exec('ROLLBACK')
    stranger.close()
    assert.equal(at.outbox()[0]?.state, 'sending')
    await at.mesh.until('the next supervisor', (status) => status.pid !== pid)
    await sent(at)
    assert.equal(tests(at).length, 2)
  })

  it('after its record: never told again', async (t) => {
    const at = await place(t)
    ask(at.mesh)
    await sent(at)
    await killSupervisor(at.mesh)
    ask(at.mesh)
    await until('another one is told', () => at.outbox().length === 2)
    await sent(at)
    assert.equal(tests(at).length, 2)
  })

  it('ten times in a row: each message is told', async (t) => {
    const at = await place(t)
    for (let round = 1; round <= 10; round++) {
      ask(at.mesh)
      await until('it is on record', () => at.outbox().length >= round)
      kill(at.mesh.supervisorPid())
      await at.mesh.until('a supervisor', () => true)
    }
    await sent(at)
    assert.ok(tests(at).length >= at.outbox().length, `${tests(at).length} of ${at.outbox().length}`)
  })

  it('while Telegram cannot be reached, what is critical stands on the screen a minute later', async (t) => {
    const at = await place(t, (home) => {
      const script = `for one in "$@"; do echo "<$one>"; done >> ${home}/screen`
      mkdirSync(join(home, 'bin'))
      writeFileSync(join(home, 'bin', 'notify-send'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
      const bus = `unix:path=${home}/bus`
      return { PATH: `${home}/bin:${process.env['PATH']}`, DBUS_SESSION_BUS_ADDRESS: bus }
    })
    const screen = () => {
      const path = join(at.mesh.home, 'screen')
      return existsSync(path) ? readFileSync(path, 'utf8') : ''
    }
    assert.match((await at.mesh.cli(['status'])).stdout, /desktop stands by/)
    at.telegram.fail(['sendMessage'], { kind: 'reset' })
    await at.mesh.cli(['stop', 'kb'])
    writeFileSync(join(at.mesh.home, 'broken'), '')
    void at.mesh.cli(['start', 'kb'])
    // By itself, or among what happened while nothing got out.
    const failed = /<PAIOS: .*\bkb /s
    await until('the notification', () => failed.test(screen()), 120_000)
    assert.match(screen(), /<--urgency=critical>/)
    assert.equal(at.telegram.shown().length, 0)
    at.telegram.fail([], null)
    await until('the message all the same', () =>
      at.telegram.shown().some(({ text }) => text.includes('kb ')),
    )
    const tested = await at.mesh.cli(['alerts', 'test'])
    assert.match(tested.stdout, /^sent +[\d.]+ s {2}desktop$/m)
  })

  it('an alert whose command was running is handed to the command again', async (t) => {
    const mesh = openMesh(t)
    const tell = join(mesh.home, 'tell')
    const hang = `test -e ${mesh.home}/fast || { touch ${mesh.home}/waiting; exec sleep 1000; }`
    const slow = `${hang}; cat >> ${mesh.home}/told`
    writeFileSync(tell, `#!/bin/sh\n${slow}\n`)
    writeFileSync(join(mesh.home, 'told'), '')
    chmodSync(tell, 0o755)
    mesh.write({ kb: { command: SLEEPER } }, { alerts: { command: [tell] } })
    await mesh.cli(['up'])
    kill((await mesh.service('kb')).pid!)
    await until('the command has it', () => existsSync(join(mesh.home, 'waiting')))
    writeFileSync(join(mesh.home, 'fast'), '')
    await killSupervisor(mesh)
    const told = await until('both are told', () => {
      const lines = readFileSync(join(mesh.home, 'told'), 'utf8').split('\n').slice(0, -1)
      return lines.length >= 2 ? lines.map((line) => JSON.parse(line)) : null
    })
    assert.deepEqual(
      told.map(({ version, service, event }) => [version, service, event]),
      [
        [1, 'kb', 'down'],
        [1, 'kb', 'recovered'],
      ],
    )
  })
})
