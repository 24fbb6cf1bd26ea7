import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { JournalEvent, Status } from '../../schemas/status.ts'
import { PaiosError } from '../../supervisor/errors.ts'
import { type Control, openMetricsEndpoint, serveControl } from '../../supervisor/shell/api.ts'

const status: Status = {
  version: '1.2.3',
  pid: 42,
  home: '/home/me/.paios',
  startedAt: null,
  mesh: 'up',
  keeper: 'none',
  metrics: null,
  document: {
    path: '/home/me/.paios/paios.yaml',
    applied: null,
    problem: null,
    changed: null,
    errors: null,
  },
  warnings: [],
  alerts: 'nobody is told',
  services: [],
}

const eventOf = (id: number): JournalEvent => ({
  id,
  at: '2026-01-01T00:00:00.000Z',
  awakeMs: id,
  subject: 'kb',
  generation: 1,
  kind: 'ready',
  text: `event ${id}`,
  data: {},
  cause: null,
})

const accepted = async (name: string) => ({ message: `did ${name}`, names: [name] })

const said = (...words: unknown[]) => ({ message: words.join(' ') })

/** Alerts of which nothing is open. */
function alertsOf(): Control['alerts'] {
  return {
    list: (all) => ({ incidents: [], mutes: [], held: [], maintenance: null, flapping: all ? ['kb'] : [] }),
    show: (id) => {
      throw new PaiosError('unknown-incident', `there is no incident ${id}`)
    },
    acknowledge: said,
    mute: ({ name, forMs, because, by }) => said(name, forMs, because, by),
    unmute: said,
    maintenance: said,
  }
}

const refuse = () => Promise.reject(new PaiosError('refused', 'nothing to repair'))
const repairs: Control['repairs'] = {
  view: () => ({ runs: [], approvals: [], stopped: [], budgets: [], ended: [] }),
  run: refuse,
  rehearse: refuse,
  decide: refuse,
}

/** A whole control over a list of events; what a test needs otherwise replaces a part. */
function controlOf(events: JournalEvent[], more: Partial<Control> = {}): Control {
  return {
    status: () => status,
    version: () => ({ version: '1.2.3', pid: 42 }),
    events: ({ after, limit }) => (limit === 0 ? [] : events.filter(({ id }) => id > after).slice(-limit)),
    why: (id) => events.filter((event) => event.id <= id),
    up: async () => ({
      plan: { start: [], restart: [], update: [], stop: [], unchanged: [], refused: [] },
      warnings: [],
    }),
    down: async () => [],
    start: accepted,
    stop: accepted,
    restart: accepted,
    probe: async () => [],
    preflight: async () => [],
    acceptBaseline: (name) => ({ message: name, entries: [] }),
    testAlerts: async () => [],
    alerts: alertsOf(),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'paios_up 1\n' }),
    repairs,
    ...more,
  }
}

async function serve(t: TestContext, control: Control): Promise<string> {
  const folder = mkdtempSync('/tmp/pa-')
  const socket = join(folder, 's')
  const served = await serveControl(socket, control)
  t.after(() => {
    served.close()
    rmSync(folder, { recursive: true })
  })
  return socket
}

type Answer = { readonly status: number; readonly body: string }
type Where = { readonly socketPath: string } | { readonly host: string; readonly port: number }

function ask(where: Where, method: string, path: string, body?: unknown, headers = {}): Promise<Answer> {
  return new Promise((settle, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const json = text === undefined ? {} : { 'content-type': 'application/json' }
    const request = httpRequest(
      { ...where, method, path, agent: false, headers: { ...json, ...headers } },
      (response) => {
        let all = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          all += chunk
        })
        response.on('end', () => settle({ status: response.statusCode ?? 0, body: all }))
      },
    )
    request.on('error', reject)
    request.end(text)
  })
}

const errorOf = ({ body }: Answer) => (JSON.parse(body) as { error: { code: string; message: string } }).error

