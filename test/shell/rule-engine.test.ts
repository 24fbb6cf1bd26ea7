import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { JournalEvent } from '../../schemas/status.ts'
import type { Finding } from '../../supervisor/core/alert.ts'
import type { Metrics } from '../../supervisor/shell/metrics.ts'
import { openRuleEngine, type RuleEngine } from '../../supervisor/shell/rule-engine.ts'
import { FAIL, Stage } from '../core/stage.ts'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { metricsOf } from './metrics-view.ts'

const START = 1_800_000_000_000

/** A clock that stands until it is set, an engine over a stage, and what it found. */
class Watch {
  readonly stage: Stage
  readonly path: string
  at = START
  wokeAt = 0
  startedAt = START
  isWritable = true
  firing: readonly Finding[] = []
  /** What the journal has. */
  readonly events: JournalEvent[] = []
  metrics: Metrics
  engine: RuleEngine

  constructor(t: TestContext, specs = [makeSpec('kb', { probes: [makeProbe('readiness')] })]) {
    this.stage = new Stage(specs)
    const folder = mkdtempSync('/tmp/pre-')
    this.path = join(folder, 'rules.json')
    this.metrics = this.#measure()
    this.engine = this.#open()
    t.after(() => {
      this.engine.close()
      rmSync(folder, { recursive: true })
    })
  }

  #measure(): Metrics {
    return metricsOf(this.stage.mesh, {
      startedWall: this.startedAt,
      lastTickWall: () => this.at,
      lastWakeWall: () => this.wokeAt,
      isJournalWritable: () => this.isWritable,
    })
  }

  #open(): RuleEngine {
    return openRuleEngine({
      metrics: this.metrics,
      path: this.path,
      lastEvent: () => this.events.length,
      events: ({ after }) => this.events.slice(after),
      look: () => undefined,
      found: (findings) => {
        this.firing = findings
      },
      wall: () => this.at,
    })
  }

  journaled(id: number): void {
    const data = { code: 1, signal: null, asked: false }
    const at = new Date(this.at).toISOString()
    const about = { subject: 'kb', generation: 1, kind: 'exited', text: 'exit code 1', cause: null }
    this.events.push({ ...about, id, at, awakeMs: 0, data })
  }

  /** One that is killed leaves the file as it is. */
  killed(): void {
    const left = readFileSync(this.path)
    this.engine.close()
    writeFileSync(this.path, left)
    this.startedAt = this.at
    this.metrics = this.#measure()
    this.engine = this.#open()
  }

  /** Another supervisor takes over after so many seconds. */
  restart(seconds: number): void {
    this.engine.close()
    this.startedAt = this.at += seconds * 1000
    this.metrics = this.#measure()
    this.engine = this.#open()
  }

  /** The rules that fire so many seconds later, in the order of the table. */
  after(seconds: number): string[] {
    this.at += seconds * 1000
    return this.engine.evaluate().map(({ rule }) => rule)
  }

  crash(): void {
    this.metrics.exited('kb', 'error', 1)
  }
}

