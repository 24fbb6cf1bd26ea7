import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { whyMuted } from '../../supervisor/core/alert-texts.ts'
import { AlertStage, brief, finding, NOON, service } from './alert-stage.ts'

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 3_600_000
const NIGHT = NOON + 15 * HOUR
const down = (name: string) => finding('ServiceDown', name)
const degraded = (name: string) => finding('ServiceDegraded', name, { severity: 'warning' })

describe('an incident', () => {
  it('of critical severity is told at once, with a sound', () => {
    const stage = new AlertStage([service('kb')])
    const [first] = stage.fire(down('kb'))
    assert.ok(first)
    assert.equal(brief(first), 'opened send sound')
    assert.equal(first.title, 'kb: ServiceDown')
    assert.equal(first.thread, stage.incident('kb').id)
    assert.deepEqual(first.buttons, ['acknowledge', 'silence', 'restart', 'runbook'])
  })

  it('of a warning is told after ten seconds, silently, and not at all if it is gone by then', () => {
    const stage = new AlertStage([service('kb'), service('web')])
    assert.deepEqual(stage.fire(degraded('kb')), [])
    assert.equal(stage.incident('kb').lines[0]?.silence?.kind, 'settling')
    assert.deepEqual(stage.pass(10 * SECOND).map(brief), ['opened send'])
    stage.fire(degraded('kb'), degraded('web'))
    stage.pass(5 * SECOND)
    stage.fire(degraded('kb'))
    assert.deepEqual(stage.pass(5 * MINUTE), [])
    assert.match(whyMuted(stage.incident('web')) ?? '', /told after 10 s/)
  })

  it('groups what fires about one subject, and answers its own message when it gets worse', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(degraded('kb'))
    stage.pass(10 * SECOND)
    const said = stage.fire(degraded('kb'), finding('McpNoTools', 'kb'))
    assert.deepEqual(said.map(brief), ['worsened reply sound'])
    const more = stage.fire(degraded('kb'), finding('McpNoTools', 'kb'), finding('ServiceGaveUp', 'kb'))
    assert.deepEqual(more.map(brief), ['worsened reply sound'])
    assert.equal(stage.state.incidents.size, 1)
    assert.equal(new Set(stage.notices.map(({ thread }) => thread)).size, 1)
  })

  it('closes two minutes after its condition ended: its message is edited, and answered silently', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down('kb'))
    stage.pass(MINUTE)
    stage.fire()
    assert.equal(stage.incident('kb').state, 'resolving')
    stage.pass(115 * SECOND)
    assert.equal(stage.incident('kb').state, 'resolving')
    const said = stage.pass(5 * SECOND)
    assert.deepEqual(said.map(brief), ['closed edit', 'closed reply'])
    assert.match(said[0]?.title ?? '', /kb: over after 60 s/)
    assert.equal(stage.incident('kb').state, 'resolved')
  })

  it('is over though info about it still fires, which does not open it again', () => {
    const stage = new AlertStage([service('kb')])
    const crashed = finding('ServiceCrashed', 'kb', { severity: 'info' })
    stage.fire(crashed, down('kb'))
    stage.fire(crashed)
    const said = stage.pass(3 * MINUTE).filter(({ thread }) => !thread.startsWith('activity-'))
    assert.deepEqual(said.map(brief), ['updated edit', 'closed edit', 'closed reply'])
    assert.match(said[0]?.title ?? '', /^kb recovers: /)
    stage.fire()
    stage.pass(MINUTE)
    stage.fire(crashed)
    assert.deepEqual(
      [...stage.state.incidents.values()].map(({ severity, reopened }) => [severity, reopened]),
      [
        ['critical', 0],
        ['info', 0],
      ],
    )
  })

  it('that fires again while it resolves says nothing new', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down('kb'))
    for (let i = 0; i < 5; i++) {
      stage.fire()
      stage.pass(100 * SECOND)
      stage.fire(down('kb'))
      stage.pass(20 * SECOND)
    }
    const sent = stage.notices.filter(({ op }) => op !== 'edit')
    assert.deepEqual(sent.map(brief), ['opened send sound', 'repeated reply sound'])
  })

  it('that is critical again while it resolves takes back at once that it recovers', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down('kb'))
    stage.pass(MINUTE)
    assert.deepEqual(
      stage.fire().map(({ title }) => title),
      ['kb recovers: kb: ServiceDown'],
    )
    const again = stage.fire(down('kb'))
    assert.deepEqual(again.map(brief), ['updated edit'])
    assert.equal(again[0]?.title, 'kb: ServiceDown')
    assert.deepEqual(stage.pass(30 * SECOND), [])
  })

  it('shows at once what is critical again though something else has fired all the time', () => {
    const stage = new AlertStage([service('kb')])
    const looping = finding('ServiceCrashLooping', 'kb')
    stage.fire(looping, finding('ServiceBlocked', 'kb'))
    stage.pass(MINUTE)
    assert.deepEqual(stage.fire(looping).map(brief), ['updated edit'])
    const again = stage.fire(looping, finding('ServiceBlocked', 'kb'))
    assert.deepEqual(again.map(brief), ['updated edit'])
    assert.ok(again[0]?.lines.includes('kb: ServiceBlocked'))
  })

  it('is opened again within fifteen minutes, in the same thread, and is a new one after that', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down('kb'))
    stage.fire()
    stage.pass(10 * MINUTE)
    const again = stage.fire(down('kb'))
    assert.deepEqual(again.map(brief), ['opened reply sound', 'updated edit'])
    const { id, reopened } = stage.incident('kb')
    assert.equal(reopened, 1)
    stage.fire()
    stage.pass(20 * MINUTE)
    const [fresh] = stage.fire(down('kb'))
    assert.ok(fresh)
    assert.equal(brief(fresh), 'opened send sound')
    assert.notEqual(fresh.thread, id)
  })

  it('is repeated after 5, 15 and 60 minutes and every four hours until somebody acknowledges it', () => {
    const stage = new AlertStage([service('kb', { importance: 'high' })], NOON - 3 * HOUR)
    stage.fire(down('kb'))
    const start = stage.wall
    stage.pass(13 * HOUR + MINUTE)
    const repeats = stage.notices.filter(({ kind }) => kind === 'repeated')
    const minutes = repeats.map(({ wall }) => Math.round((wall - start) / MINUTE))
    assert.deepEqual(minutes, [5, 15, 60, 300, 540, 780])
    stage.tell({ kind: 'acknowledged', of: 'kb', by: 'me' })
    assert.equal(stage.pass(20 * HOUR).filter(({ op }) => op === 'reply').length, 0)
    assert.ok(stage.pass(4 * HOUR + MINUTE).some(({ kind }) => kind === 'repeated'))
  })

  it('that was acknowledged sounds again when it gets worse', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down('kb'))
    stage.tell({ kind: 'acknowledged', of: stage.incident('kb').id, by: 'me' })
    assert.deepEqual(stage.fire(finding('ServiceGaveUp', 'kb')).map(brief), ['worsened reply sound'])
    assert.equal(stage.incident('kb').acked, null)
  })

  it('of info is a line in the silent message of the hour, and of the digest at night', () => {
    const stage = new AlertStage([service('kb')])
    const info = finding('ServiceCrashed', 'kb', { severity: 'info' })
    assert.deepEqual(stage.fire(info).map(brief), ['updated send'])
    assert.match(stage.notices[0]?.thread ?? '', /^activity-2026-11-21T12$/)
    stage.fire()
    assert.deepEqual(stage.pass(20 * MINUTE), [])
    const night = new AlertStage([service('kb')], NIGHT)
    assert.deepEqual(night.fire(info), [])
    night.pass(6 * HOUR)
    const digest = night.notices.find(({ kind }) => kind === 'digest')
    assert.ok(digest?.lines.some((line) => line.includes('ServiceCrashed')))
  })

  it('says what is wrong with its service, in the message of its end, too', () => {
    const stage = new AlertStage([service('kb')])
    const facts = (fault: string | null) =>
      stage.tell({ kind: 'services-changed', services: [service('kb', { fault })], zone: 'Europe/Berlin' })
    facts('exit code 3; Error: listen EADDRINUSE')
    const [first] = stage.fire(down('kb'))
    assert.equal(first?.lines[0], 'exit code 3; Error: listen EADDRINUSE')
    // While it is tried again nothing is known to be wrong with it.
    facts(null)
    stage.pass(MINUTE)
    assert.equal(stage.incident('kb').cause, 'exit code 3; Error: listen EADDRINUSE')
    stage.fire()
    const [closed] = stage.pass(2 * MINUTE).filter(({ kind, op }) => kind === 'closed' && op === 'edit')
    assert.ok(closed?.lines.includes('exit code 3; Error: listen EADDRINUSE'))
    facts(null)
    stage.fire(down('kb'))
    assert.equal(stage.incident('kb').cause, null)
  })

  it('of info that stood in a message is not told anew once what it followed from is over', () => {
    const stage = new AlertStage([service('kb')])
    const crashed = finding('ServiceCrashed', 'kb', { severity: 'info' })
    stage.fire(crashed, finding('ServiceGaveUp', 'kb'))
    assert.equal(stage.incident('kb').lines[0]?.silence?.kind, 'inhibited')
    stage.pass(MINUTE)
    stage.fire(crashed)
    const said = stage.pass(3 * MINUTE)
    assert.ok(said.some(({ kind }) => kind === 'closed'))
    assert.deepEqual(
      stage.notices.filter(({ thread }) => thread.startsWith('activity-')),
      [],
    )
  })
})

