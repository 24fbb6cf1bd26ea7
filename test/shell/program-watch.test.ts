import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openProgramWatch } from '../../supervisor/shell/program-watch.ts'
import { makeSpec } from '../sim/mesh.ts'

function stage(t: TestContext) {
  const folder = mkdtempSync('/tmp/pw-')
  t.after(() => rmSync(folder, { recursive: true }))
  const put = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(`${path}.new`, text)
    chmodSync(`${path}.new`, 0o755)
    renameSync(`${path}.new`, path)
    return path
  }
  const told: string[] = []
  const watch = openProgramWatch((service, file) => void told.push(`${service} ${file}`))
  return { folder, put, told, watch }
}

describe('a program that changes on disk while it runs', () => {
  it('is told once, and again when it changes again', (t) => {
    const { put, told, watch } = stage(t)
    const program = put('kb', 'one')
    watch.started('kb', makeSpec('kb', { command: [program] }))
    watch.look()
    assert.deepEqual(told, [])
    put('kb', 'two')
    watch.look()
    watch.look()
    assert.deepEqual(told, [`kb ${program}`])
    put('kb', 'three')
    watch.look()
    assert.equal(told.length, 2)
  })

  it('is also the script of an interpreter, and what a link points to', (t) => {
    const { folder, put, told, watch } = stage(t)
    const script = put('server.mjs', 'one')
    const link = join(folder, 'link')
    symlinkSync(put('v1', 'one'), link)
    watch.started('script', makeSpec('script', { command: ['/bin/sh', script, '--x', 'http://a/b'] }))
    watch.started('link', makeSpec('link', { command: [link] }))
    put('server.mjs', 'other')
    unlinkSync(link)
    symlinkSync(put('v2', 'one'), link)
    watch.look()
    assert.deepEqual(told, [`script ${script}`, `link ${link}`])
  })

  it('is no file that it only reads', (t) => {
    const { put, told, watch } = stage(t)
    const data = put('data.txt', 'one')
    const script = put('run.sh', 'one')
    const commands = {
      shell: ['/bin/sh', '-c', 'cat "$0"', data],
      script: ['/bin/sh', script, data],
      cat: ['/bin/cat', data],
    }
    for (const [name, command] of Object.entries(commands)) watch.started(name, makeSpec(name, { command }))
    put('data.txt', 'two')
    watch.look()
    assert.deepEqual(told, [])
    put('run.sh', 'two')
    watch.look()
    assert.deepEqual(told, [`script ${script}`])
  })

  it('is a script that the command names relative to its folder, and a program behind another one', (t) => {
    const { folder, put, told, watch } = stage(t)
    const server = put('server.mjs', 'one')
    const program = put('kb', 'one')
    watch.started('relative', makeSpec('relative', { command: ['/bin/sh', 'server.mjs'], cwd: folder }))
    watch.started('behind', makeSpec('behind', { command: ['/usr/bin/env', 'A=1', program, '--x'] }))
    put('server.mjs', 'two')
    put('kb', 'two')
    watch.look()
    assert.deepEqual(told, [`relative ${server}`, `behind ${program}`])
  })

  it('that is missing in the middle of an upgrade is looked at again later', (t) => {
    const { put, told, watch } = stage(t)
    const program = put('kb', 'one')
    watch.started('kb', makeSpec('kb', { command: [program] }))
    unlinkSync(program)
    watch.look()
    assert.deepEqual(told, [])
    put('kb', 'two')
    watch.look()
    assert.deepEqual(told, [`kb ${program}`])
  })

  it('counts from its latest start, and not at all once it is forgotten', (t) => {
    const { put, told, watch } = stage(t)
    const spec = makeSpec('kb', { command: [put('kb', 'one')] })
    watch.started('kb', spec)
    put('kb', 'two')
    watch.started('kb', spec)
    watch.look()
    watch.forget('kb')
    put('kb', 'three')
    watch.look()
    assert.deepEqual(told, [])
  })
})
