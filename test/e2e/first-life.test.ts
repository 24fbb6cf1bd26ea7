import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openMesh, SLEEPER } from './run-cli.ts'

const LIMIT = { timeout: 120_000 }
const FALSE = ['/bin/false']

describe('a new service that ends as soon as it is started', LIMIT, () => {
  it('makes `up` exit with 1 and is shown in its table, whatever its restart type', async (t) => {
    const mesh = openMesh(t)
    const intensity = { max: 1, within: '10m' }
    mesh.write({
      well: { command: SLEEPER },
      again: { command: FALSE, intensity },
      once: { command: FALSE, restart: 'temporary' },
      done: { command: ['/bin/true'], restart: 'transient' },
    })
    const { code, stdout, stderr } = await mesh.cli(['up'])
    assert.equal(code, 1, stdout + stderr)
    assert.match(stdout, /^well +running /m)
    assert.match(stdout, /^again +failed .*more than 1 failures in 10 min.*exit code 1/m)
    assert.match(stdout, /^once +stopped .*exit code 1 .*paios logs once$/m)
    assert.match(stdout, /^done +stopped .*completed/m)
    assert.equal((await mesh.cli(['status'])).code, 1)
  })

  it('makes `up` exit with 1 where nothing else is declared, and `start` too', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ once: { command: FALSE, restart: 'temporary' } })
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 1, up.stdout + up.stderr)
    const start = await mesh.cli(['start', 'once'])
    assert.equal(start.code, 1, start.stdout + start.stderr)
    assert.match(start.stdout, /once: stopped, .*exit code 1/)
  })

  it('is told from one that lives on: `up` exits with 0 once nothing is in doubt any more', async (t) => {
    const mesh = openMesh(t)
    mesh.write({ one: { command: SLEEPER }, two: { command: SLEEPER, needs: ['one'] } })
    const up = await mesh.cli(['up', '--json'])
    assert.equal(up.code, 0, up.stderr)
    const { status } = JSON.parse(up.stdout) as {
      status: { services: { settled: boolean; state: string }[] }
    }
    assert.deepEqual(
      status.services.map(({ state, settled }) => [state, settled]),
      [
        ['running', true],
        ['running', true],
      ],
    )
  })
})
