import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { claude } from '../../probes/claude.ts'
import { changedEnvironment } from '../../supervisor/shell/environment.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { fakeBrain } from './brain.ts'
import { createTarget, openProbe, reasonOf, temporaryFolder } from './target.ts'

const OK = { kind: 'pass', note: '1.2.3; handshake ok; login not checked' }

/** Processes of this system whose marker belongs to a probe of this test process. */
function left(): number[] {
  const table = openProcessTable()
  return table.list().flatMap(({ pid, zombie }) => {
    const marker = zombie ? null : table.marker(pid)
    return marker?.kind === 'run' && marker.run.includes(`-${process.pid}-`) ? [pid] : []
  })
}

describe('the canary of Claude Code', () => {
  for (const mode of ['session', 'mcp'] as const) {
    it(`${mode}: passes with the version, and leaves no file and no process`, async (t) => {
      const folder = await temporaryFolder(t)
      const cache = join(folder, 'cache')
      const check = await openProbe(
        t,
        claude,
        { program: fakeBrain(folder, 'leaves'), mode },
        createTarget(cache),
      )
      assert.deepEqual(await check(), OK)
      assert.deepEqual([readdirSync(cache), left()], [[], []])
    })

    it(`${mode}: says what was missing from the answers, and how the program ended`, async (t) => {
      const folder = await temporaryFolder(t)
      const reasons: string[] = []
      for (const fault of ['empty', 'dies', 'no-version']) {
        const check = await openProbe(t, claude, { program: fakeBrain(folder, fault), mode })
        reasons.push(reasonOf(await check()))
      }
      const empty =
        mode === 'mcp' ? 'tools/list: no tool' : 'initialize: the answer names no commands or no account'
      assert.deepEqual(reasons, [
        `claude: ${empty}`,
        'claude: exited with code 3 before it answered initialize: its library is missing',
        'claude: --version prints no version',
      ])
    })
  }

  it('names each step with its time', async (t) => {
    const folder = await temporaryFolder(t)
    const steps: string[] = []
    const target = createTarget(folder, {
      step: (name, ms, detail) => steps.push(`${name} ${Number.isFinite(ms)} ${detail ?? ''}`.trim()),
    })
    const check = await openProbe(t, claude, { program: fakeBrain(folder, 'ok') }, target)
    await check()
    assert.deepEqual(steps, [
      'version true 1.2.3',
      'start true',
      'initialize true 1 commands',
      'mcp_status true',
      'close true',
    ])
  })

  it('that never answers fails at once when its time is over, and is gone when the probe is closed', async (t) => {
    const folder = await temporaryFolder(t)
    const cache = join(folder, 'cache')
    const steps = new AbortController()
    const target = createTarget(cache, { step: (name) => name === 'start' && steps.abort() })
    const probe = await claude.open({ program: fakeBrain(folder, 'hangs'), mode: 'session' }, target)
    assert.equal(reasonOf(await probe.check(steps.signal)), 'claude: initialize: no answer in time')
    await probe.close()
    assert.deepEqual([readdirSync(cache), left()], [[], []])
  })

  it('that can see a login fails and is ended', async (t) => {
    const folder = await temporaryFolder(t)
    const check = await openProbe(t, claude, { program: fakeBrain(folder, 'logged-in') })
    assert.match(reasonOf(await check()), /its canary could see a login/)
  })

  it('gets a home of its own, no network, and none of the variables that hold a login', async (t) => {
    const folder = await temporaryFolder(t)
    const declared = {
      PATH: process.env['PATH'] ?? '',
      HOME: '/home/me',
      ANTHROPIC_API_KEY: 'k',
      CLAUDE_CODE_OAUTH_TOKEN: 'k',
      OPENAI_API_KEY: 'k',
      XDG_CONFIG_HOME: '/home/me/.config',
      MINE: 'kept',
    }
    const plain = createTarget(join(folder, 'cache'))
    const target = createTarget(join(folder, 'cache'), {
      converse: (argv, options) =>
        plain.converse(argv, { ...options, env: changedEnvironment(declared, options.env ?? {}) }),
    })
    const check = await openProbe(t, claude, { program: fakeBrain(folder, 'tells') }, target)
    assert.deepEqual(await check(), OK)
    const { env, cwd, args } = JSON.parse(readFileSync(join(folder, 'told', '1.2.3.json'), 'utf8'))
    assert.deepEqual([env.HOME, env.CLAUDE_CONFIG_DIR, env.TMPDIR], [cwd, `${cwd}/.claude`, `${cwd}/tmp`])
    assert.ok(cwd.startsWith(join(folder, 'cache', 'canary-under-test-')), cwd)
    const names = Object.keys(env).filter((name) => /^(ANTHROPIC|OPENAI|CLAUDE|XDG|MINE)/.test(name))
    assert.deepEqual(names.sort(), [
      'ANTHROPIC_BASE_URL',
      'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC',
      'CLAUDE_CODE_MAX_RETRIES',
      'CLAUDE_CONFIG_DIR',
      'MINE',
    ])
    assert.deepEqual([env.ANTHROPIC_BASE_URL, env.HTTPS_PROXY], ['http://127.0.0.1:1', 'http://127.0.0.1:1'])
    assert.ok(args.includes('--strict-mcp-config'))
  })

  it('tells a change of the version once, and says that the program is gone', async (t) => {
    const folder = await temporaryFolder(t)
    const told: string[] = []
    const target = createTarget(folder, { tell: (event, text) => told.push(`${event}: ${text}`) })
    const check = await openProbe(t, claude, { program: fakeBrain(folder, 'ok') }, target)
    await check()
    fakeBrain(folder, 'ok', '1.3.0')
    await check()
    await check()
    assert.deepEqual(told, ['version-changed: 1.2.3 -> 1.3.0'])
    const gone = await openProbe(t, claude, { program: join(folder, 'none') }, target)
    assert.equal(reasonOf(await gone()), 'claude is not there any more')
  })

  it('removes what the canaries of a supervisor that was killed have left, and nothing else', async (t) => {
    const cache = await temporaryFolder(t)
    for (const name of ['canary-under-test-1-AbCdEf', 'canary-other-1-AbCdEf', 'schema.json'])
      mkdirSync(join(cache, name))
    writeFileSync(join(cache, 'canary-under-test-1-AbCdEf', 'file'), '')
    await openProbe(t, claude, {}, createTarget(cache))
    assert.deepEqual(readdirSync(cache).sort(), ['canary-other-1-AbCdEf', 'schema.json'])
  })
})
