import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { serviceSpec } from '../../schemas/service.ts'
import type { ProbeOutcome } from '../../supervisor/core/event.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProber } from '../../supervisor/shell/prober.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { openProcesses } from '../../supervisor/shell/processes.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'

it('a check that failed reads its secret anew, so that a replaced one is no trouble', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'prober-'))
  const secret = join(folder, 'secret')
  writeFileSync(secret, 'the-old-one')
  const probe = {
    kind: 'exec',
    role: 'readiness',
    command: ['/bin/sh', '-c', 'test "$TOKEN" = the-new-one'],
    env: { TOKEN: `\${file:${secret}}` },
    every: '20ms',
  } as const
  const spec = serviceSpec.parse({
    name: 'a',
    preset: 'process',
    kind: 'daemon',
    command: ['sleep', '1'],
    runbook: 'process.md',
    probes: [probe],
  })
  const secrets = openSecrets(join(folder, 'env'))
  const processes = openProcesses({
    table: openProcessTable(),
    secrets,
    logs: folder,
    tell: () => undefined,
    needsTail: () => true,
  })
  const outcomes: ProbeOutcome['kind'][] = []
  const { promise: passed, resolve } = Promise.withResolvers<void>()
  const prober = openProber({
    secrets,
    processes,
    programs: openProbePrograms(openProcessTable(), folder),
    logs: folder,
    cache: folder,
    subject: () => ({ spec, generation: 1, process: null }),
    tell(_, event) {
      if (event.kind !== 'probe-reported') return
      outcomes.push(event.outcome.kind)
      if (outcomes.length === 1) writeFileSync(secret, 'the-new-one')
      if (event.outcome.kind === 'pass') resolve()
    },
    ran: () => undefined,
    random: () => 0,
  })
  t.after(() => {
    prober.closeAll()
    processes.close()
    rmSync(folder, { recursive: true })
  })
  prober.open('a', 1, ['readiness'], false)
  await passed
  assert.equal(outcomes[0], 'fail')
})
