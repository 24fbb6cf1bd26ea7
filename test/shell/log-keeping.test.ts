import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { archiveName } from '../../probes/log-stream.ts'
import { LOG_DEFAULTS, type LogSettings } from '../../supervisor/core/log-policy.ts'
import type { ChildState } from '../../supervisor/core/state.ts'
import { openLogKeeping } from '../../supervisor/shell/log-keeping.ts'
import type { Metrics } from '../../supervisor/shell/metrics.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'

const small: LogSettings = { ...LOG_DEFAULTS.defaults, size: 65_536, rotate: 'copytruncate' }
const policyOf = (defaults: Partial<LogSettings> = {}) => ({
  ...LOG_DEFAULTS,
  defaults: { ...small, ...defaults },
})

/** Keeping over a folder of logs with 70,000 bytes in each; service `a` is in a state that the test says. */
function keepingOf(t: TestContext) {
  const logs = mkdtempSync('/tmp/pk-')
  const notes: string[] = []
  const counted: unknown[][] = []
  const state: { kind: ChildState['kind'] } = { kind: 'running' }
  for (const service of ['a', 'supervisor', 'removed']) {
    mkdirSync(join(logs, service))
    writeFileSync(join(logs, service, 'current.log'), 'x'.repeat(70_000))
  }
  const keeping = openLogKeeping({
    logs,
    table: openProcessTable(),
    journal: { keepIntent: () => true, intents: () => [] },
    logger: { info: () => undefined, warn: () => undefined },
    names: () => ['a'],
    stateOf: (service) => (service === 'a' ? { kind: state.kind, hasLeftovers: false } : null),
    treeOf: () => null,
    recall: () => [],
    note: (service, event, text) => void notes.push(`${service} ${event}: ${text}`),
    measure: (told) =>
      told({
        rotated: (...what: unknown[]) => void counted.push(what),
        rotationFailed: (...what: unknown[]) => void counted.push(['failed', ...what]),
      } as unknown as Metrics),
  })
  t.after(() => {
    keeping.close()
    rmSync(logs, { recursive: true, force: true })
  })
  const size = (service: string) => statSync(join(logs, service, 'current.log')).size
  /** Looks until something is so. */
  const lookUntil = async (isSo: () => boolean) => {
    while (!isSo()) {
      keeping.look()
      await new Promise((done) => setTimeout(done, 5))
    }
  }
  return { logs, keeping, notes, counted, state, size, lookUntil }
}

describe('keeping log files', { timeout: 30_000 }, () => {
  it("rotates what is due, the supervisor's own log too, and no folder that is nobody's", async (t) => {
    const { keeping, size, lookUntil, logs, counted } = keepingOf(t)
    keeping.apply(policyOf())
    assert.equal(keeping.bytesOf('a'), null)
    await lookUntil(() => size('a') === 0 && size('supervisor') === 0)
    assert.deepEqual(counted, [['a', null]], 'no service of its own is counted, and nothing stood still')
    await lookUntil(() => keeping.bytesOf('a') === 70_000)
    assert.equal(size('removed'), 70_000)
    assert.ok(readdirSync(join(logs, 'a')).some((name) => name.endsWith('.0-70000.log')))
  })

  it('does nothing before a document is in force', (t) => {
    const { keeping, size, logs } = keepingOf(t)
    for (let tick = 0; tick < 100; tick++) keeping.look()
    assert.equal(size('a'), 70_000)
    assert.deepEqual(readdirSync(join(logs, 'a')), ['current.log'])
  })

  it('waits while the service is being stopped', async (t) => {
    const { keeping, size, state, lookUntil } = keepingOf(t)
    state.kind = 'stopping'
    keeping.apply(policyOf())
    await lookUntil(() => size('supervisor') === 0)
    assert.equal(size('a'), 70_000)
    state.kind = 'running'
    await lookUntil(() => size('a') === 0)
  })

  it('signals nothing that is not proven, says so once, and leaves the file whole', async (t) => {
    const { keeping, notes, size, lookUntil } = keepingOf(t)
    keeping.apply(policyOf({ rotate: 'stop' }))
    await lookUntil(() => notes.length > 0)
    for (let tick = 0; tick < 20; tick++) keeping.look()
    await lookUntil(() => size('supervisor') === 0)
    assert.deepEqual(notes, [
      'a log-not-rotated: its log file is not rotated: its process is not proven to be ours',
    ])
    assert.equal(size('a'), 70_000)
  })

  it('of a removed service gives up nothing but for the total', async (t) => {
    const { keeping, logs, lookUntil } = keepingOf(t)
    const folder = join(logs, 'removed')
    for (let index = 0; index < 9; index++) {
      const name = archiveName(Date.now(), index * 5, (index + 1) * 5, 'log')
      writeFileSync(join(folder, name), 'five\n')
    }
    keeping.apply(policyOf({ keep: 1 }))
    await lookUntil(() => readdirSync(folder).filter((name) => name.endsWith('.gz')).length === 8)
    assert.equal(readdirSync(folder).filter((name) => name.startsWith('2')).length, 9)
  })
})
