/** What the strategies and shared budgets of groups mean in the document. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lines, meshOf, problemsOf } from './sample-presets.ts'

/** The needs of every service of a valid document, as the core gets them. */
const needsOf = (text: string) =>
  Object.fromEntries(meshOf(`version: 1\n${text}`).specs.map(({ name, needs }) => [name, needs]))
const names = (text: string) =>
  Object.fromEntries(
    Object.entries(needsOf(text)).map(([name, needs]) => [name, needs.map(({ service }) => service)]),
  )
const warningsOf = (text: string) => lines(meshOf(`version: 1\n${text}`).warnings)

describe('the nodes of a group', () => {
  it('are its services and groups in the order of the document, a group where its first service stands', () => {
    const { groups } = meshOf(`version: 1
services:
  a: { command: [x], group: outer }
  b: { command: [x], group: inner }
  c: { command: [x], group: outer }
  d: { command: [x], group: inner }
  e: { command: [x] }
groups:
  inner: { group: outer, strategy: one_for_all, intensity: { max: 2, within: 5m } }
  outer: { strategy: rest_for_one }
  empty: { group: outer }
`)
    assert.deepEqual(groups, [
      {
        name: 'inner',
        parent: 'outer',
        strategy: 'one_for_all',
        intensity: { max: 2, within: 300_000 },
        nodes: ['b', 'd'],
      },
      { name: 'outer', parent: null, strategy: 'rest_for_one', intensity: null, nodes: ['a', 'inner', 'c'] },
      { name: 'empty', parent: 'outer', strategy: 'one_for_one', intensity: null, nodes: [] },
    ])
  })
})

