/** What the alert rules have counted, over real kills of the supervisor at every moment around a crash. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { isAlive, kill, until } from './mesh.ts'
import { openMesh, SLEEPER } from './run-cli.ts'

/** Milliseconds between the end of the service and that of the supervisor. */
const DELAYS = [0, 10, 25, 50, 90, 150, 300]

type Kept = { moves: [string, [string, { by: number[] }][]][] }

describe('the windows of the alert rules', { timeout: 180_000 }, () => {
  it('count every crash once, though the supervisor was killed right after it', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ kb: { command: SLEEPER, intensity: { max: 100, within: '10m' } } })
    await mesh.cli(['up'])
    const file = join(mesh.home, 'state/rules.json')
    const counted = (): number => {
      const { moves } = JSON.parse(readFileSync(file, 'utf8')) as Kept
      const series = moves.find(([metric]) => metric === 'service_exits_total')?.[1] ?? []
      return series.flatMap(([, { by }]) => by).reduce((sum, by) => sum + by, 0)
    }
    for (const delay of DELAYS) {
      const { pid } = await mesh.untilService('kb', 'it runs', ({ state }) => state === 'running')
      const above = [mesh.keeperPid(), mesh.supervisorPid()]
      kill(pid!)
      await wait(delay)
      for (const one of above) kill(one)
      await until('keeper and supervisor are gone', () => !above.some(isAlive))
      await mesh.cli(['up', '--no-wait'])
      await mesh.untilService('kb', 'it runs again', (one) => one.state === 'running' && one.pid !== pid)
    }
    const crashes = (await mesh.events('kb')).filter(({ kind }) => kind === 'exited').length
    assert.equal(crashes, DELAYS.length)
    await mesh.until('all of them are counted', () => counted() >= crashes)
    assert.equal(counted(), crashes)
  })
})
