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
  const written: ObservedRow[] = []
  const observed = openObserved({
    mesh: new Stage([makeSpec('kb')]).up('kb').mesh,
    awake: () => at,
    write: (rows) => canWrite() && written.push(...rows) > 0,
  })
  const pass = (seconds: number, wall = WALL) => {
    for (let second = 0; second < seconds; second++) {
      at += 1000
      observed.tick(wall)
    }
  }
  const sum = (subject: string, account: 'good' | 'bad' | 'excluded') =>
    written.filter((row) => row.subject === subject).reduce((total, row) => total + row[account], 0)
  return { observed, pass, sum, written }
}

describe('the account of observed time', () => {
  it('has every awake second once, for each service and for the whole mesh', () => {
    const { observed, pass, sum } = open()
    pass(200)
    observed.flush()
    assert.equal(sum('kb', 'good'), 200)
    assert.equal(sum(WHOLE_MESH, 'good'), 200)
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