describe('importance', () => {
  it('high sounds at night, normal waits for the morning, low never sounds', () => {
    const services = [service('a', { importance: 'high' }), service('b'), service('c', { importance: 'low' })]
    const stage = new AlertStage(services, NIGHT)
    const said = stage.fire(down('a'), down('b'), down('c'))
    assert.deepEqual(said.map(brief), ['opened send sound', 'opened send', 'opened send'])
    assert.equal(stage.incident('b').hush?.kind, 'quiet-hours')
    assert.equal(stage.incident('c').hush?.kind, 'low-importance')
    stage.tell({ kind: 'acknowledged', of: 'a', by: 'me' })
    stage.notices = []
    stage.pass(5 * HOUR)
    const sounds = stage.notices.filter(({ sound, wall }) => sound && wall > NIGHT + 4.9 * HOUR)
    assert.deepEqual(sounds.map(({ thread }) => thread).sort(), [stage.incident('b').id])
    assert.equal(stage.notices.filter(({ thread }) => thread === stage.incident('c').id).length, 0)
  })

  it('of whoever suffers counts for the need that is down', () => {
    const services = [service('kb'), service('web', { importance: 'high', needs: ['kb'] })]
    const stage = new AlertStage(services, NIGHT)
    stage.fire(down('kb'), down('web'))
    assert.deepEqual(stage.notices.map(brief), ['opened send sound'])
  })
})

