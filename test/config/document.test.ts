import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse as parseYaml } from 'yaml'
import { meshJsonSchema } from '../../schemas/mesh.ts'
import { commonFields } from '../../schemas/service.ts'
import { parseMesh } from '../../supervisor/config.ts'
import { LOG_DEFAULTS } from '../../supervisor/core/log-policy.ts'
import { documentError } from '../../supervisor/document/problem.ts'
import { specHash } from '../../supervisor/spec-hash.ts'
import { meshOf, parse, presets, problemsOf } from './sample-presets.ts'

describe('a valid document', () => {
  const text = `version: 1
host: { profile: laptop }
defaults: { timezone: Europe/Berlin, env: { LEVEL: debug, EXTRA: "1" } }
services:
  gateway:
    preset: openclaw-gateway
    port: 18800
    env: { LEVEL: trace }
    stop: [{ step: wait-exit, for: 5s }]
    restart: transient
    probes:
      - { kind: config, file: ~/.openclaw/openclaw.json, role: preflight, every: 1m }
  kb:
    command: [python3, ~/kb/server.py, --at=~/x]
    cwd: ~/kb
    env: { TOKEN: "\${file:~/t}", DATA: ~/data }
    needs: [gateway]
`
  it('becomes one spec per service: the preset, the common fields over it, the defaults below', () => {
    const [gateway, kb] = meshOf(text).specs
    assert.equal(gateway?.preset, 'openclaw-gateway')
    assert.deepEqual(gateway?.command, ['openclaw', 'gateway', 'run', '--port', '18800'])
    assert.deepEqual(gateway?.env, {
      TZ: 'Europe/Berlin',
      LEVEL: 'trace',
      EXTRA: '1',
      OPENCLAW_HOME: '/home/op',
    })
    assert.deepEqual(gateway?.stop, [{ step: 'wait-exit', for: 5000 }])
    assert.equal(gateway?.restart, 'transient')
    assert.deepEqual(gateway?.intensity, { max: 3, within: 600_000 })
    assert.deepEqual(
      gateway?.probes.map((probe) => [probe.kind, probe.every]),
      [
        ['tcp', 10_000],
        ['config', 60_000],
      ],
    )
    assert.equal(kb?.preset, 'process')
    assert.deepEqual(kb?.needs, [{ service: 'gateway', until: 'ready', restart: false }])
  })

  it('expands a leading ~/ in argv and paths, and nowhere else', () => {
    const [gateway, kb] = meshOf(text).specs
    assert.deepEqual(kb?.command, ['python3', '/home/op/kb/server.py', '--at=~/x'])
    assert.equal(kb?.cwd, '/home/op/kb')
    assert.equal(kb?.env['DATA'], '~/data')
    assert.equal(kb?.env['TOKEN'], '${file:~/t}')
    const probe = gateway?.probes.find(({ kind }) => kind === 'config')
    assert.equal(probe?.kind === 'config' && probe.file, '/home/op/.openclaw/openclaw.json')
  })

  it('has defaults for all that it leaves out', () => {
    const mesh = meshOf('version: 1')
    assert.deepEqual(mesh.specs, [])
    assert.deepEqual(mesh.groups, [])
    assert.deepEqual(mesh.host, { profile: 'always_on' })
    assert.deepEqual(mesh.metrics, { port: 18_780, enabled: true })
    assert.deepEqual(mesh.logs, LOG_DEFAULTS)
    assert.deepEqual(mesh.defaults, { env: {}, logs: {}, maxFailedStart: 20_000 })
    assert.deepEqual(mesh.warnings, [])
  })

  it('says how logs are kept: a service over the defaults, which is no part of its spec', () => {
    const text = `version: 1
defaults: { logs: { size: 1MiB, keep: 9, total: 2GiB } }
services:
  a: { command: [x], logs: { age: 2d, keep: 3, rotate: copytruncate } }
  b: { command: [x] }
`
    const { logs, specs } = meshOf(text)
    const defaults = { size: 1024 ** 2, age: LOG_DEFAULTS.defaults.age, keep: 9, rotate: 'stop' }
    assert.deepEqual(logs, {
      defaults,
      services: { a: { ...defaults, age: 2 * 86_400_000, keep: 3, rotate: 'copytruncate' } },
      total: 2 * 1024 ** 3,
    })
    const bare = meshOf(text.replace(/, logs: .* }/, ' }'))
    assert.equal(specHash(specs[0]!), specHash(bare.specs[0]!))
    assert.deepEqual(
      problemsOf(
        'version: 1\nservices: { a: { command: [x], logs: { size: 1KiB, keep: 0, total: 1GiB } } }\n',
      ),
      [
        'paios.yaml:2:46 services.a.logs.size: must be between 64KiB and 1GiB',
        'paios.yaml:2:58 services.a.logs.keep: must be at least 1',
        'paios.yaml:2:61 services.a.logs.total: unknown key `total`',
      ],
    )
  })

  it('is named by the hash of its bytes, a byte order mark included', () => {
    const sha = (bytes: string) => createHash('sha256').update(bytes).digest('hex')
    assert.equal(meshOf('version: 1\n').hash, sha('version: 1\n'))
    assert.equal(meshOf('\uFEFFversion: 1\n').hash, sha('\uFEFFversion: 1\n'))
    const broken = parse('version: 2\n')
    assert.ok(!broken.ok && broken.hash === sha('version: 2\n'))
  })
})

