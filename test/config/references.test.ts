import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { lines, meshOf, problemsOf } from './sample-presets.ts'

describe('needs', () => {
  it('on an unknown service name the nearest service or group', () => {
    assert.deepEqual(
      problemsOf(`version: 1
services:
  kb: { command: [x] }
  a: { command: [x], needs: [kbb, toolz, telegram] }
groups:
  tools: {}
`),
      [
        'paios.yaml:4:30 services.a.needs[0]: unknown service `kbb` (did you mean `kb`?)',
        'paios.yaml:4:35 services.a.needs[1]: unknown service `toolz` (did you mean `tools`?)',
        'paios.yaml:4:42 services.a.needs[2]: unknown service `telegram`',
      ],
    )
  })

  it('that form a cycle print its path, each cycle once', () => {
    assert.deepEqual(
      problemsOf(`version: 1
services:
  a: { command: [x], needs: [b] }
  b: { command: [x], needs: [c] }
  c: { command: [x], needs: [a] }
  d: { command: [x], needs: [d, a] }
`),
      [
        'paios.yaml:5:22 services.c.needs: needs form a cycle: a → b → c → a',
        'paios.yaml:6:22 services.d.needs: needs form a cycle: d → d',
      ],
    )
  })

  it('form a cycle through a group as well', () => {
    const text = `version: 1
services:
  a: { command: [x], group: tools }
  b: { command: [x], needs: [tools] }
groups:
  tools: { needs: [b] }
`
    assert.match(problemsOf(text).join('\n'), /needs form a cycle: a → b → a/)
  })

  it('on a group mean its members at any depth, and members have the needs of their group', () => {
    const mesh = meshOf(`version: 1
services:
  db: { command: [x] }
  a: { command: [x], group: outer }
  b: { command: [x], group: inner }
  user: { command: [x], needs: [{ service: outer, until: started, restart: true }, b] }
groups:
  outer: { needs: [db] }
  inner: { group: outer }
`)
    const needs = Object.fromEntries(mesh.specs.map((spec) => [spec.name, spec.needs]))
    assert.deepEqual(needs['user'], [
      { service: 'a', until: 'started', restart: true },
      { service: 'b', until: 'started', restart: true },
    ])
    assert.deepEqual(needs['a'], [{ service: 'db', until: 'ready', restart: false }])
    assert.deepEqual(needs['b'], [{ service: 'db', until: 'ready', restart: false }])
    assert.deepEqual(mesh.groups, [
      { name: 'outer', parent: null, strategy: 'one_for_one', intensity: null, nodes: ['a', 'inner'] },
      { name: 'inner', parent: 'outer', strategy: 'one_for_one', intensity: null, nodes: ['b'] },
    ])
  })

  it('between a group and what is inside it or around it are refused, with the path', () => {
    const problems = problemsOf(`version: 1
services:
  a: { command: [x], group: inner, needs: [outer] }
groups:
  outer: { needs: [a, inner] }
  inner: { group: outer, needs: [inner, outer] }
`)
    assert.deepEqual(
      problems.map((line) => line.replace(/: a group and what is inside it cannot need each other/, '')),
      [
        'paios.yaml:3:44 services.a.needs[0]: a → outer → a',
        'paios.yaml:5:20 groups.outer.needs[0]: outer → a → outer',
        'paios.yaml:5:23 groups.outer.needs[1]: outer → inner → outer',
        'paios.yaml:6:34 groups.inner.needs[0]: inner → inner → inner',
        'paios.yaml:6:41 groups.inner.needs[1]: inner → outer → inner',
      ],
    )
  })

  it('without a cycle are always accepted, and one link back is always found', () => {
    const graph = fc.array(fc.array(fc.nat(30), { maxLength: 4 }), { minLength: 2, maxLength: 12 })
    const text = (rows: number[][]) =>
      `version: 1\nservices:\n${rows
        .map(
          (needs, i) => `  s${i}: { command: [x], needs: [${needs.map((need) => `s${need}`).join(', ')}] }\n`,
        )
        .join('')}`
    fc.assert(
      fc.property(graph, (rows) => {
        const forward = rows.map((needs, i) => needs.map((need) => need % Math.max(1, i)).filter(() => i > 0))
        assert.deepEqual(problemsOf(text(forward)), [])
        // A chain from the last to the first, closed by a need of the first on the last.
        const closed = forward.map((needs, i) => [...needs, i === 0 ? rows.length - 1 : i - 1])
        assert.match(problemsOf(text(closed)).join('\n'), /needs form a cycle/)
      }),
      { numRuns: 60 },
    )
  })

  it('in a chain of a thousand services do not exhaust the stack', () => {
    const services = Array.from({ length: 1000 }, (_, i) => {
      return `  s${i}: { command: [x]${i < 999 ? `, needs: [s${i + 1}]` : ''} }`
    })
    assert.equal(meshOf(`version: 1\nservices:\n${services.join('\n')}`).specs.length, 1000)
    const more = `${services.join('\n')}\n  one: { command: [x] }`
    assert.match(problemsOf(`version: 1\nservices:\n${more}`)[0] ?? '', /more than 1000 services/)
  })
})

