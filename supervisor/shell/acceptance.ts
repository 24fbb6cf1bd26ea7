/** What an operator accepts of a service as it now is: probes remember what they saw last, and compare with this. */
import type { ServiceSpec } from '../../schemas/service.ts'
import { PaiosError } from '../errors.ts'
import type { Known } from './known.ts'
import type { Tell } from './processes.ts'

/** What a service should have from now on: the names of its tools, or of the MCP servers of a brain. */
export type Baseline = { readonly message: string; readonly entries: readonly string[] }

/**
 * Takes what the probes of a service saw last for what it should have. Throws a PaiosError if none of its probes
 * compares anything (`usage`), or none has seen anything yet (`refused`).
 */
export type Acceptance = (name: string, spec: ServiceSpec) => Baseline

/** `lookAgain` is called for a service whose next check will find something else. */
export function openAcceptance(known: Known, tell: Tell, lookAgain: (service: string) => void): Acceptance {
  const accept = (name: string, what: string, seen: object, names: readonly string[], words: string) => {
    known.set(name, what, seen)
    tell(name, { kind: 'noted', event: `${what}-accepted`, text: `${names.length} ${words} accepted` })
    lookAgain(name)
    return { message: `${name}: ${names.length} ${words} accepted`, entries: names }
  }
  const acceptTools = (name: string) => {
    const seen = known.get(name, 'tools-seen')
    if (seen === null || typeof seen !== 'object')
      throw new PaiosError('refused', `${name} has not shown its tools yet: paios probe ${name}`)
    return accept(name, 'tools', seen, Object.keys(seen), 'tools')
  }
  const acceptServers = (name: string) => {
    const seen = known.get(name, 'servers-seen') as { servers: string[] } | null | undefined
    if (!seen) throw new PaiosError('refused', `${name} has lost no MCP server`)
    return accept(name, 'servers', seen, seen.servers, 'MCP servers')
  }
  return (name, { probes }) => {
    if (probes.some((probe) => probe.kind === 'brain-config' && probe.format === 'claude-state'))
      return acceptServers(name)
    if (probes.some((probe) => probe.kind === 'mcp' && probe.check === 'tools')) return acceptTools(name)
    throw new PaiosError('usage', `${name} is no MCP server: none of its probes looks at tools`)
  }
}
