/** Passes when an MCP server on owned pipes answers. */
import { z } from 'zod'
import { excerpt } from './excerpt.ts'
import { defineProbe, fail, pass, unknown } from './probe.ts'

const initialized = z.object({ serverInfo: z.object({ name: z.string(), version: z.string() }) })

/** The protocol version that is offered; a server answers with the one it will speak. */
const shape = { protocolVersion: z.string().min(1).default('2025-06-18') }

/** The handshake once per generation, then a ping at each check. */
export const mcp = defineProbe('mcp', shape, async ({ protocolVersion }, target) => {
  let server: string | null = null
  let generation = target.generation
  return {
    async check(signal) {
      const { request } = target
      if (request === undefined) return unknown('the supervisor owns no pipes to this service')
      if (generation !== target.generation) {
        generation = target.generation
        server = null
      }
      let method = 'initialize'
      try {
        if (server === null) {
          const clientInfo = { name: 'paios', version: '1.0.0' }
          const params = { protocolVersion, capabilities: {}, clientInfo }
          const answer = initialized.safeParse(await request({ method, params }, signal))
          if (!answer.success) return fail('initialize: the answer names no server')
          const { name, version } = answer.data.serverInfo
          server = `${name} ${version}`
        }
        method = 'ping'
        await request({ method }, signal)
        return pass(server)
      } catch (error) {
        if (signal.aborted) return fail(`${method}: no answer in time`)
        return fail(`${method}: ${excerpt(error instanceof Error ? error.message : String(error))}`)
      }
    },
    close: () => Promise.resolve(),
  }
})
