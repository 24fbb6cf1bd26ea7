import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { serviceSpec } from '../../schemas/service.ts'
import { ensureHome, homeAt } from '../../supervisor/shell/home.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { openProcesses } from '../../supervisor/shell/processes.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'

it('a service with a heartbeat probe is told which file to touch, and one without is not', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'paios-beat-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const home = homeAt(root)
  ensureHome(home)
  const ends = new Map<string, () => void>()
  const processes = openProcesses({
    table: openProcessTable(),
    secrets: openSecrets(home.env),
    logs: home.logs,
    beats: home.beats,
    tell: (service, event) => event.kind === 'exited' && ends.get(service)?.(),
    needsTail: () => false,
  })
  t.after(() => processes.close())
  const run = async (name: string, probes: readonly object[]) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    ends.set(name, resolve)
    const command = ['sh', '-c', 'echo "${PAIOS_HEARTBEAT-none}"; touch "${PAIOS_HEARTBEAT-/dev/null}"']
    const base = { name, preset: 'process', kind: 'daemon', command, probes, runbook: 'process.md' }
    processes.spawn(name, serviceSpec.parse(base), 1, `run-${name}`)
    await promise
    return readFileSync(join(home.logs, name, 'current.log'), 'utf8').trim()
  }
  const beat = await run('beats', [{ kind: 'heartbeat', role: 'liveness', within: '30s' }])
  assert.equal(beat, processes.beatOf('beats'))
  assert.equal(readFileSync(beat, 'utf8'), '')
  assert.equal(await run('silent', []), 'none')
})
