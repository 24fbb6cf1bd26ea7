import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { isPermanent, spawnReason } from '../../supervisor/shell/spawn-failure.ts'

function programOf(t: TestContext, text: string, mode: number): string {
  const folder = mkdtempSync('/tmp/pn-')
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'program')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

/** What the system really says when this is started. */
async function failureOf(program: string, cwd = '/'): Promise<NodeJS.ErrnoException> {
  try {
    const child = spawn(program, [], { cwd, stdio: 'ignore' })
    const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException]
    return error
  } catch (error) {
    return error as NodeJS.ErrnoException
  }
}

describe('a program that cannot be started', { timeout: 20_000 }, () => {
  it('is not simply tried again where it, its interpreter or its folder is not there', async (t) => {
    const lost = programOf(t, '#!/no/such/interpreter\n', 0o755)
    for (const error of [
      await failureOf('/no/such/program'),
      await failureOf(lost),
      await failureOf('/bin/sleep', '/no/such/folder'),
    ]) {
      assert.equal(isPermanent(error), true)
      assert.equal(
        spawnReason('program', error),
        'program could not be started: it, its interpreter or its working folder does not exist',
      )
    }
  })

  it('says that it may not be executed', async (t) => {
    for (const program of [programOf(t, '#!/bin/sh\n', 0o644), '/tmp']) {
      const error = await failureOf(program)
      assert.equal(isPermanent(error), true)
      assert.equal(spawnReason('kb', error), 'kb could not be started: it may not be executed')
    }
  })

  it('says that it is no program for this system', () => {
    // A spawn that looks along PATH hands such a file to the shell, so that the system is not asked here.
    const error = Object.assign(new Error('exec format error'), { code: 'ENOEXEC' })
    assert.equal(isPermanent(error), true)
    assert.equal(spawnReason('kb', error), 'kb could not be started: it is no program for this system')
  })

  it('is tried again where the system is at its limits, which are named', () => {
    for (const [code, why] of [
      ['EAGAIN', /more processes/],
      ['EMFILE', /file descriptors/],
      ['ENOMEM', /memory/],
      ['EOTHER', /as the system puts it/],
    ] as const) {
      const error = Object.assign(new Error('as the system puts it'), { code })
      assert.equal(isPermanent(error), false)
      assert.match(spawnReason('kb', error), why)
    }
  })
})
