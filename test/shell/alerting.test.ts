import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openAlertDesk } from '../../supervisor/alert-desk.ts'
import type { Finding } from '../../supervisor/core/alert.ts'
import { emptyMesh } from '../../supervisor/core/step.ts'
import { viewIncident } from '../../supervisor/shell/alert-views.ts'
import { openAlerting } from '../../supervisor/shell/alerting.ts'
import type { Home } from '../../supervisor/shell/home.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import { openOutbox } from '../../supervisor/shell/outbox.ts'
import type { Supervisor } from '../../supervisor/shell/supervisor.ts'
import { Stage } from '../core/stage.ts'
import { makeSpec } from '../sim/mesh.ts'
import { SILENT_NUMBERS } from './silent-numbers.ts'

const finding = (name: string): Finding => ({
  ...{ rule: 'ServiceGaveUp', labels: { service: name }, severity: 'critical', held: [] },
  ...{ subject: { kind: 'service', name }, summary: `${name} failed for good.` },
})

/** Alerting over a real journal, which a second one can be opened on. */
function place(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'paios-alerting-'))
  t.after(() => rmSync(folder, { recursive: true }))
  let at = 1_000
  const clock = { awake: () => at, wall: () => 1_800_000_000_000 + at }
  function open() {
    const journal = openJournal(join(folder, 'journal.db'), join(folder, 'spool'), (text) => text)
    const mesh = emptyMesh(journal.left().nextEventId, [1, 2, 3, 4])
    const outbox = openOutbox({
      ...{ journal, clock, nextEventId: () => mesh.nextEventId++, redact: (text) => text },
      ...{ numbers: SILENT_NUMBERS, trouble: () => undefined, random: () => 0.5 },
    })
    const alerting = openAlerting({
      outbox,
      clock,
      mesh,
      redact: (text) => text.replaceAll('hunter2', '[redacted]'),
    })
    alerting.apply({ timezone: 'UTC', importance: { kb: 'high' } })
    return { journal, alerting, outbox, mesh }
  }
  return {
    open,
    pass: (ms: number) => {
      at += ms
    },
  }
}

