import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { ServiceSpec } from '../../schemas/service.ts'
import { classify } from '../../supervisor/core/exits.ts'
import { specOf } from './spec.ts'

const HOME = '/home/me'
const gateway = (settings: Record<string, unknown> = {}): ServiceSpec =>
  specOf('openclaw-gateway', settings, HOME)

const fixture = (name: string) =>
  readFileSync(new URL(`../fixtures/gateway/${name}.txt`, import.meta.url), 'utf8')

function probe(spec: ServiceSpec, name: string) {
  const found = spec.probes.find((one) => one.name === name)
  assert.ok(found, `no probe ${name}`)
  return found
}

describe('exits of the gateway, on its real last lines', () => {
  const cases: [name: string, code: number | null, signal: string | null, kind: string, reason: RegExp][] = [
    ['self-restart', 0, null, 'planned', /asked for itself \(SIGUSR2: config reload: gateway\.port\)$/],
    ['stop-sigterm', 0, null, 'success', /somebody else sent it SIGTERM$/],
    ['config-unknown-key', 78, null, 'fatal', /not valid: <root>: Unrecognized key: "bogusKey"$/],
    [
      'config-unknown-keys',
      78,
      null,
      'fatal',
      /json:15 — agents\.defaults: Unrecognized keys: "nopeKey", "other"$/,
    ],
    [
      'config-wrong-type',
      78,
      null,
      'fatal',
      /gateway\.port: Invalid input: expected number, received string$/,
    ],
    ['config-missing', 78, null, 'fatal', /configuration file is missing$/],
    ['config-no-mode', 78, null, 'fatal', /has no gateway\.mode/],
    ['config-truncated', 78, null, 'fatal', /cut off/],
    ['config-empty', 78, null, 'fatal', /is empty/],
    ['config-remote-mode', 78, null, 'fatal', /gateway\.mode is remote, not local$/],
    ['second-gateway', 78, null, 'fatal', /another OpenClaw process uses the same state directory$/],
    ['bind-without-auth', 78, null, 'fatal', /refuses to listen on lan without authentication$/],
    ['database-damaged', 78, null, 'fatal', /damaged: \/home\/me\/\.openclaw\/state\/openclaw\.sqlite$/],
    ['disk-full', 78, null, 'fatal', /disk is full/],
    ['disk-full-later', 1, null, 'failure', /disk is full/],
    ['port-held', 1, null, 'failure', /port is held by pid 4635$/],
    ['database-locked-start', 1, null, 'failure', /database is locked by another process$/],
    ['node-too-old', 1, null, 'fatal', /PATH is 20\.20\.2, and it needs 24\.16\+\/26\.1\+/],
    ['auth-profile-migration', 1, null, 'fatal', /openclaw doctor --fix/],
    ['heap-exhausted', null, 'SIGABRT', 'failure', /^killed by SIGABRT: its JavaScript heap is used up/],
    ['heap-exhausted', 134, null, 'failure', /JavaScript heap is used up/],
  ]
  for (const [name, code, signal, kind, reason] of cases) {
    it(`${name} with ${code ?? signal} is ${kind}`, () => {
      const ending = classify(gateway(), { code, signal }, fixture(name))
      assert.equal(ending.class, kind)
      assert.match(ending.reason, reason)
    })
  }

  it('any other exit 78 is fatal, with its own words where it has some', () => {
    assert.equal(classify(gateway(), { code: 78, signal: null }, '').class, 'fatal')
    const ending = classify(
      gateway(),
      { code: 78, signal: null },
      'Gateway failed to start: no moon tonight\n',
    )
    assert.deepEqual([ending.class, ending.reason], ['fatal', 'exit code 78: no moon tonight'])
  })

  it('an exit 0 whose log tells nothing is a restart that it asked for', () => {
    assert.equal(classify(gateway(), { code: 0, signal: null }, 'nothing of use\n').class, 'planned')
  })

  it('an exit 1 without a known line and a SIGKILL are failures', () => {
    assert.equal(classify(gateway(), { code: 1, signal: null }, 'oops\n').class, 'failure')
    assert.equal(classify(gateway(), { code: null, signal: 'SIGKILL' }, '').class, 'failure')
  })
})

describe('lines that the preset waits for', () => {
  it('the stop steps find their lines in a real stop', () => {
    const waits = gateway().stop.flatMap((step) => (step.step === 'wait-log' ? [step.pattern] : []))
    assert.equal(waits.length, 2)
    for (const wait of waits) assert.match(fixture('stop-sigterm'), new RegExp(wait))
  })

  it('a provider that refuses its key is seen until a turn has ended well', () => {
    const found = probe(gateway(), 'provider')
    assert.ok(found.kind === 'log' && found.pattern && found.clearPattern)
    assert.match(fixture('provider-answers'), new RegExp(found.clearPattern))
    assert.doesNotMatch(fixture('provider-answers'), new RegExp(found.pattern))
    assert.doesNotMatch(fixture('provider-refuses'), new RegExp(found.clearPattern))
  })

  it('a locked database, a full disk and a dead key are seen, a good start is not taken for one', () => {
    const seenBy = {
      database: 'database-locked-running',
      disk: 'disk-full',
      provider: 'provider-refuses',
    }
    for (const [name, log] of Object.entries(seenBy)) {
      const found = probe(gateway(), name)
      assert.ok(found.kind === 'log' && found.pattern)
      assert.match(fixture(log), new RegExp(found.pattern))
      assert.doesNotMatch(fixture('self-restart'), new RegExp(found.pattern))
      assert.doesNotMatch(fixture('stop-sigterm'), new RegExp(found.pattern))
    }
  })
})

