/** What OpenClaw's own installer (`openclaw gateway install`) calls the service that it makes of a gateway. */

/** The systemd user unit. */
export const GATEWAY_UNIT = 'openclaw-gateway.service'

/** The label of the launchd job. */
export const GATEWAY_LABEL = 'ai.openclaw.gateway'
