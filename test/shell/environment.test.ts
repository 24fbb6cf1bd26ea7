import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import type { ServiceSpec } from '../../schemas/service.ts'
import { serviceSpec } from '../../schemas/service.ts'
import { declaredEnvironment, resolveProgram, withoutNpm } from '../../supervisor/shell/environment.ts'

const folder = mkdtempSync('/tmp/pe-')
after(() => rmSync(folder, { recursive: true }))

const specOf = (program: string, more: Partial<ServiceSpec> = {}): ServiceSpec => ({
  ...serviceSpec.parse({
    name: 'one',
    preset: 'process',
    kind: 'daemon',
    command: [program],
    runbook: 'process.md',
  }),
  ...more,
})

function place(name: string, mode: number): string {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, '#!/bin/sh\n')
  chmodSync(path, mode)
  return path
}

describe('the PATH of services', () => {
  it('is ours without the folders of npm and of the pinned Node, each folder once', () => {
    const own = dirname(process.execPath)
    const path = [
      '/w/node_modules/.bin',
      own,
      '/usr/bin',
      '',
      '/x/node_modules/npm/node_modules/@npmcli/run',
      '/bin',
      '/usr/bin',
    ]
    assert.equal(withoutNpm(path.join(':')), '/usr/bin:/bin')
  })

  it('is never empty', () => {
    assert.equal(withoutNpm(dirname(process.execPath)), '/usr/local/bin:/usr/bin:/bin')
  })
})

describe('the declared environment', () => {
  it('has what every program needs, what is declared, and the marker, and nothing of ours', (t) => {
    process.env['PAIOS_TEST_OF_OURS'] = 'not for children'
    t.after(() => delete process.env['PAIOS_TEST_OF_OURS'])
    const env = declaredEnvironment({ A: '1', LANG: 'de_DE.UTF-8' }, { PAIOS_RUN: '01J' })
    const known = ['A', 'HOME', 'LANG', 'PAIOS_RUN', 'PATH', 'TMPDIR', 'TZ', 'USER']
    assert.deepEqual(
      Object.keys(env).filter((name) => !known.includes(name)),
      [],
    )
    assert.equal(env['LANG'], 'de_DE.UTF-8', 'what is declared wins')
    assert.equal(env['PAIOS_RUN'], '01J')
    assert.ok(env['HOME'] && env['USER'] && env['TMPDIR'] && env['PATH'])
  })

  it('lets nobody declare the marker', () => {
    assert.equal(declaredEnvironment({ PAIOS_RUN: 'forged' }, { PAIOS_RUN: '01J' })['PAIOS_RUN'], '01J')
  })
})

describe('what a program resolves to', () => {
  it('is the first on PATH that may be run, also through a link', () => {
    place('first/tool', 0o644)
    const second = place('second/tool', 0o755)
    const path = [join(folder, 'none'), join(folder, 'first'), join(folder, 'second')].join(':')
    assert.deepEqual(resolveProgram(specOf('tool'), path), { kind: 'found', path: second })
    symlinkSync(second, join(folder, 'link'))
    assert.equal(resolveProgram(specOf(join(folder, 'link')), path).kind, 'found')
  })

  it('is unusable with the way to mend it where the only one found may not be run', () => {
    const bare = place('bare/tool', 0o644)
    const resolved = resolveProgram(specOf('tool'), dirname(bare))
    assert.deepEqual(resolved, { kind: 'unusable', reason: `${bare} is not executable: chmod +x ${bare}` })
    assert.match(
      (resolveProgram(specOf(folder), '') as { reason: string }).reason,
      /is a folder, not a program$/,
    )
  })

  it('is absent where there is none', () => {
    assert.deepEqual(resolveProgram(specOf('tool-that-is-nowhere'), folder), {
      kind: 'absent',
      reason: 'tool-that-is-nowhere is not installed',
    })
    assert.deepEqual(resolveProgram(specOf('/nowhere/tool'), folder), {
      kind: 'absent',
      reason: '/nowhere/tool does not exist',
    })
    const dangling = join(folder, 'dangling')
    symlinkSync('/nowhere/tool', dangling)
    assert.equal(resolveProgram(specOf(dangling), folder).kind, 'absent')
  })

  it('goes from the working folder of the service where the path is relative', () => {
    const tool = place('work/tool', 0o755)
    const resolved = resolveProgram(specOf('./tool', { cwd: dirname(tool) }), '/usr/bin')
    assert.deepEqual(resolved, { kind: 'found', path: tool })
  })
})

describe('a user without a name', () => {
  const skip = process.getuid?.() === 0 ? false : 'NOT RUN: only root becomes another user'

  it('goes by its number, as the free users of containers do', { skip }, () => {
    const module = resolve(import.meta.dirname, '../../supervisor/shell/environment.ts')
    const text = `import { declaredEnvironment } from '${module}'; process.setuid(61999)
      delete process.env.USER; console.log(declaredEnvironment({}, {}).USER)`
    const seen = execFileSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' })
    assert.equal(seen, '61999\n')
  })
})
