/** A stranger in this process that listens on a loopback port. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What listens, and how often it was asked. */
export type Listener = { readonly port: number; asked(): number; end(): Promise<void> }

/** Listens on this port, else on one of the system's choice; every request is answered 200. */
export async function openListener(port = 0): Promise<Listener> {
  let count = 0
  const server = createServer((_, response) => {
    count++
    response.end()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    asked: () => count,
    async end() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
