import assert from 'node:assert/strict'
import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Status } from '../../schemas/status.ts'
import { Dice } from '../sim/dice.ts'
import { type Declared, fixture, type TestMesh } from './mesh.ts'
import { openMesh, pidsOf, SLEEPER } from './run-cli.ts'

const LIMIT = { timeout: 180_000 }
const other = { command: SLEEPER }
/** The same sleep by another command line. */
const changed = { command: ['/bin/sh', '-c', 'exec sleep 200000'] }

/** A mesh of `one`, which has been stable, and `other`, which nothing ever touches. */
async function open(
  t: Parameters<typeof openMesh>[0],
  one: Declared,
): Promise<{ mesh: TestMesh; before: Status }> {
  const mesh = openMesh(t)
  mesh.write({ one, other })
  assert.equal((await mesh.cli(['up'])).code, 0)
  await mesh.untilService('one', 'is stable', ({ since }) => Date.now() - Date.parse(since) > 10_500)
  return { mesh, before: await mesh.status() }
}

describe('an edit that does not work', LIMIT, () => {
  it('is rolled back, pinned, said by up and status, and tried again only when asked for', async (t) => {
    const { mesh, before } = await open(t, { command: SLEEPER })
    mesh.write({ one: { command: fixture('exit-at-once.sh', '1') }, other })
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 1, up.stdout)
    assert.match(up.stdout, /^restart: one\n/)
    const back = await mesh.untilService(
      'one',
      'runs again',
      ({ ready, rejected }) => ready && rejected !== null,
    )
    assert.match(back.rejected ?? '', /^exit code 1/)
    assert.deepEqual([back.restarts, back.state], [2, 'running'])
    const { stdout } = await mesh.cli(['status'])
    assert.match(
      stdout,
      /one +running .*runs by the declaration before: the new one was not taken \(exit code 1/,
    )
    assert.match(stdout, /paios up --retry/)
    assert.equal(pidsOf(await mesh.status())['other'], pidsOf(before)['other'])

    const again = await mesh.cli(['up'])
    assert.deepEqual([again.code, again.stdout.split('\n')[0]], [1, 'not taken: one: exit code 1'])
    assert.equal((await mesh.service('one')).pid, back.pid)
    assert.match((await mesh.cli(['up', '--retry'])).stdout, /^restart: one\n/)
    await mesh.untilService('one', 'is back once more', ({ ready, pid }) => ready && pid !== back.pid)
    mesh.write({ one: { command: SLEEPER }, other })
    const reverted = await mesh.cli(['up'])
    assert.equal(reverted.code, 0, reverted.stdout)
    assert.equal((await mesh.service('one')).rejected, null)
  })

  it('is not even begun where the new program is not there: the process runs on', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER }, other })
    await mesh.cli(['up'])
    const before = await mesh.status()
    mesh.write({ one: { command: ['/no/such/program'] }, other })
    for (const words of [['up', '--dry-run'], ['up']]) {
      const { stdout } = await mesh.cli(words)
      assert.match(stdout, /^not taken: one: \/no\/such\/program does not exist$/m, words.join(' '))
    }
    assert.deepEqual(pidsOf(await mesh.status()), pidsOf(before))
  })
})

describe('an edit of what only PAIOS does', LIMIT, () => {
  it('is taken while the process runs on', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER }, other })
    await mesh.cli(['up'])
    const before = await mesh.status()
    const file = join(mesh.home, 'beat')
    const probe = { kind: 'file', role: 'readiness', path: file, every: '200ms', failureThreshold: 2 }
    mesh.write({ one: { command: SLEEPER, probes: [probe], intensity: { max: 2, within: '2m' } }, other })
    const up = await mesh.cli(['up'])
    assert.deepEqual([up.code, up.stdout.split('\n')[0]], [0, 'update: one'])
    await mesh.untilService('one', 'is checked by the new probe', ({ state }) => state === 'degraded')
    writeFileSync(file, '')
    await mesh.untilService('one', 'is well', ({ state }) => state === 'running')
    assert.deepEqual(pidsOf(await mesh.status()), pidsOf(before))
  })
})

describe('a program that is upgraded while it runs', LIMIT, () => {
  it('is shown, and restarted where that is declared', async (t) => {
    const mesh = openMesh(t)
    const install = (text: string) => {
      const path = join(mesh.home, 'server')
      writeFileSync(`${path}.new`, `#!/bin/sh\n# ${text}\nexec sleep 100000\n`)
      chmodSync(`${path}.new`, 0o755)
      renameSync(`${path}.new`, path)
      return path
    }
    const command = [install('first')]
    mesh.write({ shown: { command }, replaced: { command, restartOn: 'binary' } })
    await mesh.cli(['up'])
    const before = pidsOf(await mesh.status())
    install('second')
    const replaced = await mesh.untilService(
      'replaced',
      'is new',
      ({ pid, ready }) => ready && pid !== before['replaced'],
    )
    assert.equal(replaced.restarts, 0)
    const shown = await mesh.service('shown')
    assert.equal(shown.pid, before['shown'])
    assert.match(
      shown.warnings.join(),
      /server has changed on disk since it was started {3}paios restart shown/,
    )
  })
})

describe('fifty random edits of a mesh that runs', LIMIT, () => {
  it('leave every service that they do not concern its process', async (t) => {
    const mesh = openMesh(t)
    const dice = new Dice(7)
    const services: Record<string, Declared> = {}
    for (let i = 0; i < 8; i++)
      services[`s${i}`] = { command: SLEEPER, ...(i % 3 ? { needs: [`s${i - 1}`] } : {}) }
    mesh.write(services)
    assert.equal((await mesh.cli(['up'])).code, 0)
    let count = 8
    for (let edit = 0; edit < 50; edit++) {
      const before = pidsOf(await mesh.status())
      const touched = new Set<string>()
      const name = dice.pick(Object.keys(services))
      const what = dice.pick(['command', 'env', 'watching', 'add', 'remove'] as const)
      const isNeeded = Object.values(services).some(({ needs }) =>
        (needs as string[] | undefined)?.includes(name),
      )
      if (what === 'remove' && !isNeeded && Object.keys(services).length > 4) {
        delete services[name]
        touched.add(name)
      } else if (what === 'add') services[`s${count++}`] = { command: SLEEPER, needs: [name] }
      else if (what === 'watching')
        services[name] = { ...services[name]!, intensity: { max: edit + 1, within: '9h' } }
      else {
        services[name] = {
          ...services[name]!,
          ...(what === 'env' ? { env: { EDIT: String(edit) } } : changed),
        }
        touched.add(name)
      }
      mesh.write(services)
      const { code, stdout, stderr } = await mesh.cli(['up'])
      assert.equal(code, 0, stdout + stderr)
      const now = pidsOf(await mesh.status())
      for (const [service, pid] of Object.entries(before))
        if (!touched.has(service))
          assert.equal(now[service], pid, `edit ${edit} (${what} ${name}): ${service}`)
    }
  })
})
