import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { NO_ALERT_ROWS } from '../../supervisor/shell/alert-tables.ts'
import { openAlerts } from '../../supervisor/shell/alerts.ts'
import type { Alert } from '../../supervisor/shell/command-channel.ts'
import { ensureHome, homeAt } from '../../supervisor/shell/home.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'
import { SILENT_NUMBERS } from './silent-numbers.ts'

const ALERT = {
  service: 'kb',
  event: 'down',
  state: 'backoff',
  reason: 'exit code 1',
  at: '2026-11-20T12:00:00.000Z',
  next: 'paios logs kb',
  runbook: '/runbooks/process.md',
}

function open(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'pal-'))
  ensureHome(homeAt(folder))
  const notes: string[] = []
  const journal = openJournal(join(folder, 'journal.db'), join(folder, 'spool'), (text) => text)
  let nextEventId = 1
  let wall = Date.now()
  const clock = { awake: () => performance.now(), wall: () => Date.now() }
  const alerts = openAlerts({
    ...{ journal, clock, numbers: SILENT_NUMBERS, retryMs: 1, pace: 0.01 },
    programs: openProbePrograms(openProcessTable(), folder),
    secrets: openSecrets(join(folder, 'env')),
    note: (event, text) => notes.push(`${event}: ${text}`),
    nextEventId: () => nextEventId++,
    home: homeAt(folder),
  })
  /** What a step of the core does that finds a service down. */
  const tell = (body: typeof ALERT) => {
    const effect = { kind: 'alert', service: body.service, event: 'down', reason: body.reason } as const
    const alerting = alerts.outgoing(() => [{ effect: { ...effect, wall: wall++ }, body }])
    const nothing = { rows: [], gone: [], records: [], wanted: null, breakers: {} }
    journal.save([{ at: 1, wall, ...nothing, durable: false, alerting }])
    return alerting !== NO_ALERT_ROWS
  }
  t.after(() => {
    alerts.close()
    journal.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const script = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, `#!/bin/sh\n${text}\n`)
    chmodSync(path, 0o755)
    return path
  }
  const told = (): Alert[] => {
    const path = join(folder, 'told')
    if (!existsSync(path)) return []
    // The last line may be half written.
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line))
  }
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await wait(5)
  }
  return { folder, notes, alerts, tell, script, told, until }
}

describe('telling', { timeout: 60_000 }, () => {
  it('hands each alert to the command, one after the other and in order', async (t) => {
    const { folder, alerts, tell, script, told, until } = open(t)
    const command = [script('tell', `cat >> ${folder}/told`)]
    alerts.apply({ alerts: { command }, deadman: undefined })
    for (let i = 0; i < 5; i++) tell({ ...ALERT, reason: `exit code ${i}` })
    await until(() => told().length === 5)
    assert.deepEqual(
      told().map(({ reason }) => reason),
      [0, 1, 2, 3, 4].map((i) => `exit code ${i}`),
    )
    const { host, ...rest } = told()[0]!
    assert.ok(host.length > 0)
    assert.deepEqual(rest, { version: 1, ...ALERT, reason: 'exit code 0' })
    assert.deepEqual(alerts.problems(), [])
  })

  it('says nothing where nobody is to be told', async (t) => {
    const { alerts, tell, notes } = open(t)
    assert.equal(tell(ALERT), false)
    alerts.ticked(true)
    assert.deepEqual([alerts.problems(), notes], [[], []])
  })

  it('tries again, and does not mind what failed once', async (t) => {
    const { folder, alerts, tell, notes, script, told, until } = open(t)
    const flaky = `test -e ${folder}/tried || { touch ${folder}/tried; exit 1; }; cat >> ${folder}/told`
    alerts.apply({ alerts: { command: [script('flaky', flaky)] }, deadman: undefined })
    tell(ALERT)
    await until(() => told().length === 1)
    assert.deepEqual(notes, [])
  })

  it('a command that fails is a standing problem and one event, until it works again', async (t) => {
    const { folder, alerts, tell, notes, script, until } = open(t)
    const broken = `test -e ${folder}/fixed || { echo no route >&2; exit 7; }`
    alerts.apply({ alerts: { command: [script('broken', broken)] }, deadman: undefined })
    tell(ALERT)
    tell(ALERT)
    await until(() => alerts.problems().length === 1)
    assert.match(alerts.problems()[0]!, /^the alert command .*\/broken failed: exit 7: no route$/)
    writeFileSync(join(folder, 'fixed'), '')
    tell(ALERT)
    await until(() => alerts.problems().length === 0)
    assert.deepEqual(
      notes.map((note) => note.split(':')[0]),
      ['alert-failed', 'alert-back'],
    )
  })

  it('a command that does not exist is a problem in words', async (t) => {
    const { alerts, tell, until } = open(t)
    alerts.apply({ alerts: { command: ['/nowhere/tell'] }, deadman: undefined })
    tell(ALERT)
    await until(() => alerts.problems().length === 1)
    assert.match(alerts.problems()[0]!, /ENOENT/)
  })
})

describe("the dead man's switch", { timeout: 60_000 }, () => {
  async function serve(t: TestContext, status: () => number) {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.writeHead(status()).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/a-secret-key` }
  }

  it('is asked from a tick, and not more often than declared', async (t) => {
    const { alerts, until } = open(t)
    const { asked, url } = await serve(t, () => 200)
    alerts.apply({ alerts: undefined, deadman: { url, every: 60_000 } })
    for (let i = 0; i < 10; i++) alerts.ticked(true)
    await until(() => asked.length > 0)
    alerts.ticked(true)
    assert.deepEqual(asked, ['GET /a-secret-key'])
  })

  it('is not asked while something is wrong with the supervisor itself, which still gives its sign of life', async (t) => {
    const { alerts, folder, until } = open(t)
    const { asked, url } = await serve(t, () => 200)
    alerts.apply({ alerts: undefined, deadman: { url, every: 1 } })
    for (let i = 0; i < 10; i++) alerts.ticked(false)
    assert.ok(existsSync(join(folder, 'run/alive')))
    alerts.ticked(true)
    await until(() => asked.length === 1)
    alerts.ended()
    alerts.ticked(true)
    assert.ok(!existsSync(join(folder, 'run/alive')))
  })

  it('reads its address from a file each time, and a refusal is a problem without the address', async (t) => {
    const { folder, alerts, notes, until } = open(t)
    let status = 404
    const { asked, url } = await serve(t, () => status)
    writeFileSync(join(folder, 'url'), url)
    alerts.apply({ alerts: undefined, deadman: { url: `\${file:${folder}/url}`, every: 1 } })
    alerts.ticked(true)
    await until(() => alerts.problems().length === 1)
    assert.deepEqual(alerts.problems(), ["the dead man's switch cannot be reached: answer 404"])
    status = 200
    await until(() => {
      alerts.ticked(true)
      return alerts.problems().length === 0
    })
    assert.ok(asked.length >= 2)
    assert.ok(!notes.join().includes('a-secret-key'))
  })

  it('that nobody answers is a problem', async (t) => {
    const { alerts, until } = open(t)
    alerts.apply({ alerts: undefined, deadman: { url: 'http://127.0.0.1:1/key', every: 60_000 } })
    alerts.ticked(true)
    await until(() => alerts.problems().length === 1)
    assert.deepEqual(alerts.problems(), ["the dead man's switch cannot be reached: ECONNREFUSED"])
  })
})
