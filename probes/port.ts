/** Whether a TCP port is free or ours. Where no owner can be seen, a bind attempt is the last word. */
import { createServer } from 'node:net'
import { portHolders } from './port-holders.ts'
import { defineProbe, fail, pass, unknown } from './probe.ts'
import { nameProcess } from './process-table.ts'

/** Null if the port can be bound, otherwise the error's code. */
function bindError(port: number, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/**
 * `free`: nobody but the service's own tree listens on the port; `ours`: a process of the tree does. Without
 * `host` a listener on any address counts, with it those on that address and on all addresses.
 */
export const port = defineProbe(
  'port',
  ({ z }) => ({
    port: z.int().min(1).max(65_535),
    host: z.union([z.ipv4(), z.literal('::1')]).optional(),
    expect: z.enum(['free', 'ours']),
  }),
  async ({ port: number, host, expect }, target) => ({
    async check(signal) {
      const tree = await target.tree()
      const run = (argv: readonly string[]) => target.run(argv, { signal })
      const { listening, pids } = await portHolders(number, host, tree, run)
      const own = pids.find((pid) => tree.includes(pid))
      if (own !== undefined) return pass(`held by our own pid ${own}`)
      if (pids[0] !== undefined)
        return fail(`port ${number} is held by ${await nameProcess(pids[0], target, signal)}`)
      if (listening) return fail(`port ${number} is held by a process that cannot be seen`)
      if (expect === 'ours') return fail(`nobody listens on port ${number}`)
      const error = await bindError(number, host ?? '127.0.0.1')
      if (error === null) return pass()
      if (error === 'EADDRINUSE') return fail(`port ${number} is held by a process that cannot be seen`)
      return unknown(`port ${number} cannot be bound: ${error}`)
    },
    close: () => Promise.resolve(),
  }),
)
