import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { serviceSpec } from '../../schemas/service.ts'
import type { ProbeOutcome } from '../../supervisor/core/event.ts'
import { openKnown } from '../../supervisor/shell/known.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProber } from '../../supervisor/shell/prober.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { openProcesses, type Tell } from '../../supervisor/shell/processes.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'

/** A prober of one service with one probe, over a folder that goes with the test. */
function open(t: TestContext, probe: object, tell: Tell = () => undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'prober-'))
  const secret = join(folder, 'secret')
  writeFileSync(secret, 'the-old-one')
  const spec = serviceSpec.parse({
    name: 'a',
    preset: 'process',
    kind: 'daemon',
    command: ['sleep', '1'],
    env: { TOKEN: `\${file:${secret}}` },
    runbook: 'process.md',
    probes: [probe],
  })
  const secrets = openSecrets(join(folder, 'env'))
  const table = openProcessTable()
  const common = { secrets, logs: folder, tell }
  const processes = openProcesses({ ...common, table, beats: folder, needsTail: () => true })
  const subject = { spec, generation: 1, process: null }
  const prober = openProber({
    ...common,
    processes,
    programs: openProbePrograms(table, folder),
    known: openKnown(folder),
    cache: folder,
    subject: () => subject,
    ran: () => undefined,
    toolsSeen: () => undefined,
    copies: () => Promise.resolve({ running: 0, orphans: 0, bytes: null }),
    random: () => 0,
  })
  t.after(() => {
    prober.closeAll()
    processes.close()
    rmSync(folder, { recursive: true })
  })
  return { prober, subject }
}

for (const [from, to] of [
  ['fail', 'pass'],
  ['pass', 'fail'],
] as const) {
  it(`a secret that is replaced counts from the next check on, after a ${from} too`, async (t) => {
    const outcomes: ProbeOutcome['kind'][] = []
    const { promise: changed, resolve } = Promise.withResolvers<void>()
    const [old, next] = ['the-old-one', 'the-new-one']
    const command = ['/bin/sh', '-c', `test "$TOKEN" = ${to === 'pass' ? next : old}`]
    // The settings of the probe itself hold the reference.
    const folder = mkdtempSync(join(tmpdir(), 'prober-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const secret = join(folder, 'secret')
    writeFileSync(secret, old)
    const env = { TOKEN: `\${file:${secret}}` }
    const { prober } = open(
      t,
      { kind: 'exec', role: 'readiness', command, env, every: '20ms' },
      (_, event) => {
        if (event.kind !== 'probe-reported') return
        outcomes.push(event.outcome.kind)
        if (outcomes.length === 1) writeFileSync(secret, next)
        // Without its secret a check uses the last one.
        if (outcomes.length > 1 && event.outcome.kind === to) {
          if (outcomes.length > 3) resolve()
          else rmSync(secret, { force: true })
        }
      },
    )
    prober.open('a', 1, ['readiness'], false)
    await changed
    assert.equal(outcomes[0], from)
    assert.equal(outcomes.includes('unknown'), false)
  })
}

it('a secret that a program says is struck out of notes, reasons and steps', async (t) => {
  const server = fileURLToPath(new URL('../fixtures/mcp-hostile.mjs', import.meta.url))
  const command = [process.execPath, server, 'names-token', 'garbage-token']
  const { prober, subject } = open(t, { kind: 'mcp', role: 'readiness', timeout: '10s', command })
  const [report] = await prober.report('a', subject)
  assert.equal(report?.text, '[redacted] 1.0; 2 tools; noise on stdout')
  assert.doesNotMatch(JSON.stringify(report), /the-old-one/)
})
