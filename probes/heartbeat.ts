/**
 * A service that tells that it works, by touching the file that PAIOS_HEARTBEAT names in its environment. What
 * only runs, or answers from a thread that does nothing else, does not.
 */
import { stat } from 'node:fs/promises'
import { durationText, instantText } from './figures.ts'
import { defineProbe, fail, pass, unknown } from './probe.ts'

/** Fails when the last beat is older than `within`. Until its first one, a generation's start counts as one. */
export const heartbeat = defineProbe(
  'heartbeat',
  ({ duration }) => ({ within: duration }),
  async ({ within }, target) => ({
    async check() {
      const { heartbeatPath, startedAtMs } = target
      if (target.pid === null || startedAtMs === null) return unknown('the service has no process')
      try {
        const { mtimeMs } = await stat(heartbeatPath)
        // A beat of an earlier generation says nothing about this one.
        return judge(mtimeMs >= startedAtMs ? mtimeMs : null, startedAtMs, within)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'ENOENT') return judge(null, startedAtMs, within)
        return unknown(`${heartbeatPath} cannot be looked at: ${code ?? String(error)}`)
      }
    },
    close: () => Promise.resolve(),
  }),
)

function judge(beatMs: number | null, startedAtMs: number, withinMs: number) {
  if (Date.now() - (beatMs ?? startedAtMs) <= withinMs) return pass()
  const since = beatMs === null ? 'since its start' : `since ${instantText(beatMs)}`
  return fail(`no beat ${since}, expected one within ${durationText(withinMs)}`)
}