describe('rest_for_one', () => {
  it('lets each service need the one before it until ready; the other strategies need nothing', () => {
    const text = (strategy: string) => `services:
  a: { command: [x], group: g }
  outside: { command: [x] }
  b: { command: [x], group: g }
  c: { command: [x], group: g }
groups: { g: { strategy: ${strategy} } }`
    assert.deepEqual(needsOf(text('rest_for_one')), {
      a: [],
      outside: [],
      b: [{ service: 'a', until: 'ready', restart: false }],
      c: [{ service: 'b', until: 'ready', restart: false }],
    })
    for (const strategy of ['one_for_one', 'one_for_all'])
      assert.deepEqual(names(text(strategy)), { a: [], outside: [], b: [], c: [] })
  })

  it('leaves a need on the one before as it is written', () => {
    const needs = needsOf(`services:
  a: { command: [x], group: g }
  b: { command: [x], group: g, needs: [{ service: a, until: started, restart: true }] }
groups: { g: { strategy: rest_for_one } }`)
    assert.deepEqual(needs['b'], [{ service: 'a', until: 'started', restart: true }])
  })

  it('counts a group as one node: it needs what stands before it, and what comes after needs all of it', () => {
    const needs = names(`services:
  first: { command: [x], group: outer }
  a: { command: [x], group: inner }
  b: { command: [x], group: inner }
  last: { command: [x], group: outer }
groups:
  outer: { strategy: rest_for_one }
  inner: { group: outer }`)
    assert.deepEqual(needs, { first: [], a: ['first'], b: ['first'], last: ['a', 'b'] })
  })

  it('holds at every level where groups of it are nested', () => {
    const needs = names(`services:
  first: { command: [x], group: outer }
  a: { command: [x], group: inner }
  b: { command: [x], group: inner }
  last: { command: [x], group: outer }
groups:
  outer: { strategy: rest_for_one }
  inner: { group: outer, strategy: rest_for_one }`)
    assert.deepEqual(needs, { first: [], a: ['first'], b: ['a', 'first'], last: ['a', 'b'] })
  })

  it('passes over what may end for good and what is disabled, and needs what stands before those', () => {
    const needs = names(`services:
  a: { command: [x], group: g }
  once: { command: [x], group: g, restart: transient }
  flash: { command: [x], group: g, restart: temporary }
  off: { command: [x], group: g, enabled: false }
  b: { command: [x], group: g }
groups: { g: { strategy: rest_for_one } }`)
    assert.deepEqual(needs, { a: [], once: ['a'], flash: ['a'], off: ['a'], b: ['a'] })
  })

  it('passes over a group in which nothing lasts', () => {
    const needs = names(`services:
  a: { command: [x], group: g }
  once: { command: [x], group: jobs, restart: transient }
  b: { command: [x], group: g }
groups:
  g: { strategy: rest_for_one }
  jobs: { group: g }`)
    assert.deepEqual(needs['b'], ['a'])
  })

  it('refuses a need on what comes later in it, and says once where and what to do', () => {
    assert.deepEqual(
      problemsOf(`version: 1
services:
  a: { command: [x], group: g, needs: [b] }
  b: { command: [x], group: g }
groups: { g: { strategy: rest_for_one } }
`),
      [
        'paios.yaml:3:40 services.a.needs[0]: `a` needs `b`, which comes after it in the rest_for_one group `g`: put it before',
      ],
    )
  })

  it('refuses it between a service and a later group, from inside an inner group, and of a group itself', () => {
    const problems = problemsOf(`version: 1
services:
  a: { command: [x], group: outer, needs: [late] }
  b: { command: [x], group: early, needs: [d] }
  c: { command: [x], group: late }
  d: { command: [x], group: late }
groups:
  outer: { strategy: rest_for_one }
  early: { group: outer, needs: [c] }
  late: { group: outer }
`)
    assert.deepEqual(
      problems.map((line) => line.split(', which')[0]),
      [
        'paios.yaml:3:44 services.a.needs[0]: `a` needs `late`',
        'paios.yaml:4:44 services.b.needs[0]: `b` needs `d`',
        'paios.yaml:9:34 groups.early.needs[0]: `early` needs `c`',
      ],
    )
  })

  it('allows a need on what comes earlier, on what is outside, and inside of an inner group of another kind', () => {
    assert.deepEqual(
      problemsOf(`version: 1
services:
  a: { command: [x], group: outer, needs: [outside] }
  b: { command: [x], group: inner, needs: [c] }
  c: { command: [x], group: inner }
  d: { command: [x], group: outer, needs: [a, inner] }
  outside: { command: [x] }
groups:
  outer: { strategy: rest_for_one }
  inner: { group: outer }
`),
      [],
    )
  })

  it('prints the path of a cycle that its order closes by way of a service outside', () => {
    const problems = problemsOf(`version: 1
services:
  a: { command: [x], group: g, needs: [outside] }
  b: { command: [x], group: g }
  outside: { command: [x], needs: [b] }
groups: { g: { strategy: rest_for_one } }
`)
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', /needs form a cycle: a → outside → b → a/)
  })
})

describe('the budget of a group', () => {
  const group = (intensity: string, defaults = '') =>
    warningsOf(`${defaults}
services: { a: { command: [x], group: g }, b: { command: [x], group: g } }
groups:
  g: { intensity: ${intensity} }`)

  it('is warned of where it can never be used up, with the number to change', () => {
    assert.deepEqual(group('{ max: 3, within: 10m }'), [])
    assert.deepEqual(group('{ max: 10, within: 1m }'), [
      'paios.yaml:5:19 groups.g.intensity: this budget may never be used up: 10 restarts with their delays ' +
        'take up to 395 s, longer than the window of 60 s. Raise `within` to 7m or more, or `max` to 2 or less',
    ])
  })

  it('is computed with the longest failed start of `defaults.maxFailedStart`, as that of a service is', () => {
    const slow = 'defaults: { maxFailedStart: 5m }'
    assert.match(
      group('{ max: 3, within: 10m }', slow).join('\n'),
      /groups\.g\.intensity.*`max` to 1 or less/,
    )
    const quick = 'defaults: { maxFailedStart: 1s }'
    assert.deepEqual(group('{ max: 5, within: 1m }', quick), [])
    const service = `services: { a: { command: [x], intensity: { max: 5, within: 1m } } }`
    assert.equal(warningsOf(service).length, 1)
    assert.deepEqual(warningsOf(`${quick}\n${service}`), [])
  })

  it('that no restart at all fits into says only how long the window must be', () => {
    const [warning = ''] = group('{ max: 1, within: 10s }')
    assert.match(warning, /Raise `within` to 1m or more$/)
  })
})
