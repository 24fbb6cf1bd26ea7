import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'

const table = openProcessTable()

function open(t: TestContext) {
  const logs = mkdtempSync('/tmp/pp-')
  t.after(() => rmSync(logs, { recursive: true, force: true }))
  const { run } = openProbePrograms(table, logs)
  return (script: string, options: { stdin?: string; signal?: AbortSignal } = {}) =>
    run([process.execPath, '-e', script], {
      env: { PATH: '/usr/bin:/bin' },
      cwd: logs,
      signal: AbortSignal.timeout(20_000),
      ...options,
    })
}

const isAlive = (pid: number) => {
  const found = table.entry(pid)
  return found !== null && !found.zombie
}

describe('a program of a probe', () => {
  it('tells its exit code and both outputs, and gets its input', async (t) => {
    const run = open(t)
    const echo =
      'process.stdin.on("data", (d) => process.stdout.write(d)).on("end", () => process.exitCode = 3)'
    assert.deepEqual(await run(`${echo}; console.error("no")`, { stdin: 'yes' }), {
      code: 3,
      signal: null,
      stdout: 'yes',
      stderr: 'no\n',
    })
  })

  it('that writes more than 4 MiB goes on to its end, and its beginning is kept', async (t) => {
    const { code, stdout } = await open(t)('process.stdout.write("a" + "b".repeat(9e6))')
    assert.deepEqual([code, stdout.length, stdout[0]], [0, 4 * 1024 ** 2, 'a'])
  })

  it('that is not there rejects with the error of the system', async (t) => {
    const logs = mkdtempSync('/tmp/pp-')
    t.after(() => rmSync(logs, { recursive: true, force: true }))
    const place = { env: {}, cwd: logs, signal: AbortSignal.timeout(20_000) }
    await assert.rejects(openProbePrograms(table, logs).run(['/no/such/program'], place), { code: 'ENOENT' })
  })

  it('is killed when its time is over', async (t) => {
    const stop = new AbortController()
    const running = open(t)('setInterval(() => 0, 1000)', { signal: stop.signal })
    setImmediate(() => stop.abort())
    const { code, signal } = await running
    assert.deepEqual([code, signal], [null, 'SIGKILL'])
  })

  it('is over when it has ended, though what it left outside of its group holds its outputs; that is ended', async (t) => {
    const left = 'require("child_process").spawn("sleep", ["1000"], { stdio: "inherit", detached: true })'
    const { code, stdout } = await open(t)(`const c = ${left}; c.unref(); console.log(c.pid)`)
    assert.equal(code, 0)
    assert.equal(isAlive(Number(stdout)), false)
  })
})