describe('problems of a document', () => {
  it('names the nearest known key for one that is unknown, at every level', () => {
    assert.deepEqual(
      problemsOf(`version: 1
servces: {}
services:
  kb:
    comand: [python3]
    preset: process
    command: [a]
  gw: { preset: openclaw-gateway, prot: 1, command: [x], needs: [{ service: kb, untill: ready }] }
jobs: {}
`),
      [
        'paios.yaml:2:1 servces: unknown key `servces` (did you mean `services`?)',
        'paios.yaml:5:5 services.kb.comand: unknown key `comand` (did you mean `command`?)',
        'paios.yaml:8:35 services.gw.prot: unknown key `prot` (did you mean `port`?)',
        'paios.yaml:8:44 services.gw.command: unknown key `command`',
        'paios.yaml:8:81 services.gw.needs[0].untill: unknown key `untill` (did you mean `until`?)',
        'paios.yaml:9:1 jobs: unknown key `jobs`',
      ],
    )
  })

  it('says what was expected and what was found where the type is wrong', () => {
    assert.deepEqual(
      problemsOf(`version: "1"
services:
  a: { command: python3 }
  b: { command: [x], env: { PORT: 80 }, startTimeout: 10, enabled: maybe }
  c: { command: [x], port: 1.5, needs: [7] }
  d: { command: [x], port: 70000, probes: [{ kind: tcp, role: live }] }
  e:
metrics: []
`),
      [
        'paios.yaml:1:10 version: expected 1, got text',
        'paios.yaml:3:17 services.a.command: expected a list, got text',
        'paios.yaml:4:35 services.b.env.PORT: expected text, got a number (put it in quotes)',
        'paios.yaml:4:55 services.b.startTimeout: expected a duration such as 500ms, 10s, 5m, 2h or 14d, got a number (put it in quotes)',
        'paios.yaml:4:68 services.b.enabled: expected true or false, got text',
        'paios.yaml:5:28 services.c.port: expected a whole number, got a fraction',
        'paios.yaml:5:41 services.c.needs[0]: expected text or a map, got a number',
        'paios.yaml:6:28 services.d.port: must be at most 65535',
        'paios.yaml:6:44 services.d.probes[0].port: is missing: expected a number',
        'paios.yaml:6:63 services.d.probes[0].role: expected one of preflight, startup, readiness, liveness',
        'paios.yaml:7:3 services.e: expected a map, got nothing (write {} for an empty one)',
        'paios.yaml:8:10 metrics: expected a map, got a list',
      ],
    )
  })

  it('tells a service without preset and command both ways to say what it is', () => {
    assert.deepEqual(problemsOf('version: 1\nservices:\n  a: { env: {} }'), [
      'paios.yaml:3:3 services.a: needs a `command`, or a `preset` (one of process, mcp-stdio, openclaw-gateway, claude-code, codex)',
    ])
  })

  it('names the nearest preset, probe kind and signal', () => {
    const [preset, kind, signal] = problemsOf(`version: 1
services:
  a: { preset: mcp-stdoi }
  b: { command: [x], probes: [{ kind: tpc }] }
  c: { command: [x], stop: [{ step: signal, signal: SIGTRM }] }
`)
    assert.match(
      preset ?? '',
      /3:16 services\.a\.preset: unknown preset `mcp-stdoi` \(did you mean `mcp-stdio`\?\)/,
    )
    assert.match(
      kind ?? '',
      /4:\d+ services\.b\.probes\[0\]\.kind: unknown kind `tpc` \(did you mean `tcp`\?\)/,
    )
    assert.match(signal ?? '', /5:\d+ services\.c\.stop\[0\]\.signal: .*\(did you mean `SIGTERM`\?\)/)
  })

  it('refuses a secret in a command, a bad name, an unknown zone and what a preset itself refuses', () => {
    assert.deepEqual(problemsOf('version: 1\nservices: { a: { command: [x, "${env:TOKEN}"] } }'), [
      'paios.yaml:2:27 services.a.command: a command shows in ps: pass secrets through env, not in arguments',
    ])
    assert.deepEqual(problemsOf('version: 1\nservices: { My App: { command: [x] } }'), [
      'paios.yaml:2:13 services.My App: expected lower-case letters, digits, - and _ (at most 40)',
    ])
    assert.deepEqual(problemsOf('version: 1\ndefaults: { timezone: Mars/Base }'), [
      'paios.yaml:2:23 defaults.timezone: is not a time zone such as Europe/Berlin',
    ])
    assert.deepEqual(
      problemsOf('version: 1\nservices: { g: { preset: openclaw-gateway, port: 1, observe: true } }'),
      ['paios.yaml:2:13 services.g: port 1 cannot be observed'],
    )
  })

  it('never shows a value that could be a secret', () => {
    const text = 'version: 1\nservices: { a: { command: [x], env: { K: [hunter2] }, cwd: { hunter2: 1 } } }'
    assert.doesNotMatch(problemsOf(text).join('\n'), /hunter2/)
  })

  it('become one error with exit code 3 that lists at most fifty lines', () => {
    const many = parse(`version: 1\n${Array.from({ length: 70 }, (_, i) => `k${i}: 1`).join('\n')}`)
    assert.ok(!many.ok)
    const error = documentError('paios.yaml', many.problems)
    assert.equal(error.exitCode, 3)
    assert.equal(error.message.split('\n').length, 51)
    assert.match(error.message, /and 20 more$/)
  })
})

