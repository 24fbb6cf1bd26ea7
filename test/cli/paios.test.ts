import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import type { ServiceStatus, Status } from '../../schemas/status.ts'
import { socketPath } from '../../supervisor/cli/client.ts'
import { ownVersion } from '../../supervisor/cli/own-version.ts'

const ENTRY = join(import.meta.dirname, '../../bin/paios.mjs')

type Outcome = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs the real command line; it must not read the home of whoever runs the tests. */
function paios(home: string, ...args: string[]): Promise<Outcome> {
  const env = { PATH: process.env['PATH'], HOME: home, PAIOS_HOME: home }
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

async function makeHome(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'paios-cli-'))
  await mkdir(join(path, 'run'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

const kb: ServiceStatus = {
  name: 'kb',
  preset: 'process',
  kind: 'daemon',
  group: 'tools',
  state: 'running',
  desired: 'running',
  stopped: null,
  ready: true,
  settled: true,
  ended: false,
  pid: 4411,
  generation: 3,
  since: '2026-11-20T12:00:00Z',
  restarts: 0,
  restarts24h: 0,
  restarts7d: 0,
  reason: null,
  note: null,
  next: null,
  warnings: [],
  rejected: null,
  deadline: null,
  probes: [],
  incident: null,
  runbook: 'process.md',
  logPath: null,
}

function statusOf(home: string, ...services: ServiceStatus[]): Status {
  return {
    version: ownVersion(ENTRY),
    pid: 77,
    home,
    startedAt: '2026-11-20T12:00:00Z',
    mesh: 'up',
    keeper: 'running',
    metrics: null,
    document: {
      path: join(home, 'paios.yaml'),
      applied: null,
      problem: null,
      changed: null,
      errors: null,
    },
    warnings: [],
    alerts: 'nobody is told',
    services,
  }
}

type Seen = { readonly line: string; readonly body: unknown }
/** What the supervisor in these tests answers to a request, by `METHOD path`: a value, or one per request. */
type Answers = Readonly<Record<string, (server: Server) => unknown>>

/** A small supervisor: the real protocol on a real socket, with fixed answers. */
async function supervisor(t: TestContext, home: string, answers: Answers): Promise<Seen[]> {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const body = await text(request)
    const line = `${request.method} ${request.url}`
    seen.push({ line, body: body === '' ? null : JSON.parse(body) })
    const answer = answers[line.split('?')[0]!]
    if (answer === undefined) {
      response.writeHead(404)
      response.end(JSON.stringify({ error: { code: 'internal', message: `no answer for ${line}` } }))
      return
    }
    const value = answer(server)
    if (value instanceof Refusal) response.writeHead(409)
    response.end(typeof value === 'string' ? value : JSON.stringify(value))
  })
  await new Promise<void>((resolve) => server.listen(socketPath(home), resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return seen
}

class Refusal {
  readonly error: { readonly code: string; readonly message: string }
  constructor(code: string, message: string) {
    this.error = { code, message }
  }
}

describe('the command line', () => {
  it('lists every command with its help', async (t) => {
    const { code, stdout } = await paios(await makeHome(t), 'help')
    assert.equal(code, 0)
    assert.match(stdout, /status +show what runs/)
    assert.match(stdout, /completion/)
  })

  it('names the nearest command, exit code 2', async (t) => {
    const { code, stderr } = await paios(await makeHome(t), 'sttaus')
    assert.equal(code, 2)
    assert.match(stderr, /did you mean status\?/)
  })

  it('names the nearest flag, exit code 2', async (t) => {
    const { code, stderr } = await paios(await makeHome(t), 'stop', 'kb', '--with-dependants')
    assert.equal(code, 2)
    assert.match(stderr, /did you mean --with-dependents\?/)
  })

  it('takes the home from before the command too', async (t) => {
    const home = await makeHome(t)
    const { code, stderr } = await paios('/nowhere', '--home', home, 'status')
    assert.equal(code, 4)
    assert.match(stderr, new RegExp(`no supervisor is running for ${home} \\(start it: paios up\\)`))
  })

  it('puts errors into JSON where JSON is asked for', async (t) => {
    const { stdout } = await paios(await makeHome(t), 'status', '--json')
    assert.equal((JSON.parse(stdout) as Refusal).error.code, 'no-supervisor')
  })

  it('writes a completion script that bash takes', async (t) => {
    const home = await makeHome(t)
    const { stdout } = await paios(home, 'completion', 'bash')
    const bash = spawn('/bin/bash', [], { stdio: 'pipe' })
    bash.stdin.end(
      `${stdout}\nCOMP_WORDS=(paios stop --with); COMP_CWORD=2; _paios; echo "\${COMPREPLY[@]}"\n`,
    )
    assert.equal((await text(bash.stdout)).trim(), '--with-dependents')
  })
})

describe('paios status', () => {
  it('prints the table and exits 0 where all is well', async (t) => {
    const home = await makeHome(t)
    await supervisor(t, home, { 'GET /status': () => statusOf(home, kb) })
    const { code, stdout, stderr } = await paios(home, 'status')
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^PAIOS \d/)
    assert.match(stdout, /^kb +running/m)
  })

  it('says so where the supervisor says nothing, and waits on', async (t) => {
    const home = await makeHome(t)
    let answer: (() => void) | undefined
    const server = createServer((_request, response) => {
      answer = () => response.end(JSON.stringify(statusOf(home, kb)))
    })
    await new Promise<void>((resolve) => server.listen(socketPath(home), resolve))
    t.after(() => server.close())
    const child = spawn(process.execPath, [ENTRY, 'status', '--json'], {
      env: { HOME: home, PAIOS_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = await new Promise<string>((resolve) =>
      child.stderr.once('data', (bytes) => resolve(`${bytes}`)),
    )
    assert.equal(said, 'paios: no answer for 5 s, still waiting: paios runbook SupervisorStalled\n')
    answer?.()
    assert.equal((JSON.parse(await text(child.stdout)) as Status).services[0]?.name, 'kb')
  })

  it('exits 1 where a wanted service is down', async (t) => {
    const home = await makeHome(t)
    await supervisor(t, home, {
      'GET /status': () => statusOf(home, kb, { ...kb, name: 'web', state: 'failed' }),
      'GET /events': () => '',
    })
    assert.equal((await paios(home, 'status')).code, 1)
    assert.equal((await paios(home, 'status', 'kb')).code, 0)
  })

  it('--json prints what the supervisor said', async (t) => {
    const home = await makeHome(t)
    await supervisor(t, home, { 'GET /status': () => statusOf(home, kb) })
    assert.deepEqual(JSON.parse((await paios(home, 'status', '--json')).stdout), statusOf(home, kb))
  })

  it('NAME shows one service with its last events, or the members of a group', async (t) => {
    const home = await makeHome(t)
    const event = {
      id: 9,
      at: kb.since,
      awakeMs: 1,
      subject: 'kb',
      generation: 3,
      kind: 'x',
      text: 'began',
      data: {},
      cause: null,
    }
    await supervisor(t, home, {
      'GET /status': () => statusOf(home, kb, { ...kb, name: 'web', group: null }),
      'GET /events': () => `${JSON.stringify(event)}\n`,
    })
    assert.match((await paios(home, 'status', 'kb')).stdout, /runbook.*#9 kb\/3 began/s)
    const group = (await paios(home, 'status', 'tools')).stdout
    assert.match(group, /^kb/m)
    assert.doesNotMatch(group, /^web/m)
    const { code, stderr } = await paios(home, 'status', 'wbe')
    assert.deepEqual([code, /did you mean web\?/.test(stderr)], [2, true])
  })
})

describe('paios start, stop and restart', () => {
  it('ask, wait until the service is settled, and exit by its state', async (t) => {
    const home = await makeHome(t)
    const stopping: ServiceStatus = { ...kb, state: 'stopping', settled: false }
    const stopped: ServiceStatus = { ...kb, state: 'stopped', desired: 'stopped', pid: null, ready: false }
    const states = [stopping, stopping, stopped]
    const seen = await supervisor(t, home, {
      'POST /stop': () => ({ ok: true, message: 'stopping kb', names: ['kb'] }),
      'GET /status': () => statusOf(home, states.length > 1 ? states.shift()! : states[0]!),
    })
    const { code, stdout } = await paios(home, 'stop', 'kb', '--for', '2h', '--with-dependents', '--now')
    assert.equal(code, 0)
    assert.equal(stdout, 'stopping kb\nkb: stopped\n')
    const body = { name: 'kb', forMs: 7_200_000, withDependents: true, now: true }
    assert.deepEqual(seen[0], { line: 'POST /stop', body })
  })

  it('exit 1 where the service does not run in the end', async (t) => {
    const home = await makeHome(t)
    await supervisor(t, home, {
      'POST /restart': () => ({ ok: true, message: 'restarting kb', names: ['kb'] }),
      'GET /status': () => statusOf(home, { ...kb, state: 'blocked', pid: null, reason: 'port 1 is taken' }),
    })
    const { code, stdout } = await paios(home, 'restart', 'kb')
    assert.equal(code, 1)
    assert.match(stdout, /kb: blocked, port 1 is taken/)
  })

  it("exit with the code of the supervisor's refusal", async (t) => {
    const home = await makeHome(t)
    await supervisor(t, home, { 'POST /stop': () => new Refusal('refused-dependents', 'web needs kb') })
    assert.deepEqual(await paios(home, 'stop', 'kb'), {
      code: 5,
      stdout: '',
      stderr: 'paios: web needs kb\n',
    })
  })
})

describe('paios down', () => {
  it('returns when the socket is gone', async (t) => {
    const home = await makeHome(t)
    await supervisor(t, home, {
      'POST /down': (server) => {
        setImmediate(() => server.close())
        return { ok: true }
      },
    })
    assert.deepEqual(await paios(home, 'down'), { code: 0, stdout: 'the mesh is down\n', stderr: '' })
  })
})

describe('paios up on a running mesh', () => {
  it('prints the plan, waits, and shows the table', async (t) => {
    const home = await makeHome(t)
    const seen = await supervisor(t, home, {
      'POST /up': () => ({
        plan: { start: [], restart: ['kb'], update: [], stop: [], unchanged: ['web'], refused: [] },
      }),
      'GET /status': () => statusOf(home, kb),
    })
    const { code, stdout } = await paios(home, 'up')
    assert.equal(code, 0)
    assert.match(stdout, /^restart: kb\nunchanged: 1\nPAIOS/)
    assert.match(stdout, /paios install\n$/)
    assert.deepEqual(seen[0]?.body, { dryRun: false, retry: false })
  })

  it('prints every problem of the document and exits 3', async (t) => {
    const home = await makeHome(t)
    const plan = { start: [], restart: [], update: [], stop: [], unchanged: [], refused: [] }
    await supervisor(t, home, { 'POST /up': () => ({ plan, problems: ['line 1: a', 'line 2: b'] }) })
    const { code, stderr } = await paios(home, 'up')
    assert.equal(code, 3)
    assert.match(stderr, /line 1: a\nline 2: b/)
  })
})

describe('paios check and schema', () => {
  it('prints every problem with its line, exit code 3', async (t) => {
    const home = await makeHome(t)
    await writeFile(
      join(home, 'paios.yaml'),
      'version: 1\nservices:\n  a: { comand: [x] }\n  b: { needs: 3 }\n',
    )
    const { code, stderr } = await paios(home, 'check')
    assert.equal(code, 3)
    assert.match(stderr, /paios\.yaml:3:\d+ .*did you mean `command`/)
    assert.match(stderr, /paios\.yaml:4:/)
  })

  it('shows what programs and secrets resolve to, and no value of a secret', async (t) => {
    const home = await makeHome(t)
    const secret = join(home, 'token')
    await writeFile(secret, 'hunter2hunter2')
    const short = join(home, 'short')
    await writeFile(short, 'no')
    const env = `{ T: "\${file:${secret}}", S: "\${file:${short}}", U: "\${env:PAIOS_TEST_UNSET}" }`
    await writeFile(
      join(home, 'paios.yaml'),
      `version: 1\nservices:\n  a: { command: [sh, -c, "exit 0"], env: ${env} }\n  b: { command: [no-such-program] }\n`,
    )
    const { code, stdout } = await paios(home, 'check')
    assert.equal(code, 0)
    assert.match(stdout, /^a +process +\/.*\/sh/m)
    assert.match(stdout, /^b +process +! no-such-program is not installed/m)
    assert.match(stdout, /token\}: present$/m)
    assert.match(
      stdout,
      /short\}: present ! too short or too ordinary to be struck out .*: take a longer one$/m,
    )
    assert.match(stdout, /PAIOS_TEST_UNSET\}: ! .*neither in/)
    assert.doesNotMatch(stdout, /hunter2/)
  })

  it('--document looks at nothing but the document', async (t) => {
    const home = await makeHome(t)
    await writeFile(join(home, 'paios.yaml'), 'version: 1\nservices: { b: { command: [no-such-program] } }\n')
    const { code, stdout } = await paios(home, 'check', '--document')
    assert.deepEqual([code, stdout], [0, `${join(home, 'paios.yaml')} is valid: 1 service\n`])
    const answer = JSON.parse((await paios(home, 'check', '--document', '--json')).stdout) as object
    assert.deepEqual(answer, {
      path: join(home, 'paios.yaml'),
      valid: true,
      problems: [],
      warnings: [],
      services: [],
    })
  })

  it('prints a JSON Schema that knows the presets', async (t) => {
    const { stdout } = await paios(await makeHome(t), 'schema')
    assert.match(stdout, /openclaw-gateway/)
    assert.equal(typeof JSON.parse(stdout), 'object')
  })
})

describe('paios up without a supervisor', () => {
  it('starts nothing and exits 3 where the document is not valid', async (t) => {
    const home = await makeHome(t)
    await writeFile(join(home, 'paios.yaml'), 'version: 2\n')
    const { code, stderr } = await paios(home, 'up')
    assert.equal(code, 3)
    assert.match(stderr, /paios\.yaml:1:/)
    assert.deepEqual(await readdir(join(home, 'run')), ['beats'])
  })

  it('--dry-run prints the plan and writes nothing', async (t) => {
    const home = await makeHome(t)
    await writeFile(join(home, 'paios.yaml'), 'version: 1\nservices:\n  a: { command: [sh] }\n')
    assert.deepEqual(await paios(home, 'up', '--dry-run'), { code: 0, stdout: 'start: a\n', stderr: '' })
    assert.deepEqual((await readdir(home)).sort(), ['paios.yaml', 'run'])
  })

  it('--dry-run without a document shows the one that would be written', async (t) => {
    const home = await makeHome(t)
    const { code, stdout } = await paios(home, 'up', '--dry-run')
    assert.equal(code, 0)
    assert.match(stdout, /found no openclaw|found openclaw:/)
    assert.match(stdout, /^services:$/m)
    assert.match(stdout, /^start: gateway/m)
    assert.deepEqual(await readdir(home), ['run'])
  })
})

describe('paios events and logs', () => {
  it('asks for what the flags say', async (t) => {
    const home = await makeHome(t)
    const seen = await supervisor(t, home, { 'GET /events': () => '', 'GET /why/7': () => [] })
    assert.equal(
      (await paios(home, 'events', '-n', '5', '--service', 'kb', '--since', '2026-11-20T12:00:00Z')).code,
      0,
    )
    assert.equal((await paios(home, 'events', '--why', '7')).code, 0)
    const [events, why] = seen.map(({ line }) => line)
    assert.equal(events, 'GET /events?limit=5&since=2026-11-20T12%3A00%3A00.000Z&service=kb')
    assert.equal(why, 'GET /why/7')
  })

  it('shows a log without a supervisor, and names the nearest one where there is none', async (t) => {
    const home = await makeHome(t)
    await mkdir(join(home, 'logs', 'kb'), { recursive: true })
    await writeFile(join(home, 'logs', 'kb', 'current.log'), 'one\ntwo\nthree\n')
    assert.equal((await paios(home, 'logs', 'kb', '-n', '2')).stdout, 'two\nthree\n')
    assert.match((await paios(home, 'logs', 'kb', '--since', '10m')).stderr, /nothing tells when/)
    const { code, stderr } = await paios(home, 'logs', 'kbb')
    assert.deepEqual([code, /did you mean kb\?/.test(stderr)], [2, true])
    assert.equal((await paios(home, 'logs', '../x')).code, 2)
  })
})
