/**
 * What one look at all alert rules costs the supervisor with 40 services of three probes each, some of them in trouble:
 * reading the gauges, evaluating, and keeping what changed. A pause lies between two looks, as in life.
 */
import { join } from 'node:path'
import type { ChildEvent } from '../supervisor/core/event.ts'
import { emptyMesh, step } from '../supervisor/core/step.ts'
import { createMetrics } from '../supervisor/shell/metrics.ts'
import { openRuleEngine } from '../supervisor/shell/rule-engine.ts'
import { makeProbe, makeSpec } from '../test/sim/mesh.ts'
import type { Bench } from './measures.ts'
import { pause } from './processes.ts'

const SERVICES = 40
const LOOKS = 200
const PAUSE_MS = 25

/** Milliseconds of each look. */
export async function measureRules(bench: Bench): Promise<void> {
  const mesh = emptyMesh(1, [1, 2, 3, 4])
  const specs = Array.from({ length: SERVICES }, (_, index) => {
    const probes = [makeProbe('startup'), makeProbe('readiness'), makeProbe('liveness')]
    return { spec: makeSpec(`s${index}`, { probes }), hash: `s${index}` }
  })
  step(mesh, { kind: 'declared', specs, groups: [], retry: false, preflight: {}, at: 0, wall: 0 })
  const tell = (service: string, event: ChildEvent) =>
    step(mesh, { kind: 'child', service, event, at: 1, wall: Date.now() })
  for (const [index, { spec }] of specs.entries()) {
    // One in ten stays without a process.
    if (index % 10 === 9) continue
    const { state } = mesh.children.get(spec.name)!
    if (state.kind === 'checking')
      tell(spec.name, { kind: 'preflight-reported', attempt: state.attempt, results: [] })
    const { generation } = mesh.children.get(spec.name)!
    const identity = { boot: 'b', pid: 2, start: spec.name }
    tell(spec.name, { kind: 'spawned', generation, identity, logOffset: 0 })
    const outcome = { kind: 'pass', note: null } as const
    for (const probe of ['tcp-startup', 'tcp-readiness', 'tcp-liveness'])
      tell(spec.name, { kind: 'probe-reported', generation, probe, outcome })
  }
  const metrics = createMetrics({
    mesh,
    version: '0.0.0',
    startedWall: Date.now(),
    isUnclean: true,
    lastTickWall: Date.now,
    lastWakeWall: () => 0,
    own: () => ({ residentBytes: 1, descriptors: 1, lagMs: 0 }),
    isJournalWritable: () => true,
    isDocumentValid: () => true,
    host: () => ({
      filesystems: [{ mountpoint: '/', avail: 1e9, size: 1e11 }],
      isOnline: true,
      memory: { avail: 1e9, size: 1e10, level: 1 },
    }),
    heard: () => undefined,
    outbox: () => [
      { channel: 'telegram', isUp: true, pending: 0, dead: 0, provenWall: null, oldestWall: null },
    ],
    pings: () => [],
    polledAt: () => null,
    logBytes: () => 0,
    treeOf: () => [],
    residentBytes: () => null,
  })
  for (const { spec } of specs) metrics.declare(spec.name)
  const ready = metrics.sample('service_up').filter(({ value }) => value === 1).length
  if (ready !== SERVICES * 0.9) throw new Error(`${ready} services are ready`)
  const engine = openRuleEngine({
    metrics,
    path: join(bench.folder, 'rules.json'),
    lastEvent: () => 0,
    events: () => [],
    look: () => undefined,
    found: () => undefined,
  })
  const took: number[] = []
  bench.say(`rules: ${LOOKS} looks`)
  for (let look = 0; look < LOOKS; look++) {
    await pause(PAUSE_MS)
    if (look % 10 === 0) metrics.exited(`s${look % SERVICES}`, 'error', 1)
    const begun = performance.now()
    engine.evaluate()
    took.push(performance.now() - begun)
  }
  engine.close()
  bench.samples.set('rules ms (40 services)', new Map([['paios', took]]))
}