describe('docs/document.md', () => {
  const guide = readFileSync(new URL('../../docs/document.md', import.meta.url), 'utf8')

  it('has an example that is valid', () => {
    const example = /```yaml\n([\s\S]+?)```/.exec(guide)?.[1] ?? ''
    assert.deepEqual(
      meshOf(example).specs.map((spec) => spec.name),
      ['gateway', 'kb'],
    )
  })

  it('names every field that a service may have', () => {
    for (const field of Object.keys(commonFields))
      assert.match(guide, new RegExp(`^\\|.*\`${field}\`.*\\|`, 'm'))
  })
})

describe('the JSON Schema', () => {
  it('accepts what the parser accepts and refuses an unknown key', () => {
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(meshJsonSchema(presets))
    const valid = parseYaml('version: 1\nservices: { a: { command: [x], startTimeout: 5s, needs: [b] } }')
    assert.equal(validate(valid), true, JSON.stringify(validate.errors))
    assert.equal(validate({ version: 1, services: { a: { comand: ['x'] } } }), false)
    assert.equal(
      validate({ version: 1, services: { a: { preset: 'mcp-stdio', command: ['x'], port: 1 } } }),
      false,
    )
  })
})

describe('specHash', () => {
  it('does not depend on the order of keys and changes with any value', () => {
    const hashOf = (text: string) => {
      const result = parseMesh(text, { home: '/home/op', presets })
      assert.ok(result.ok)
      return specHash(result.mesh.specs[0]!)
    }
    const one = hashOf(
      'version: 1\nservices: { a: { command: [x], env: { A: "1", B: "2" }, restart: transient } }',
    )
    const two = hashOf(
      'version: 1\nservices: { a: { restart: transient, env: { B: "2", A: "1" }, command: [x] } }',
    )
    const three = hashOf(
      'version: 1\nservices: { a: { restart: transient, env: { B: "2", A: "3" }, command: [x] } }',
    )
    assert.equal(one, two)
    assert.notEqual(one, three)
  })
})