describe('the spec of the gateway', () => {
  it('runs on loopback, as an external supervisor wants it, with paths of the default home', () => {
    const spec = gateway()
    assert.deepEqual(spec.command, ['openclaw', 'gateway', 'run', '--port', '18789', '--bind', 'loopback'])
    assert.deepEqual(spec.env, { OPENCLAW_SUPERVISOR_MODE: 'external', NO_COLOR: '1' })
    assert.deepEqual(spec.ports, [18_789])
    const config = probe(spec, 'config')
    assert.ok(config.kind === 'config')
    assert.equal(config.file, '/home/me/.openclaw/openclaw.json')
    const rpc = probe(spec, 'rpc')
    assert.ok(rpc.kind === 'ws')
    assert.equal(rpc.token, '${json:/home/me/.openclaw/openclaw.json#gateway.auth.token}')
  })

  it('lets config, lock and token follow the state directory, and the config path win for the config', () => {
    const spec = gateway({ stateDir: '~/other', configPath: '/etc/claw.json', port: 20_000 })
    const [config, lock, rpc] = [probe(spec, 'config'), probe(spec, 'lock-free'), probe(spec, 'rpc')]
    assert.ok(config.kind === 'config' && lock.kind === 'lock' && rpc.kind === 'ws')
    assert.equal(config.file, '/etc/claw.json')
    assert.equal(lock.file, '/home/me/other/tmp/openclaw-*/gateway.state.lock')
    const database = probe(spec, 'database-lock')
    assert.ok(database.kind === 'sqlite')
    assert.equal(database.file, '/home/me/other/state/openclaw.sqlite')
    assert.equal(rpc.token, '${json:/etc/claw.json#gateway.auth.token}')
    assert.equal(spec.env['OPENCLAW_STATE_DIR'], '/home/me/other')
    assert.equal(spec.env['OPENCLAW_CONFIG_PATH'], '/etc/claw.json')
    assert.ok(spec.command?.includes('20000'))
  })

  it('takes a token by reference only, and then gives it to the gateway and to the probe', () => {
    const token = '${file:~/.paios/secrets/gateway}'
    const spec = gateway({ token })
    const rpc = probe(spec, 'rpc')
    assert.ok(rpc.kind === 'ws')
    assert.deepEqual([rpc.token, spec.env['OPENCLAW_GATEWAY_TOKEN']], [token, token])
    assert.throws(() => gateway({ token: 'in-plain-sight' }), /expected a reference/)
  })

  it('gives up at the third failure in 10 min, kills at most twice in 5 min, and a hung one at once', () => {
    const spec = gateway()
    assert.deepEqual(spec.intensity, { max: 2, within: 600_000 })
    assert.deepEqual(spec.killLimit, { max: 2, within: 300_000 })
    assert.deepEqual(spec.hangStop, [])
    assert.deepEqual([spec.startTimeout, spec.startTimeoutMax], [90_000, 300_000])
  })

  it('waits for the drain as long as it is told, and no longer than OpenClaw itself would', () => {
    const waits = gateway({ drainGrace: '2m' }).stop.map((step) => ('for' in step ? step.for : null))
    assert.deepEqual(waits, [null, 10_000, 120_000, 15_000])
    assert.throws(() => gateway({ drainGrace: '10m' }), /325s/)
  })

  it('only /healthz may restart it', () => {
    const live = gateway().probes.filter((one) => one.role === 'liveness')
    assert.deepEqual(
      live.map((one) => (one.kind === 'http' ? one.path : one.kind)),
      ['/healthz'],
    )
  })

  it('observed, it is probed and has nothing to start, check before a start or stop', () => {
    const spec = gateway({ observe: true })
    assert.deepEqual([spec.kind, spec.command], ['external', null])
    assert.deepEqual(
      spec.probes.map((one) => `${one.role} ${one.name}`),
      ['liveness live', 'readiness rpc', 'readiness ready', 'readiness database-lock', 'readiness space'],
    )
  })

  it('looks for room and a free database before a start, and not for room where there is no folder yet', () => {
    const names = (settings: object) =>
      gateway({ ...settings })
        .probes.filter(({ role }) => role === 'preflight')
        .map(({ name }) => name)
    const all = ['config', 'port-free', 'lock-free', 'database-free', 'space-free']
    assert.deepEqual(names({}), all)
    assert.deepEqual(names({ stateDir: '~/other' }), all)
    assert.deepEqual(names({ stateDir: '~/other', configPath: '/etc/claw.json' }), all.slice(0, -1))
  })

  it('refuses paths that would break a reference', () => {
    assert.throws(() => gateway({ stateDir: '/a#b' }), /absolute path/)
    assert.throws(() => gateway({ configPath: 'openclaw.json' }), /absolute path/)
  })
})
