import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Declared, kill, type TestMesh } from './mesh.ts'
import { openMesh, pidsOf, SLEEPER } from './run-cli.ts'

const LIMIT = { timeout: 120_000 }

/** Brings services up that are one group, in this order. */
async function up(
  t: Parameters<typeof openMesh>[0],
  group: object,
  services: Readonly<Record<string, object>>,
): Promise<{ mesh: TestMesh; pids: Record<string, number | null> }> {
  const mesh = openMesh(t)
  const declared = Object.entries(services).map(([name, over]): [string, Declared] => [
    name,
    { command: SLEEPER, group: 'g', ...over },
  ])
  mesh.write(Object.fromEntries(declared), { groups: { g: group } })
  const { code, stdout, stderr } = await mesh.cli(['up'])
  assert.equal(code, 0, stdout + stderr)
  return { mesh, pids: pidsOf(await mesh.status()) }
}

const isNew = (pid: number | null | undefined) => (service: { ready: boolean; pid: number | null }) =>
  service.ready && service.pid !== pid

describe('a group whose nodes go together', LIMIT, () => {
  it('one_for_all: all end before any starts again, and only one pays', async (t) => {
    const { mesh, pids } = await up(t, { strategy: 'one_for_all' }, { a: {}, b: { needs: ['a'] }, c: {} })
    kill(pids['a'] ?? 0)
    for (const name of ['a', 'b', 'c']) await mesh.untilService(name, 'is new', isNew(pids[name]))
    const { services } = await mesh.status()
    assert.deepEqual(Object.fromEntries(services.map(({ name, restarts }) => [name, restarts])), {
      a: 1,
      b: 0,
      c: 0,
    })
    const order = (await mesh.events()).filter(({ kind }) => ['exited', 'started'].includes(kind)).slice(3)
    const ends = order.slice(0, 3).map(({ kind }) => kind)
    assert.deepEqual(ends, ['exited', 'exited', 'exited'])
    assert.deepEqual(
      order
        .slice(3)
        .map(({ subject }) => subject)
        .at(-1),
      'b',
      'what needs a starts last',
    )
    const cause = (await mesh.events('c')).find(({ text }) => text.includes('a sibling is restarted'))
    const chain = await mesh.cli(['events', '--why', String(cause?.id)])
    assert.match(chain.stdout, /killed by SIGKILL[\s\S]*restarted with it: b, c[\s\S]*a sibling is restarted/)
  })

  it('rest_for_one: what stands before keeps its process, what stands after does not', async (t) => {
    const { mesh, pids } = await up(t, { strategy: 'rest_for_one' }, { a: {}, b: {}, c: {} })
    kill(pids['b'] ?? 0)
    for (const name of ['b', 'c']) await mesh.untilService(name, 'is new', isNew(pids[name]))
    assert.equal((await mesh.service('a')).pid, pids['a'])
  })

  it('a shared budget that is used up stops them all, survives the supervisor, and ends when asked for', async (t) => {
    const intensity = { max: 1, within: '10m' }
    const { mesh, pids } = await up(t, { intensity }, { a: {}, b: {} })
    kill(pids['a'] ?? 0)
    await mesh.untilService('a', 'is new', isNew(pids['a']))
    kill(pids['b'] ?? 0)
    const why =
      /^group g gave up: more than 1 failures in 10 min, last b: killed by SIGKILL; looked at again in/
    for (const name of ['a', 'b']) {
      const { reason, pid } = await mesh.untilService(name, 'gave up', ({ state }) => state === 'failed')
      assert.match(reason ?? '', why)
      assert.equal(pid, null)
    }
    const supervisor = mesh.supervisorPid()
    kill(supervisor)
    await mesh.until('the next supervisor', ({ pid }) => pid !== null && pid !== supervisor)
    assert.match((await mesh.service('a')).reason ?? '', why)
    assert.equal((await mesh.cli(['start', 'a'])).code, 0)
    for (const name of ['a', 'b']) await mesh.untilService(name, 'runs', ({ ready }) => ready)
  })
})
