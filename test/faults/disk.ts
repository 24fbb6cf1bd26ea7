/** A disk of a few MiB that holds the home of the mesh, and fills up. Only root may mount one. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kill, type TestMesh } from '../e2e/mesh.ts'
import { freeBytes, openMeshOnDisk, SLEEPER } from '../e2e/run-cli.ts'
import { ANSWERED, type Fault, kept, type Stage } from './fault.ts'
import { paios, up, withPhone } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type Row = Fault<Stage>

/** Compiled code that is kept would take the room of a disk this small. */
const SPARING = { NODE_DISABLE_COMPILE_CACHE: '1' }
const SIZE_MIB = 8

async function openDisk(): Promise<Stage | null> {
  if (process.getuid?.() !== 0) {
    process.stderr.write('a disk of a few MiB can be mounted by root only\n')
    return null
  }
  const ends: (() => unknown)[] = []
  const mesh = openMeshOnDisk({ after: (end) => ends.push(end as () => unknown) }, SIZE_MIB)
  const end = async () => {
    for (const work of ends) await work()
  }
  const probe = { kind: 'disk', role: 'readiness', path: mesh.home, free: '1MiB', every: '300ms' }
  mesh.write({
    plain: { command: SLEEPER },
    other: { command: SLEEPER },
    looking: { command: SLEEPER, probes: [{ ...probe, failureThreshold: 2 }] },
  })
  const stage = await withPhone(mesh, end)
  await up(stage, SPARING)
  return stage
}

/** Leaves not one block free. */
function fill(mesh: TestMesh): void {
  for (const bytes of [65_536, 4_096]) {
    while (freeBytes(mesh.home) >= bytes) {
      try {
        writeFileSync(join(mesh.home, 'filler'), Buffer.alloc(bytes, 1), { flag: 'a' })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        return
      }
    }
  }
}

/** Fills the disk and kills a service, so that the journal is written and cannot be. */
async function fillAndCrash({ mesh }: Stage): Promise<undefined> {
  fill(mesh)
  const { pid: old } = await mesh.service('plain')
  kill(old ?? 0)
  await mesh.untilService('plain', 'runs anew', ({ pid, ready }) => ready && pid !== null && pid !== old)
}
const untilTold = ({ mesh }: Stage) =>
  mesh.until('the warning', ({ warnings }) => warnings.some((text) => text.includes('its disk is full')))
const fillUntilTold = async (stage: Stage) => {
  await fillAndCrash(stage)
  return untilTold(stage)
}
const free = async ({ mesh }: Stage) => rmSync(join(mesh.home, 'filler'))
const FREE = 'free some space'
const written = {
  what: 'the journal is written again, all runs',
  holds: async ({ mesh }: Stage) => {
    const { warnings, services } = await mesh.status()
    return warnings.length === 0 && services.every(({ ready, reason }) => ready && reason === null)
  },
}

const rows: Row[] = [
  {
    name: 'journal that cannot be written',
    program: 'the journal',
    made: 'its disk is filled, and a service is killed (which is replaced all the same)',
    sign: { mesh: /^the journal \S+journal\.db cannot be written: its disk is full; free some space$/ },
    heard: { rule: 'JournalWriteFailing', about: 'supervisor' },
    person: FREE,
    touches: ['plain'],
    make: fillAndCrash,
    mend: free,
    well: written,
  },
  {
    name: 'restart that could not be recorded',
    program: 'paios restart',
    made: '`paios restart` of a healthy service while the disk is full',
    sign: { code: 5, text: /other is not restarted: the journal \S+ cannot be written: its disk is full/ },
    heard: ANSWERED,
    person: FREE,
    touches: ['plain'],
    prepare: fillUntilTold,
    make: paios('restart other'),
    mend: free,
    well: written,
  },
  {
    name: 'supervisor killed while its disk is full',
    program: 'the supervisor',
    made: 'the disk is filled, a service is replaced, kill -9 of the supervisor',
    sign: { subject: 'plain', event: 'adopted', text: /^still runs as pid \d+: adopted$/ },
    heard: { rule: 'SupervisorUncleanStart', about: 'supervisor' },
    person: FREE,
    touches: [],
    prepare: fillUntilTold,
    make: async ({ mesh }) => void kill(mesh.supervisorPid()) as undefined,
    mend: free,
    well: kept('plain', 'other'),
  },
  {
    name: 'disk of a service that runs full',
    program: 'sleep, with a probe of its disk',
    made: 'the disk is filled; 1 MiB must be free, looked at every 0.3 s',
    sign: { service: 'looking', state: 'degraded', text: /^the disk of \S+ .*needs 1\.0 MiB$/ },
    heard: { rule: 'ProbeFailing', about: 'looking' },
    person: FREE,
    touches: [],
    make: async ({ mesh }) => void fill(mesh) as undefined,
    mend: free,
    well: kept('looking'),
  },
]

/** A disk that runs full. */
export const disk = defineGroup('disk', 'Full disk', openDisk, rows)