describe('inhibition', () => {
  it('makes what needs the failed service a line in its incident', () => {
    const chain = [service('db'), service('kb', { needs: ['db'] }), service('web', { needs: ['kb'] })]
    const stage = new AlertStage(chain)
    const said = stage.fire(down('web'), down('kb'), down('db'))
    assert.deepEqual(
      said.map(({ title }) => title),
      ['db: ServiceDown'],
    )
    assert.ok(said[0]?.lines.includes('follows: web: ServiceDown'))
    assert.equal(stage.incident('web').lines[0]?.silence?.by, stage.incident('db').id)
    stage.fire(down('web'))
    assert.deepEqual(
      stage.pass(MINUTE).filter(({ op }) => op !== 'edit'),
      [],
    )
    const later = stage.pass(2 * MINUTE)
    assert.ok(later.some(({ kind, title }) => kind === 'opened' && title === 'web: ServiceDown'))
  })

  it('does not hide what a dependent did by itself', () => {
    const stage = new AlertStage([service('db'), service('kb', { needs: ['db'] })])
    const said = stage.fire(down('db'), finding('ServiceGaveUp', 'kb'))
    assert.equal(said.length, 2)
  })

  it('holds what follows from a worse alert of the same service', () => {
    const stage = new AlertStage([service('kb')])
    const probe = finding('ProbeFailing', 'kb', {
      severity: 'warning',
      labels: { service: 'kb', probe: 'tcp' },
    })
    stage.fire(down('kb'), probe)
    stage.pass(MINUTE)
    assert.deepEqual(stage.notices.filter(({ op }) => op !== 'edit').map(brief), ['opened send sound'])
    assert.match(stage.notices[0]?.lines.join() ?? '', /ProbeFailing \(follows from ServiceDown\)/)
  })
})

