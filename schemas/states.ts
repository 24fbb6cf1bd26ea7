/** The words for what a service is. */

/** The 13 states of a service, worst first; also the label values of `paios_service_state`. */
export const STATES = [
  'failed',
  'unknown',
  'blocked',
  'missing',
  'hung',
  'backoff',
  'degraded',
  'waiting',
  'starting',
  'stopping',
  'running',
  'stopped',
  'absent',
] as const
/** One of the 13 states. */
export type ServiceState = (typeof STATES)[number]
