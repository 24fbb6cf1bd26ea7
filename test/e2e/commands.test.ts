import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it, type TestContext } from 'node:test'
import { status as statusSchema } from '../../schemas/status.ts'
import { commands } from '../../supervisor/cli/paios.ts'
import { createMesh, ENTRY, kill, type TestMesh, until } from './mesh.ts'
import { openMesh, pidsOf, SLEEPER } from './run-cli.ts'

const LIMIT = { timeout: 120_000 }

/** A command that goes on until it is interrupted, and its lines as they come. */
function follow(t: TestContext, mesh: TestMesh, args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [ENTRY, ...args], {
    env: { ...process.env, PAIOS_HOME: mesh.home },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => kill(child.pid!))
  const lines: string[] = []
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line))
  return {
    seen: (what: RegExp) => until(`a line like ${what}`, () => lines.find((line) => what.test(line))),
    async interrupt(): Promise<number | null> {
      const ended = once(child, 'exit')
      child.kill('SIGINT')
      return (await ended)[0] as number | null
    },
  }
}

describe('every command', LIMIT, () => {
  const mesh = createMesh()
  after(() => mesh.end())

  for (const name of Object.keys(commands)) {
    it(`paios ${name} --help has an example and ends with 0, and makes nothing`, async () => {
      const { code, stdout, stderr } = await mesh.cli([name, '--help'])
      assert.equal(code, 0)
      assert.equal(stderr, '')
      assert.match(stdout, new RegExp(`^paios ${name}\\b`))
      assert.match(stdout, /^Examples:\n {2}\S/m)
      assert.equal(existsSync(join(mesh.home, 'run')), false)
    })
  }

  it('a mistyped command and a mistyped flag are answered with the nearest (exit 2)', async () => {
    const command = await mesh.cli(['stauts'])
    assert.equal(command.code, 2)
    assert.match(command.stderr, /^paios: there is no command 'stauts' \(did you mean status\?\)\n$/)
    const flag = await mesh.cli(['up', '--dry-rnu'])
    assert.equal(flag.code, 2)
    assert.match(flag.stderr, /did you mean --dry-run\?/)
  })

  it('without a supervisor those that need one end with 4 and say how to start it', async () => {
    for (const args of [['status'], ['start', 'a'], ['stop', 'a'], ['restart', 'a'], ['events'], ['down']]) {
      const { code, stderr } = await mesh.cli(args)
      assert.equal(code, 4, args.join(' '))
      assert.match(stderr, /^paios: no supervisor is running for \S+ \(start it: paios up\)$/m)
    }
  })

  it('schema prints a JSON Schema, version the versions, completion a script that bash accepts', async () => {
    const schema = JSON.parse((await mesh.cli(['schema'])).stdout) as { properties: Record<string, unknown> }
    assert.ok('services' in schema.properties)
    const version = JSON.parse((await mesh.cli(['version', '--json'])).stdout) as Record<string, unknown>
    assert.equal(version['supervisor'], null)
    assert.match(String(version['version']), /^\d+\.\d+\.\d+/)
    const { stdout } = await mesh.cli(['completion', 'bash'])
    assert.equal(spawnSync('bash', ['-n'], { input: stdout }).status, 0)
    assert.match(stdout, /complete -F _paios paios/)
  })
})