describe('the rule engine', () => {
  it('tells a service that has no process once its time is over, with what it is about', (t) => {
    const watch = new Watch(t)
    assert.deepEqual(watch.after(0), [])
    assert.deepEqual(watch.after(14), [])
    assert.deepEqual(watch.after(1), ['ServiceDown'])
    assert.deepEqual(watch.firing, [
      {
        rule: 'ServiceDown',
        labels: { service: 'kb', kind: 'daemon', preset: 'process' },
        subject: { kind: 'service', name: 'kb' },
        severity: 'critical',
        summary: 'kb is down: it has no living process, or is not live.',
        held: [],
      },
    ])
    watch.stage.up('kb')
    assert.deepEqual(watch.after(1), [])
  })

  it('looks again when the time of what is pending is over, not five seconds later', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const watch = new Watch(t)
    assert.deepEqual(watch.after(0), [])
    assert.deepEqual(watch.after(13), [])
    watch.at += 2_000
    t.mock.timers.tick(1_999)
    assert.deepEqual(watch.firing, [])
    t.mock.timers.tick(2)
    assert.deepEqual(
      watch.firing.map(({ rule }) => rule),
      ['ServiceDown'],
    )
  })

  it('counts crashes in a window, and keeps telling of them for a while', (t) => {
    const watch = new Watch(t)
    watch.stage.up('kb')
    for (let crash = 0; crash < 3; crash++) {
      watch.crash()
      watch.at += 100_000
    }
    assert.deepEqual(watch.after(0), ['ServiceCrashLooping', 'ServiceCrashed'])
    assert.match(watch.firing[0]!.summary, /crashed 3 times/)
    assert.deepEqual(watch.after(299), ['ServiceCrashLooping'])
    assert.deepEqual(watch.after(1), ['ServiceCrashLooping'])
    assert.deepEqual(watch.after(299), ['ServiceCrashLooping'])
    assert.deepEqual(watch.after(1), [])
  })

  it('goes on after a restart of the supervisor with what was counted and what was pending', (t) => {
    const watch = new Watch(t)
    watch.crash()
    watch.crash()
    assert.deepEqual(watch.after(5), ['ServiceCrashed'])
    watch.restart(5)
    watch.crash()
    assert.deepEqual(watch.after(0), ['ServiceCrashLooping', 'ServiceCrashed'])
    assert.deepEqual(watch.after(10), ['ServiceDown', 'ServiceCrashLooping', 'ServiceCrashed'])
  })

  it('counts after a kill what the journal had and the file had not, once', (t) => {
    const watch = new Watch(t)
    watch.stage.up('kb')
    watch.journaled(1)
    watch.crash()
    watch.after(1)
    watch.journaled(2)
    watch.crash()
    // The supervisor is killed before it looks again, and another process is found dead at the next start.
    watch.journaled(3)
    watch.killed()
    assert.deepEqual(watch.after(0), ['ServiceCrashLooping', 'ServiceCrashed'])
    assert.match(watch.firing[0]!.summary, /crashed 3 times/)
    watch.killed()
    watch.after(0)
    assert.match(watch.firing[0]!.summary, /crashed 3 times/)
  })

  it('tells a supervisor that is killed before its first look, again and again', (t) => {
    const watch = new Watch(t)
    watch.stage.up('kb')
    for (const _ of [1, 2, 3]) {
      watch.at += 10_000
      watch.killed()
    }
    assert.deepEqual(watch.after(1), ['SupervisorRestarting'])
  })

  it('tells a supervisor that is started again and again', (t) => {
    const watch = new Watch(t)
    watch.stage.up('kb')
    for (const _ of [1, 2, 3]) {
      assert.deepEqual(watch.after(1), [])
      watch.restart(60)
    }
    assert.deepEqual(watch.after(1), ['SupervisorRestarting'])
  })

  it('lets what is pending wait anew after a wake, and goes on with what fires', (t) => {
    const watch = new Watch(t)
    assert.deepEqual(watch.after(0), [])
    watch.wokeAt = watch.at + 36_000_000
    assert.deepEqual(watch.after(36_000), [])
    assert.deepEqual(watch.after(14), [])
    assert.deepEqual(watch.after(1), ['ServiceDown'])
    watch.wokeAt = watch.at + 36_000_000
    assert.deepEqual(watch.after(36_000), ['ServiceDown'])
  })

  it('names the reasons that hold a finding, and only those that hold its rule', (t) => {
    const watch = new Watch(t)
    watch.metrics.provide({ suppressions: () => ['startup', 'offline'] })
    watch.isWritable = false
    watch.after(0)
    watch.after(15)
    assert.deepEqual(
      watch.firing.map(({ rule, held }) => [rule, held]),
      [
        ['JournalWriteFailing', []],
        ['ServiceDown', ['startup']],
      ],
    )
    const held = watch.metrics
      .sample('alerts')
      .filter(({ labels, value }) => labels['state'] === 'held' && value > 0)
    assert.deepEqual(held, [{ labels: { rule: 'ServiceDown', state: 'held' }, value: 1 }])
  })

  it('holds offline what is not ready for want of the network, and nothing else', (t) => {
    const remote = makeProbe('readiness', { host: '192.0.2.1' } as object)
    const watch = new Watch(t, [
      makeSpec('chat', { probes: [remote] }),
      makeSpec('both', { probes: [remote, makeProbe('readiness', { name: 'file' })] }),
    ])
    watch.metrics.provide({ suppressions: () => ['offline'] })
    watch.stage.up('chat').up('both')
    for (const [service, probe] of [
      ['chat', 'tcp-readiness'],
      ['both', 'tcp-readiness'],
      ['both', 'file'],
    ] as const)
      watch.stage.probe(service, probe, FAIL, 3)
    watch.after(0)
    watch.after(300)
    const shown = watch.firing.map(({ rule, labels, held }) => [
      rule,
      labels['service'],
      labels['probe'],
      held,
    ])
    assert.deepEqual(shown, [
      ['ServiceDegraded', 'chat', undefined, ['offline']],
      ['ServiceDegraded', 'both', undefined, []],
      ['ProbeFailing', 'chat', 'tcp-readiness', ['offline']],
      ['ProbeFailing', 'both', 'tcp-readiness', ['offline']],
      ['ProbeFailing', 'both', 'file', []],
    ])
    watch.metrics.provide({ suppressions: () => [] })
    watch.after(1)
    assert.deepEqual(
      watch.firing.flatMap(({ held }) => held),
      [],
    )
  })

  it('tells a probe that fails as soon as its threshold is reached', (t) => {
    const watch = new Watch(t)
    watch.stage.up('kb').probe('kb', 'tcp-readiness', FAIL, 2)
    assert.deepEqual(watch.after(0), [])
    watch.stage.probe('kb', 'tcp-readiness', FAIL, 1)
    assert.deepEqual(watch.after(0), ['ProbeFailing'])
    assert.equal(watch.firing[0]!.summary, 'Probe tcp-readiness of kb failed 3 times in a row.')
  })

  it('begins anew with a file that cannot be read, and counts it', async (t) => {
    const watch = new Watch(t)
    watch.after(0)
    watch.engine.close()
    writeFileSync(watch.path, '{"moves":')
    watch.restart(0)
    assert.deepEqual(watch.after(1), ['SupervisorInternalErrors'])
  })

  it('evaluates by itself, soon after a change', async (t) => {
    const watch = new Watch(t)
    watch.stage.up('kb')
    watch.after(0)
    const found = new Promise<readonly Finding[]>((resolve) => {
      const look = setInterval(() => {
        if (watch.firing.length > 0) resolve(watch.firing)
      }, 10)
      t.after(() => clearInterval(look))
    })
    watch.crash()
    assert.deepEqual(
      (await found).map(({ rule }) => rule),
      ['ServiceCrashed'],
    )
  })
})
