import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classify, describeExit } from '../../supervisor/core/exits.ts'
import { makeSpec } from '../sim/mesh.ts'

const code = (value: number) => ({ code: value, signal: null })

describe('exits', () => {
  it('without a signature 0 is success and everything else failure', () => {
    const spec = makeSpec('a', { exits: [] })
    assert.equal(classify(spec, code(0), '').class, 'success')
    assert.equal(classify(spec, code(1), '').class, 'failure')
    assert.equal(classify(spec, { code: null, signal: 'SIGKILL' }, '').class, 'failure')
  })

  it('the first signature that matches decides, so one code can mean several things', () => {
    const spec = makeSpec('a', {
      exits: [
        { code: 1, log: 'invalid config: (.*)', class: 'fatal', reason: 'config: $1' },
        { code: 1, log: 'restarting', class: 'planned', reason: 'restarts itself' },
        { signal: 'SIGUSR2', class: 'success', reason: 'asked to' },
      ],
    })
    const fatal = classify(spec, code(1), 'hello\ninvalid config: gateway.port \nbye')
    assert.equal(fatal.class, 'fatal')
    assert.equal(fatal.reason, 'exit code 1: config: gateway.port')
    assert.equal(classify(spec, code(1), 'restarting').class, 'planned')
    assert.equal(classify(spec, code(1), 'nothing').class, 'failure')
    assert.equal(classify(spec, code(2), 'restarting').class, 'failure')
    assert.equal(classify(spec, { code: null, signal: 'SIGUSR2' }, '').class, 'success')
  })

  it('reads a log through its colours', () => {
    const spec = makeSpec('a', { exits: [{ log: '^fatal: (\\w+)', class: 'fatal', reason: '$1 $2' }] })
    const ending = classify(spec, code(3), '\u001b[31mfatal:\u001b[0m port')
    assert.equal(ending.class, 'fatal')
    assert.equal(ending.reason, 'exit code 3: port ')
  })

  it('believes the log that an end was planned where nobody saw the exit code, and nothing else', () => {
    const unseen = { code: null, signal: null }
    const spec = makeSpec('a', {
      exits: [
        { code: 78, log: 'broken', class: 'fatal', reason: 'it is broken' },
        { code: 0, log: 'restart \\((.+)\\)', class: 'planned', reason: 'restarts itself ($1)' },
        { code: 0, class: 'planned', reason: 'restarts itself' },
      ],
    })
    const planned = classify(spec, unseen, 'restart (new port)')
    assert.deepEqual(
      [planned.class, planned.reason],
      ['planned', `${describeExit(unseen)}: restarts itself (new port)`],
    )
    assert.equal(classify(spec, unseen, 'broken').class, 'failure')
    assert.equal(classify(spec, unseen, '').class, 'failure')
  })

  it('tells a failure with the last line that names an error, cut to one short line', () => {
    const spec = makeSpec('a')
    const node =
      'ready\nError: Could not locate the bindings file\n    at bindings (x.js:1:2)\n\nNode.js v26.1.0\n'
    assert.equal(
      classify(spec, code(1), node).reason,
      'exit code 1: Error: Could not locate the bindings file',
    )
    assert.equal(
      classify(spec, code(3), '  ValueError: \u001b[1mno\u001b[0m\n').reason,
      'exit code 3: ValueError: no',
    )
    assert.equal(classify(spec, code(3), 'GET /errors 200\ndone\n').reason, 'exit code 3')
    assert.equal(classify(spec, code(0), 'Error: of long ago\n').reason, 'exit code 0')
    assert.equal(classify(spec, { code: null, signal: 'SIGKILL' }, 'Error: x\n').reason, 'killed by SIGKILL')
    assert.equal(
      classify(spec, code(1), `error: ${'x'.repeat(500)}`).reason.length,
      'exit code 1: '.length + 200,
    )
  })

  it('says every exit in words', () => {
    assert.equal(describeExit(code(78)), 'exit code 78')
    assert.equal(describeExit({ code: null, signal: 'SIGSEGV' }), 'killed by SIGSEGV')
    assert.match(describeExit({ code: null, signal: null }), /nobody saw/)
  })
})
