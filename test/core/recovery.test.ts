import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Held, Look } from '../../supervisor/core/recovery-state.ts'
import { Bench, GO, runbookOf } from './repair-bench.ts'

const RESTART = '{ id: restart, action: service.restart, R }'
const COLLECT = '{ id: collect, action: diagnostics.collect }'
const RESTORE =
  '{ id: restore, action: config.restore_last_good, R, rollback: { action: config.undo_restore } }'
const once = (steps: readonly string[], more = '') => {
  const bench = new Bench()
  assert.equal(bench.consider(runbookOf(steps, more)).ok, true)
  return bench
}

describe('row: looking', () => {
  it('acts where nothing speaks against it, and only then', () => {
    const bench = once([RESTART])
    assert.deepEqual([bench.count('look'), bench.count('act')], [1, 0])
    bench.look()
    assert.deepEqual([bench.run.phase.kind, bench.count('act')], ['acting', 1])
  })

  it('skips a step whose conditions do not hold, and refuses one whose preconditions do not', () => {
    const bench = once([COLLECT, RESTART])
    bench.look({ kind: 'skip', text: 'not needed' })
    bench.look({ kind: 'refuse', text: 'nobody wants it' })
    assert.deepEqual(bench.ended, { result: 'refused', text: 'nobody wants it', facts: {} })
    assert.equal(bench.count('act'), 0)
  })

  it('a step for people ends the run with its text', () => {
    const bench = once(["{ id: tell, action: tell, with: { text: 'do it' } }", RESTART])
    bench.look()
    assert.deepEqual([bench.ended.result, bench.ended.text], ['told', 'do it'])
    assert.equal(bench.count('act'), 0)
  })

  it('what a runbook makes stricter is not done: safe becomes ask, ask becomes never', () => {
    const asked = once(['{ id: restart, action: service.restart, class: ask, R }'])
    asked.look()
    assert.deepEqual([asked.run.phase.kind, asked.count('act')], ['asking', 0])
    const never = once(['{ id: restart, action: service.restart, class: never }'])
    never.look()
    assert.equal(never.ended.result, 'told')
  })

  it('a step without conditions is left out once the fault is repaired', () => {
    const bench = once([RESTART, '{ id: again, action: service.start, R }'])
    bench.look()
    bench.acted()
    bench.verified()
    bench.look()
    assert.equal(bench.ended.result, 'succeeded')
    assert.equal(bench.count('act'), 1)
  })

  it('ends as superseded when the incident is over, and looks again after a crash', () => {
    const bench = once([RESTART])
    bench.post({ kind: 'recovered' })
    assert.equal(bench.count('look'), 2)
    bench.post({ kind: 'resolved', service: 'kb', incident: 'another' })
    assert.equal(bench.state.runs.length, 1)
    bench.post({ kind: 'resolved', service: 'kb', incident: 'i1' })
    assert.equal(bench.ended.result, 'superseded')
  })
})

describe('row: asking', () => {
  it('looks once more after the press, and acts only if what was shown is still so', () => {
    const bench = once([RESTORE])
    bench.look()
    assert.equal(bench.decide('approved')?.ok, true)
    assert.equal(bench.count('act'), 0)
    bench.look({ ...GO, digest: 'b' } as Look)
    assert.deepEqual(
      [bench.run.phase.kind, bench.approval.id, bench.approval.status],
      ['asking', 2, 'pending'],
    )
    assert.equal(bench.state.approvals[0]?.status, 'superseded')
    bench.decide('approved')
    bench.look({ ...GO, digest: 'b' } as Look)
    assert.deepEqual([bench.count('act'), bench.approval.status], [1, 'executing'])
    bench.acted()
    bench.verified()
    assert.deepEqual([bench.ended.result, bench.approval.status], ['succeeded', 'done'])
  })

  it('what changes again and again is given up', () => {
    const bench = once([RESTORE])
    for (const digest of ['a', 'b', 'c', 'd']) {
      bench.look({ ...GO, digest } as Look)
      if (bench.state.runs.length > 0) bench.decide('approved')
    }
    assert.equal(bench.ended.result, 'refused')
    assert.equal(bench.count('act'), 0)
  })

  it('a second press hears that it is decided; a denial is not asked again in the same incident', () => {
    const bench = once([RESTORE])
    bench.look()
    assert.equal(bench.decide('denied')?.ok, true)
    assert.deepEqual([bench.ended.result, bench.decide('approved', 1)?.ok], ['denied', false])
    bench.at += 301_000
    assert.equal(bench.consider(runbookOf([RESTORE])).ok, true)
    bench.look()
    assert.match(bench.ended.text, /^not asked again: approval 1 was denied by me/)
    assert.equal(bench.consider(runbookOf([RESTORE]), { by: 'me', rule: null, incident: null }).ok, true)
    bench.look()
    assert.equal(bench.approval.status, 'pending')
  })

  it('expires by awake time, also in the moment of the press, and is not changed by a crash', () => {
    const bench = once([RESTORE])
    bench.look()
    bench.at += 1_799_000
    bench.post({ kind: 'recovered' })
    bench.post({ kind: 'ticked' })
    assert.equal(bench.approval.status, 'pending')
    bench.at += 2_000
    assert.deepEqual([bench.decide('approved')?.ok, bench.ended.result], [false, 'expired'])
    assert.equal(bench.approval.status, 'expired')
  })

  it('is superseded when the incident is over', () => {
    const bench = once([RESTORE])
    bench.look()
    bench.post({ kind: 'resolved', service: 'kb', incident: null })
    assert.deepEqual([bench.approval.status, bench.decide('approved')?.ok], ['superseded', false])
  })
})

