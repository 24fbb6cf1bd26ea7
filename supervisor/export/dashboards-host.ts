/** The dashboard of the machine. */
import { type DashboardData, heatmap, lines, stat, states } from './panels.ts'

/** The machine, the supervisor and its journal. */
export const host: DashboardData = {
  id: 'host',
  title: 'PAIOS: host and supervisor',
  isOfService: false,
  rows: [
    {
      title: 'Host',
      panels: [
        lines(
          'Disk',
          'Free share of each file system.',
          'percentunit',
          { '{{mountpoint}}': 'paios_host_filesystem_avail_bytes / paios_host_filesystem_size_bytes' },
          { width: 12 },
        ),
        lines(
          'Free space',
          'Free bytes of each file system.',
          'bytes',
          { '{{mountpoint}}': 'paios_host_filesystem_avail_bytes' },
          { width: 12 },
        ),
        lines(
          'Memory left',
          'Memory that programs could still have, as a share of all.',
          'percentunit',
          { left: 'paios_host_memory_avail_bytes / paios_host_memory_size_bytes' },
          { width: 12 },
        ),
        states(
          'Memory pressure',
          '1 normal, 2 warning, 4 critical.',
          'short',
          { level: 'paios_host_memory_pressure_level' },
          { width: 12, emptyWhen: 'the kernel does not count it' },
        ),
        lines(
          'Gaps',
          'Sleep and stalls in an hour, as the clock saw them.',
          'short',
          { '{{kind}}': 'increase(paios_supervisor_clock_jumps_total[1h])' },
          { width: 12 },
        ),
        states(
          'Network',
          '1 while the host has a way out.',
          'short',
          { online: 'paios_host_network_online' },
          { width: 12 },
        ),
      ],
    },
    {
      title: 'Supervisor',
      panels: [
        stat('Version', 'The build that runs.', 'short', { '{{version}}': 'paios_build_info' }, { width: 6 }),
        stat(
          'Up',
          'Time since the supervisor was started.',
          's',
          { up: 'time() - paios_supervisor_start_time_seconds' },
          { width: 6 },
        ),
        lines(
          'Memory',
          'Resident memory of the supervisor.',
          'bytes',
          { resident: 'paios_supervisor_resident_memory_bytes' },
          { width: 12 },
        ),
        lines(
          'Descriptors',
          'Open descriptors of the supervisor.',
          'short',
          { open: 'paios_supervisor_open_fds' },
          { width: 8 },
        ),
        lines(
          'Lateness',
          'Worst lateness of the control loop in the last minute.',
          's',
          { lag: 'paios_supervisor_loop_lag_seconds' },
          { width: 8 },
        ),
        heatmap(
          'Turns',
          'Turns of the control loop by their duration.',
          's',
          { '{{le}}': 'sum by (le) (rate(paios_supervisor_tick_duration_seconds_bucket[$__rate_interval]))' },
          { width: 8 },
        ),
      ],
    },
    {
      title: 'Journal',
      panels: [
        states(
          'Journal',
          '1 while events can be written.',
          'short',
          { writable: 'paios_journal_writable' },
          { width: 12 },
        ),
        lines(
          'Write errors',
          'Events that could not be written at once, in an hour.',
          'short',
          { errors: 'increase(paios_journal_write_errors_total[1h])' },
          { width: 12 },
        ),
      ],
    },
  ],
}
