/** The quick rows of the fault matrix; all of them are made by `npm run faults`. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Fault, kept, type Stage } from '../faults/fault.ts'
import { signal, up } from '../faults/program-stage.ts'
import { matrix } from '../faults/report.ts'
import { defineGroup, signText } from '../faults/runner.ts'
import { lanes } from '../faults/table.ts'
import { createMesh } from './mesh.ts'
import { SLEEPER } from './run-cli.ts'

/** Many times what it takes alone. */
const LIMIT = { timeout: 900_000 }
/** These need no program of others. */
const QUICK = ['programs', 'document', 'groups', 'supervisor']

describe('the fault matrix', LIMIT, () => {
  for (const group of lanes.flat().filter(({ id }) => QUICK.includes(id))) {
    it(`${group.title}: each quick fault is detected, is over, and touches nobody else`, async () => {
      const outcomes = await group.run({ chosen: () => true, tell: () => undefined, isQuick: true })
      assert.ok(outcomes !== null && outcomes.length > 0)
      const failed = outcomes.flatMap(({ fault, failed: why }) =>
        why === null ? [] : [`${fault.name}: ${why}`],
      )
      assert.deepEqual(failed, [])
    })
  }

  it('has at least forty faults, none of them twice, whose signs do not match just anything', () => {
    const names = lanes.flat().flatMap(({ id, faults }) => faults.map(({ name }) => `${id}: ${name}`))
    assert.ok(names.length >= 40, `${names.length}`)
    assert.equal(new Set(names).size, names.length)
    for (const { id, faults } of lanes.flat())
      for (const { name, sign } of faults) {
        const pattern = 'mesh' in sign ? sign.mesh : sign.text
        assert.ok(!pattern.test(''), `${id}: ${name}: ${signText(sign)}`)
      }
  })
})

describe('a row', LIMIT, () => {
  const row: Fault<Stage> = {
    name: 'nothing at all',
    program: 'sleep',
    made: 'not made',
    sign: { subject: 'a', event: 'exited', text: /^killed by SIGKILL$/ },
    person: null,
    touches: ['a'],
    make: async () => undefined,
    well: kept('a', 'b'),
    limitMs: 1_000,
  }
  const run = async (fault: Fault<Stage>) => {
    const open = async () => {
      const mesh = createMesh()
      mesh.write({ a: { command: SLEEPER }, b: { command: SLEEPER } })
      await up(mesh)
      return { mesh, end: () => mesh.end() }
    }
    const group = defineGroup('rows', 'Rows', open, [fault])
    return { group, outcomes: await group.run({ chosen: () => true, tell: () => undefined }) }
  }

  it('fails where its sign does not come, and says what was seen', async () => {
    const { group, outcomes } = await run(row)
    assert.match(
      outcomes?.[0]?.failed ?? '',
      /^not seen as event exited: .* within 1 s; last seen: .*"a \| running/,
    )
    assert.match(
      matrix([group], new Map([['rows', outcomes ?? []]])),
      /\| nothing at all \| sleep \| not made \|/,
    )
  })

  it('fails where it takes along what it does not concern', async () => {
    const make = async (stage: Stage) => {
      await signal(stage, 'a')
      await signal(stage, 'b')
      await stage.mesh.untilService('b', 'runs again', ({ ready, restarts }) => ready && restarts === 1)
      return undefined
    }
    const { outcomes } = await run({
      ...row,
      make,
      well: { what: 'any', holds: () => true },
      limitMs: 60_000,
    })
    assert.equal(outcomes?.[0]?.failed, 'others got another process: b')
  })

  it('fails where its mesh does not come up', async () => {
    const open = () => Promise.reject(new Error('no program'))
    const outcomes = await defineGroup('rows', 'Rows', open, [row, row]).run({
      chosen: () => true,
      tell: () => undefined,
    })
    assert.deepEqual(
      outcomes?.map(({ failed }) => failed),
      ['no program', 'no program'],
    )
  })

  it('fails where its sign stood there before it was made', async () => {
    const prepare = async ({ mesh }: Stage) => mesh.write({ a: { command: SLEEPER } })
    const { outcomes } = await run({ ...row, sign: { mesh: /^paios\.yaml changed/ }, prepare })
    assert.match(outcomes?.[0]?.failed ?? '', /^its sign was there before it was made/)
  })
})
