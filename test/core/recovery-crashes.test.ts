/**
 * Repairs in a small world in which everything may go wrong: faults come and go, acts help or do not, people say yes, no
 * or nothing, and the supervisor dies between any two of its steps. What must hold whatever happens is checked at each.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { RecoveryEffect, RecoveryState } from '../../supervisor/core/recovery-state.ts'
import { PER_HOST_HOUR, PER_SERVICE } from '../../supervisor/core/repair-budget.ts'
import { Bench, runbookOf } from './repair-bench.ts'

const RUNBOOKS = [
  [
    '{ id: collect, action: diagnostics.collect }',
    '{ id: restart, action: service.restart, R, onFailure: next }',
  ],
  [
    '{ id: lock, action: lock.remove_stale, R, onFailure: next }',
    '{ id: restore, action: config.restore_last_good, R, rollback: { action: config.undo_restore }, onFailure: next }',
    "{ id: tell, action: tell, with: { text: 'look' } }",
  ],
  ["{ id: own, action: command.run, with: { command: ['x'] }, R, approval: { expires: 5m } }"],
].map((steps) => runbookOf(steps))

type Job = Extract<RecoveryEffect, { kind: 'look' | 'act' | 'verify' | 'undo' }>
/** One choice of fate: what happens next, and how it ends. */
const fate = fc.record({
  what: fc.constantFrom('work', 'work', 'work', 'fault', 'crash', 'decide', 'wait', 'resolve'),
  service: fc.constantFrom('kb', 'gateway', 'poller'),
  runbook: fc.nat({ max: RUNBOOKS.length - 1 }),
  good: fc.boolean(),
  /** A crash in the middle of an act: had it happened already? */
  half: fc.boolean(),
  waitMs: fc.integer({ min: 1_000, max: 2_000_000 }),
  byHand: fc.boolean(),
})
type Fate = typeof fate extends fc.Arbitrary<infer T> ? T : never

class World {
  readonly bench = new Bench()
  jobs: Job[] = []
  /** How often each step really was carried out, by run and step. */
  readonly done = new Map<string, number>()
  /** Automatic intents of changing steps, each once. */
  readonly intents = new Map<string, { service: string; at: number }>()
  incident = 0

  take(effects: readonly RecoveryEffect[]): void {
    for (const effect of effects) {
      if (
        effect.kind === 'look' ||
        effect.kind === 'act' ||
        effect.kind === 'verify' ||
        effect.kind === 'undo'
      )
        this.jobs.push(effect)
      if (effect.kind === 'act') this.checkAct(effect)
    }
    this.check()
  }

  checkAct({ run, step }: Job): void {
    assert.notEqual(step.class, 'never')
    assert.notEqual(step.action, 'tell')
    if (step.class === 'ask') {
      const approval = this.bench.state.approvals.findLast(
        (one) => one.run === run.id && one.step === step.id,
      )
      assert.ok(approval?.status === 'executing' && approval.by === 'me', 'done without leave')
    } else if (step.changes && run.by === null) {
      const key = `${run.id} ${step.id}`
      if (!this.intents.has(key)) this.intents.set(key, { service: run.service, at: this.bench.at })
    }
  }

  check(): void {
    const { runs, approvals } = this.bench.state
    assert.equal(new Set(runs.map(({ service }) => service)).size, runs.length, 'two runs of one service')
    for (const run of runs) {
      const waits = run.phase.kind === 'asking'
      const job = this.jobs.some((one) => one.run.id === run.id && one.run.turn === run.turn)
      assert.ok(waits || job, `run ${run.id} is stuck in ${run.phase.kind}`)
    }
    for (const { run, status } of approvals)
      if (['pending', 'approved', 'executing'].includes(status))
        assert.ok(
          runs.some(({ id }) => id === run),
          'an approval without its run',
        )
    const all = [...this.intents.values()]
    const within = (ms: number, service?: string) =>
      all.filter((one) => this.bench.at - one.at < ms && (service === undefined || one.service === service))
        .length
    assert.ok(within(3_600_000) <= PER_HOST_HOUR)
    for (const { service } of all) {
      assert.ok(within(3_600_000, service) <= PER_SERVICE.hour)
      assert.ok(within(86_400_000, service) <= PER_SERVICE.day)
    }
  }