describe('row: acting', () => {
  it('what only looks needs no verification, and hands on what it found', () => {
    const bench = once(['{ id: holder, action: port.find_holder }', RESTART])
    bench.look()
    bench.acted(true, { holder: 'earlier' })
    assert.equal(bench.run.outcomes['holder']?.facts['holder'], 'earlier')
    assert.equal(bench.run.index, 1)
  })

  it('after a crash it is verified first, and repeated only if it helped nobody and may be repeated', () => {
    const bench = once([RESTART])
    bench.look()
    bench.post({ kind: 'recovered' })
    assert.deepEqual([bench.run.phase.kind, bench.count('act')], ['verifying', 1])
    bench.verified(false)
    assert.equal(bench.count('act'), 2)
    bench.acted()
    bench.verified()
    assert.equal(bench.ended.result, 'succeeded')
  })

  it('what may not be repeated is not, and an act without an end is not repeated for ever', () => {
    const bench = once([RESTORE])
    bench.look()
    bench.decide('approved')
    bench.look()
    bench.post({ kind: 'recovered' })
    bench.verified(false)
    assert.deepEqual([bench.count('act'), bench.run.phase.kind], [1, 'undoing'])
    const looping = once([COLLECT])
    looping.look()
    for (let crash = 0; crash < 5; crash++) looping.post({ kind: 'recovered' })
    assert.deepEqual([looping.count('act'), looping.ended.result], [3, 'failed'])
  })

  it('an answer to an earlier turn is ignored', () => {
    const bench = once([RESTART])
    bench.look()
    const stale = bench.run
    bench.post({ kind: 'recovered' })
    bench.tell({ kind: 'acted', ok: true, text: '', facts: {} }, stale)
    assert.equal(bench.run.phase.kind, 'verifying')
  })
})

describe('row: verifying', () => {
  it('a step that failed ends the run unless it says `next`', () => {
    const stops = once([RESTART, '{ id: later, action: service.start, R }'])
    stops.look()
    stops.acted()
    stops.verified(false)
    assert.equal(stops.ended.result, 'verifyFailed')
    const goes = once(['{ id: restart, action: service.restart, R, onFailure: next }', RESTORE])
    goes.look()
    goes.acted(false)
    assert.deepEqual([goes.run.index, goes.run.outcomes['restart']?.result], [1, 'failed'])
  })

  it('two in a row that did not help open the breaker, which a run by hand closes', () => {
    const bench = new Bench()
    for (let run = 0; run < 2; run++) {
      bench.consider(runbookOf([RESTART]), { incident: `i${run}` })
      bench.look()
      bench.acted()
      bench.verified(false)
      bench.at += 301_000
    }
    const refused = bench.consider(runbookOf([RESTART]), { incident: 'i3' })
    assert.match(refused.text, /^2 repairs in a row did not help.*a run by hand ends this$/)
    assert.equal(bench.consider(runbookOf([RESTART]), { by: 'me', incident: null }).ok, true)
    bench.look()
    bench.acted()
    bench.verified()
    bench.at += 301_000
    assert.equal(bench.consider(runbookOf([RESTART]), { incident: 'i4' }).ok, true)
  })
})

