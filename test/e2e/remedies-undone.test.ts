/**
 * Repairs of the real gateway that do not help are taken back, byte for byte; and its database's WAL is written back,
 * or not, and then it is said who is in the way. All of it asked for by hand, so that nothing else runs meanwhile.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe } from 'node:test'
import type { RunReport } from '../../supervisor/shell/repair-api.ts'
import { installBrains, orSkip } from '../brains.ts'
import { runbookText } from '../runbook-text.ts'
import {
  createGatewayMesh,
  createStory,
  type GatewayMesh,
  isWell,
  type Stranger,
  startStranger,
} from './gateway-mesh.ts'
import { fixture, kill, until } from './mesh.ts'

const WAL_LIMIT = 4 * 1024 ** 2
const ROWS = 20_000
const LISTENER =
  "import { createServer } from 'node:net'\n" +
  "createServer().listen(Number(process.argv.at(-1)), '127.0.0.1', () => console.log('here'))"
const HOLDER = `process.argv.splice(1, 0, ''); await import(${JSON.stringify(fixture('holds-database.mjs')[1])})`

const RESTORE =
  '  - { id: restore, action: config.restore_last_good, rollback: { action: config.undo_restore }, ' +
  'verify: { checks: [{ check: service.ready }], within: WITHIN } }\n'
const CHECKPOINT =
  '  - { id: wal, action: sqlite.checkpoint, with: { probe: wal }, ' +
  'verify: { checks: [{ check: probe.ok, with: { probe: wal } }], within: 10s } }\n'

describe('repairs of the real gateway that do not help', { concurrency: false, timeout: 900_000 }, () => {
  const step = createStory()
  let own: GatewayMesh
  let stranger: Stranger | undefined
  const part = () => join(own.gw.stateDir, 'logging.json5')
  const database = () => join(own.gw.stateDir, 'state', 'openclaw.sqlite')
  const withPart = () => ({ ...own.gw.config, logging: { $include: './logging.json5' } })
  const writeRunbook = (id: string, steps: string) =>
    writeFileSync(join(own.mesh.home, 'runbooks', `${id}.md`), runbookText(id, `steps:\n${steps}`))
  const report = async (...args: string[]) => {
    const { stdout, stderr } = await own.paios(...args, '--json')
    assert.notEqual(stdout, '', stderr)
    return JSON.parse(stdout) as RunReport
  }
  /** Breaks the file with a key that the gateway does not know, and ends the gateway. Answers with the bytes. */
  const breakConfig = async () => {
    await own.gw.writeConfig(`${JSON.stringify({ ...withPart(), gatway: { on: true } }, null, 3)}\n\n`)
    kill((await own.gateway()).pid!)
    await own.untilGateway('is blocked by its file', ({ reason }) => /openclaw\.json: /.test(reason ?? ''))
    return readFileSync(own.gw.configPath)
  }
  const approved = async (...args: string[]) => {
    const asked = await report('runbook', 'run', ...args)
    assert.equal(asked.result, 'waiting', asked.text)
    return report('approve', String(asked.approval?.id))
  }

  before(async () => {
    if ((await orSkip(installBrains())) === null) return
    own = await createGatewayMesh()
    writeFileSync(part(), JSON.stringify({ file: join(own.gw.home, 'gateway.log') }))
    await own.gw.writeConfig(withPart())
    const wal = { kind: 'sqlite', name: 'wal', role: 'readiness', file: database(), optional: true }
    await own.declare({ probes: [{ ...wal, lock: false, wal: '4MiB', every: '10m', timeout: '10s' }] })
    mkdirSync(join(own.mesh.home, 'runbooks'))
    const up = await own.paios('up')
    assert.equal(up.code, 0, up.stdout + up.stderr)
    assert.equal((await own.paios('maintenance', 'on', '2h')).code, 0)
    await until('its file is kept', async () => (await own.told()).some((text) => /is kept \(/.test(text)))
  })
  after(async () => {
    await stranger?.end()
    await own?.end()
  })

  step('a WAL that a reader holds is not cut, and the reader is named', async () => {
    stranger = await startStranger(HOLDER, database(), 'BEGIN', 'SELECT name FROM sqlite_schema')
    const writer = new DatabaseSync(database(), { timeout: 10_000 })
    writer.exec('CREATE TABLE paios_test (bytes)')
    writer.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
       INSERT INTO paios_test SELECT randomblob(400) FROM n`,
    )
    writer.close()
    assert.ok(statSync(`${database()}-wal`).size > WAL_LIMIT)
    writeRunbook('wal', CHECKPOINT)
    const run = await report('runbook', 'run', 'wal')
    assert.equal(run.result, 'failed', run.text)
    assert.match(
      run.text,
      new RegExp(
        `\\d+ of \\d+ pages of its WAL are .* not cut: .*pid ${stranger.pid} \\(.*\\) reads an older state`,
      ),
    )
    assert.ok(statSync(`${database()}-wal`).size > WAL_LIMIT)
  })

  step(
    'without the reader it is written back and cut under the running gateway, which loses nothing',
    async () => {
      await stranger?.end()
      const { pid } = await own.gateway()
      const run = await report('runbook', 'run', 'wal')
      assert.equal(run.result, 'succeeded', JSON.stringify(run))
      assert.match(run.steps[0]?.text ?? '', /wal/)
      assert.ok(statSync(`${database()}-wal`).size <= WAL_LIMIT)
      const reader = new DatabaseSync(database(), { timeout: 10_000 })
      assert.equal(reader.prepare('SELECT count(*) AS n FROM paios_test').get()?.['n'], ROWS)
      assert.equal(reader.prepare('PRAGMA quick_check').get()?.['quick_check'], 'ok')
      reader.exec('DROP TABLE paios_test')
      reader.close()
      assert.equal((await own.gateway()).pid, pid)
    },
  )

  step(
    'a restore that does not make it ready is taken back: the file that was there is there again',
    async () => {
      writeRunbook('restore', RESTORE.replace('WITHIN', '40s'))
      const bad = await breakConfig()
      stranger = await startStranger(LISTENER, String(own.gw.port))
      const run = await approved('restore')
      assert.equal(run.result, 'rolledBack', JSON.stringify(run))
      assert.match(run.text, /after 40 s: .*; taken back: .*openclaw\.json is as it was before/)
      assert.deepEqual(readFileSync(own.gw.configPath), bad)
      assert.equal(statSync(own.gw.configPath).mode & 0o777, 0o600)
      const aside = readdirSync(own.gw.stateDir).filter((name) => name.startsWith('openclaw.json.bad-'))
      assert.equal(aside.length, 1)
      assert.deepEqual(readFileSync(join(own.gw.stateDir, aside[0]!)), bad)
    },
  )

  step('the same restore helps once nothing else is in the way', async () => {
    await stranger?.end()
    writeRunbook('restore', RESTORE.replace('WITHIN', '3m'))
    const run = await approved('restore')
    assert.equal(run.result, 'succeeded', JSON.stringify(run))
    assert.deepEqual(JSON.parse(readFileSync(own.gw.configPath, 'utf8')), withPart())
    await own.untilGateway('well again', isWell)
  })

  step(
    'our own runbook takes a version back that is not valid any more, since a file it includes is gone',
    async () => {
      rmSync(part())
      const bad = await breakConfig()
      const run = await approved('openclaw-gateway', '--step', 'restore')
      assert.equal(run.result, 'rolledBack', JSON.stringify(run))
      assert.match(run.text, /after 30 s: config: /)
      assert.deepEqual(readFileSync(own.gw.configPath), bad)
    },
  )
})
