import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseDisabled, parseList, parsePrint, troubleOf } from '../../launchd/print-parser.ts'

const text = (name: string) =>
  readFileSync(join(import.meta.dirname, '../fixtures/launchctl', `${name}.txt`), 'utf8')
const job = (name: string) => {
  const found = parsePrint(text(name))
  assert.ok(found, `${name} is a job`)
  return found
}

describe('what launchctl print says', () => {
  it('reads own fields, also behind nested blocks that repeat them', () => {
    const found = job('running')
    assert.equal(found.pid, 40_123)
    assert.equal(found.state, 'running')
    assert.equal(found.runs, 3)
    assert.equal(found.exitTimeoutS, 45)
    assert.deepEqual(found.arguments, ['/Users/mia/.paios/bin/paios-supervisor', 'run'])
    assert.deepEqual(found.environment, {
      HOME: '/Users/mia',
      PAIOS_BOOT: 'launchd',
      XPC_SERVICE_NAME: 'dev.paios.supervisor',
    })
    assert.deepEqual(found.properties, ['keepalive', 'runatload', 'inferred program', 'has LWCR'])
  })

  it('calls a running job well, whatever ended the run before', () => {
    assert.deepEqual(job('running').lastExit, { kind: 'signal', signal: 9, text: 'Killed' })
    assert.equal(troubleOf(job('running')), null)
  })

  it('takes nothing from an argument of several lines, which is printed raw', () => {
    const found = job('multiline-argument')
    assert.equal(found.pid, 2040)
    assert.equal(found.state, 'running')
    assert.deepEqual(found.arguments, ['/bin/sh', '-c', 'if true; then {\n  pid = 7\n}\nstate = fake\nfi\n'])
    assert.deepEqual(found.properties, [])
  })

  it('tells a replaced program, a failed spawn and a clean end apart', () => {
    assert.match(troubleOf(job('needs-lwcr-update')) ?? '', /its program was replaced/)
    assert.match(troubleOf(job('ex-config')) ?? '', /could not start its program \(78, EX_CONFIG\)/)
    assert.equal(troubleOf(job('exited')), null)
    assert.deepEqual(job('exited').lastExit, { kind: 'code', code: 0 })
    assert.equal(troubleOf(job('xpcproxy')), null)
    assert.equal(job('xpcproxy').path, null)
  })

  it('does not understand a fragment, an empty output or something else', () => {
    for (const other of [text('fragment'), '', 'gibberish\n', 'Usage: launchctl <subcommand> {\n']) {
      assert.equal(parsePrint(other), null)
    }
  })

  it('tells a job that an app has registered from one of a plist', () => {
    assert.equal(job('running').managedBy, null)
    const registered = text('running').replace(
      /^\tpath = .*$/m,
      '\tmanaged_by = com.apple.xpc.ServiceManagement',
    )
    assert.equal(parsePrint(registered)?.managedBy, 'com.apple.xpc.ServiceManagement')
  })

  it('reads which jobs run in the table of launchctl list', () => {
    const table = 'PID\tStatus\tLabel\n-\t0\tcom.example.idle\n812\t-9\tai.openclaw.gateway\n'
    assert.deepEqual([...parseList(table)], [[812, 'ai.openclaw.gateway']])
    assert.deepEqual([...parseList('gibberish\n')], [])
  })

  it('reads disabled labels in both dialects', () => {
    for (const name of ['disabled', 'disabled-older']) {
      assert.deepEqual([...parseDisabled(text(name))], ['com.example.off'])
    }
  })
})