describe('row: undoing', () => {
  it('takes back what did not help before anything else is tried', () => {
    const bench = once([RESTORE])
    bench.look()
    bench.decide('approved')
    bench.look()
    bench.acted()
    bench.verified(false)
    assert.equal(bench.count('undo'), 1)
    bench.post({ kind: 'recovered' })
    assert.equal(bench.count('undo'), 2)
    bench.tell({ kind: 'undone', ok: true, text: 'as before' })
    assert.deepEqual([bench.ended.result, bench.approval.status], ['rolledBack', 'superseded'])
  })
})

describe('budgets', () => {
  it('what is safe beside an approved step is not automatic, and a run may take several steps at once', () => {
    const bench = once([
      '{ id: lock, action: lock.remove_stale, R }',
      RESTORE.replace('id: restore', 'id: file'),
    ])
    bench.look()
    bench.acted()
    bench.verified(false)
    bench.at += 1_000
    const safe = "{ id: start, action: service.start, when: [{ fact: run.repaired, in: ['yes'] }], R }"
    assert.equal(bench.consider(runbookOf([RESTORE, safe]), { incident: 'i2' }).ok, true)
    bench.look()
    bench.decide('approved')
    for (let step = 0; step < 2; step++) {
      bench.look()
      bench.acted()
      bench.verified()
    }
    assert.equal(bench.ended.result, 'succeeded')
  })

  const heal = (bench: Bench, service: string, incident: string) => {
    const answer = bench.consider(runbookOf([RESTART], 'auto: { maxRuns: 10 }\n'), { service, incident })
    if (!answer.ok) return answer.text
    bench.look()
    if (bench.state.runs.length > 0) {
      bench.acted()
      bench.verified()
    }
    return bench.ended.result === 'refused' ? bench.ended.text : 'done'
  }

  it('3 an hour and 10 a day for a service, 5 minutes between two, 10 an hour for the machine', () => {
    const bench = new Bench()
    const told: string[] = []
    for (let minute = 0; minute < 24 * 60; minute += 6) {
      told.push(heal(bench, 'kb', `i${minute}`))
      bench.at += 360_000
    }
    assert.equal(told.filter((text) => text === 'done').length, 10)
    assert.deepEqual(told.slice(0, 4), [
      'done',
      'done',
      'done',
      '3 automatic actions of kb in an hour are the limit',
    ])
    const host = new Bench()
    const all = Array.from({ length: 12 }, (_, index) => heal(host, `s${index}`, 'i'))
    assert.equal(all.filter((text) => text === 'done').length, 10)
    assert.equal(heal(host, 's0', 'i'), 'tried 0 s ago; again after 300 s')
    const soon = new Bench()
    heal(soon, 'kb', 'i')
    assert.equal(heal(soon, 'kb', 'j'), 'repaired 0 s ago; by itself again after 300 s')
  })

  it('one run for a service, none in maintenance or while flapping, none that is for people', () => {
    const bench = once([RESTART])
    assert.match(bench.consider(runbookOf([RESTART])).text, /^kb: run 1 of test is not over$/)
    const other = { service: 'other' }
    const held = (...why: Held[]) => bench.consider(runbookOf([RESTART]), { ...other, held: why }).text
    assert.match(held('maintenance', 'flapping'), /in maintenance/)
    assert.match(held('flapping'), /while it is flapping/)
    assert.match(held('quiet', 'battery'), /on a battery that is nearly empty/)
    const people = runbookOf([RESTART], 'auto: { enabled: false }\n')
    assert.match(bench.consider(people, other).text, /for people to run/)
    assert.equal(bench.consider(people, { ...other, by: 'me' }).ok, true)
  })

  it('what was tried for a fault before its incident was there counts as tried in it', () => {
    const bench = new Bench()
    assert.equal(bench.consider(runbookOf([COLLECT]), { incident: null }).ok, true)
    bench.look()
    bench.acted()
    bench.at += 30_000
    assert.match(bench.consider(runbookOf([COLLECT])).text, /^tried 30 s ago/)
    assert.equal(bench.consider(runbookOf([COLLECT]), { rule: 'ServiceHung' }).ok, true)
  })

  it('quiet hours hold a runbook that minds them, and no other', () => {
    const held: Held[] = ['quiet']
    const bench = new Bench()
    const careful = runbookOf([RESTART], 'auto: { quietHours: hold }\n')
    assert.match(bench.consider(careful, { held }).text, /from 23:00 to 08:00/)
    assert.equal(bench.consider(careful, { held: [] }).ok, true)
    assert.equal(bench.consider(runbookOf([RESTART]), { service: 'other', held }).ok, true)
  })
})
