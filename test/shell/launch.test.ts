import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { type Launch, openLauncher } from '../../supervisor/shell/launch.ts'
import { openPosixSpawn, type PosixSpawn } from '../../supervisor/shell/posix-spawn.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'

const folder = mkdtempSync(join(tmpdir(), 'pl-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const PATH = '/usr/local/bin:/usr/bin:/bin'
let files = 0

type Run = { code: number | null; signal: string | null; output: string }

/** One launcher, and the end of whatever it starts. */
function opened(posix: PosixSpawn | null) {
  const launcher = openLauncher(posix)
  const start = (command: readonly string[], more: Partial<Launch> = {}) => {
    const logPath = join(folder, `${files++}.log`)
    const log = openSync(logPath, 'a', 0o600)
    const [program = '', ...args] = command
    const end = Promise.withResolvers<Run>()
    const wanted: Launch = {
      command: [program, ...args],
      path: program.startsWith('/') ? program : null,
      env: { PATH },
      cwd: folder,
      log,
      stdio: 'log',
      ...more,
    }
    const launched = launcher.launch(
      wanted,
      (code, signal) => end.resolve({ code, signal, output: readFileSync(logPath, 'utf8') }),
      end.reject,
    )
    closeSync(log)
    return { pid: launched?.pid ?? null, ended: end.promise }
  }
  return { start, run: (...given: Parameters<typeof start>) => start(...given).ended, close: launcher.close }
}

// The shell holds signals back for a moment whenever it forks, so the last program takes its place.
const LOOK = 'cat /proc/$$/stat; ls -l /proc/$$/fd/0; pwd -P; exec grep -E "Sig(Blk|Ign)" /proc/self/status'

/** The same promises for both ways of starting. */
function contract(name: string, posix: PosixSpawn | null) {
  describe(name, () => {
    const { start, run, close } = opened(posix)
    after(close)

    it('tells the exit code', async () => {
      assert.deepEqual(await run(['/bin/sh', '-c', 'exit 78']), { code: 78, signal: null, output: '' })
    })

    it('tells the signal that ended it', async () => {
      const { pid, ended } = start(['/bin/sleep', '600'])
      process.kill(pid!, 'SIGKILL')
      assert.deepEqual(await ended, { code: null, signal: 'SIGKILL', output: '' })
    })

    it('tells a signal that has two names by the one that everybody uses', async () => {
      const { signal } = await run(['/bin/sh', '-c', 'kill -ABRT $$'])
      assert.equal(signal, 'SIGABRT')
    })

    it('leaves no zombie', async () => {
      const { pid, ended } = start(['/bin/true'])
      await ended
      assert.equal(openProcessTable().entry(pid!), null)
    })

    it('appends both outputs to the log', async () => {
      const { output } = await run(['/bin/sh', '-c', 'echo out; echo err >&2; echo out'])
      assert.equal(output, 'out\nerr\nout\n')
    })

    it('gives it a session and a group of its own, stdin on nothing, and no signal held back', async () => {
      const { pid, ended } = start(['/bin/sh', '-c', LOOK])
      const { output } = await ended
      const [stat = '', ...rest] = output.split('\n')
      const [, , group, session] = stat
        .slice(stat.lastIndexOf(')') + 1)
        .trim()
        .split(' ')
      assert.deepEqual([Number(group), Number(session)], [pid, pid])
      assert.match(rest.join('\n'), / -> \/dev\/null\n.*\nSigBlk:\s0{16}\nSigIgn:\s0{16}\n/)
      assert.ok(rest.includes(folder))
    })

    it('passes exactly the declared environment and arguments, whatever they hold', async () => {
      const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'))
      const name = fc.stringMatching(/^V_[A-Z0-9_]{1,8}$/)
      await fc.assert(
        fc.asyncProperty(fc.dictionary(name, text), fc.array(text, { maxLength: 6 }), async (env, args) => {
          const script = 'printf "%s\\0" "$@"; exec cat /proc/self/environ'
          const { output } = await run(['/bin/sh', '-c', script, 'sh', ...args], { env: { PATH, ...env } })
          const found = output.split('\0').slice(0, -1)
          const told = args.length === 0 ? [''] : args
          assert.deepEqual(found.slice(0, told.length), told)
          const variables = found.slice(told.length).filter((variable) => !variable.startsWith('PWD='))
          const wanted = Object.entries({ PATH, ...env }).map(([key, value]) => `${key}=${value}`)
          assert.deepEqual(variables.sort(), wanted.sort())
        }),
        { numRuns: 25 },
      )
    })

    it('runs a script that names no interpreter, as a shell would', async () => {
      const path = join(folder, `plain-${name.length}`)
      writeFileSync(path, 'echo ran\nexit 3\n')
      chmodSync(path, 0o755)
      assert.deepEqual(await run([path]), { code: 3, signal: null, output: 'ran\n' })
    })

    it('keeps the name that the program was called by', async () => {
      const { output } = await run(['sh', '-c', 'tr "\\0" " " < /proc/$$/cmdline'], { path: '/bin/sh' })
      assert.match(output, /^sh -c /)
    })

    for (const [what, command, more, code] of [
      ['a program that does not exist', [join(folder, 'absent')], {}, 'ENOENT'],
      ['a program that may not be executed', ['/etc/passwd'], {}, 'EACCES'],
      ['a working folder that does not exist', ['/bin/true'], { cwd: join(folder, 'absent') }, 'ENOENT'],
      ['more arguments than the system takes', ['/bin/true', 'x'.repeat(3_000_000)], {}, 'E2BIG'],
      ['a text with a zero byte', ['/bin/true', 'a\0b'], {}, 'ERR_INVALID_ARG_VALUE'],
    ] as const) {
      it(`tells why it could not start: ${what}`, async () => {
        await assert.rejects(run(command, more), { code })
      })
    }

    it('tells every one of a hundred that end together, beside children that Node has started', async () => {
      const others = Array.from({ length: 10 }, (_, index) => {
        const end = Promise.withResolvers<number | null>()
        spawn('/bin/sh', ['-c', `exit ${index}`]).on('exit', end.resolve)
        return end.promise
      })
      const running = Array.from({ length: 100 }, (_, index) => start(['/bin/sh', '-c', `exit ${index}`]))
      const codes = await Promise.all(running.map(async ({ ended }) => (await ended).code))
      assert.deepEqual(codes, [...codes.keys()])
      assert.deepEqual(await Promise.all(others), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    })
  })
}

describe('a started process', () => {
  const posix = openPosixSpawn()
  it('is started by posix_spawn on Linux', { skip: process.platform !== 'linux' }, () => {
    assert.notEqual(posix, null)
  })
  if (posix !== null) contract('by posix_spawn', posix)
  contract("by Node's own spawn", null)

  it("is started by Node where posix_spawn is not to be had, and macOS has it in Node's own", () => {
    assert.equal(openPosixSpawn('darwin'), null)
  })

  it('says nothing of an experimental module', async () => {
    const script = `import { openPosixSpawn } from './supervisor/shell/posix-spawn.ts'; openPosixSpawn()`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '..', '..'),
    })
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    await new Promise((resolve) => child.on('close', resolve))
    assert.equal(said, '')
  })
})
