import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { chooseRunbook, parseRunbook } from '../../supervisor/document/runbook.ts'
import { ageOf, agesOf } from '../../supervisor/document/runbook-age.ts'
import { temporaryFolder } from '../probes/target.ts'
import { runbookText, SECTION_TEXT } from '../runbook-text.ts'

const text = (front: string, body?: string) => runbookText('kb', front, body)
const parsed = (front: string, body?: string) => parseRunbook(Buffer.from(text(front, body)), 'kb')
const problems = (front: string, body?: string) =>
  parsed(front, body).problems.map(({ line, path, message }) => `${line} ${path}: ${message}`)
const READY = 'verify: { checks: [{ check: service.ready }] }'

describe('the front matter of a runbook', () => {
  it('gives each step what the catalogue says of its action', () => {
    const { runbook } = parsed(
      `steps:\n  - { id: a, action: diagnostics.collect }\n  - { id: b, action: service.start, ${READY} }\n`,
    )
    const [collect, start] = runbook?.steps ?? []
    assert.deepEqual([collect?.class, collect?.changes, collect?.onFailure], ['safe', false, 'next'])
    assert.deepEqual([start?.class, start?.changes, start?.onFailure], ['safe', true, 'stop'])
    assert.deepEqual(
      start?.pre.map(({ check }) => check),
      ['service.wanted', 'service.down'],
    )
    assert.deepEqual([start?.verify?.within, start?.approval.expires], [60_000, 1_800_000])
  })

  it('tells all problems at once, each with the line of the file', () => {
    const found = problems(
      'alerts: [ServiceDwon]\nsteps:\n  - { id: a, action: service.restrt }\n  - { id: B, action: probe.run, wehn: [] }\n',
      SECTION_TEXT.replace('## Impact', '## Effect'),
    )
    assert.deepEqual(
      found.map((one) => one.split(':')[0]),
      ['6 alerts[0]', '8 steps[0].action', '9 steps[1].id', '9 steps[1].wehn', '15 ', '34 '],
    )
    assert.match(found.join('\n'), /did you mean `ServiceDown`/)
    assert.match(found.join('\n'), /did you mean `service.restart`/)
    assert.match(found.join('\n'), /did you mean `when`/)
    assert.match(found.join('\n'), /`## Effect` is none of the six sections/)
    assert.match(found.join('\n'), /the section `## Impact` is missing/)
  })

  it('makes no action less strict than it is, and changes nothing without a verification', () => {
    const restore = `{ id: a, action: config.restore_last_good, ${READY}`
    assert.match(problems(`steps:\n  - ${restore}, class: safe }\n`)[0] ?? '', /`ask` at least/)
    assert.deepEqual(problems(`steps:\n  - ${restore} }\n`), [])
    const bare = '{ id: a, action: service.restart'
    assert.match(problems(`steps:\n  - ${bare} }\n`)[0] ?? '', /so it must be verified/)
    assert.deepEqual(problems(`steps:\n  - ${bare}, class: never }\n`), [])
    assert.deepEqual(problems(`steps:\n  - ${bare}, class: ask, ${READY} }\n`), [])
  })

  it('takes no shell line, no secret in arguments, and no fact of a step that comes later', () => {
    const command = (value: string) =>
      `steps:\n  - { id: a, action: command.run, with: { command: ${value} }, ${READY} }\n`
    assert.match(problems(command("'rm -rf /'"))[0] ?? '', /expected a list/)
    assert.match(problems(command("['x', '${env:KEY}']"))[0] ?? '', /shows in ps/)
    const when = 'steps:\n  - { id: a, action: probe.run, when: [{ fact: steps.b.result, in: [failed] }] }\n'
    assert.match(problems(when)[0] ?? '', /does not come before/)
  })

  it('is no trouble where there is none, too long, or no text at all', () => {
    for (const bytes of ['', '---\n', '# no front matter\n', '---\n: : :\n---\n', '---\n[]\n---\n'])
      assert.ok(parseRunbook(Buffer.from(bytes), 'kb').problems.length > 0, JSON.stringify(bytes))
    assert.equal(parseRunbook(Buffer.from([0xff, 0xfe]), 'kb').runbook, null)
  })
})

describe('the runbook for a fault', () => {
  it("is the operator's own for the service, then the preset's, then the rule's; one with a problem is left out", async (t) => {
    const home = await temporaryFolder(t)
    const choose = (rule: string) =>
      chooseRunbook(home, { service: 'kb', preset: 'openclaw-gateway', rule })?.id
    assert.equal(choose('ServiceBlocked'), 'openclaw-gateway')
    assert.equal(choose('ServiceDegraded'), 'ServiceDegraded')
    assert.equal(choose('ServiceMissing'), undefined)
    mkdirSync(join(home, 'runbooks'))
    const own = (front: string) => writeFileSync(join(home, 'runbooks', 'kb.md'), text(front))
    own('alerts: [ServiceBlocked]\nsteps:\n  - { id: a, action: probe.run }\n')
    assert.deepEqual([choose('ServiceBlocked'), choose('ServiceHung')], ['kb', 'openclaw-gateway'])
    own(
      'alerts: [ServiceBlocked]\napplies: { services: [other] }\nsteps:\n  - { id: a, action: probe.run }\n',
    )
    assert.equal(choose('ServiceBlocked'), 'openclaw-gateway')
    own('alerts: [ServiceBlocked]\nsteps:\n  - { id: a, action: probe.rnu }\n')
    assert.equal(choose('ServiceBlocked'), 'openclaw-gateway')
  })
})

describe('the age of a runbook', () => {
  const WALL = Date.parse('2027-05-20T12:00:00Z')
  const at = (days: Readonly<Record<string, string>> = {}) => ({
    wall: WALL,
    lastRuns: new Map(Object.entries(days).map(([id, day]) => [id, Date.parse(day)])),
  })
  const one = (front = '') => parsed(front).runbook!

  it('has a drill by its front matter or by a run that repaired something, whichever was later', () => {
    assert.equal(ageOf(one(), at()).drilled, null)
    assert.equal(ageOf(one('drilled: 2027-01-02\n'), at()).drilled, '2027-01-02')
    assert.equal(
      ageOf(one('drilled: 2027-01-02\n'), at({ kb: '2027-03-04T05:06:07Z' })).drilled,
      '2027-03-04',
    )
    assert.equal(
      ageOf(one('drilled: 2027-04-02\n'), at({ kb: '2027-03-04T05:06:07Z' })).drilled,
      '2027-04-02',
    )
    assert.equal(ageOf(one(), at({ other: '2027-03-04T05:06:07Z' })).drilled, null)
  })

  it('is to be reviewed after 180 days, not on the last of them', () => {
    assert.deepEqual(
      [ageOf(one(), at()), ageOf(one(), { ...at(), wall: WALL + 86_400_000 })].map((age) => [
        age.reviewDays,
        age.isDue,
      ]),
      [
        [180, false],
        [181, true],
      ],
    )
  })

  it('is counted over all of them', () => {
    const all = [one(), one('drilled: 2027-05-10\n'), one('drilled: 2027-04-10\n')]
    assert.deepEqual(agesOf(all, at()), { count: 3, drilled: 2, oldestDrillDays: 40, reviewDue: 0 })
    assert.deepEqual(agesOf([one()], { ...at(), wall: WALL + 86_400_000 }), {
      ...{ count: 1, drilled: 0, oldestDrillDays: null, reviewDue: 1 },
    })
  })

  it('a day that is none is refused', () => {
    assert.match(problems('drilled: yesterday\n')[0] ?? '', /expected a day such as 2026-11-21/)
  })
})