describe('a repair', () => {
  const begun = {
    kind: 'repair-begun',
    subject: { kind: 'service', name: 'kb' },
    runbook: 'kb',
    verifyMs: 90 * SECOND,
  } as const

  it('that was begun before its incident was open keeps it silent, too', () => {
    const stage = new AlertStage([service('kb')])
    stage.tell(begun)
    assert.deepEqual(stage.fire(down('kb')).map(brief), ['opened send'])
    assert.equal(stage.incident('kb').hush?.kind, 'repair')
    stage.pass(2 * MINUTE)
    assert.deepEqual(
      stage.notices.filter(({ sound }) => sound).map(brief),
      ['worsened reply sound'],
      'it is too late',
    )
  })

  it('that heals makes no sound', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(degraded('kb'))
    stage.tell(begun)
    stage.fire(down('kb'))
    stage.pass(30 * SECOND)
    stage.tell({ ...begun, kind: 'repair-ended', isHealed: true, text: 'restarted' })
    stage.fire()
    stage.pass(10 * MINUTE)
    assert.equal(stage.notices.filter(({ sound }) => sound).length, 0)
    assert.ok(stage.notices.some(({ lines }) => lines.includes('repaired by the runbook kb')))
  })

  it('sounds once it has failed, is too late, or is repeated', () => {
    for (const failure of ['failed', 'late', 'again'] as const) {
      const stage = new AlertStage([service('kb')])
      stage.fire(degraded('kb'))
      stage.tell(begun)
      stage.fire(degraded('kb'))
      stage.pass(30 * SECOND)
      assert.equal(stage.notices.filter(({ sound }) => sound).length, 0)
      if (failure === 'failed')
        stage.tell({ ...begun, kind: 'repair-ended', isHealed: false, text: 'still not ready' })
      if (failure === 'again') stage.tell(begun)
      stage.pass(failure === 'late' ? 2 * MINUTE : 5 * SECOND)
      const sounds = stage.notices.filter(({ sound }) => sound)
      assert.deepEqual(sounds.map(brief), ['worsened reply sound'], failure)
    }
  })
})

describe('a restart of the supervisor', () => {
  it('goes on with what was open, and says nothing twice', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(down('kb'))
    stage.restart()
    stage.firing = []
    stage.pass(20 * SECOND)
    stage.fire({ ...down('kb'), held: ['startup'] })
    stage.pass(2 * MINUTE)
    stage.fire(down('kb'))
    stage.pass(10 * SECOND)
    assert.deepEqual(stage.notices.filter(({ op }) => op === 'send').map(brief), ['opened send sound'])
    assert.equal(stage.incident('kb').state, 'firing')
  })
})