describe('alerting over the journal', () => {
  it('keeps incidents, mutes and what was asked over a restart, and numbers go on', (t) => {
    const { open, pass } = place(t)
    const first = open()
    pass(200_000)
    first.alerting.evaluated([finding('kb')])
    const matcher = { subject: 'web', rule: null, severity: null }
    first.alerting.tell({ kind: 'muted', matcher, forMs: 3_600_000, because: 'work', by: 'me' })
    first.alerting.tell({ kind: 'maintenance-asked', forMs: 3_600_000, by: 'me' })
    first.journal.close()
    const second = open()
    assert.equal(second.alerting.incidentOf('kb')?.id, 'i1')
    assert.deepEqual(
      second.alerting.mutes().map(({ id, because }) => [id, because]),
      [['m2', 'work']],
    )
    assert.deepEqual(second.alerting.suppressions(), ['startup', 'maintenance'])
    second.alerting.evaluated([finding('kb'), finding('web')])
    assert.equal(second.alerting.incidentOf('web')?.id, 'i3')
    second.journal.close()
  })

  it('tells a warning as soon as its 10 s are over, though no rule is looked at then', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { open, pass } = place(t)
    const { journal, alerting } = open()
    alerting.evaluated([{ ...finding('kb'), severity: 'warning' }])
    const told = () => alerting.incidentOf('kb')?.told ?? null
    pass(9_990)
    t.mock.timers.tick(9_990)
    assert.equal(told(), null)
    pass(11)
    t.mock.timers.tick(11)
    assert.equal(told()?.at, 11_001)
    alerting.close()
    journal.close()
  })

  it('writes events that follow from each other', (t) => {
    const { open, pass } = place(t)
    const { journal, alerting } = open()
    alerting.evaluated([finding('kb')])
    pass(5_000)
    alerting.tell({ kind: 'acknowledged', of: 'kb', by: 'me' })
    const events = journal.events({ after: 0, limit: 100, service: 'kb', sinceMs: null })
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['alert', 'told', 'acknowledged'],
    )
    const last = events.at(-1)
    assert.ok(last)
    assert.ok(events.some(({ id }) => id === last.cause))
    assert.equal(journal.why(last.id).length, 2)
    journal.close()
  })

  it('counts flaps by what went down, not by what is merely degraded', (t) => {
    const { open, pass } = place(t)
    const { journal, alerting } = open()
    for (let i = 0; i < 8; i++) {
      alerting.troubled('kb', 'degraded')
      alerting.troubled('kb', 'recovered')
      pass(60_000)
    }
    assert.deepEqual(alerting.flapping(), [])
    for (let i = 0; i < 4; i++) {
      alerting.troubled('kb', 'down')
      alerting.troubled('kb', 'gave-up')
      alerting.troubled('kb', 'recovered')
    }
    // What is told soon is told before whatever comes next.
    alerting.evaluated([])
    assert.deepEqual(alerting.flapping(), ['kb'])
    journal.close()
  })

  it('says what is wrong without a secret that stands in it', (t) => {
    const { open } = place(t)
    const { journal, alerting, mesh } = open()
    const child = new Stage([makeSpec('kb')]).mesh.children.get('kb')!
    const state = {
      kind: 'blocked',
      reason: 'token hunter2 is refused',
      source: 'preflight',
      retryAt: 0,
    } as const
    mesh.children.set('kb', { ...child, state })
    alerting.evaluated([finding('kb')])
    assert.equal(alerting.incidentOf('kb')?.cause, 'token [redacted] is refused')
    journal.close()
  })

  it('has told what was to be told soon once it is closed', (t) => {
    const { open } = place(t)
    const first = open()
    for (let i = 0; i < 4; i++) {
      first.alerting.troubled('kb', 'down')
      first.alerting.troubled('kb', 'recovered')
    }
    first.alerting.close()
    first.journal.close()
    const next = open()
    assert.deepEqual(next.alerting.flapping(), ['kb'])
    next.journal.close()
  })

  it('counts open incidents for the metrics', (t) => {
    const { open } = place(t)
    const { journal, alerting } = open()
    alerting.evaluated([finding('kb'), finding('web')])
    alerting.tell({ kind: 'acknowledged', of: 'web', by: 'me' })
    const found = alerting.counts().filter(({ count }) => count > 0)
    assert.deepEqual(found, [
      { severity: 'critical', state: 'open', count: 1 },
      { severity: 'critical', state: 'acknowledged', count: 1 },
    ])
    const incident = alerting.incidentOf('kb')
    assert.ok(incident)
    const view = viewIncident(incident, null, { next: null })
    assert.deepEqual([view.title, view.next], ['kb failed for good.', 'paios runbook kb'])
    journal.close()
  })

  it('what was given up on is known once its incident is acknowledged, and not by another one', async (t) => {
    const { open, pass } = place(t)
    const { journal, alerting, outbox } = open()
    const refuse = async () => ({ kind: 'rejected' as const, text: 'too long' })
    const channel = { name: 'telegram' as const, trouble: 'Telegram', gapMs: 0, isStandby: false }
    outbox.use([{ ...channel, deliver: refuse, check: refuse }])
    pass(200_000)
    const lost: Finding = {
      ...{ rule: 'AlertUndeliverable', labels: { channel: 'telegram' }, severity: 'critical', held: [] },
      ...{
        subject: { kind: 'channel', name: 'telegram' },
        summary: '1 notifications for telegram were given up.',
      },
    }
    alerting.evaluated([finding('kb'), lost])
    const dead = () => outbox.figures()[0]?.dead ?? 0
    while (dead() === 0) await new Promise(setImmediate)
    const supervisor = { alerting, alerts: { outbox }, mesh: emptyMesh(1, [1, 2, 3, 4]) }
    const desk = openAlertDesk({} as Home, supervisor as unknown as Supervisor, (text) => text)
    desk.acknowledge('kb', 'me')
    assert.ok(dead() > 0)
    desk.acknowledge('telegram', 'me')
    assert.equal(dead(), 0)
    outbox.close()
    journal.close()
  })
})
