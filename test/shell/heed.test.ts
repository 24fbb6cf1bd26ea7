import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { heed } from '../../supervisor/shell/heed.ts'
import { createLogger } from '../../supervisor/shell/logger.ts'
import { FAIL, Stage } from '../core/stage.ts'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { metricsOf } from './metrics-view.ts'

const PLANNED = { code: 7, class: 'planned', reason: 'it asked for a restart' } as const
const ended = (over: Parameters<typeof makeSpec>[1], code: number) =>
  new Stage([makeSpec('a', over)]).up('a').exited('a', code)
const ready = () => new Stage([makeSpec('a', { probes: [makeProbe('liveness')] })]).up('a')

/** Heeds all that the core has recorded on a stage: what the log and the metrics say of it. */
async function heeded(t: TestContext, stage: Stage) {
  const logs = mkdtempSync('/tmp/ph-')
  t.after(() => rmSync(logs, { recursive: true }))
  const logger = createLogger(logs, (text) => text)
  const metrics = metricsOf(stage.mesh)
  metrics.declare('a')
  for (const effect of stage.all) if (effect.kind === 'record') heed(effect, logger, (told) => told(metrics))
  await logger.open(false)
  const lines = readFileSync(join(logs, 'supervisor', 'current.log'), 'utf8')
    .trim()
    .split('\n')
  const text = await metrics.text()
  const sample = (name: string) => new RegExp(`^paios_${name} (\\S+)$`, 'm').exec(text)?.[1]
  return {
    lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    exits: (cause: string) => Number(sample(`service_exits_total{service="a",cause="${cause}"}`)),
    code: Number(sample('service_last_exit_code{service="a"}')),
  }
}

describe('what a journal event means beside its record', () => {
  for (const [what, stage, cause, code] of [
    ['an end that was asked for', ready().stop('a').exited('a', 0), 'stopped', 0],
    ['a kill that was asked for', ready().stop('a').exited('a', null, 'SIGKILL'), 'stopped', 137],
    [
      'the end of a hang',
      ready().probe('a', 'tcp-liveness', FAIL, 3).exited('a', null, 'SIGTERM'),
      'hung',
      143,
    ],
    ['a crash', ready().exited('a', null, 'SIGSEGV'), 'signal', 139],
    ['a failure', ready().exited('a', 3), 'error', 3],
    ['an end by itself', ready().exited('a', 0), 'clean', 0],
    ['an end that its type allows', ended({ restart: 'transient' }, 0), 'completed', 0],
    ['an end that its signature plans', ended({ exits: [PLANNED] }, 7), 'planned', 7],
    ['an end that nobody saw', ready().exited('a', null), 'error', -1],
  ] as const) {
    it(`counts ${what} as ${cause}`, async (t) => {
      const told = await heeded(t, stage)
      assert.equal(told.exits(cause), 1)
      assert.equal(told.code, code)
      const others = ['stopped', 'completed', 'clean', 'error', 'signal', 'hung', 'spawn_failed']
      for (const other of others) if (other !== cause) assert.equal(told.exits(other), 0, other)
    })
  }

  it('counts a program that cannot be started, and warns of it', async (t) => {
    const stage = new Stage([makeSpec('a')]).checked('a')
    const { generation } = stage.child('a')
    stage.tell('a', { kind: 'spawn-failed', generation, reason: 'no such program', permanent: false })
    const told = await heeded(t, stage)
    assert.equal(told.exits('spawn_failed'), 1)
    assert.equal(told.code, -1)
    assert.ok(told.lines.some(({ event, level }) => event === 'spawn-failed' && level === 40))
  })

  it('writes a line for each, as a warning where something is wrong', async (t) => {
    const stage = ready().probe('a', 'tcp-liveness', FAIL, 3)
    const { lines } = await heeded(t, stage)
    const levels = new Map(lines.map(({ event, level }) => [event, level]))
    assert.equal(levels.get('hung'), 40)
    assert.equal(levels.get('ready'), 30)
    assert.equal(lines.length, stage.count('record'))
    const hung = lines.find(({ event }) => event === 'hung')
    assert.equal(hung?.['subject'], 'a')
    assert.equal(hung?.['generation'], 1)
    assert.equal(hung?.['msg'], 'hung: no answer')
  })
})