describe('groups', () => {
  it('that are unknown, contain themselves or share a name with a service are refused', () => {
    assert.deepEqual(
      problemsOf(`version: 1
services:
  a: { command: [x], group: tols }
  tools: { command: [x] }
groups:
  tools: {}
  k: { group: l }
  l: { group: k }
  m: { strategy: one_for_some }
`).filter((line) => line.includes('strategy')),
      [
        'paios.yaml:9:18 groups.m.strategy: expected one of one_for_one, one_for_all, rest_for_one (did you mean `one_for_one`?)',
      ],
    )
    assert.deepEqual(
      problemsOf(`version: 1
services:
  a: { command: [x], group: tols }
  tools: { command: [x] }
groups:
  tools: {}
  k: { group: l }
  l: { group: k }
`),
      [
        'paios.yaml:3:29 services.a.group: unknown group `tols` (did you mean `tools`?)',
        'paios.yaml:6:3 groups.tools: `tools` is also the name of a service',
        'paios.yaml:7:15 groups.k.group: contains itself: k → l → k',
        'paios.yaml:8:15 groups.l.group: contains itself: l → k → l',
      ],
    )
  })
})

describe('ports', () => {
  it('that two services declare name both, and the metrics endpoint counts', () => {
    assert.deepEqual(
      problemsOf(`version: 1
services:
  gateway: { preset: openclaw-gateway }
  a: { command: [x], port: 18789 }
  b: { command: [x], port: 18780 }
`),
      [
        'paios.yaml:4:28 services.a.port: port 18789 is used by `a` and by `gateway`',
        'paios.yaml:5:28 services.b.port: port 18780 is used by `b` and by the metrics endpoint (`metrics.port`)',
      ],
    )
  })

  it('may be shared with a service that is disabled, or with metrics that are off', () => {
    const text = `version: 1
metrics: { enabled: false }
services:
  gateway: { preset: openclaw-gateway, enabled: false }
  a: { command: [x], port: 18789 }
  b: { command: [x], port: 18780 }
`
    assert.deepEqual(problemsOf(text), [])
  })
})

describe('warnings', () => {
  it('name the number to change where a restart budget can never be used up', () => {
    const mesh = meshOf(`version: 1
services:
  a: { command: [x], intensity: { max: 10, within: 1m } }
  b: { command: [x], intensity: { max: 10, within: 10m } }
`)
    assert.deepEqual(lines(mesh.warnings), [
      'paios.yaml:3:33 services.a.intensity: this budget may never be used up: 10 restarts with their delays ' +
        'take up to 395 s, longer than the window of 60 s. Raise `within` to 7m or more, or `max` to 2 or less',
    ])
  })

  it('tell of a need on a service that is disabled', () => {
    const mesh = meshOf(
      'version: 1\nservices: { a: { command: [x], enabled: false }, b: { command: [x], needs: [a] } }',
    )
    assert.match(lines(mesh.warnings).join(), /services\.b\.needs: needs `a`, which is disabled/)
  })
})
