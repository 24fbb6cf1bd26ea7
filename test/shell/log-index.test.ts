import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  indexPathOf,
  type LastLook,
  type Mark,
  noteLength,
  openIndex,
  parseMarks,
  positionAt,
  readMarks,
  thinned,
} from '../../supervisor/shell/log-index.ts'

const T = 1_763_669_349_000

/** The marks that a series of looks makes. */
function marksOf(looks: readonly Mark[]): Mark[] {
  const marks: Mark[] = []
  let last: LastLook | null = null
  for (const now of looks) {
    const noted = noteLength(last, now)
    last = noted.look
    if (noted.mark) marks.push(noted.mark)
  }
  return marks
}

describe('the time index of a log', () => {
  it('marks the last look before something was written, so that an hour of silence is no doubt', () => {
    const looks = [0, 1, 2, 3600, 3601].map((second) => ({
      wall: T + second * 1000,
      position: second < 3601 ? 7 : 90,
    }))
    assert.deepEqual(marksOf(looks), [
      { wall: T, position: 7 },
      { wall: T + 3_600_000, position: 7 },
    ])
  })

  it('has a mark each 10 s of a program that writes little, and one each 64 KiB of one that writes much', () => {
    const slow = Array.from({ length: 121 }, (_, second) => ({
      wall: T + second * 1000,
      position: second * 10,
    }))
    assert.equal(marksOf(slow).length, 12)
    const fast = slow.map(({ wall, position }) => ({ wall, position: position * 10_000 }))
    assert.equal(marksOf(fast).length, 120)
  })

  it('tells a position that is never too late', () => {
    const marks = [
      { wall: T, position: 0 },
      { wall: T + 10_000, position: 500 },
      { wall: T + 20_000, position: 900 },
    ]
    assert.equal(positionAt(marks, T + 19_999, 0), 500)
    assert.equal(positionAt(marks, T + 90_000, 0), 900)
    assert.equal(positionAt(marks, T - 1, 0), 0, 'all of it is later')
    assert.equal(positionAt(marks.slice(1), T, 0), null)
  })

  it('is thinned in its older half, and without what was deleted or cut', () => {
    const marks = Array.from({ length: 4000 }, (_, index) => ({ wall: T + index, position: index }))
    const left = thinned(marks, 0, Infinity)
    assert.equal(left.length, 3000)
    assert.deepEqual(left.slice(-2000), marks.slice(-2000))
    assert.deepEqual(thinned(marks.slice(0, 10), 3, 5), marks.slice(3, 6))
    assert.deepEqual(thinned(marks.slice(0, 10), 3.5, 5), marks.slice(3, 6), 'with the one before')
  })

  it('stays within 64 KiB, and a line that was cut is no mark', (t) => {
    const folder = mkdtempSync('/tmp/pi-')
    t.after(() => rmSync(folder, { recursive: true }))
    const path = `${folder}/current.log`
    const index = openIndex(path, () => ({ from: 0, to: Infinity }))
    for (let count = 0; count < 6000; count++) index.add({ wall: T + count * 1000, position: count * 1000 })
    assert.ok(statSync(indexPathOf(path)).size <= 66_000)
    assert.equal(readMarks(path).at(-1)?.position, 5_999_000)
    appendFileSync(indexPathOf(path), '17636')
    index.add({ wall: T + 9_000_000, position: 9_000_000 })
    index.add({ wall: T + 9_001_000, position: 9_001_000 })
    assert.deepEqual(
      readMarks(path)
        .slice(-2)
        .map(({ position }) => position),
      [5_999_000, 9_001_000],
    )
    assert.deepEqual(parseMarks('nonsense\n1 2\n'), [])
    writeFileSync(indexPathOf(path), '')
    assert.deepEqual(readMarks(path), [])
  })
})
