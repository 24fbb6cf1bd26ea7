/**
 * What each exit of the OpenClaw gateway means. The first match wins, `^` and `$` are line ends, and the
 * fixtures in test/fixtures/gateway hold the real lines for each entry.
 */
import type { ServiceSpecInput } from '../schemas/service.ts'

/** Exit 0. One that SIGTERM from outside asked for is no planned restart: it counts against the budget. */
const asked: NonNullable<ServiceSpecInput['exits']> = [
  {
    code: 0,
    log: 'closed: restart \\((.+)\\)$[\\s\\S]*restart mode: full process restart',
    class: 'planned',
    reason: 'a restart that it asked for itself ($1)',
  },
  {
    code: 0,
    log: 'received (SIGTERM|SIGINT); shutting down',
    class: 'success',
    reason: 'somebody else sent it $1',
  },
  { code: 0, class: 'planned', reason: 'a restart that it asked for itself' },
]

/** Exit 78: a restart cannot help. OpenClaw's own systemd unit does not restart on it either. */
const refused: NonNullable<ServiceSpecInput['exits']> = [
  {
    code: 78,
    log: 'Invalid config at .+:\\n(.+)',
    class: 'fatal',
    reason: 'its configuration is not valid: $1',
  },
  {
    code: 78,
    log: 'existing config is missing gateway\\.mode',
    class: 'fatal',
    reason: 'its configuration has no gateway.mode: the file is empty, cut off or overwritten',
  },
  {
    code: 78,
    log: 'set gateway\\.mode=local \\(current: (.+?)\\)',
    class: 'fatal',
    reason: 'gateway.mode is $1, not local',
  },
  { code: 78, log: 'Missing config\\.', class: 'fatal', reason: 'its configuration file is missing' },
  {
    code: 78,
    log: 'owns gateway-lifecycle|StateDatabaseCoordinatorContention',
    class: 'fatal',
    reason: 'another OpenClaw process uses the same state directory',
  },
  {
    code: 78,
    log: 'Refusing to bind gateway to (\\S+) without auth',
    class: 'fatal',
    reason: 'it refuses to listen on $1 without authentication',
  },
  {
    code: 78,
    log: 'database is unreadable at (.+?): ',
    class: 'fatal',
    reason: 'its state database is damaged: $1',
  },
  { code: 78, log: 'file is not a database', class: 'fatal', reason: 'a database of its is damaged' },
  {
    code: 78,
    log: 'database or disk is full|database is not open|ENOSPC',
    class: 'fatal',
    reason: 'the disk is full, or its state database cannot be opened',
  },
  { code: 78, log: 'Gateway failed to start: (.+)', class: 'fatal', reason: '$1' },
  { code: 78, class: 'fatal', reason: 'it refuses to start, and a restart cannot help' },
]

/**
 * Exit 1. A held port is no fatal exit: the check of the port before the next start finds the holder and
 * names it, and blocks for exactly as long as the port is held. A locked database may become free.
 */
const failed: NonNullable<ServiceSpecInput['exits']> = [
  {
    code: 1,
    log: '^openclaw: Node ([\\d.]+): .*; use (\\S+)',
    class: 'fatal',
    reason: 'the Node on its PATH is $1, and it needs $2 (set PATH in `env`)',
  },
  {
    code: 1,
    log: 'AUTH_PROFILE_MIGRATION_REQUIRED',
    class: 'fatal',
    reason: 'it finds old credential files: run `openclaw doctor --fix` once',
  },
  {
    code: 1,
    log: 'EADDRINUSE[\\s\\S]*?^.*?- pid (\\d+)',
    class: 'failure',
    reason: 'its port is held by pid $1',
  },
  {
    code: 1,
    log: 'EADDRINUSE|already listening',
    class: 'failure',
    reason: 'its port is held by another program',
  },
  {
    code: 1,
    log: 'failureKind=lock-contention|database is locked',
    class: 'failure',
    reason: 'its state database is locked by another process',
  },
  {
    code: 1,
    log: 'database or disk is full|database is not open|ENOSPC',
    class: 'failure',
    reason: 'the disk is full, or its state database cannot be opened',
  },
  { code: 1, log: 'Gateway failed to start: (.+)', class: 'failure', reason: '$1' },
]

const heap = {
  log: 'heap limit|JavaScript heap out of memory',
  class: 'failure',
  reason: 'its JavaScript heap is used up (give it more in `env`: NODE_OPTIONS=--max-old-space-size=4096)',
} as const

/** All exit signatures of the gateway, in order. */
export const gatewayExits: NonNullable<ServiceSpecInput['exits']> = [
  ...asked,
  ...refused,
  ...failed,
  { ...heap, signal: 'SIGABRT' },
  { ...heap, code: 134 },
]