  carryOut({ run, step }: Job): void {
    const key = `${run.id} ${step.id}`
    this.done.set(key, (this.done.get(key) ?? 0) + 1)
    if (!step.idempotent) assert.equal(this.done.get(key), 1, `${step.action} was done twice`)
  }

  work(job: Job | undefined, { good, half }: Pick<Fate, 'good' | 'half'>): void {
    if (job === undefined) return
    const answer = (event: Parameters<Bench['tell']>[0]) => this.take(this.bench.tell(event, job.run))
    const text = ''
    switch (job.kind) {
      case 'look': {
        if (half && !good) return answer({ kind: 'looked', look: { kind: 'refuse', text: 'no' } })
        return answer({ kind: 'looked', look: { kind: 'go', digest: half ? 'a' : 'b', shown: [] } })
      }
      case 'act':
        this.carryOut(job)
        return answer({ kind: 'acted', ok: good, text, facts: {} })
      case 'verify':
        return answer({ kind: 'verified', ok: good, text })
      case 'undo':
        return answer({ kind: 'undone', ok: good, text })
    }
  }

  /** The supervisor dies: what was under way is lost, and an act may have happened all the same. */
  crash({ half }: Fate): void {
    for (const job of this.jobs) if (half && job.kind === 'act') this.carryOut(job)
    this.jobs = []
    this.bench.state = JSON.parse(JSON.stringify(this.bench.state)) as RecoveryState
    this.take(this.bench.post({ kind: 'recovered' }))
  }

  live(one: Fate): void {
    this.bench.at += 1_000
    switch (one.what) {
      case 'work':
        return this.work(this.jobs.shift(), one)
      case 'fault': {
        const before = this.bench.effects.length
        const who = one.byHand ? { by: 'me', incident: null } : { incident: `i${this.incident}` }
        this.bench.consider(RUNBOOKS[one.runbook]!, { service: one.service, ...who })
        return this.take(this.bench.effects.slice(before))
      }
      case 'crash':
        return this.crash(one)
      case 'decide': {
        const waiting = this.bench.state.approvals.find(({ status }) => status === 'pending')
        if (waiting === undefined) return
        const verdict = one.good ? 'approved' : 'denied'
        return this.take(this.bench.post({ kind: 'decided', approval: waiting.id, verdict, by: 'me' }))
      }
      case 'wait':
        this.bench.at += one.waitMs
        return this.take(this.bench.post({ kind: 'ticked' }))
      case 'resolve':
        this.incident++
        return this.take(this.bench.post({ kind: 'resolved', service: one.service, incident: null }))
    }
  }

  /** From now on everything is answered: every run must end. */
  settle(): void {
    for (let turn = 0; turn < 500 && this.bench.state.runs.length > 0; turn++) {
      this.bench.at += 60_000
      this.work(this.jobs.shift(), { good: true, half: true })
      this.take(this.bench.post({ kind: 'ticked' }))
    }
    assert.deepEqual(this.bench.state.runs, [])
  }
}

describe('repairs over crashes', () => {
  it('nothing is done without leave, twice or too often, nothing is stuck, and every run ends', () => {
    fc.assert(
      fc.property(fc.array(fate, { minLength: 20, maxLength: 150 }), (story) => {
        const world = new World()
        for (const one of story) world.live(one)
        world.settle()
      }),
      { numRuns: 300 },
    )
  })

  it('the stories get somewhere: runs succeed, are taken back, denied and repeated', () => {
    const ended = new Map<string, number>()
    let repeated = 0
    for (const story of fc.sample(fc.array(fate, { minLength: 150, maxLength: 150 }), {
      numRuns: 60,
      seed: 7,
    })) {
      const world = new World()
      for (const one of story) world.live(one)
      for (const effect of world.bench.effects)
        if (effect.kind === 'ended' || effect.kind === 'stepped')
          ended.set(effect.outcome.result, (ended.get(effect.outcome.result) ?? 0) + 1)
      repeated += [...world.done.values()].filter((times) => times > 1).length
    }
    for (const result of ['succeeded', 'told', 'denied', 'expired', 'refused', 'superseded', 'rolledBack'])
      assert.ok((ended.get(result) ?? 0) > 0, `no run was ${result}: ${JSON.stringify([...ended])}`)
    assert.ok(repeated > 0)
  })
})
