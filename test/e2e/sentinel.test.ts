/** The sentinel's script as it is, by /bin/sh, against a real supervisor and the fake Telegram. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Finding } from '../../supervisor/boot/findings.ts'
import { type FakeTelegram, OWNER, startTelegram, TOKEN } from '../telegram-server.ts'
import { type Ended, kill, type TestMesh, until } from './mesh.ts'
import { openMesh, SLEEPER } from './run-cli.ts'

const SCRIPT = resolve(import.meta.dirname, '../../bin/sentinel.sh')
const ENTRY = resolve(import.meta.dirname, '../../bin/paios.mjs')
/** Seconds between two looks; one is late only after ten, so that a busy machine is none that slept. */
const EVERY = 4
/** Of all of them together: most of it is waiting between looks. */
const LIMIT = { timeout: 480_000 }
const NEEDED = ['date', 'cat', 'find', 'id', 'mv', 'sed', 'sh', 'uname', 'wc', 'echo']

type Place = {
  readonly telegram: FakeTelegram
  readonly mesh: TestMesh
  /** One look, as the timer would have it. */
  look(env?: Readonly<Record<string, string>>, init?: readonly string[]): Promise<Ended>
  /** Looks in the usual distance until it holds. */
  looksUntil(what: string, holds: () => boolean): Promise<void>
  /** What was asked of systemctl, but for questions. */
  asked(): string[]
  log(): string
  readonly path: string
}

/** `state` is what the systemctl of this test says of the unit. */
async function place(
  t: TestContext,
  { hasCurl = true, state = 'active', inEnv = false } = {},
): Promise<Place> {
  const telegram = await startTelegram()
  t.after(() => telegram.close())
  const mesh = openMesh(t)
  const token = join(mesh.home, 'token')
  writeFileSync(token, TOKEN, { mode: 0o600 })
  if (inEnv)
    writeFileSync(join(mesh.home, 'env'), `OTHER=1\nexport BOT_TOKEN = "${TOKEN}"\n`, { mode: 0o600 })
  const reference = inEnv ? '${env:BOT_TOKEN}' : `\${file:${token}}`
  const alerts = { telegram: { token: reference, chat: OWNER, api: telegram.url, commands: false } }
  mesh.write({ kb: { command: SLEEPER } }, { alerts })
  await mesh.cli(['up'])
  await until('the first sign of life', () => existsSync(join(mesh.home, 'run/alive')))
  const path = join(mesh.home, 'bin')
  mkdirSync(path)
  const told = join(mesh.home, 'asked')
  const answer = `case "$2" in show) printf 'ActiveState=${state}\\nResult=success\\n' ;; *) echo "$*" >> ${told} ;; esac`
  writeFileSync(join(path, 'systemctl'), `#!/bin/sh\n${answer}\n`)
  chmodSync(join(path, 'systemctl'), 0o755)
  for (const name of hasCurl ? [...NEEDED, 'curl'] : NEEDED) {
    const found = ['/usr/bin', '/bin'].map((folder) => join(folder, name)).find((file) => existsSync(file))
    if (found) symlinkSync(found, join(path, name))
  }
  const look: Place['look'] = (env = {}, init = ['systemd', 'paios.service']) =>
    new Promise((settle) => {
      const all = { PATH: path, PAIOS_SENTINEL_EVERY: String(EVERY), ...env }
      const args = [SCRIPT, mesh.home, ...init]
      execFile('/bin/sh', args, { env: all }, (error, stdout, stderr) =>
        settle({ code: error ? Number(error.code) : 0, stdout, stderr }),
      )
    })
  return {
    ...{ telegram, mesh, look, path },
    async looksUntil(what, holds) {
      const deadline = performance.now() + 90_000
      for (;;) {
        const { code, stdout, stderr } = await look()
        assert.deepEqual([code, stdout, stderr], [0, '', ''])
        if (holds()) return
        assert.ok(performance.now() < deadline, `not seen: ${what}`)
        await wait((EVERY - 1) * 1_000)
      }
    },
    asked: () => (existsSync(told) ? readFileSync(told, 'utf8').trim().split('\n') : []),
    log: () => {
      const file = join(mesh.home, 'logs/supervisor/sentinel.log')
      return existsSync(file) ? readFileSync(file, 'utf8') : ''
    },
  }
}

