import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EpisodeEvent, episodesOf } from '../../supervisor/core/episodes.ts'

const event = (awakeMs: number, kind: string, data: object = {}, subject = 'kb'): EpisodeEvent => ({
  ...{ subject, kind, awakeMs, data: data as EpisodeEvent['data'] },
  text: `${kind} of ${subject}`,
})
const crash = { asked: false, class: 'failure' }

describe('an episode', () => {
  it('reaches from the first sign of trouble to ready again, however many attempts lie between', () => {
    const story = [
      event(0, 'ready'),
      event(100, 'exited', crash),
      event(300, 'exited', crash),
      event(900, 'ready'),
    ]
    assert.deepEqual(episodesOf(story), [
      { service: 'kb', beganAt: 100, endedAt: 900, byItself: true, cause: 'exited of kb' },
    ])
  })

  it('that a person ended is not healed by itself', () => {
    const story = [event(0, 'failed'), event(50, 'start-asked'), event(90, 'ready')]
    assert.deepEqual(
      episodesOf(story).map(({ byItself, endedAt }) => ({ byItself, endedAt })),
      [{ byItself: false, endedAt: 90 }],
    )
  })

  it('ends when the service is stopped: nobody misses it from then on', () => {
    const story = [event(0, 'blocked'), event(70, 'stop-asked')]
    assert.deepEqual(
      episodesOf(story).map(({ byItself, endedAt }) => ({ byItself, endedAt })),
      [{ byItself: false, endedAt: 70 }],
    )
  })

  it('is none where the end was asked for or planned', () => {
    const asked = event(0, 'exited', { asked: true, class: 'failure' })
    const planned = event(1, 'exited', { asked: false, class: 'planned' })
    assert.deepEqual(episodesOf([asked, planned, event(2, 'ready')]), [])
  })

  it('that lasts has no end, and those of different services do not mix', () => {
    const story = [event(0, 'degraded', {}, 'a'), event(5, 'hung', {}, 'b'), event(9, 'recovered', {}, 'a')]
    assert.deepEqual(
      episodesOf(story).map(({ service, endedAt }) => [service, endedAt]),
      [
        ['a', 9],
        ['b', null],
      ],
    )
  })
})