describe('up on a mesh that runs', LIMIT, () => {
  it('leaves the unchanged, restarts the changed once, stops what is gone, starts what is new', async (t) => {
    const mesh = openMesh(t)
    const same = { command: SLEEPER }
    mesh.write({ same, changed: { command: SLEEPER }, gone: { command: SLEEPER } })
    assert.equal((await mesh.cli(['up'])).code, 0)
    const before = await mesh.status()
    mesh.write({ same, changed: { command: SLEEPER, env: { NEW: '1' } }, fresh: { command: SLEEPER } })

    const dry = await mesh.cli(['up', '--dry-run'])
    assert.equal(dry.code, 0)
    assert.equal(dry.stdout, 'start: fresh\nrestart: changed\nstop: gone\nunchanged: 1\n')
    assert.deepEqual(pidsOf(await mesh.status()), pidsOf(before), 'a dry run does nothing')
    assert.match(
      (await mesh.cli(['status'])).stdout,
      /^! paios\.yaml changed \d+ [sm] ago, not applied {3}paios up$/m,
    )

    const up = await mesh.cli(['up'])
    assert.equal(up.code, 0)
    assert.ok(up.stdout.startsWith('start: fresh\nrestart: changed\nstop: gone\nunchanged: 1\n'), up.stdout)
    const now = await mesh.until('gone is gone', ({ services }) => services.length === 3)
    assert.equal(now.pid, before.pid)
    assert.equal(pidsOf(now)['same'], pidsOf(before)['same'])
    assert.notEqual(pidsOf(now)['changed'], pidsOf(before)['changed'])
    const changed = await mesh.service('changed')
    assert.equal(changed.generation, 2)
    assert.equal(changed.restarts, 0, 'a change costs nothing of the budget')
    assert.deepEqual(mesh.processesOf('gone'), [])
    assert.equal(now.document.problem, null)

    const again = await mesh.cli(['up'])
    assert.match(again.stdout, /^nothing to change\n/)
    assert.deepEqual(pidsOf(await mesh.status()), pidsOf(now))
  })

  it('refuses an invalid edit (exit 3), changes nothing, and status says that it is not applied', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER } })
    await mesh.cli(['up'])
    const before = await mesh.status()
    appendFileSync(join(mesh.home, 'paios.yaml'), '\n]')
    assert.equal((await mesh.cli(['up'])).code, 3)
    const now = await mesh.status()
    assert.deepEqual(pidsOf(now), pidsOf(before))
    assert.match(now.document.problem!, /^paios\.yaml changed at .*, not applied/)
    const judged = await mesh.until('its errors are found', ({ document }) => document.errors !== null)
    assert.match(judged.document.problem!, /, not applied: \d errors? \(line \d/)
    assert.match(
      (await mesh.cli(['status'])).stdout,
      /^! paios\.yaml changed \d+ [sm] ago, not applied: \d errors? \(line .*\) {3}paios check$/m,
    )
    const [event] = (await mesh.events()).filter(({ kind }) => kind === 'document-broken')
    assert.match(event?.text ?? '', /^paios\.yaml was changed and is not applied: \d errors? \(line \d/)
    assert.equal((await mesh.cli(['check'])).code, 3)
  })

  it('without one, a dry run prints the plan of the document and starts nothing', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER }, two: { command: SLEEPER } })
    const { code, stdout } = await mesh.cli(['up', '--dry-run', '--json'])
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(stdout), {
      plan: { start: ['one', 'two'], restart: [], update: [], stop: [], unchanged: [], refused: [] },
    })
    assert.deepEqual(mesh.processes(), [])
  })
})

describe('down, and up again', LIMIT, () => {
  it('down leaves no process, up starts all of it again, and both end with 0', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER }, two: { command: SLEEPER, needs: ['one'] } })
    await mesh.cli(['up'])
    const down = await mesh.cli(['down'])
    assert.deepEqual([down.code, down.stdout], [0, 'the mesh is down\n'])
    await until('nothing is left', () => mesh.processes().length === 0)
    const offline = await mesh.cli(['status', '--json'])
    assert.equal(offline.code, 4)
    assert.equal((JSON.parse(offline.stdout) as { mesh: string }).mesh, 'down')
    assert.equal((await mesh.cli(['up'])).code, 0)
    assert.deepEqual(
      (await mesh.status()).services.map(({ state }) => state),
      ['running', 'running'],
    )
  })

  it("an operator's stop outlives down, up and a killed supervisor; up names it and ends with 0", async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER }, two: { command: SLEEPER } })
    await mesh.cli(['up'])
    assert.equal((await mesh.cli(['stop', 'one'])).code, 0)
    const isStopped = () =>
      mesh.untilService(
        'one',
        'is stopped',
        ({ state, desired }) => state === 'stopped' && desired === 'stopped',
      )
    kill(mesh.supervisorPid())
    await isStopped()
    await mesh.untilService('two', 'is ready', ({ ready }) => ready)
    await mesh.cli(['down'])
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 0)
    assert.match(up.stdout, /^not started: one, stopped by you .* paios start one$/m)
    await isStopped()
    assert.deepEqual(mesh.processesOf('one'), [])
    assert.equal((await mesh.cli(['start', 'one'])).code, 0)
    assert.equal(mesh.processesOf('one').length, 1)
  })
})