const RESTART = '--user --no-block restart paios.service'
const restarts = (at: Place) => at.asked().filter((line) => line === RESTART).length
/** The number of looks; the file is replaced with each. */
const stampOf = ({ mesh }: Place) => readFileSync(join(mesh.home, 'run/sentinel'), 'utf8').trim()

/** What doctor says of the sentinel. */
async function sentinelFindings({ mesh }: Place): Promise<Finding[]> {
  const { stdout } = await mesh.cli(['doctor', '--json'])
  const { findings } = JSON.parse(stdout) as { findings: Finding[] }
  return findings.filter(({ id }) => id.includes('sentinel'))
}

describe('the sentinel', LIMIT, () => {
  it('leaves a supervisor that lives alone', async (t) => {
    const at = await place(t)
    let looks = 0
    await at.looksUntil('four looks', () => ++looks >= 4)
    assert.deepEqual([at.asked(), at.log()], [[], ''])
    assert.match(stampOf(at), /^\d+ 0 0 0$/)
  })

  it('starts one that was killed again, tells the chat if that did not help, and that it is back', async (t) => {
    const at = await place(t)
    await at.mesh.killSupervision()
    await at.looksUntil('the first restart', () => restarts(at) === 1)
    assert.equal(at.telegram.shown().length, 0, 'one restart is no reason to wake anybody')
    await at.looksUntil('the second restart', () => restarts(at) === 2)
    assert.equal(at.telegram.shown().length, 1)
    const { text, chat } = at.telegram.shown()[0]!
    assert.equal(chat, OWNER)
    assert.match(
      text,
      /the PAIOS supervisor gives no sign of life, and starting it again has not helped\. Look at/,
    )
    assert.match(at.log(), /no sign of life for 8 s: starting the supervisor again through systemd/)
    await at.looksUntil('the third restart', () => restarts(at) === 3)
    assert.equal(at.telegram.shown().length, 1, 'told once')
    await at.mesh.cli(['up'])
    await at.looksUntil('that it is back', () => at.telegram.shown().length === 2)
    assert.match(at.telegram.shown()[1]!.text, /the PAIOS supervisor is back/)
    assert.match(stampOf(at), / 0 0 0$/)
    assert.ok(!at.log().includes(TOKEN))
  })

  it('finds the token in PAIOS_HOME/env, and nowhere else does it stand', async (t) => {
    const at = await place(t, { inEnv: true })
    rmSync(join(at.mesh.home, 'token'))
    assert.match(readFileSync(join(at.mesh.home, 'run/sentinel.conf'), 'utf8'), /^token_env=BOT_TOKEN$/m)
    await at.mesh.killSupervision()
    await at.looksUntil('the message', () => at.telegram.shown().length === 1)
    for (const file of ['run/sentinel.conf', 'run/sentinel', 'logs/supervisor/sentinel.log'])
      assert.ok(!readFileSync(join(at.mesh.home, file), 'utf8').includes(TOKEN), file)
  })

  it('brings the mesh up again by itself where nothing is installed, run by any timer', async (t) => {
    const at = await place(t)
    const { pid } = await at.mesh.service('kb')
    await at.mesh.killSupervision()
    const by = ['up', process.execPath, ENTRY]
    await until('the next supervisor', async () => {
      assert.deepEqual(await at.look({}, by), { code: 0, stdout: '', stderr: '' })
      await wait((EVERY - 1) * 1_000)
      return /through up/.test(at.log())
    })
    assert.equal(
      (await at.mesh.untilService('kb', 'it is adopted', (one) => one.state === 'running')).pid,
      pid,
    )
    await until('that it sees it', async () => {
      await at.look({}, by)
      await wait((EVERY - 1) * 1_000)
      return stampOf(at).endsWith(' 0 0 0')
    })
    assert.match(at.log(), /the supervisor gives signs of life again/)
    assert.equal(at.telegram.shown().length, 0)
    // What doctor says of a sentinel of cron: nothing, while it looks; then how to have one.
    assert.deepEqual(await sentinelFindings(at), [])
    rmSync(join(at.mesh.home, 'run/sentinel'))
    const [none] = await sentinelFindings(at)
    assert.equal(none?.id, 'no-sentinel')
    const line = `/bin/sh ${SCRIPT} ${at.mesh.home} up ${process.execPath} ${ENTRY}`
    assert.ok(none?.remedy.includes(line), none?.remedy)
  })

  it('leaves one alone that hangs where nothing is installed, and tells the chat', async (t) => {
    const at = await place(t)
    const pid = at.mesh.supervisorPid()
    kill(pid, 'SIGSTOP')
    try {
      await until('the message', async () => {
        assert.deepEqual(await at.look({}, ['up', process.execPath, ENTRY]), {
          code: 0,
          stdout: '',
          stderr: '',
        })
        await wait((EVERY - 1) * 1_000)
        return at.telegram.shown().length === 1
      })
      assert.ok(at.log().includes(`that failed: process ${pid} is there and gives no sign of life`), at.log())
    } finally {
      kill(pid, 'SIGCONT')
    }
  })

  it('is named by doctor where it could not write to the chat, with what to type', async (t) => {
    const at = await place(t)
    await at.look({}, ['up', process.execPath, ENTRY])
    assert.deepEqual(await sentinelFindings(at), [])
    rmSync(join(at.mesh.home, 'token'))
    const [lost] = await sentinelFindings(at)
    assert.match(`${lost?.id} ${lost?.what} ${lost?.remedy}`, /sentinel-mute .*token.* paios alerts setup/)
    const telegram = (token: string) => ({
      alerts: { telegram: { token, chat: OWNER, api: at.telegram.url } },
    })
    at.mesh.write({ kb: { command: SLEEPER } }, telegram('${env:BOT_TOKEN}'))
    const [absent] = await sentinelFindings(at)
    assert.equal(absent?.remedy, `write BOT_TOKEN=… into ${at.mesh.home}/env, or: paios alerts setup`)
    writeFileSync(join(at.mesh.home, 'env'), `BOT_TOKEN=${TOKEN}\n`, { mode: 0o600 })
    assert.deepEqual(await sentinelFindings(at), [])
    at.mesh.write({ kb: { command: SLEEPER } }, telegram('${json:/etc/x.json#a}'))
    const [other] = await sentinelFindings(at)
    assert.match(`${other?.what} ${other?.where}`, /reads a token from a file, or from a variable \$\{json:/)
  })

  it('sees one that is stopped and does not run', async (t) => {
    const at = await place(t)
    const pid = at.mesh.supervisorPid()
    kill(pid, 'SIGSTOP')
    try {
      await at.looksUntil('the restart', () => restarts(at) === 1)
    } finally {
      kill(pid, 'SIGCONT')
    }
    await at.looksUntil('that it lives', () => stampOf(at).endsWith(' 0 0 0'))
    assert.equal(at.telegram.shown().length, 0)
  })

  it('asks launchd the same way, and leaves a job alone that is not loaded', async (t) => {
    const at = await place(t)
    await at.mesh.killSupervision()
    // launchctl as far as the script needs it: print says whether the job is loaded.
    const launchctl = join(at.mesh.home, 'launchctl')
    const loaded = join(at.mesh.home, 'loaded')
    const verbs = `case "$1" in print) test -e ${loaded} ;; *) echo "$*" >> ${at.mesh.home}/asked ;; esac`
    writeFileSync(launchctl, `#!/bin/sh\n${verbs}\n`)
    chmodSync(launchctl, 0o755)
    const env = { PAIOS_LAUNCHCTL: launchctl }
    for (let looks = 0; looks < 4; looks++) {
      await at.look(env, ['launchd', 'dev.paios.supervisor'])
      await wait((EVERY - 1) * 1_000)
    }
    assert.deepEqual(at.asked(), [])
    writeFileSync(loaded, '')
    await until('the restart', async () => {
      await at.look(env, ['launchd', 'dev.paios.supervisor'])
      await wait((EVERY - 1) * 1_000)
      return at.asked().length > 0
    })
    assert.match(at.asked()[0]!, /^kickstart -k gui\/\d+\/dev\.paios\.supervisor$/)
  })

  it('gives no false alarm after sleep, nor where the clock was set back', async (t) => {
    const at = await place(t)
    await at.look()
    const pid = at.mesh.supervisorPid()
    kill(pid, 'SIGSTOP')
    // Each look comes after a night, or before the last one: nothing is known of the time between.
    try {
      for (const hours of [8, -8, 8, 8]) {
        const [last, ...rest] = stampOf(at).split(' ')
        writeFileSync(
          join(at.mesh.home, 'run/sentinel'),
          `${Number(last) - hours * 3_600} ${rest.join(' ')}\n`,
        )
        await at.look()
        assert.match(stampOf(at), / 0 0 0$/)
      }
    } finally {
      kill(pid, 'SIGCONT')
    }
    assert.deepEqual([at.asked(), at.log()], [[], ''])
  })

  it('is silent where the mesh was taken down, or the unit was stopped by systemctl', async (t) => {
    const down = await place(t)
    await down.mesh.cli(['down'])
    let looks = 0
    await down.looksUntil('four looks', () => ++looks >= 4)
    const stopped = await place(t, { state: 'inactive' })
    await stopped.mesh.killSupervision()
    looks = 0
    await stopped.looksUntil('four looks', () => ++looks >= 4)
    for (const at of [down, stopped]) assert.deepEqual([at.asked(), at.log()], [[], ''])
  })

  it('says so where there is no curl, where nothing answers, and where there is no chat', async (t) => {
    const at = await place(t, { hasCurl: false })
    await at.mesh.killSupervision()
    await at.looksUntil('the second restart', () => restarts(at) === 2)
    assert.match(at.log(), /nobody was told: curl is not installed/)
    symlinkSync('/usr/bin/curl', join(at.path, 'curl'))
    at.telegram.fail(['sendMessage'], { kind: 'refuse', code: 403, text: 'Forbidden' }, 1)
    await at.looksUntil('a refusal', () => at.log().includes('Telegram answered 403'))
    writeFileSync(join(at.mesh.home, 'run/sentinel.conf'), '')
    await at.looksUntil('no chat', () => at.log().includes('names no Telegram chat'))
  })

  it('hands the token to curl where nobody can see it', async (t) => {
    const at = await place(t)
    // A curl that writes down how it was called.
    const seen = join(at.mesh.home, 'curl-args')
    const program = join(at.path, 'curl')
    const spy = `echo "$*" > ${seen}; env >> ${seen}; exec /usr/bin/curl "$@"`
    rmSync(program)
    writeFileSync(program, `#!/bin/sh\n${spy}\n`)
    chmodSync(program, 0o755)
    symlinkSync('/usr/bin/env', join(at.path, 'env'))
    await at.mesh.killSupervision()
    await at.looksUntil('the message', () => at.telegram.shown().length === 1)
    assert.match(readFileSync(seen, 'utf8'), /--config -/)
    assert.ok(!readFileSync(seen, 'utf8').includes(TOKEN))
  })
})
