/** Passes when a TCP connection opens. */
import { connect } from 'node:net'
import { LATE, watchLateness } from './lateness.ts'
import { defineProbe, fail, type ProbeResult, pass, unknown } from './probe.ts'

/** Passes when a TCP connection opens; it is closed at once and nothing is sent. */
export const tcp = defineProbe(
  'tcp',
  ({ z }) => ({ host: z.string().min(1).default('127.0.0.1'), port: z.int().min(1).max(65_535) }),
  async ({ host, port }) => ({
    async check(signal) {
      const lateness = watchLateness()
      const place = `${host}:${port}`
      const { promise, resolve } = Promise.withResolvers<ProbeResult>()
      const socket = connect({ host, port })
      const onAbort = () =>
        resolve(lateness.isLate() ? unknown(LATE) : fail(`${place}: no connection in time`))
      signal.addEventListener('abort', onAbort, { once: true })
      socket.on('connect', () => resolve(pass()))
      socket.on('error', (error: NodeJS.ErrnoException) =>
        resolve(fail(`${place}: ${error.code ?? error.message}`)),
      )
      if (signal.aborted) onAbort()
      try {
        return await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
        socket.destroy()
        lateness.stop()
      }
    },
    close: () => Promise.resolve(),
  }),
)
