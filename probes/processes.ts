/** Fails when a service's process tree has grown too large: what is started and never reaped, or never ends. */
import { defineProbe, fail, pass, unknown } from './probe.ts'

/** Counts the processes of the tree, those included that have left its group. */
export const processes = defineProbe(
  'processes',
  ({ z }) => ({ max: z.int().min(1).max(100_000) }),
  async ({ max }, target) => ({
    async check() {
      const count = (await target.tree()).length
      if (count === 0) return unknown('the service has no process')
      return count > max ? fail(`${count} processes in its tree, allowed ${max}`) : pass()
    },
    close: () => Promise.resolve(),
  }),
)
