/** What runs of an MCP server beside its canary, in words for a note. */
import { sizeText } from './figures.ts'
import type { ProbeTarget } from './probe.ts'

/** Such as `2 copies run (143.0 MiB), 1 orphan`; null if none runs. A count that fails is a step of `paios probe`. */
export async function noteCopies({ copies, service, step }: ProbeTarget): Promise<string | null> {
  const begun = performance.now()
  try {
    const { running, orphans, bytes } = await copies()
    step('census', performance.now() - begun, `${running} copies`)
    if (running === 0) return null
    const size = bytes === null ? '' : ` (${sizeText(bytes)})`
    const lost = orphans === 0 ? '' : `, ${orphans} of them orphaned: paios mcp ${service}`
    return `${running} ${running === 1 ? 'copy runs' : 'copies run'}${size}${lost}`
  } catch (error) {
    step('census', performance.now() - begun, (error as Error).message)
    return 'copies not counted'
  }
}
