import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { leadingInstantMs, sinceMs } from '../../supervisor/cli/timestamps.ts'

const INSTANT = Date.parse('2026-11-20T12:00:01.250Z')

describe('the time that a log line leads with', () => {
  for (const line of [
    '2026-11-20T12:00:01.250Z listening',
    '2026-11-20 12:00:01,250Z [main] listening',
    '[2026-11-20T13:00:01.250+01:00] listening',
    '2026-11-20T13:00:01.250123+0100 listening',
    '1795176001.250 listening',
    '1795176001250 listening',
    '{"level":30,"time":1795176001250,"msg":"listening"}',
    '{"level":"info","time":"2026-11-20T12:00:01.250Z"}',
  ]) {
    it(`is read from ${line}`, () => assert.equal(leadingInstantMs(line), INSTANT))
  }

  it('is local where it names no zone', () => {
    assert.equal(leadingInstantMs('2026-11-20 12:00:01 x'), new Date(2026, 10, 20, 12, 0, 1).getTime())
  })

  for (const line of [
    '',
    '  at main (server.js:12)',
    'listening since 2026-11-20T12:00:01Z',
    '17951760012501 ids',
    '{"a":1}',
  ]) {
    it(`is not invented for '${line}'`, () => assert.equal(leadingInstantMs(line), null))
  }
})

describe('--since', () => {
  it('counts a duration back from now', async () =>
    assert.equal(await sinceMs('10m', INSTANT), INSTANT - 600_000))

  it('takes an instant', async () => assert.equal(await sinceMs('2026-11-20T12:00:01.250Z', 0), INSTANT))

  it('refuses anything else as usage', async () => {
    await assert.rejects(sinceMs('yesterday', 0), { code: 'usage', exitCode: 2 })
  })
})
