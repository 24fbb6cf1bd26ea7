/**
 * The preset against a running gateway: the real one, and the double that fast tests use. Both must pass the
 * same checks, so the double cannot drift from the program that it stands for.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { probeKinds } from '../../probes/index.ts'
import type { OpenProbe, ProbeResult, ProbeTarget } from '../../probes/probe.ts'
import type { ServiceSpec } from '../../schemas/service.ts'
import { classify } from '../../supervisor/core/exits.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { freePort, type GatewayHome, gatewayHome, installBrains } from '../brains.ts'
import { createTarget, startProgram } from '../probes/target.ts'
import { specOf } from './spec.ts'

const START_LIMIT_MS = 120_000
const HOLDER = fileURLToPath(new URL('../fixtures/holds-database.mjs', import.meta.url))
const fake = fileURLToPath(new URL('../fixtures/fake-gateway.mjs', import.meta.url))

type Life = {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  readonly target: ProbeTarget
  log(): string
}

function startLife(spec: ServiceSpec, gw: GatewayHome, name: string): Life {
  const logPath = join(gw.home, `${name}.log`)
  const out = openSync(logPath, 'a')
  const [program = '', ...args] = spec.command ?? []
  const env = { ...gw.env, ...spec.env }
  const child = spawn(program, args, { env, stdio: ['ignore', out, out], detached: true })
  return {
    child,
    ended: once(child, 'exit'),
    target: targetOf(gw, env, child.pid ?? null, logPath),
    log: () => readFileSync(logPath, 'utf8'),
  }
}

const programs = openProbePrograms(openProcessTable(), 'contract')

function targetOf(
  gw: GatewayHome,
  env: Record<string, string>,
  pid: number | null,
  logPath: string | null,
): ProbeTarget {
  return createTarget(join(gw.home, 'cache'), {
    pid,
    startedAtMs: pid === null ? null : Date.now(),
    logPath,
    run: (argv, { env: added = {}, ...rest }) => {
      const kept = Object.entries({ ...env, ...added }).flatMap(([key, value]) =>
        value === null ? [] : [[key, value] as const],
      )
      return programs.run(argv, { ...rest, env: Object.fromEntries(kept), cwd: gw.home })
    },
  })
}

/** One check of one probe of the spec, its token reference resolved as the shell does it. */
async function check(
  spec: ServiceSpec,
  name: string,
  target: ProbeTarget,
  gw: GatewayHome,
): Promise<ProbeResult> {
  const found = spec.probes.find((one) => one.name === name)
  assert.ok(found, `no probe ${name}`)
  const settings = found.kind === 'ws' ? { ...found, token: gw.token } : found
  const kind = probeKinds[found.kind] as unknown as {
    open(settings: object, target: ProbeTarget): Promise<OpenProbe>
  }
  const open = await kind.open(settings, target)
  try {
    return await open.check(AbortSignal.timeout(found.timeout))
  } finally {
    await open.close()
  }
}

async function endLife({ child, ended }: Life): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL')
  await ended
}

async function untilStarted(spec: ServiceSpec, life: Life, gw: GatewayHome): Promise<ProbeResult[]> {
  const seen: ProbeResult[] = []
  for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline; await wait(100)) {
    seen.push(await check(spec, 'startup', life.target, gw))
    if (seen.at(-1)?.kind === 'pass') return seen
    assert.equal(life.child.exitCode, null, life.log())
  }
  throw new Error(`not started:\n${life.log()}`)
}

async function untilLogged(life: Life, line: RegExp): Promise<void> {
  for (const deadline = Date.now() + START_LIMIT_MS; !line.test(life.log()); await wait(50)) {
    assert.ok(Date.now() < deadline, `no line ${line}:\n${life.log()}`)
  }
}

