import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { keepHangEvidence } from '../../supervisor/shell/hang-evidence.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { startProgram } from '../probes/target.ts'

const table = openProcessTable()

function place(t: TestContext) {
  const folder = mkdtempSync('/tmp/he-')
  t.after(() => rmSync(folder, { recursive: true }))
  const logPath = join(folder, 'current.log')
  writeFileSync(logPath, 'of an earlier life\nworking on sk-secret\n')
  return { folder, evidence: { service: 'kb', reason: 'no answer', logPath, logOffset: 19 } }
}

describe('what a hung process was doing', () => {
  it('is kept with its state, its descriptors, and what it wrote in this life, without secrets', async (t) => {
    const child = await startProgram(t, ['/bin/sh', '-c', 'echo on; exec sleep 1000'])
    process.kill(child.pid!, 'SIGSTOP')
    const isStopped = () => / T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))
    while (!isStopped()) await wait(5)
    const { folder, evidence } = place(t)
    const redact = (text: string) => text.replaceAll('sk-secret', '(secret)')
    const path = keepHangEvidence(folder, table, redact, { ...evidence, pids: [child.pid!, 999_999_999] })
    const text = readFileSync(path, 'utf8')
    assert.match(text, /^kb: no answer\n/)
    assert.match(text, new RegExp(`^pid ${child.pid} \\(sleep\\), parent ${process.pid}$`, 'm'))
    assert.match(text, /descriptors: \d+/)
    assert.match(text, /State: T \(stopped\)/)
    assert.match(text, /pid 999999999: gone/)
    assert.match(text, /last output:\nworking on \(secret\)/)
    assert.doesNotMatch(text, /earlier life/)
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  it('is kept ten times for each service, the oldest goes', (t) => {
    const { folder, evidence } = place(t)
    for (let i = 10; i < 25; i++) {
      const path = keepHangEvidence(folder, table, String, { ...evidence, pids: [] })
      // As if it had been taken in another second.
      writeFileSync(path.replace(/\.\d+Z/, `.0${i}Z`), '')
      rmSync(path, { force: true })
    }
    keepHangEvidence(folder, table, String, { ...evidence, pids: [] })
    assert.equal(readdirSync(join(folder, 'kb')).length, 10)
  })
})
