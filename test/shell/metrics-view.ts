/** The metrics over a mesh that a test has made, with figures of the host that never change. */
import type { Mesh } from '../../supervisor/core/state.ts'
import type { MetricsView } from '../../supervisor/shell/metric-gauges.ts'
import { createMetrics } from '../../supervisor/shell/metrics.ts'

/** Nothing else provides for them; alpha has a log of 70,000 bytes. `more`: what is otherwise in this test. */
export function metricsOf(mesh: Mesh, more: Partial<MetricsView> = {}) {
  return createMetrics({
    mesh,
    version: '1.2.3',
    startedWall: 1_000,
    isUnclean: false,
    lastTickWall: () => 2_000,
    lastWakeWall: () => 0,
    own: () => ({ residentBytes: 100, descriptors: 20, lagMs: 0 }),
    isJournalWritable: () => true,
    isDocumentValid: () => true,
    host: () => ({ filesystems: [], isOnline: true, memory: null }),
    heard: () => undefined,
    outbox: () => [],
    pings: () => [],
    polledAt: () => null,
    treeOf: () => [],
    residentBytes: () => 4096,
    logBytes: (service) => (service === 'alpha' ? 70_000 : null),
    ...more,
  })
}
