import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { archiveName, readLayoutSync } from '../../probes/log-stream.ts'
import { LOG_DEFAULTS } from '../../supervisor/core/log-policy.ts'
import { tidyFolder, tidyTotal } from '../../supervisor/shell/archives.ts'

const { defaults } = LOG_DEFAULTS
const T = Date.parse('2026-11-20T12:00:00Z')

/** A folder of logs; each service has so many archives of 1000 bytes, one made each minute from `minute` on. */
function logsOf(t: TestContext, services: Record<string, { archives: number; minute: number }>): string {
  const logs = mkdtempSync('/tmp/pa-')
  t.after(() => rmSync(logs, { recursive: true }))
  for (const [service, { archives, minute }] of Object.entries(services)) {
    mkdirSync(join(logs, service))
    writeFileSync(join(logs, service, 'current.log'), 'c'.repeat(100))
    for (let index = 0; index < archives; index++) {
      const name = archiveName(T + (minute + index) * 60_000, index * 1000, (index + 1) * 1000, 'log')
      writeFileSync(join(logs, service, name), String(index).repeat(1000))
    }
  }
  return logs
}

const endings = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith('2'))
    .map((name) => name.replace(/^.*?Z\./, ''))
    .sort()

describe('the archives of one service', () => {
  it('are compressed but for the newest, and the oldest go', async (t) => {
    const folder = join(logsOf(t, { a: { archives: 7, minute: 0 } }), 'a')
    const { first, archivedBytes } = await tidyFolder(folder, { ...defaults, keep: 3 })
    const left = readdirSync(folder).filter((name) => name !== 'current.log')
    assert.equal(first, 4000)
    assert.equal(
      archivedBytes,
      left.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0),
    )
    assert.deepEqual(endings(folder), ['4000-5000.log.gz', '5000-6000.log.gz', '6000-7000.log'])
    const packed = readdirSync(folder).find((name) => name.includes('.4000-'))!
    assert.equal(gunzipSync(readFileSync(join(folder, packed))).toString(), '4'.repeat(1000))
    assert.equal(statSync(join(folder, packed)).mode & 0o777, 0o600)
  })
})

describe('the log files of all services', () => {
  const tidy = (logs: string) => async (service: string) => {
    await tidyFolder(join(logs, service), { ...defaults, keep: 100 })
  }

  it('take no more than the total: the oldest archives go, of whichever service, removed ones too', async (t) => {
    const logs = logsOf(t, { a: { archives: 1, minute: 10 }, removed: { archives: 2, minute: 0 } })
    writeFileSync(join(logs, 'a', 'x.log.gz.part'), 'unfinished')
    await tidyTotal(logs, tidy(logs), 2_300)
    assert.deepEqual(endings(join(logs, 'a')), ['0-1000.log'])
    assert.deepEqual(
      endings(join(logs, 'removed')),
      ['0-1000.log.gz', '1000-2000.log'],
      'compressed, it fits',
    )
    await tidyTotal(logs, tidy(logs), 2_210)
    assert.deepEqual(endings(join(logs, 'removed')), ['1000-2000.log'])
    assert.ok(!readdirSync(join(logs, 'a')).includes('x.log.gz.part'))
  })

  it('keep count of where the file begins when the newest archive has to go', async (t) => {
    const logs = logsOf(t, { a: { archives: 2, minute: 0 } })
    await tidyTotal(logs, tidy(logs), 50)
    assert.deepEqual(endings(join(logs, 'a')), ['1000-2000.gone'])
    assert.equal(statSync(join(logs, 'a', readdirSync(join(logs, 'a'))[0]!)).size, 0)
    const layout = readLayoutSync(join(logs, 'a', 'current.log'))
    assert.deepEqual([layout.base, layout.archives, layout.currentBytes], [2000, [], 100])
  })
})
