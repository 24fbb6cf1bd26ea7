import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ObservedRow, openObserved, WHOLE_MESH } from '../../supervisor/shell/observed.ts'
import { Stage } from '../core/stage.ts'
import { makeSpec } from '../sim/mesh.ts'

const HOUR_MS = 3_600_000
const WALL = 500_000 * HOUR_MS

/** An account over a mesh in which `kb` is up, and what it wrote. */
function open(canWrite = () => true) {
  let at = 0
  let isExcused = false
  const written: ObservedRow[] = []
  const stage = new Stage([makeSpec('kb')]).up('kb')
  const observed = openObserved({
    mesh: stage.mesh,
    awake: () => at,
    isExcused: () => isExcused,
    write: (rows) => canWrite() && written.push(...rows) > 0,
  })
  const pass = (seconds: number, wall = WALL) => {
    for (let second = 0; second < seconds; second++) {
      at += 1000
      observed.tick(wall)
    }
  }
  const sum = (subject: string, account: 'good' | 'bad' | 'excluded') =>
    Math.round(
      written.filter((row) => row.subject === subject).reduce((total, row) => total + row[account] * 1000, 0),
    ) / 1000
  /** Something that the core does, so many milliseconds from now. */
  const after = (ms: number, change: (stage: Stage) => unknown) => {
    at += ms
    change(stage)
    observed.moved(['kb'], at, WALL)
  }
  const excuse = (isOn: boolean) => {
    isExcused = isOn
  }
  observed.moved(['kb'], 0, WALL)
  return { observed, pass, sum, written, after, excuse }
}

describe('the account of observed time', () => {
  it('has every awake second once, for each service and for the whole mesh', () => {
    const { observed, pass, sum } = open()
    pass(200)
    observed.flush()
    assert.equal(sum('kb', 'good'), 200)
    assert.equal(sum(WHOLE_MESH, 'good'), 200)
  })

  it('has an outage of 300 ms as 300 ms, though nothing ticks meanwhile', () => {
    const { observed, pass, sum, after } = open()
    pass(10)
    after(150, (stage) => stage.ended('kb'))
    after(200, (stage) => stage.fire('kb', 'backoff'))
    after(100, (stage) => stage.up('kb'))
    after(550, () => undefined)
    pass(1)
    observed.flush()
    assert.deepEqual([sum('kb', 'bad'), sum('kb', 'good'), sum('kb', 'excluded')], [0.3, 11.7, 0])
  })

  it('writes an outage within seconds, so that a crash soon after it does not hide it', () => {
    const { pass, sum, after } = open()
    pass(10)
    after(0, (stage) => stage.ended('kb'))
    after(300, (stage) => stage.fire('kb', 'backoff').up('kb'))
    pass(5)
    assert.equal(sum('kb', 'bad'), 0.3)
  })

  it('counts nothing against a service in maintenance, or while the mesh is down', () => {
    const { observed, pass, sum, after, excuse } = open()
    excuse(true)
    after(0, (stage) => stage.ended('kb'))
    pass(20)
    excuse(false)
    after(0, (stage) => stage.ask({ kind: 'down' }))
    pass(7)
    observed.flush()
    assert.deepEqual([sum('kb', 'bad'), sum('kb', 'excluded')], [0, 27])
  })

  it('says something soon and is written once a minute after that', () => {
    const { pass, written } = open()
    pass(4)
    assert.equal(written.length, 0)
    pass(1)
    assert.equal(written.length, 2)
    pass(59)
    assert.equal(written.length, 2)
    pass(1)
    assert.equal(written.length, 4)
  })

  it('keeps what cannot be written until it can', () => {
    let canWrite = false
    const { observed, pass, sum } = open(() => canWrite)
    pass(90)
    canWrite = true
    observed.flush()
    observed.flush()
    assert.equal(sum('kb', 'good'), 90)
  })

  it('puts seconds into the hour of their clock, and sleep beside them', () => {
    const { observed, pass, written } = open()
    pass(1, WALL)
    observed.slept(7_200_000, WALL + HOUR_MS)
    pass(1, WALL + HOUR_MS)
    observed.flush()
    assert.deepEqual(
      written.filter(({ subject }) => subject === WHOLE_MESH),
      [
        { hour: 500_000, subject: WHOLE_MESH, good: 1, bad: 0, excluded: 0 },
        { hour: 500_001, subject: WHOLE_MESH, good: 1, bad: 0, excluded: 7200 },
      ],
    )
  })
})
