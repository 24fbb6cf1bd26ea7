/** Rules about the machine: disks, memory and network. */
import type { AlertRule } from './alert-rule.ts'
import { and, operation, select } from './expression.ts'

const GIB = 1024 ** 3
const filesystem = { kind: 'filesystem', label: 'mountpoint' } as const
const share = operation(select('host_filesystem_avail_bytes'), '/', select('host_filesystem_size_bytes'))
/** A small disk with most of it free is not full. */
const isLow = operation(share, '<', 0.1)

const root = (metric: string, values: string) => ({ [`${metric}{mountpoint="/"}`]: values })
const disk = (free: number) => ({
  ...root('host_filesystem_avail_bytes', `${free * GIB}x40`),
  ...root('host_filesystem_size_bytes', `${100 * GIB}x40`),
})

/** Gigabytes that programs could still have, of ten. */
const memory = (free: string) => ({
  host_memory_avail_bytes: free,
  host_memory_size_bytes: '10000000000x60',
})
const hostMemory = { kind: 'host', name: 'memory' } as const

/** By name. */
export const hostRules: Readonly<Record<string, AlertRule>> = {
  DiskLow: {
    severity: 'warning',
    when: and(isLow, operation(select('host_filesystem_avail_bytes'), '>=', 5 * GIB)),
    for: 120,
    keep: 0,
    heldBy: [],
    subject: filesystem,
    summary: '{mountpoint} has {percent} of its room left.',
    fires: { at: 300, series: disk(8) },
    silent: { at: 300, series: disk(4) },
  },
  DiskAlmostFull: {
    severity: 'critical',
    when: and(operation(select('host_filesystem_avail_bytes'), '<', 5 * GIB), isLow),
    for: 0,
    keep: 0,
    heldBy: [],
    subject: filesystem,
    summary: '{mountpoint} has {bytes} left.',
    fires: { at: 60, series: disk(4) },
    silent: {
      at: 60,
      series: {
        ...root('host_filesystem_avail_bytes', `${GIB}x40`),
        ...root('host_filesystem_size_bytes', `${2 * GIB}x40`),
      },
    },
  },
  /** What programs stand still for is worse than what little is left. */
  MemoryPressure: {
    severity: 'warning',
    when: operation(select('host_memory_pressure_level'), '>=', 4),
    for: 60,
    keep: 0,
    heldBy: [],
    subject: hostMemory,
    summary: 'This machine is so short of memory that its programs stand still.',
    fires: { at: 180, series: { host_memory_pressure_level: '1x3 4x20' } },
    silent: { at: 180, series: { host_memory_pressure_level: '2x8 4x3 1x20' } },
  },
  MemoryLow: {
    severity: 'warning',
    when: operation(
      operation(select('host_memory_avail_bytes'), '/', select('host_memory_size_bytes')),
      '<',
      0.05,
    ),
    for: 120,
    keep: 0,
    heldBy: [],
    subject: hostMemory,
    summary: 'This machine has {percent} of its memory left.',
    fires: { at: 300, series: memory('2000000000x3 400000000x60') },
    silent: { at: 300, series: memory('400000000x6 600000000x60') },
  },
  NetworkOffline: {
    severity: 'warning',
    when: operation(select('host_network_online'), '==', 0),
    for: 300,
    keep: 0,
    heldBy: [],
    subject: { kind: 'host', name: 'network' },
    summary: 'This machine is offline.',
    fires: { at: 600, series: { host_network_online: '1x3 0x60' } },
    silent: { at: 540, series: { host_network_online: '0x18 1 0x40' } },
  },
}
