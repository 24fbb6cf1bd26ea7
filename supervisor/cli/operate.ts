/**
 * What `paios start`, `stop` and `restart` share: ask the supervisor, wait until it is done, say how it
 * ended.
 */
import type { ServiceStatus } from '../../schemas/status.ts'
import { call } from './client.ts'
import type { Invocation } from './command.ts'
import { isDown, paint, plain, STATE_TONES } from './render.ts'
import { waitSettled } from './settle.ts'

/** What the supervisor answers to an operation: a sentence, and the services that it concerns. */
type Accepted = { readonly message: string; readonly names: readonly string[] }

/**
 * Sends `POST /<verb>` with the body, waits until the services it concerns are settled, and prints the
 * outcome. Resolves to 0 if each ended as asked, else 1. Throws PaiosError as the supervisor refused.
 */
export async function operate(
  verb: 'start' | 'stop' | 'restart',
  body: Readonly<Record<string, unknown>>,
  invocation: Invocation,
): Promise<number> {
  const accepted = await call<Accepted>(invocation.home, 'POST', `/${verb}`, body)
  if (!invocation.json) invocation.out(`${plain(accepted.message)}\n`)
  const { status, settled } = await waitSettled(invocation, accepted.names)
  const services = status.services.filter(({ name }) => accepted.names.includes(name))
  const reached = services.filter((service) => service.settled && isAsAsked(verb, service))
  if (invocation.json) invocation.out(`${JSON.stringify({ ...accepted, settled, services })}\n`)
  else for (const service of services) invocation.out(`${outcome(service, invocation)}\n`)
  return reached.length === services.length ? 0 : 1
}

function isAsAsked(verb: 'start' | 'stop' | 'restart', service: ServiceStatus): boolean {
  if (verb === 'stop') return service.pid === null && !isDown(service)
  return !isDown(service) && service.state !== 'absent'
}

function outcome(service: ServiceStatus, invocation: Invocation): string {
  const state = paint(service.state, STATE_TONES[service.state], invocation)
  const parts = [`${service.name}: ${state}`]
  if (!service.settled) parts.push('not settled yet')
  if (service.pid !== null) parts.push(`pid ${service.pid}`)
  if (service.reason !== null) parts.push(plain(service.reason))
  const next = service.next === null ? '' : `   ${plain(service.next)}`
  return parts.join(', ') + next
}
