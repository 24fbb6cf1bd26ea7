/** Fails when a service's process tree holds too much memory. */
import { readFile } from 'node:fs/promises'
import { defineProbe, fail, type ProbeTarget, pass, unknown } from './probe.ts'

const MIB = 1024 ** 2

/** Resident bytes of one process, 0 if it is gone. VmRSS is in KiB whatever the page size is. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}

/** The same from ps, for systems without /proc (not tried on macOS). */
async function residentBytesFromPs(pids: readonly number[], target: ProbeTarget, signal: AbortSignal) {
  const asked = await target.run(['ps', '-o', 'rss=', '-p', pids.join(',')], { signal })
  return asked.stdout.split('\n').reduce((sum, line) => sum + Number(line.trim() || 0) * 1024, 0)
}

/** Sums resident memory over the tree. Pages that processes share count once for each of them. */
export const memory = defineProbe(
  'memory',
  ({ size }) => ({ max: size }),
  async ({ max }, target) => ({
    async check(signal) {
      const pids = await target.tree()
      if (pids.length === 0) return unknown('the service has no process')
      let bytes = 0
      if (process.platform === 'linux') for (const pid of pids) bytes += await residentBytes(pid)
      else bytes = await residentBytesFromPs(pids, target, signal)
      if (bytes === 0) return unknown('the memory of the process tree cannot be read')
      const used = `${Math.round(bytes / MIB)} MiB in ${pids.length} process${pids.length === 1 ? '' : 'es'}`
      return bytes > max ? fail(`${used}, allowed ${Math.round(max / MIB)} MiB`) : pass(used)
    },
    close: () => Promise.resolve(),
  }),
)
