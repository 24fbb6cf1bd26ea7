/** Hours of made-up samples in which every rule fires now and then, the same for both engines. */
import { METRICS, type MetricName } from '../../schemas/metrics.ts'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import type { Labels } from '../../supervisor/core/evaluate.ts'
import { metricsIn } from '../../supervisor/core/expression.ts'
import type { Series } from '../../supervisor/export/examples.ts'

/** Values of the labels that the mesh declares. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  service: ['kb', 'web'],
  probe: ['tcp-readiness', 'http-liveness'],
  runbook: ['kb', 'web'],
  mountpoint: ['/', '/data'],
  text: ['process'],
}
const GIB = 1024 ** 3

/** Numbers in [0, 1), the same for each run (mulberry32). */
function chances(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Every combination of the labels of a metric. */
function labelSets(metric: MetricName): Labels[] {
  const labels: Record<string, readonly string[] | string> = METRICS[metric].labels
  return Object.entries(labels).reduce<Labels[]>(
    (sets, [label, values]) =>
      sets.flatMap((set) =>
        (typeof values === 'string' ? NAMES[values]! : values)
          .slice(0, label === 'kind' ? 1 : undefined)
          .map((value) => ({ ...set, [label]: value })),
      ),
    [{}],
  )
}

type Walk = (before: number | null, now: number, chance: () => number) => number

const flip =
  (often: number): Walk =>
  (before, _, chance) =>
    chance() < often ? 1 - (before ?? 0) : (before ?? 1)
const among =
  (values: readonly number[], often: number): Walk =>
  (before, _, chance) =>
    before === null || chance() < often ? values[Math.floor(chance() * values.length)]! : before
const grows =
  (often: number): Walk =>
  (before, _, chance) =>
    (before ?? 0) + (chance() < often ? 1 : 0)
/** An instant that is now mostly, and stands still for a while now and then. */
const instant: Walk = (before, now, chance) => (before === null || chance() < 0.06 ? now : before)

const WALKS: Partial<Record<MetricName, Walk>> = {
  service_info: () => 1,
  service_state: among([0, 0, 0, 0, 0, 0, 1], 0.05),
  probe_failure_threshold: () => 3,
  probe_consecutive_failures: among([0, 0, 1, 2, 3], 0.1),
  probe_interval_seconds: () => 10,
  mcp_tools: among([0, 4], 0.02),
  service_leftover_processes: among([0, 0, 2], 0.02),
  supervisor_limits_exceeded: among([0, 0, 1], 0.02),
  approval_oldest_pending_timestamp_seconds: (before, now, chance) =>
    before === null || chance() < 0.01 ? now : before,
  supervisor_start_time_seconds: (before, now, chance) => (before === null || chance() < 0.01 ? now : before),
  supervisor_suppression_active: among([0, 0, 0, 0, 0, 0, 1], 0.02),
  host_filesystem_avail_bytes: among([GIB, 4 * GIB, 8 * GIB, 50 * GIB], 0.05),
  host_filesystem_size_bytes: () => 100 * GIB,
  host_memory_avail_bytes: among([0.2 * GIB, GIB, 4 * GIB], 0.05),
  host_memory_size_bytes: () => 8 * GIB,
  host_memory_pressure_level: among([1, 2, 4], 0.05),
  service_memory_used_ratio: among([0.4, 0.8, 0.97], 0.05),
  deadman_deadline_timestamp_seconds: (before, now, chance) =>
    before === null || chance() < 0.05 ? now + 300 : before,
}

function walkOf(metric: MetricName): Walk {
  const known = WALKS[metric]
  if (known) return known
  if (metric.endsWith('_total')) return grows(0.02)
  return metric.endsWith('_timestamp_seconds') ? instant : flip(0.05)
}

/** All series that the rules read, with a sample at each of so many steps from `start` on (Unix seconds). */
export function makeSeries(start: number, steps: number, stepSeconds: number): Series[] {
  const metrics = new Set(
    Object.values(RULES).flatMap(({ when, offlineOnly }) => [
      ...metricsIn(when),
      ...(offlineOnly ? metricsIn(offlineOnly.where) : []),
    ]),
  )
  metrics.add('supervisor_suppression_active')
  const chance = chances(42)
  return [...metrics].flatMap((metric) =>
    labelSets(metric).map((labels) => {
      const walk = walkOf(metric)
      const values: number[] = []
      for (let step = 0; step < steps; step++)
        values.push(walk(values[step - 1] ?? null, start + step * stepSeconds, chance))
      return { metric, labels, values }
    }),
  )
}

/** The series as OpenMetrics text, which promtool makes a database of. */
export function openMetrics(all: readonly Series[], start: number, stepSeconds: number): string {
  const lines: string[] = []
  for (const { metric, labels, values } of all) {
    const inner = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    const name = `paios_${metric}{${inner.join(',')}}`
    for (const [step, value] of values.entries()) lines.push(`${name} ${value} ${start + step * stepSeconds}`)
  }
  return `${lines.join('\n')}\n# EOF\n`
}
