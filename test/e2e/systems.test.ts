/** What the presets of the other systems add to a real supervisor: waiting for a model, named faults, heartbeats. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from '../brains.ts'
import { createMesh, fixture, type TestMesh } from './mesh.ts'

const fake = fileURLToPath(new URL('../fixtures/fake-systems.mjs', import.meta.url))

/** A mesh with one service named `it`; its processes are known by the tag in their environment. */
function declare(t: TestContext, settings: (home: string) => Record<string, unknown>): TestMesh {
  const mesh = createMesh()
  t.after(() => mesh.end())
  const { env, ...rest } = settings(mesh.home)
  const service = { ...rest, env: { ...(env as object | undefined), MESH_TAG: `${mesh.home}/it.tag` } }
  const document = { version: 1, metrics: { enabled: false }, services: { it: service } }
  writeFileSync(join(mesh.home, 'paios.yaml'), JSON.stringify(document), { mode: 0o600 })
  return mesh
}

const down = async (mesh: TestMesh) => assert.equal((await mesh.cli(['down'])).code, 0)

describe('the presets under the supervisor', { concurrency: 3 }, () => {
  it('a model that loads for longer than the start budget is waited for, and not started again', async (t) => {
    const port = await freePort()
    const mesh = declare(t, (home) => {
      writeFileSync(join(home, 'model.gguf'), 'GGUF')
      writeFileSync(join(home, 'control'), 'loading')
      const env = { FAKE_SYSTEM: 'llama-server', FAKE_CONTROL: join(home, 'control') }
      const node = { PATH: `${process.execPath.replace(/\/[^/]*$/, '')}:${process.env['PATH']}` }
      const model = join(home, 'model.gguf')
      return {
        preset: 'llama-server',
        program: fake,
        port,
        model,
        startTimeout: '2s',
        env: { ...env, ...node },
      }
    })
    const up = mesh.cli(['up'])
    const { pid, since } = await mesh.untilService('it', 'starting', (found) => found.pid !== null)
    const begun = Date.now()
    const late = await mesh.untilService('it', 'past its budget', () => Date.now() - begun > 4_000)
    assert.deepEqual([late.state, late.pid, late.since], ['starting', pid, since])
    writeFileSync(join(mesh.home, 'control'), 'ok')
    assert.equal((await up).code, 0)
    assert.equal((await mesh.service('it')).pid, pid)
    await down(mesh)
  })

  it('a Python program that lacks a module is blocked with the name of it, and not tried in a loop', async (t) => {
    const mesh = declare(t, (home) => {
      writeFileSync(join(home, 'it.py'), 'import surely_not_there\n')
      return { preset: 'python-service', script: 'it.py', cwd: home }
    })
    await mesh.cli(['up'])
    const { reason } = await mesh.untilService('it', 'blocked', ({ state }) => state === 'blocked')
    assert.match(reason ?? '', /the module surely_not_there is not installed in this Python/)
    const starts = (await mesh.events('it')).filter(({ kind }) => kind === 'started')
    assert.equal(starts.length, 1)
    await down(mesh)
  })

  it('a watcher whose beats stop is started again; one whose folder is missing is not started', async (t) => {
    const mesh = declare(t, (home) => ({
      preset: 'file-watcher',
      command: fixture('beats.mjs', join(home, 'stop')),
      folder: join(home, 'inbox'),
      heartbeat: '1s',
    }))
    assert.equal((await mesh.cli(['up'])).code, 1)
    assert.match((await mesh.service('it')).reason ?? '', /inbox does not exist/)
    mkdirSync(join(mesh.home, 'inbox'))
    const { pid } = await mesh.untilService('it', 'running', ({ state }) => state === 'running')
    writeFileSync(join(mesh.home, 'stop'), '')
    await mesh.untilService('it', 'no longer the same', (found) => found.pid !== pid)
    rmSync(join(mesh.home, 'stop'))
    await mesh.untilService('it', 'running again', ({ state }) => state === 'running')
    assert.match((await mesh.events('it')).map(({ text }) => text).join('\n'), /no beat since/)
    await down(mesh)
  })
})