describe('commands on a mesh that runs', LIMIT, () => {
  const mesh = createMesh()
  before(async () => {
    const say = (text: string) => ['/bin/sh', '-c', `echo ${text}; exec sleep 100000`]
    mesh.write({
      db: { command: say('hello from db') },
      web: { command: SLEEPER, needs: ['db'] },
      lone: { command: SLEEPER },
    })
    assert.equal((await mesh.cli(['up'])).code, 0)
  })
  after(() => mesh.end())

  it('status --json has the fixed words and nothing that the schema does not know', async () => {
    const { code, stdout } = await mesh.cli(['status', '--json'])
    assert.equal(code, 0)
    const { services } = statusSchema.parse(JSON.parse(stdout))
    assert.deepEqual(services.map(({ name }) => name).sort(), ['db', 'lone', 'web'])
    for (const service of JSON.parse(stdout).services as Record<string, unknown>[]) {
      for (const word of ['name', 'state', 'pid', 'restarts', 'reason', 'since'])
        assert.ok(word in service, word)
    }
    const one = await mesh.cli(['status', 'db'])
    assert.equal(one.code, 0)
    assert.match(one.stdout, /^ {2}last events\n/m)
  })

  it('an unknown service is answered with the nearest, by each command (exit 2)', async () => {
    for (const args of [
      ['status', 'wbe'],
      ['start', 'wbe'],
      ['stop', 'wbe'],
      ['restart', 'wbe'],
      ['logs', 'wbe'],
    ]) {
      const { code, stderr } = await mesh.cli(args)
      assert.equal(code, 2, args.join(' '))
      assert.match(stderr, /'wbe'.*\(did you mean web\?\)\n$/)
    }
  })

  it('restart makes one new life, restart --now without the drain, and neither costs the budget', async () => {
    const before = await mesh.service('lone')
    const restart = await mesh.cli(['restart', 'lone'])
    assert.equal(restart.code, 0)
    assert.match(restart.stdout, /^restarting lone\nlone: running, pid \d+\n$/)
    assert.equal((await mesh.cli(['restart', 'lone', '--now'])).code, 0)
    const now = await mesh.service('lone')
    assert.equal(now.generation, before.generation + 2)
    assert.equal(now.restarts, 0)
    assert.equal(mesh.processesOf('lone').length, 1)
    const kinds = (await mesh.events('lone')).map(({ text }) => text).join('\n')
    assert.match(kinds, /killed by SIGTERM(.|\n)*killed by SIGKILL/)
  })

  it('stop is refused while others need it (exit 5), unless they are stopped too', async () => {
    const refused = await mesh.cli(['stop', 'db'])
    assert.equal(refused.code, 5)
    assert.match(refused.stderr, /^paios: db is needed by web; .*--with-dependents/)
    assert.equal((await mesh.service('db')).state, 'running')
    const stop = await mesh.cli(['stop', 'db', '--with-dependents', '--json'])
    assert.equal(stop.code, 0)
    assert.deepEqual((JSON.parse(stop.stdout) as { names: string[] }).names.toSorted(), ['db', 'web'])
    assert.equal((await mesh.cli(['start', 'db'])).code, 0)
    assert.equal((await mesh.cli(['start', 'web'])).code, 0)
  })

  it('stop --for ends by itself; a bad duration is a usage error (exit 2)', async () => {
    const bad = await mesh.cli(['stop', 'lone', '--for', 'soon'])
    assert.equal(bad.code, 2)
    assert.match(bad.stderr, /--for 'soon' is no duration such as 90s/)
    assert.equal((await mesh.service('lone')).state, 'running')
    const stop = await mesh.cli(['stop', 'lone', '--for', '2s', '--json'])
    assert.equal(stop.code, 0)
    const { services } = JSON.parse(stop.stdout) as {
      services: { state: string; stopped: { until: string } }[]
    }
    assert.equal(services[0]!.state, 'stopped')
    assert.ok(Date.parse(services[0]!.stopped.until) > Date.now() - 2_000)
    await mesh.untilService(
      'lone',
      'runs again',
      ({ state, desired }) => state === 'running' && desired === 'running',
    )
  })

  it('logs prints what a service wrote, logs -f what it writes later', async (t) => {
    const logs = await mesh.cli(['logs', 'db'])
    assert.equal(logs.code, 0)
    assert.match(logs.stdout, /hello from db/)
    const following = follow(t, mesh, ['logs', 'db', '-f', '-n', '1'])
    await following.seen(/hello from db/)
    appendFileSync((await mesh.service('db')).logPath!, 'a later line\n')
    await following.seen(/^a later line$/)
    assert.equal(await following.interrupt(), 0)
  })

  it('events -f shows what happens, --why the chain that led to it, first cause first', async (t) => {
    const { generation } = await mesh.service('lone')
    const following = follow(t, mesh, ['events', '-f', '--service', 'lone', '-n', '1'])
    await following.seen(/ lone\/\d+ /)
    await mesh.cli(['restart', 'lone'])
    const line = await following.seen(new RegExp(` lone/${generation + 1} ready`))
    assert.equal(await following.interrupt(), 0)
    const id = /#(\d+) /.exec(line)![1]!
    const why = await mesh.cli(['events', '--why', id])
    assert.equal(why.code, 0)
    const texts = why.stdout.trimEnd().split('\n')
    assert.match(texts[0]!, /asked to restart$/)
    assert.match(texts.at(-1)!, new RegExp(`#${id} lone/\\d+ ready`))
    assert.equal((await mesh.cli(['events', '--why', 'x'])).code, 2)
  })

  it('events tells what happened after the mesh went down, too', async (t) => {
    const own = openMesh(t)
    own.write({ one: { command: SLEEPER } })
    await own.cli(['up'])
    await own.cli(['down'])
    const { code, stdout } = await own.cli(['events'])
    assert.equal(code, 0)
    assert.match(stdout, /one\/1 stopped/)
    const id = /#(\d+) one\/1 stopped/.exec(stdout)?.[1] ?? ''
    assert.match((await own.cli(['events', '--why', id])).stdout, /the mesh was asked to go down/)
  })

  it('check shows what programs resolve to and which secrets are missing, never a value', async (t) => {
    const own = openMesh(t)
    writeFileSync(join(own.home, 'env'), 'PRESENT=do-not-show-this\n', { mode: 0o600 })
    own.write({ one: { command: ['sh'], env: { A: '${env:PRESENT}', B: '${file:/nowhere/secret}' } } })
    const { code, stdout } = await own.cli(['check'])
    assert.equal(code, 0)
    assert.match(stdout, /^one +process +\/\S+\/sh$/m)
    assert.match(stdout, /\$\{env:PRESENT\}: present/)
    assert.match(stdout, /\$\{file:\/nowhere\/secret\}: ! .*cannot be read: ENOENT/)
    assert.ok(!stdout.includes('do-not-show-this'))
    assert.equal((await own.cli(['up'])).code, 1)
    const one = await own.service('one')
    assert.equal(one.state, 'blocked')
    assert.match(one.reason!, /\/nowhere\/secret/)
    assert.ok(!readFileSync(join(own.home, 'paios.yaml'), 'utf8').includes('do-not-show-this'))
  })
})
