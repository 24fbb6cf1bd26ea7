/** What is said of an approval from the moment it is asked for until it is over, in virtual time. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ApprovalStatus } from '../../supervisor/core/approval.ts'
import type { IncidentFact } from '../../supervisor/core/incident-event.ts'
import { AlertStage, brief, finding, NOON, service } from './alert-stage.ts'

const MINUTE = 60_000
const HOUR = 3_600_000

const asked = (id = 1): Extract<IncidentFact, { kind: 'approval-asked' }> => ({
  ...{ kind: 'approval-asked', id, service: 'kb', title: 'kb: config.restore', forMs: 30 * MINUTE },
  lines: ['- "port": 1', `paios approve ${id}`],
})
const settled = (status: ApprovalStatus, by: string | null = null, id = 1): IncidentFact => ({
  ...{ kind: 'approval-settled', id, status, by },
})
const down = finding('ServiceDown', 'kb')

describe('a question', () => {
  it('has two buttons and a sound, at most twelve in an hour and none at night', () => {
    const stage = new AlertStage([service('kb')])
    const [first] = stage.tell(asked(1))
    assert.deepEqual(
      [first && brief(first), first?.key, first?.buttons],
      ['approval send sound', 'approval-1', ['approve', 'deny', 'runbook']],
    )
    for (let id = 2; id <= 20; id++) stage.tell(asked(id))
    assert.equal(stage.notices.filter(({ sound }) => sound).length, 12)
    const night = new AlertStage([service('kb')], NOON + 15 * HOUR)
    assert.deepEqual(night.tell(asked(1)).map(brief), ['approval send'])
  })

  it('answers the message of its incident from a thread of its own, and is part of its story', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down)
    const [notice] = stage.tell(asked(3))
    assert.deepEqual(
      [notice && brief(notice), notice?.thread, notice?.answers],
      ['approval reply sound', 'approval-3', stage.incident('kb').thread],
    )
    assert.match(stage.incident('kb').timeline.at(-1)?.text ?? '', /approval 3 is asked for/)
  })

  it('that is asked again by the next supervisor is asked once', () => {
    const stage = new AlertStage([service('kb')])
    stage.tell(asked())
    stage.restart()
    assert.deepEqual(stage.tell(asked()), [])
  })
})

describe('a question that waits', () => {
  it('is reminded of after 5 and 15 min, with a sound where its incident is critical, and no more', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down)
    stage.tell(asked())
    const said = stage.pass(29 * MINUTE).filter(({ kind }) => kind === 'approval')
    assert.deepEqual(said.map(brief), ['approval reply sound', 'approval reply sound'])
    assert.deepEqual(
      said.map(({ title, lines, buttons }) => [title, lines.at(-1), buttons]),
      [
        ['kb: config.restore has waited 5 min for your decision', 'it expires in 25 min', []],
        ['kb: config.restore has waited 15 min for your decision', 'it expires in 15 min', []],
      ],
    )
    assert.ok(said.every(({ thread }) => thread === 'approval-1'))
    assert.match(stage.incident('kb').timeline.at(-1)?.text ?? '', /approval 1 has waited 15 min/)
  })

  it('is reminded of silently without a critical incident, at night, and where somebody has taken it on', () => {
    const calm = new AlertStage([service('kb')])
    calm.tell(asked())
    assert.deepEqual(calm.pass(20 * MINUTE).map(brief), ['approval reply', 'approval reply'])

    const warned = new AlertStage([service('kb')])
    warned.fire(finding('ProbeFailing', 'kb', { severity: 'warning' }))
    warned.pass(MINUTE)
    warned.tell(asked())
    const ofWarned = warned.pass(6 * MINUTE).filter(({ kind }) => kind === 'approval')
    assert.deepEqual(ofWarned.map(brief), ['approval reply'])

    const acked = new AlertStage([service('kb')])
    acked.fire(down)
    acked.tell({ kind: 'acknowledged', of: 'kb', by: 'me' })
    acked.tell(asked())
    const ofAcked = acked.pass(6 * MINUTE).filter(({ kind, op }) => kind === 'approval' && op === 'reply')
    assert.deepEqual(ofAcked.map(brief), ['approval reply'])

    const atNight = (importance: 'normal' | 'high') => {
      const stage = new AlertStage([service('kb', { importance })], NOON + 15 * HOUR)
      stage.fire(down)
      stage.tell(asked())
      return stage.pass(6 * MINUTE).flatMap((one) => (one.kind === 'approval' ? [brief(one)] : []))
    }
    assert.deepEqual([atNight('normal'), atNight('high')], [['approval reply'], ['approval reply sound']])
  })

  it('is not reminded of in a muted incident with a sound', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down)
    stage.tell(asked())
    const matcher = { subject: 'kb', rule: null, severity: null }
    stage.tell({ kind: 'muted', matcher, forMs: HOUR, because: 'I know', by: 'me' })
    assert.deepEqual(
      stage
        .pass(6 * MINUTE)
        .filter(({ kind }) => kind === 'approval')
        .map(brief),
      ['approval reply'],
    )
    assert.equal(stage.incident('kb').lines[0]?.silence?.kind, 'muted')
  })

  it('over a restart is reminded of once, and after a long sleep once', () => {
    const stage = new AlertStage([service('kb')])
    stage.tell(asked())
    stage.pass(6 * MINUTE)
    stage.restart()
    assert.deepEqual(stage.pass(MINUTE), [])
    stage.at += 20 * MINUTE
    assert.equal(stage.pass(MINUTE).length, 1)
  })

  it('shorter than five minutes is not reminded of once its time is over', () => {
    const stage = new AlertStage([service('kb')])
    stage.tell({ ...asked(), forMs: 5 * MINUTE })
    assert.deepEqual(stage.pass(10 * MINUTE), [])
  })
})

describe('a question that is over', () => {
  /** What its message is edited to. */
  function cameOf(...facts: IncidentFact[]): string[] {
    const stage = new AlertStage([service('kb')])
    stage.tell(asked())
    const said = facts.flatMap((fact) => stage.tell(fact))
    for (const one of said)
      assert.deepEqual(
        [brief(one), one.thread, one.buttons, one.lines],
        ['approval edit', 'approval-1', [], ['- "port": 1']],
      )
    assert.deepEqual(
      stage.pass(HOUR).filter(({ kind }) => kind === 'approval'),
      [],
      'no reminder after it',
    )
    assert.equal(new Set(said.map(({ key }) => key)).size, said.length)
    return said.map(({ title }) => title.replace('kb: config.restore: ', ''))
  }

  it('says who has decided, or what, and what came of it', () => {
    const begun = [settled('approved', 'me'), settled('executing', 'me')]
    assert.deepEqual(cameOf(settled('denied', 'me')), ['denied by me'])
    assert.deepEqual(cameOf(settled('expired')), ['expired, nobody decided within 30 min'])
    assert.deepEqual(cameOf(settled('superseded')), ['withdrawn, it is not needed any more'])
    assert.deepEqual(cameOf(...begun, settled('done', 'me')), ['approved by me', 'approved by me, and done'])
    assert.deepEqual(cameOf(...begun, settled('superseded', 'me')), [
      'approved by me',
      'approved by me, and it did not help',
    ])
    assert.deepEqual(cameOf(settled('approved', 'me'), settled('superseded', 'me')), [
      'approved by me',
      'approved by me, but not done: what it was asked for has changed',
    ])
  })

  it('is said once, however often it is told, and also where its decision was told too late', () => {
    assert.deepEqual(cameOf(settled('denied', 'me'), settled('denied', 'me')), ['denied by me'])
    assert.deepEqual(cameOf(settled('executing', 'me'), settled('executing', 'me')), ['approved by me'])
    assert.deepEqual(cameOf(settled('pending'), settled('denied', 'me', 7), settled('expired')), [
      'expired, nobody decided within 30 min',
    ])
  })

  it('is kept by nobody: the next one of its kind is a question of its own', () => {
    const stage = new AlertStage([service('kb')])
    stage.tell(asked())
    stage.tell(settled('expired'))
    assert.deepEqual(stage.state.standing.questions, [])
    assert.deepEqual(stage.tell(asked(2)).map(brief), ['approval send sound'])
  })

  it('of which nobody heard more is forgotten after a day', () => {
    const stage = new AlertStage([service('kb')])
    stage.tell(asked())
    stage.pass(25 * HOUR)
    assert.deepEqual(stage.state.standing.questions, [])
  })
})