function contract(title: string, isReal: boolean): void {
  describe(title, () => {
    let gw: GatewayHome
    let spec: ServiceSpec
    let life: Life

    const start = (name: string) => {
      life = startLife(spec, gw, name)
      return untilStarted(spec, life, gw)
    }

    before(async () => {
      gw = await gatewayHome()
      spec = specOf(
        'openclaw-gateway',
        { port: gw.port, program: isReal ? await installBrains() : fake },
        gw.home,
      )
    })

    after(async () => {
      await endLife(life)
      await gw.remove()
    })

    it('passes its preflights before the first start', async () => {
      const nobody = targetOf(gw, { ...gw.env, ...spec.env }, null, null)
      for (const name of ['config', 'port-free', 'lock-free']) {
        assert.deepEqual(await check(spec, name, nobody, gw), { kind: 'pass', note: null }, name)
      }
    })

    it('starts, and then every probe passes', async () => {
      await start('first')
      for (const { name = '' } of spec.probes) {
        const result = await check(spec, name, life.target, gw)
        assert.equal(result.kind, 'pass', `${name}: ${JSON.stringify(result)}`)
      }
    })

    it('is seen by the preflights of a second one: port and lock are held', async () => {
      const nobody = targetOf(gw, { ...gw.env, ...spec.env }, null, null)
      const pid = String(life.child.pid)
      for (const name of ['port-free', 'lock-free']) {
        const result = await check(spec, name, nobody, gw)
        assert.ok(result.kind === 'fail' && result.reason.includes(pid), `${name}: ${JSON.stringify(result)}`)
      }
    })

    it('refuses a wrong token, and the reason does not hold it', async () => {
      const result = await check(spec, 'rpc', life.target, { ...gw, token: 'not-the-token' })
      assert.ok(result.kind === 'fail' && /AUTH_TOKEN_MISMATCH/.test(result.reason), JSON.stringify(result))
      assert.doesNotMatch(result.reason, /not-the-token/)
    })

    // The double has no database.
    if (isReal)
      it('is seen to be locked out of its database, and by whom', async (t) => {
        const database = join(gw.stateDir, 'state', 'openclaw.sqlite')
        const { pid } = await startProgram(t, [process.execPath, HOLDER, database, 'BEGIN IMMEDIATE'])
        const reason = `openclaw.sqlite: database locked by pid ${pid} (node holds-database.mjs)`
        const result = await check(spec, 'database-lock', life.target, gw)
        assert.deepEqual(result, { kind: 'fail', reason, progress: false })
      })

    it('stays green on a broken file, which only the repeated config check sees', async () => {
      await gw.writeConfig({ ...gw.config, bogusKey: 1 })
      const config = await check(spec, 'config', life.target, gw)
      assert.ok(config.kind === 'fail' && /bogusKey/.test(config.reason), JSON.stringify(config))
      for (const name of ['live', 'ready', 'rpc']) {
        assert.equal((await check(spec, name, life.target, gw)).kind, 'pass', name)
      }
      await gw.writeConfig(gw.config)
      assert.equal((await check(spec, 'config', life.target, gw)).kind, 'pass')
    })

    it('ends on SIGTERM with the lines that the stop steps wait for', async () => {
      life.child.kill('SIGTERM')
      assert.deepEqual(await life.ended, [0, null])
      for (const step of spec.stop) {
        if (step.step === 'wait-log') assert.match(life.log(), new RegExp(step.pattern))
      }
    })

    it('asks for its own restart with exit 0, which is planned', async () => {
      await start('second')
      if (isReal) {
        const port = await freePort()
        await gw.writeConfig({ ...gw.config, gateway: { ...(gw.config['gateway'] as object), port } })
      } else life.child.kill('SIGUSR2')
      assert.deepEqual(await life.ended, [0, null])
      await gw.writeConfig(gw.config)
      const ending = classify(spec, { code: 0, signal: null }, life.log())
      assert.equal(ending.class, 'planned')
      assert.match(ending.reason, /gateway\.port/)
    })

    it('exits 78 on a broken file, and the reason is its first error', async () => {
      await gw.writeConfig({ ...gw.config, bogusKey: 1 })
      life = startLife(spec, gw, 'broken')
      assert.deepEqual(await life.ended, [78, null])
      const ending = classify(spec, { code: 78, signal: null }, life.log())
      assert.equal(ending.class, 'fatal')
      assert.match(ending.reason, /Unrecognized key: "bogusKey"/)
      await gw.writeConfig(gw.config)
    })

    it('leaves its lock after SIGKILL, and the lock counts as free', async () => {
      await start('third')
      await untilLogged(life, /\[gateway\] ready/)
      process.kill(-(life.child.pid ?? 0), 'SIGKILL')
      await life.ended
      const nobody = targetOf(gw, { ...gw.env, ...spec.env }, null, null)
      const result = await check(spec, 'lock-free', nobody, gw)
      assert.ok(result.kind === 'pass' && /stale/.test(result.note ?? ''), JSON.stringify(result))
    })
  })
}

contract('the preset against the double of the gateway', false)
contract('the preset against the real OpenClaw gateway', true)

describe('the double of the gateway', () => {
  it('blocks as a hung gateway does: it is connected to, answers nothing, and SIGTERM is lost', async (t) => {
    const gw = await gatewayHome()
    const control = join(gw.home, 'control.json')
    const spec = specOf('openclaw-gateway', { port: gw.port, program: fake }, gw.home)
    const life = startLife({ ...spec, env: { ...spec.env, FAKE_GATEWAY: control } }, gw, 'hung')
    t.after(() => endLife(life).then(gw.remove))
    await untilStarted(spec, life, gw)
    await writeFile(control, '{"hang":true}')
    let live = await check(spec, 'live', life.target, gw)
    while (live.kind === 'pass') live = await check(spec, 'live', life.target, gw)
    assert.ok(live.kind === 'fail' && /no answer in time/.test(live.reason), JSON.stringify(live))
    life.child.kill('SIGTERM')
    assert.equal((await check(spec, 'live', life.target, gw)).kind, 'fail')
    assert.equal(life.child.exitCode, null)
  })

  it('drains slowly when it is told to, and then settles and leaves', async (t) => {
    const gw = await gatewayHome()
    const control = join(gw.home, 'control.json')
    await writeFile(control, '{"stop":"slow","stopMs":300}')
    const spec = specOf('openclaw-gateway', { port: gw.port, program: fake }, gw.home)
    const life = startLife({ ...spec, env: { ...spec.env, FAKE_GATEWAY: control } }, gw, 'slow')
    t.after(() => endLife(life).then(gw.remove))
    await untilStarted(spec, life, gw)
    life.child.kill('SIGTERM')
    await untilLogged(life, /draining active work/)
    const ready = await check(spec, 'ready', life.target, gw)
    assert.ok(ready.kind === 'fail' && /gateway-draining/.test(ready.reason), JSON.stringify(ready))
    assert.deepEqual(await life.ended, [0, null])
    assert.match(life.log(), /drain settled/)
  })
})
