import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { STATES } from '../../schemas/states.ts'
import { type ServiceStatus, type Status, status as statusSchema } from '../../schemas/status.ts'
import {
  formatSpan,
  isDown,
  plain,
  renderEvent,
  renderPlan,
  renderService,
  renderStatus,
  STATE_TONES,
  shorten,
  worstFirst,
} from '../../supervisor/cli/render.ts'

const NOW = Date.parse('2026-11-20T12:00:00Z')
const WIDE = { columns: Infinity, color: false }
const minutesAgo = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString()

function service(fields: Partial<ServiceStatus>): ServiceStatus {
  return {
    name: 'kb',
    preset: 'process',
    kind: 'daemon',
    group: null,
    state: 'running',
    desired: 'running',
    stopped: null,
    ready: true,
    settled: true,
    ended: false,
    pid: 4411,
    generation: 3,
    since: minutesAgo(10),
    restarts: 4,
    restarts24h: 1,
    restarts7d: 3,
    reason: null,
    note: null,
    next: null,
    warnings: [],
    rejected: null,
    deadline: null,
    probes: [],
    incident: null,
    runbook: 'process.md',
    logPath: '/home/me/.paios/logs/kb/current.log',
    ...fields,
  }
}

function mesh(services: ServiceStatus[], fields: Partial<Status> = {}): Status {
  return statusSchema.parse({
    version: '0.1.0',
    pid: 77,
    home: '/home/me/.paios',
    startedAt: minutesAgo(6 * 24 * 60),
    mesh: 'up',
    keeper: 'running',
    metrics: null,
    document: {
      path: '/home/me/.paios/paios.yaml',
      applied: 'abc',
      problem: null,
      changed: null,
      errors: null,
    },
    warnings: [],
    alerts: 'telegram ok 08:30',
    services,
    ...fields,
  })
}

const blocked = service({
  name: 'gateway',
  state: 'blocked',
  since: minutesAgo(2),
  pid: null,
  ready: false,
  reason: 'port 18789 held by pid 812 (openclaw, launchd)',
  next: 'paios takeover gateway',
})

describe('a span', () => {
  for (const [ms, text] of [
    [-5, '0 s'],
    [999, '0 s'],
    [59_999, '59 s'],
    [120_000, '2 m'],
    [3_599_999, '59 m'],
    [3 * 3_600_000, '3 h'],
    [6 * 86_400_000, '6 d'],
  ] as const) {
    it(`of ${ms} ms reads ${text}`, () => assert.equal(formatSpan(ms), text))
  }
})

describe('the status screen', () => {
  it('orders states as the schema does', () => {
    assert.deepEqual(Object.keys(STATE_TONES), [...STATES])
  })

  it('begins with version and uptime, then the table worst first', () => {
    const screen = renderStatus(mesh([service({}), blocked]), NOW, WIDE)
    assert.deepEqual(screen.split('\n'), [
      'PAIOS 0.1.0 · up 6 d · pid 77 · alerts: telegram ok 08:30 · /home/me/.paios',
      'SERVICE  STATE    SINCE  RESTARTS 24h/7d  WHY / NEXT',
      'gateway  blocked  2 m    1/3              port 18789 held by pid 812 (openclaw, launchd)   paios takeover gateway',
      'kb       running  10 m   1/3',
      '',
    ])
  })

  it('names the open incident of a service behind its reason', () => {
    const incident = {
      ...{ id: 'i7', severity: 'critical' as const, since: minutesAgo(5) },
      ...{ acknowledged: true, why: null },
    }
    const kb = service({ state: 'degraded', reason: 'no answer', next: 'paios runbook kb', incident })
    assert.match(renderStatus(mesh([kb]), NOW, WIDE), /no answer \(i7\) +paios runbook kb/)
    assert.match(
      renderService(kb, NOW, WIDE),
      /incident +i7, critical for 5 m, acknowledged +paios alerts show i7/,
    )
  })

  it('lists the warnings, the trouble of the document and a gone keeper above the table', () => {
    const problem = 'paios.yaml cannot be read'
    const document = { path: '/p.yaml', applied: null, problem, changed: null, errors: null }
    const screen = renderStatus(
      mesh([service({})], { warnings: ['disk full'], document, keeper: 'gone' }),
      NOW,
      WIDE,
    )
    const [, first, second, third] = screen.split('\n')
    assert.equal(first, '! disk full')
    assert.equal(second, '! paios.yaml cannot be read   paios check')
    assert.match(third!, /^! the keeper is gone/)
  })

  for (const [errors, says] of [
    ['2 errors (line 14, 31)', ': 2 errors (line 14, 31)   paios check'],
    [null, '   paios up'],
  ] as const) {
    it(`says of an edit with ${errors ?? 'no error'} that it is not applied, and what to type`, () => {
      const changed = minutesAgo(180)
      const document = { path: '/p.yaml', applied: 'abc', problem: 'changed', changed, errors }
      const [, warning] = renderStatus(mesh([service({})], { document }), NOW, WIDE).split('\n')
      assert.equal(warning, `! paios.yaml changed 3 h ago, not applied${says}`)
    })
  }

  for (const columns of [80, 100, 140]) {
    it(`fits ${columns} columns and keeps the command whole`, () => {
      const lines = renderStatus(mesh([blocked, service({})]), NOW, { columns, color: false }).split('\n')
      for (const line of lines) assert.ok(line.length <= columns, `${line.length}: ${line}`)
      assert.match(lines[2]!, /paios takeover gateway$/)
    })
  }

  it('gives up the reason of a row, not its command, where there is no room for both', () => {
    const name = 'a-service-with-a-long-name-of-40-letters'
    const lines = renderStatus(mesh([{ ...blocked, name }]), NOW, { columns: 100, color: false }).split('\n')
    assert.match(lines[2]!, /1\/3 +paios takeover gateway$/)
  })

  it('has no restarts to show for what is not its own', () => {
    const screen = renderStatus(mesh([service({ name: 'web', kind: 'external' })]), NOW, WIDE)
    assert.match(screen, /web +running +10 m +-$/m)
  })

  it('counts down to the kill of a service that drains', () => {
    const deadline = new Date(NOW + 8_000).toISOString()
    const screen = renderStatus(mesh([service({ state: 'stopping', settled: false, deadline })]), NOW, WIDE)
    assert.match(screen, /stopping .*killed in 8 s unless it ends/)
  })

  it("names an operator's stop and when it ends", () => {
    const stopped = { at: minutesAgo(30), until: new Date(NOW + 5_400_000).toISOString() }
    const screen = renderStatus(mesh([service({ state: 'stopped', desired: 'stopped', stopped })]), NOW, WIDE)
    assert.match(screen, /stopped by you 30 m ago, starts again in 1 h/)
  })

  it('colours only where colours are on', () => {
    const coloured = renderStatus(mesh([blocked]), NOW, { columns: 120, color: true })
    assert.ok(coloured.includes('\u001b[31mblocked'))
    assert.ok(!renderStatus(mesh([blocked]), NOW, WIDE).includes('\u001b'))
  })

  it('lets no reason steer the terminal', () => {
    assert.equal(plain('a\u001b[2Jb\r\nc'), 'a [2Jb c')
  })
})

