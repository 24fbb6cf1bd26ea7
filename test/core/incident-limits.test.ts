/** What bounds the number of messages: storms, offline times, flapping, mutes, suppression, and the digest. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Finding } from '../../supervisor/core/alert.ts'
import { whyMuted } from '../../supervisor/core/alert-texts.ts'
import { flappingOf } from '../../supervisor/core/flapping.ts'
import { activeSuppressions } from '../../supervisor/core/suppression.ts'
import { AlertStage, brief, finding, NOON, service } from './alert-stage.ts'

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const down = (name: string) => finding('ServiceDown', name)
const degraded = (name: string) => finding('ServiceDegraded', name, { severity: 'warning' })
const names = (count: number) => Array.from({ length: count }, (_, number) => `s${number}`)
const nothing = { subject: null, rule: null, severity: null }

describe('a storm', () => {
  it('of a thousand failures at once is one message that sounds once', () => {
    const stage = new AlertStage()
    const said = stage.fire(...names(1_000).map(down))
    assert.deepEqual(said.map(brief), ['storm send sound'])
    assert.match(said[0]?.title ?? '', /Many failures since 12:00: 1000 incidents, 1000 open/)
    assert.equal(said[0]?.lines.length, 17)
    stage.pass(4 * MINUTE)
    stage.fire()
    const over = stage.pass(15 * MINUTE)
    assert.deepEqual(over.filter(({ kind }) => kind === 'closed').map(brief), ['closed edit'])
    assert.match(over.at(-1)?.title ?? '', /1000 incidents, all over/)
  })

  it('that comes one by one is told one by one at first, then in one message', () => {
    const stage = new AlertStage()
    const firing: Finding[] = []
    for (const name of names(1_000)) {
      firing.push(down(name))
      stage.fire(...firing)
      stage.at += SECOND
      stage.wall += SECOND
    }
    const made = stage.notices.filter(({ op }) => op !== 'edit')
    assert.ok(made.length <= 14, `${made.length} messages`)
    for (const { told } of stage.state.incidents.values()) assert.ok(told)
  })

  it('is repeated as one, and acknowledged as one', () => {
    const stage = new AlertStage()
    stage.fire(...names(50).map(down))
    const repeats = stage.pass(6 * MINUTE).filter(({ op }) => op === 'reply')
    assert.deepEqual(repeats.map(brief), ['repeated reply sound'])
    stage.tell({ kind: 'acknowledged', of: repeats[0]?.thread ?? '', by: 'me' })
    assert.deepEqual(
      stage.pass(2 * HOUR).filter(({ op }) => op === 'reply'),
      [],
    )
  })
})

describe('an offline time', () => {
  it('is one message, with pairs of beginning and end as one line', () => {
    const stage = new AlertStage()
    stage.tell({ kind: 'network-changed', isOnline: false })
    for (const name of names(4)) {
      stage.fire(down(name))
      stage.pass(3 * MINUTE)
    }
    stage.fire()
    stage.pass(3 * MINUTE)
    stage.tell({ kind: 'network-changed', isOnline: true })
    const back = stage.fire()
    assert.equal(new Set(stage.notices.map(({ thread }) => thread)).size, 1)
    const last = back.at(-1)
    assert.match(last?.title ?? '', /^Offline 12:00 to 12:15, happened meanwhile: 4 incidents, all over$/)
    assert.equal(last?.lines.filter((line) => line.includes('over after')).length, 4)
  })
})

describe('flapping', () => {
  it('begins with the fourth down in an hour or the sixth in six, and ends after 30 min without a change', () => {
    for (const [count, everyMs] of [
      [4, 15 * MINUTE],
      [6, 70 * MINUTE],
    ] as const) {
      const stage = new AlertStage([service('kb')])
      for (let i = 1; i <= count; i++) {
        assert.deepEqual(flappingOf(stage.state.standing), [])
        stage.tell({ kind: 'went-down', service: 'kb' })
        stage.tell({ kind: 'came-up', service: 'kb' })
        if (i < count) stage.pass(everyMs)
      }
      assert.deepEqual(flappingOf(stage.state.standing), ['kb'])
      stage.pass(29 * MINUTE)
      assert.deepEqual(flappingOf(stage.state.standing), ['kb'])
      stage.pass(2 * MINUTE)
      assert.deepEqual(flappingOf(stage.state.standing), [])
    }
  })

  it('is not a down now and then', () => {
    const stage = new AlertStage([service('kb')])
    for (let i = 0; i < 10; i++) {
      stage.tell({ kind: 'went-down', service: 'kb' })
      stage.pass(2 * HOUR)
    }
    assert.deepEqual(flappingOf(stage.state.standing), [])
  })

  it('holds the other alerts of the service', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(finding('ServiceFlapping', 'kb', { severity: 'warning' }), down('kb'))
    stage.pass(15 * SECOND)
    assert.deepEqual(stage.notices.map(brief), ['opened send'])
    assert.equal(stage.incident('kb').lines[1]?.silence?.text, 'follows from ServiceFlapping')
  })
})

describe('a mute', () => {
  const mute = (stage: AlertStage, subject: string, forMs: number) =>
    stage.tell({
      ...{ kind: 'muted', matcher: { ...nothing, subject } },
      ...{ forMs, because: 'I work on it', by: 'me' },
    })

  it('holds the messages of its subject and says why; what still fires at its end is told', () => {
    const stage = new AlertStage([service('kb')])
    mute(stage, 'kb', 2 * HOUR)
    stage.fire(down('kb'))
    assert.deepEqual(stage.pass(HOUR), [])
    assert.equal(whyMuted(stage.incident('kb')), 'muted by me: I work on it')
    assert.deepEqual(stage.pass(HOUR).map(brief), ['opened send sound'])
  })

  it('of something that was told is told again at its end, a warning silently', () => {
    const stage = new AlertStage([service('kb'), service('web')])
    stage.fire(degraded('web'), down('kb'))
    stage.pass(20 * SECOND)
    mute(stage, 'kb', HOUR)
    mute(stage, 'web', HOUR)
    assert.deepEqual(
      stage.pass(59 * MINUTE).filter(({ op }) => op !== 'edit'),
      [],
    )
    const ends = stage.pass(MINUTE).filter(({ op }) => op !== 'edit')
    assert.deepEqual(ends.map(brief).sort(), ['repeated reply', 'repeated reply sound'])
  })

  it('is broken by what is worse than what it held', () => {
    const stage = new AlertStage([service('kb')])
    stage.fire(degraded('kb'))
    mute(stage, 'kb', 2 * HOUR)
    stage.pass(MINUTE)
    assert.deepEqual(stage.notices, [])
    const said = stage.fire(degraded('kb'), finding('McpNoTools', 'kb'))
    assert.deepEqual(said.map(brief), ['opened send sound'])
  })

  it('that was set before anything fired is meant for whatever comes', () => {
    const stage = new AlertStage([service('kb')])
    mute(stage, 'kb', HOUR)
    stage.fire(finding('ServiceCrashed', 'kb', { severity: 'info' }))
    stage.fire(degraded('kb'))
    stage.fire(down('kb'))
    assert.deepEqual(stage.pass(10 * MINUTE), [])
    const other = new AlertStage([service('kb')])
    other.fire(finding('ServiceCrashed', 'kb', { severity: 'info' }))
    mute(other, 'kb', HOUR)
    other.fire(down('kb'))
    assert.equal(other.pass(10 * MINUTE).filter(({ kind }) => kind !== 'updated').length, 0)
  })

  it('holds what is critical for a day at most, and a warning as long as was asked for', () => {
    const stage = new AlertStage([service('kb'), service('web')])
    mute(stage, 'kb', 7 * DAY)
    mute(stage, 'web', 7 * DAY)
    stage.fire(down('kb'), degraded('web'))
    const early = stage.pass(DAY - MINUTE).filter(({ kind }) => kind !== 'digest')
    assert.deepEqual(early, [])
    stage.pass(2 * MINUTE)
    const late = stage.notices.filter(({ kind }) => kind === 'opened')
    assert.deepEqual(
      late.map(({ title }) => title),
      ['kb: ServiceDown'],
    )
  })

  it('ends by hand, and by the awake clock if the wall clock was set back', () => {
    const stage = new AlertStage([service('kb')])
    mute(stage, 'kb', HOUR)
    stage.fire(down('kb'))
    stage.tell({ kind: 'unmuted', of: 'kb', by: 'me' })
    assert.deepEqual(stage.notices.map(brief), ['opened send sound'])
    mute(stage, 'kb', HOUR)
    stage.wall -= 30 * DAY
    stage.pass(HOUR)
    assert.equal(stage.state.mutes.size, 0)
  })
})

describe('suppression', () => {
  it('is named, and ends by itself', () => {
    const stage = new AlertStage()
    const active = () => activeSuppressions(stage.state.standing)
    stage.restart()
    assert.deepEqual(active(), ['startup'])
    stage.pass(120 * SECOND)
    assert.deepEqual(active(), [])
    for (let i = 0; i < 10; i++) {
      stage.tell({ kind: 'woke' })
      stage.pass(40 * SECOND)
    }
    assert.deepEqual(active(), ['wake'], 'a new one, since the first was bounded')
    stage.pass(5 * MINUTE)
    assert.deepEqual(active(), [])
    stage.tell({ kind: 'maintenance-asked', forMs: 30 * DAY, by: 'me' })
    stage.pass(4 * HOUR - MINUTE)
    assert.deepEqual(active(), ['maintenance'])
    stage.pass(2 * MINUTE)
    assert.deepEqual(active(), [])
  })

  it('holds what the rules say it holds, and lets go of it at its end', () => {
    const stage = new AlertStage([service('kb')])
    assert.deepEqual(stage.fire({ ...down('kb'), held: ['wake'] }), [])
    assert.equal(whyMuted(stage.incident('kb')), 'held: the machine has just woken')
    assert.deepEqual(stage.fire(down('kb')).map(brief), ['opened send sound'])
  })
})

describe('the digest', () => {
  it('comes at half past eight each morning, also when all is quiet', () => {
    const stage = new AlertStage([service('kb'), service('web', { isUp: false })])
    stage.pass(3 * DAY)
    assert.deepEqual(stage.notices.map(brief), Array(3).fill('digest send'))
    const [first] = stage.notices
    assert.equal(first?.title, 'All quiet')
    assert.match(first?.lines[0] ?? '', /1 of 2 services are up/)
    assert.match(new Date(first?.wall ?? 0).toISOString(), /^2026-11-22T07:30:0/)
  })

  it('names what is open, muted, and stopped for more than a day', () => {
    const stopped = service('old', { isWanted: false, isUp: false, stoppedWall: NOON - 2 * DAY })
    const stage = new AlertStage([service('kb'), stopped])
    stage.fire(degraded('kb'))
    const matcher = { ...nothing, subject: 'web' }
    stage.tell({ kind: 'muted', matcher, forMs: 2 * DAY, because: 'broken for long', by: 'me' })
    stage.pass(DAY)
    const text = stage.notices.find(({ kind }) => kind === 'digest')?.lines.join('\n') ?? ''
    assert.match(text, /i\d+ kb: kb: ServiceDegraded, for 20 h/)
    assert.match(text, /old was stopped by an operator 2 d 2\d h ago/)
    assert.match(text, /muted: web for .*, broken for long/)
  })

  it('comes late where the machine slept, and never twice', () => {
    const stage = new AlertStage()
    stage.wall += DAY
    assert.deepEqual(stage.pass(MINUTE).map(brief), ['digest send'])
    stage.wall -= 5 * HOUR
    assert.deepEqual(stage.pass(8 * HOUR), [])
    stage.wall += 7 * DAY
    assert.deepEqual(stage.pass(MINUTE).map(brief), ['digest send'])
    stage.wall -= 7 * DAY
    assert.equal(stage.pass(2 * DAY).length, 2)
  })
})
