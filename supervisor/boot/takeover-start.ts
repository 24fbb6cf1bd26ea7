/** The start of a service that has just been taken over, and the wait until it is ready or has no hope to be. */
import type { ServiceSpec } from '../../schemas/service.ts'
import type { ServiceStatus } from '../../schemas/status.ts'
import { PaiosError } from '../errors.ts'
import { type Asks, poll } from './release.ts'
import type { Edit } from './takeover-document.ts'

/** A preflight takes 30 s at most. */
const STALE_LIMIT_MS = 40_000
/** States in which waiting for a service is of no use. */
const HOPELESS: ReadonlySet<string> = new Set([
  'blocked',
  'failed',
  'absent',
  'missing',
  'unknown',
  'stopped',
])

type Beginning = { readonly service: string; readonly spec: ServiceSpec; readonly edit: Edit | null }

/** Has the service started and waits until it is ready. Returns its pid. Throws takeover-failed with the reason. */
export async function startHere(asks: Asks, plan: Beginning): Promise<number> {
  return awaitReady(asks, plan, await begin(asks, plan))
}

/** Has the service started. Returns what was known of it before. */
async function begin(asks: Asks, { service, edit }: Beginning): Promise<ServiceStatus | null> {
  const before = (await asks.status())?.services.find(({ name }) => name === service) ?? null
  // The same declaration may have failed here before, and is tried again because it was asked for.
  if (edit === null) await asks.start(service)
  else await asks.up((before?.rejected ?? null) !== null)
  return before
}

async function awaitReady(
  asks: Asks,
  { service, spec }: Beginning,
  before: ServiceStatus | null,
): Promise<number> {
  const begunMs = performance.now()
  let pid: number | null = null
  const look = async () => {
    const seen = (await asks.status())?.services.find(({ name }) => name === service)
    if (seen === undefined) throw new PaiosError('takeover-failed', `the supervisor has lost ${service}`)
    const elapsedMs = performance.now() - begunMs
    // Until its preflights have answered, a blocked service is shown with the reason that has just been removed.
    const isStale = seen.since === before?.since && seen.state === before.state && elapsedMs < STALE_LIMIT_MS
    const isOver = elapsedMs > spec.startTimeout && seen.state !== 'starting'
    const isHopeless = seen.settled && HOPELESS.has(seen.state) && !isStale
    const why = seen.rejected ?? seen.reason ?? seen.state
    if ((seen.rejected !== null && !isStale) || isOver || isHopeless) {
      throw new PaiosError('takeover-failed', `${service} did not get ready here: ${why}`)
    }
    pid = seen.pid
    return seen.settled && seen.ready && seen.kind !== 'external' && pid !== null
  }
  const limitMs = Math.max(spec.startTimeout, spec.startTimeoutMax)
  await poll(`${service} is not ready after ${limitMs / 1000} s`, limitMs, look)
  return pid!
}
