/** What the OpenClaw gateway writes when it fails without a sign. Measured on 2026.9.6; not tried on macOS. */
import type { ServiceSpecInput } from '../schemas/service.ts'

/**
 * The lines that are the only outside sign of a locked database, a full disk or a dead key while HTTP stays green. An
 * idle gateway writes one at least once a minute (its own health round), and nothing once it is over, so the
 * failure ends two minutes after the last one. `config reload skipped` is not looked for: a file that is put
 * back as it was leaves no line that would end the warning, and the repeated config check sees the file
 * itself.
 */
export const silentFailures: NonNullable<ServiceSpecInput['probes']> = [
  {
    kind: 'log',
    name: 'database',
    role: 'readiness',
    pattern: 'failureKind=lock-contention|database is locked',
    reason: 'another process holds a lock on its state database: whatever writes hangs',
    clearAfter: '2m',
    every: '10s',
    failureThreshold: 1,
  },
  {
    kind: 'log',
    name: 'disk',
    role: 'readiness',
    pattern: 'database or disk is full|ENOSPC',
    reason: 'the disk that holds its state is full: nothing can be written',
    clearAfter: '2m',
    every: '10s',
    failureThreshold: 1,
  },
  {
    // The turn fails and nothing else does. A turn that ends well clears it; not every kind of turn says so, and a
    // heartbeat, by default every 30 min, would fail again.
    kind: 'log',
    name: 'provider',
    role: 'readiness',
    pattern:
      '\\[model-fetch\\] response .*\\bstatus=40[123]\\b|\\[agent/embedded\\] .*\\breason=(?:auth|billing)\\b',
    clearPattern: '\\[agent\\] run \\S+ ended with stopReason=stop\\b',
    reason:
      'a model provider refuses its key or login, and agents get no answer: log in again (openclaw models status)',
    clearAfter: '40m',
    every: '10s',
    failureThreshold: 1,
  },
]
