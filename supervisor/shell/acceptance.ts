/** What an operator accepts of a service as it now is: probes remember what they saw last, and compare with this. */
import type { Known } from './known.ts'
import type { Tell } from './processes.ts'

export type Acceptance = {
  /** The names of the tools that an MCP server had when it was last looked at; null if none were seen. */
  acceptTools(service: string): readonly string[] | null
  /** The names of the MCP servers that a brain's own file registered; null if none were seen. */
  acceptServers(service: string): readonly string[] | null
}

/** `lookAgain` is called for a service whose next check will find something else. */
export function openAcceptance(known: Known, tell: Tell, lookAgain: (service: string) => void): Acceptance {
  const accept = (service: string, what: string, seen: object, names: readonly string[], words: string) => {
    known.set(service, what, seen)
    tell(service, { kind: 'noted', event: `${what}-accepted`, text: `${names.length} ${words} accepted` })
    lookAgain(service)
    return names
  }
  return {
    acceptTools(service) {
      const seen = known.get(service, 'tools-seen')
      if (seen === null || typeof seen !== 'object') return null
      return accept(service, 'tools', seen, Object.keys(seen), 'tools')
    },
    acceptServers(service) {
      const seen = known.get(service, 'servers-seen') as { servers: string[] } | null | undefined
      return seen ? accept(service, 'servers', seen, seen.servers, 'MCP servers') : null
    },
  }
}
