/**
 * What one event costs the core in a mesh of 10 and of 1,000 services: results of probes that change something, in
 * groups with strategies and budgets. The two take turns within each round.
 */
import type { ServiceSpec } from '../schemas/service.ts'
import type { ChildEvent } from '../supervisor/core/event.ts'
import type { Group, Mesh } from '../supervisor/core/state.ts'
import { emptyMesh, step } from '../supervisor/core/step.ts'
import { makeProbe, makeSpec } from '../test/sim/mesh.ts'
import type { Bench } from './measures.ts'

const SIZES = [10, 1_000] as const
/** Services of one group; a joint restart costs as much as the group is large, so all groups are alike. */
const GROUP = 5
const EVENTS = 20_000

class Core {
  readonly mesh: Mesh = emptyMesh(1, [1, 2, 3, 4])
  readonly names: readonly string[]
  at = 0

  constructor(size: number) {
    this.names = Array.from({ length: size }, (_, i) => `s${i}`)
    const groups = this.names.flatMap((_, i): Group[] => {
      if (i % GROUP > 0) return []
      const nodes = this.names.slice(i, i + GROUP)
      const intensity = { max: 1_000_000, within: 1_000 }
      return [{ name: `g${i}`, parent: null, strategy: 'one_for_all', intensity, nodes }]
    })
    const specs = this.names.map((name, i) => {
      const probes: ServiceSpec['probes'] = [makeProbe('liveness')]
      const over = { probes, group: `g${i - (i % GROUP)}`, intensity: { max: 1_000_000, within: 1_000 } }
      return { spec: makeSpec(name, over), hash: name }
    })
    const fact = { kind: 'declared', specs, groups, retry: false, preflight: {} } as const
    step(this.mesh, { ...fact, at: 0, wall: 0 })
    for (const name of this.names) this.#start(name)
  }

  #tell(service: string, event: ChildEvent): void {
    step(this.mesh, { kind: 'child', service, event, at: this.at, wall: this.at })
  }

  #start(name: string): void {
    const { state } = this.mesh.children.get(name)!
    if (state.kind === 'checking')
      this.#tell(name, { kind: 'preflight-reported', attempt: state.attempt, results: [] })
    const { generation } = this.mesh.children.get(name)!
    const identity = { boot: 'b', pid: 2, start: `${generation}` }
    this.#tell(name, { kind: 'spawned', generation, identity, logOffset: 0 })
  }

  /** One probe result; the next one differs, so that each changes something. */
  probe(index: number): void {
    this.at += 1
    const name = this.names[index % this.names.length]!
    const { generation } = this.mesh.children.get(name)!
    const isBad = Math.floor(index / this.names.length) % 2 === 0
    const outcome = isBad
      ? ({ kind: 'fail', reason: 'no answer', progress: false } as const)
      : ({ kind: 'pass', note: null } as const)
    this.#tell(name, { kind: 'probe-reported', generation, probe: 'tcp-liveness', outcome })
  }
}

/** Microseconds per event, the middle of the rounds, for both sizes. */
export function measureCore(bench: Bench): void {
  const cores = new Map(SIZES.map((size) => [size, new Core(size)]))
  const byPeer = new Map<string, number[]>([
    ['paios', []],
    ['10 services', []],
  ])
  for (let round = 0; round < (bench.isQuick ? 5 : 15); round++) {
    for (const [size, core] of cores) {
      const begun = performance.now()
      for (let index = 0; index < EVENTS; index++) core.probe(index)
      const us = ((performance.now() - begun) / EVENTS) * 1000
      byPeer.get(size === 10 ? '10 services' : 'paios')!.push(us)
    }
  }
  bench.samples.set('event µs (1,000 services)', byPeer)
}