describe('the control socket', () => {
  it('is for its owner alone, and replaces a file that a dead supervisor left', async (t) => {
    const folder = mkdtempSync('/tmp/pa-')
    const socket = join(folder, 's')
    writeFileSync(socket, 'left over')
    const served = await serveControl(socket, controlOf([]))
    t.after(() => {
      served.close()
      rmSync(folder, { recursive: true })
    })
    const facts = statSync(socket)
    assert.ok(facts.isSocket())
    assert.equal(facts.mode & 0o777, 0o600)
    assert.deepEqual(JSON.parse((await ask({ socketPath: socket }, 'GET', '/status')).body), status)
  })

  it('hands each word of a command on, with its defaults', async (t) => {
    const asked: unknown[] = []
    const stop: Control['stop'] = async (name, options) => {
      asked.push({ ...options, name })
      return accepted(name)
    }
    const where = { socketPath: await serve(t, controlOf([], { stop })) }
    assert.equal((await ask(where, 'POST', '/stop', { name: 'kb' })).status, 200)
    assert.equal(
      (await ask(where, 'POST', '/stop', { name: 'kb', forMs: 5, withDependents: true, now: true })).status,
      200,
    )
    assert.deepEqual(asked, [
      { name: 'kb', forMs: null, withDependents: false, now: false },
      { name: 'kb', forMs: 5, withDependents: true, now: true },
    ])
  })

  it('answers a missing word and a wrong type with 400 `usage`', async (t) => {
    const where = { socketPath: await serve(t, controlOf([])) }
    for (const body of [{}, { name: 'kb', forMs: 'soon' }, []]) {
      const answer = await ask(where, 'POST', '/stop', body)
      assert.equal(answer.status, 400, JSON.stringify(body))
      assert.equal(errorOf(answer).code, 'usage')
    }
  })

  it("gives the supervisor's own error with its code, and a fault as `internal` with 500", async (t) => {
    const refuse = (error: Error) => async () => Promise.reject(error)
    const control = controlOf([], {
      start: refuse(new PaiosError('unknown-service', 'there is no kb')),
      stop: refuse(new PaiosError('refused-dependents', 'web needs kb')),
      restart: refuse(new TypeError('a fault')),
    })
    const where = { socketPath: await serve(t, control) }
    const answers = await Promise.all(
      ['/start', '/stop', '/restart'].map((path) => ask(where, 'POST', path, { name: 'kb' })),
    )
    assert.deepEqual(
      answers.map((answer) => [answer.status, errorOf(answer)]),
      [
        [404, { code: 'unknown-service', message: 'there is no kb' }],
        [409, { code: 'refused-dependents', message: 'web needs kb' }],
        [500, { code: 'internal', message: 'a fault' }],
      ],
    )
  })

  it('follows events from the newest that were asked for; with none asked for, only what comes', async (t) => {
    const events = [eventOf(1), eventOf(2)]
    const where = { socketPath: await serve(t, controlOf(events)) }
    const firstLines = (path: string, count: number) =>
      new Promise<string[]>((settle, reject) => {
        const request = httpRequest({ ...where, path, agent: false }, (response) => {
          let all = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            all += chunk
            const lines = all.split('\n').slice(0, -1)
            if (lines.length < count) return
            request.destroy()
            settle(lines.map((line) => (JSON.parse(line) as JournalEvent).text))
          })
          events.push(eventOf(events.length + 1))
        })
        request.on('error', reject)
        request.end()
      })
    assert.deepEqual(await firstLines('/events?follow=1&limit=1', 2), ['event 2', 'event 3'])
    assert.deepEqual(await firstLines('/events?follow=1&limit=0', 1), ['event 4'])
  })
})

describe('the metrics endpoint', () => {
  async function endpointOn(t: TestContext, port: number) {
    const endpoint = openMetricsEndpoint(controlOf([]).metrics)
    await endpoint.apply({ enabled: true, port })
    t.after(() => endpoint.apply({ enabled: false, port }))
    return endpoint
  }
  const whereOf = (url: string | null) => ({ host: '127.0.0.1', port: Number(new URL(url!).port) })

  it('serves nothing but /metrics, on loopback, to who names this machine', async (t) => {
    const endpoint = await endpointOn(t, 0)
    const where = whereOf(endpoint.url())
    const well = await ask(where, 'GET', '/metrics')
    assert.deepEqual(well, { status: 200, body: 'paios_up 1\n' })
    assert.equal((await ask(where, 'GET', '/metrics', undefined, { host: 'localhost:1' })).status, 200)
    assert.equal((await ask(where, 'GET', '/metrics', undefined, { host: 'evil.example' })).status, 403)
    assert.equal((await ask(where, 'GET', '/metrics', undefined, { origin: 'http://127.0.0.1' })).status, 403)
    for (const [method, path] of [
      ['GET', '/status'],
      ['POST', '/down'],
      ['POST', '/metrics'],
    ] as const) {
      assert.equal((await ask(where, method, path)).status, 404, `${method} ${path}`)
    }
  })

  it('names a port that is taken, and is served once another one is wanted', async (t) => {
    const stranger = createServer()
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    t.after(() => stranger.close())
    const { port } = stranger.address() as { port: number }
    const endpoint = await endpointOn(t, port)
    assert.equal(endpoint.url(), null)
    assert.match(
      endpoint.problem()!,
      new RegExp(`^metrics are not served: port ${port} is in use; choose another`),
    )
    await endpoint.apply({ enabled: true, port: 0 })
    assert.equal(endpoint.problem(), null)
    assert.equal((await ask(whereOf(endpoint.url()), 'GET', '/metrics')).status, 200)
    await endpoint.apply({ enabled: false, port: 0 })
    assert.equal(endpoint.url(), null)
  })
})