describe('a wanted service', () => {
  for (const state of STATES) {
    const down = ['failed', 'unknown', 'blocked', 'missing', 'hung', 'backoff', 'waiting'].includes(state)
    it(`that is ${state} is ${down ? '' : 'not '}down`, () => assert.equal(isDown(service({ state })), down))
  }

  it('that has ended and by its type does not come back is down', () => {
    assert.equal(isDown(service({ state: 'stopped', ended: true })), true)
  })

  it('is not down if nobody wants it', () => {
    assert.equal(isDown(service({ state: 'stopped', ended: true, desired: 'stopped' })), false)
    assert.equal(isDown(service({ state: 'failed', desired: 'stopped' })), false)
  })
})

it('services are shown worst first, then by name', () => {
  const names = worstFirst([service({ name: 'b' }), service({ name: 'a' }), blocked]).map(({ name }) => name)
  assert.deepEqual(names, ['gateway', 'a', 'b'])
})

it('one service is shown with its probes, runbook and log', () => {
  const probes = [
    {
      name: 'port',
      kind: 'tcp',
      role: 'liveness',
      verdict: 'fail',
      reason: 'refused',
      note: null,
      failures: 2,
      threshold: 3,
    } as const,
  ]
  const text = renderService(service({ probes: [...probes] }), NOW, WIDE)
  assert.match(text, /runbook +process\.md/)
  assert.match(text, /log +\/home\/me/)
  assert.match(text, /fail +liveness +port \(2 of 3 failures\) {2}refused/)
})

it('a plan names what changes and counts what does not', () => {
  assert.deepEqual(
    renderPlan({ start: ['a', 'b'], restart: [], update: [], stop: ['c'], unchanged: ['d'], refused: [] }),
    ['start: a, b', 'stop: c', 'unchanged: 1'],
  )
  assert.deepEqual(
    renderPlan({ start: [], restart: [], update: [], stop: [], unchanged: ['d'], refused: [] }),
    ['nothing to change'],
  )
})

it('an event bears its number, its subject, its life and its cause', () => {
  const event = {
    id: 12,
    at: minutesAgo(48 * 60),
    awakeMs: 1,
    subject: 'kb',
    generation: 3,
    kind: 'child-exited',
    text: 'exited with 1',
    data: {},
    cause: 11,
  }
  assert.match(
    renderEvent(event, NOW, WIDE),
    /^2026-11-1\d \d\d:\d\d:\d\d #12 kb\/3 exited with 1 \(cause #11\)$/,
  )
})

it('what is cut ends in an ellipsis', () => {
  assert.equal(shorten('abcdef', 4), 'abc…')
  assert.equal(shorten('abc', 3), 'abc')
})
