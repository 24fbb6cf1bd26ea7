/** The quick rows of the fault matrix; all of them are made by `npm run faults`. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import { type Fault, kept, type Outcome, type Stage } from '../faults/fault.ts'
import { figuresTable } from '../faults/figures.ts'
import { tells } from '../faults/phone.ts'
import { openStage, signal, up } from '../faults/program-stage.ts'
import { matrix } from '../faults/report.ts'
import { defineGroup, signText } from '../faults/runner.ts'
import { lanes } from '../faults/table.ts'
import { ruleOf } from '../faults/telling.ts'
import { until } from './mesh.ts'
import { SLEEPER } from './run-cli.ts'

/** Many times what it takes alone. */
const LIMIT = { timeout: 900_000 }
const ONCE = { max: 1, within: '10m' }
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

describe('whom a row tells', () => {
  const told = lanes.flat().flatMap(({ id, faults }) => faults.map((fault) => ({ id, fault })))

  it('is the table of alert rules, or nobody for a reason', () => {
    for (const { id, fault } of told) {
      if ('nobody' in fault.heard) assert.ok(fault.heard.nobody.length > 5, `${id}: ${fault.name}`)
      else assert.ok(fault.heard.rule in RULES, `${id}: ${fault.name}: ${fault.heard.rule}`)
    }
    const must = told.filter(({ fault }) => ruleOf(fault.heard) !== null)
    assert.ok(must.length > told.length / 2, `${must.length} of ${told.length}`)
  })

  it('is seen in what stands there now, not in what recovers or is over', () => {
    const isIt = tells('ServiceBlocked', 'kb')
    const sentence = 'kb is not started: it is known that it could not work.'
    assert.ok(isIt(`🔴 <b>${sentence}</b>\nsince 12:01`))
    assert.ok(isIt(`⚪ <b>kb crashed.</b>\n${sentence}`))
    assert.ok(tells('ServiceCrashed', 'kb')('⚪ <b>Activity</b>\n12:01 kb crashed.'))
    assert.ok(!isIt(`🔴 <b>kb recovers: ${sentence}</b>`))
    assert.ok(!isIt(`✅ <s>kb: over after 3 min</s>\n${sentence}`))
    assert.ok(!isIt(`🔴 <b>other${sentence}</b>`))
  })

  it('has its times in the document, the worst with its reason', () => {
    const outcome = (name: string, ms: number, more: object = {}): Outcome => ({
      group: 'rows',
      fault: { name, program: '', made: '', sign: { mesh: /x/ }, person: null, ...HEARD, ...more },
      ...{ detectMs: 100, told: { ms, how: 'sound' }, recoverMs: 1, failed: null },
    })
    const rows = [outcome('one', 900), outcome('two', 61_000, { late: 'it is looked at once a minute' })]
    const table = figuresTable(rows)
    const critical = '| **critical: fault → message** | 2 | 0.90 s | 61.0 s | 61.0 s |'
    assert.ok(table.includes(`${critical} rows: two; it is looked at once a minute |`), table)
    assert.ok(!table.includes('warning'))
  })
})

const HEARD = { heard: { rule: 'ServiceBlocked', about: 'kb' } } as const

describe('a row', LIMIT, () => {
  const row: Fault<Stage> = {
    name: 'nothing at all',
    program: 'sleep',
    made: 'not made',
    sign: { subject: 'a', event: 'exited', text: /^killed by SIGKILL$/ },
    heard: { nobody: 'it is a test' },
    person: null,
    touches: ['a'],
    make: async () => undefined,
    well: kept('a', 'b'),
    limitMs: 1_000,
  }
  const run = async (fault: Fault<Stage>) => {
    const open = async () => {
      const stage = await openStage((mesh) =>
        mesh.write({ a: { command: SLEEPER }, b: { command: SLEEPER } }),
      )
      await up(stage)
      return stage
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

  it('fails where nobody is told who must be', async () => {
    const heard = { rule: 'ServiceBlocked', about: 'a' } as const
    const { outcomes } = await run({ ...row, heard, make: (stage) => signal(stage, 'a'), limitMs: 3_000 })
    assert.match(outcomes?.[0]?.failed ?? '', /^not told within 3 s/)
  })

  it('fails where a sound is made without need', async () => {
    const { outcomes } = await run({
      ...row,
      sign: { service: 'a', state: 'failed', text: /^gave up/ },
      prepare: async ({ mesh, phone }) => {
        mesh.write({ a: { command: SLEEPER, intensity: ONCE }, b: { command: SLEEPER } }, phone.fields)
        await mesh.cli(['up'])
      },
      make: async (stage) => {
        const { pid } = await stage.mesh.service('a')
        await signal(stage, 'a')
        await stage.mesh.untilService('a', 'is new', (one) => one.ready && one.pid !== pid)
        return signal(stage, 'a')
      },
      mend: async ({ mesh, phone }) => {
        await until('the sound', () => phone.since(0).some(({ how }) => how === 'sound'))
        return mesh.ask('/start', { name: 'a' })
      },
      well: { what: 'any', holds: () => true },
      limitMs: 60_000,
    })
    assert.match(outcomes?.[0]?.failed ?? '', /^it made a sound: 🔴 <b>a failed for good/)
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
