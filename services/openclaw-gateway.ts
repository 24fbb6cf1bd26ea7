/**
 * The OpenClaw gateway. Every number and every pattern here was measured on version 2026.9.6 (Linux x64, two
 * cores); test/fixtures/gateway holds the log lines. Not tried on macOS.
 *
 * - Exit 78 means that its configuration, its state or a lock is wrong: a restart cannot help. Exit 0 without
 *   having been asked means that it wants to be started again. Exit 1 can be either, and the log tells.
 * - `/healthz` says only that the event loop turns, `/readyz` is 503 for as long as a channel has no network,
 *   and both stay 200 while the state database is locked: so only `/healthz` may restart it.
 * - A configuration file that is broken while it runs leaves all its answers green, and its next start fails.
 */
import { z } from 'zod'
import { defineService, type PresetContext } from '../schemas/preset.ts'
import { commonFields, type ServiceSpecInput } from '../schemas/service.ts'
import { gatewayExits } from './openclaw-gateway-exits.ts'
import { silentFailures } from './openclaw-gateway-logs.ts'

/** The longest drain that OpenClaw itself allows: 315 s, and 10 s to clean up. */
const DRAIN_LIMIT_MS = 325_000

/** These paths become part of a reference, in which `#` and `}` have a meaning. */
const path = z.string().regex(/^(~?\/)[^#}]*$/, 'expected an absolute path or one that begins with ~/')

const settings = {
  port: z.int().min(1).max(65_535).default(18_789),
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('openclaw'),
  /** Default `~/.openclaw`. */
  stateDir: path.optional(),
  /** Default `openclaw.json` in the state directory. */
  configPath: path.optional(),
  /** Where the token is, if it is not in the configuration file (which would win over this one). */
  token: z
    .string()
    .regex(/^\$\{(file|env|json):[^}]+\}$/, 'expected a reference such as ${file:~/.paios/secrets/gateway}')
    .optional(),
  /** How long a stop may wait for work in flight. */
  drainGrace: commonFields.startTimeout
    .unwrap()
    .refine((ms) => ms <= DRAIN_LIMIT_MS, { error: 'OpenClaw itself drains 325s at most' })
    .prefault('30s'),
  /** A gateway that another manager runs is probed and never started, signalled or doubled. */
  observe: z.boolean().default(false),
}
type Settings = z.output<z.ZodObject<typeof settings>>
type Probes = NonNullable<ServiceSpecInput['probes']>

/** The two paths, absolute. */
function locate({ stateDir = '~/.openclaw', configPath }: Settings, { home }: PresetContext) {
  const absolute = (text: string) => text.replace(/^~\//, `${home}/`).replace(/\/$/, '')
  const state = absolute(stateDir)
  return {
    stateDir: state,
    configPath: configPath === undefined ? `${state}/openclaw.json` : absolute(configPath),
  }
}

type Located = ReturnType<typeof locate>

/**
 * Without a token the gateway makes up a new one at each start, which locks out every client. One that is in
 * the file wins over the environment, so exactly one of the two places must hold it. A `${NAME}` in the file
 * is refused, since only the gateway could resolve it.
 */
function tokenRequirement({ token }: Settings) {
  const at = 'gateway.auth.token'
  return token === undefined
    ? {
        path: at,
        matches: '^(?!\\$\\{|\\[object )\\S{8}',
        message: 'must hold the token itself (8 characters or more), or the service must set `token`',
      }
    : { path: at, exists: false, message: 'wins over the `token` of the service: remove one of them' }
}

const space = (
  name: string,
  role: 'preflight' | 'readiness',
  path: string,
  free: string,
): Probes[number] => ({ kind: 'disk', name, role, path, free, every: '1m', failureThreshold: 1 })

function preflights(chosen: Settings, { stateDir, configPath }: Located): Probes {
  const { program, port } = chosen
  return [
    {
      kind: 'config',
      name: 'config',
      role: 'preflight',
      file: configPath,
      format: 'json5',
      // The program prints its schema (2.4 MB) in 1.6 s, even when its file is broken; cached per version.
      schema: { command: [program, 'config', 'schema'], version: [program, '--version'] },
      require: [
        {
          path: 'gateway.mode',
          equals: 'local',
          message: 'must be "local", or the gateway refuses to start',
        },
        { path: 'gateway.auth.mode', equals: 'token', message: 'must be "token", or clients are refused' },
        tokenRequirement(chosen),
      ],
      // Repeated while it runs: the only sign that the next start would fail. A change of the file is seen at
      // once.
      every: '5m',
      timeout: '30s',
      failureThreshold: 1,
    },
    // Both addresses are looked at, since the gateway listens on 127.0.0.1 and ::1. Without this check it
    // tries for some 10 s to bind and then exits 1.
    { kind: 'port', name: 'port-free', role: 'preflight', port, expect: 'free', every: '1m', timeout: '10s' },
    {
      kind: 'lock',
      name: 'lock-free',
      role: 'preflight',
      // The folder's name ends in the user's number. After a kill the file stays and names a dead process.
      file: `${stateDir}/tmp/openclaw-*/gateway.state.lock`,
      expect: 'free',
      every: '1m',
    },
    {
      // It would wait for 8 s, leave with code 1, and not say who has the lock.
      kind: 'sqlite',
      name: 'database-free',
      role: 'preflight',
      file: `${stateDir}/state/openclaw.sqlite`,
      optional: true,
      // It writes for some 5 % of its first seconds: what hangs meanwhile holds a lock that ends with it.
      lock: 'others',
      every: '15m',
      timeout: '10s',
      failureThreshold: 1,
    },
    // Without room it may start, or leave with words about its database. A state directory of its own is made by the
    // first start, so it need not be there.
    ...(configPath === `${stateDir}/openclaw.json`
      ? [space('space-free', 'preflight', stateDir, '16MiB')]
      : []),
  ]
}

/**
 * The start as the gateway tells it: refused for 4 to 7 s, 503 `starting` for 2 to 4 s, then 200 `started`.
 */
function startup({ port }: Settings): Probes {
  return [
    {
      kind: 'http',
      name: 'startup',
      role: 'startup',
      port,
      path: '/startupz',
      contentType: 'application/json',
      body: [{ path: 'status', equals: 'started' }],
      progress: { status: 503, path: 'status', equals: 'starting' },
      show: 'status',
      every: '1s',
    },
  ]
}

/**
 * What an observed gateway gets too. Any unknown path answers 200 with a page, so type and body are checked.
 */
function health({ port, token }: Settings, { stateDir, configPath }: Located): Probes {
  const json = { port, contentType: 'application/json' }
  return [
    {
      ...json,
      kind: 'http',
      name: 'live',
      role: 'liveness',
      path: '/healthz',
      body: [
        { path: 'ok', equals: true },
        { path: 'status', equals: 'live' },
      ],
      every: '10s',
      timeout: '3s',
      failureThreshold: 3,
    },
    {
      // Before `ready`, since its words tell a dead token from a lost network, and `/readyz` only names the channel.
      kind: 'ws',
      name: 'rpc',
      role: 'readiness',
      port,
      protocol: 'openclaw',
      channels: true,
      token: token ?? `\${json:${configPath}#gateway.auth.token}`,
      // Channels reach services outside.
      network: true,
      every: '30s',
      timeout: '5s',
    },
    {
      ...json,
      kind: 'http',
      name: 'ready',
      role: 'readiness',
      path: '/readyz',
      body: [{ path: 'ready', equals: true }],
      show: 'failing',
      // After three unclean starts in 5 min it answers 200 and starts no channel: alive but mute.
      failIf: [{ path: 'suppressed', nonEmpty: true, reason: 'channels are muted after unclean starts' }],
      network: true,
      every: '15s',
      timeout: '3s',
    },
    {
      // Names the process that has locked its state, which its own log lines cannot. The gateway was not disturbed
      // by it. A lock of some seconds is a migration or a backup, so it must last for three checks.
      kind: 'sqlite',
      name: 'database-lock',
      role: 'readiness',
      file: `${stateDir}/state/openclaw.sqlite`,
      optional: true,
      every: '1m',
      timeout: '10s',
      failureThreshold: 3,
    },
    // With a full disk it was seen to start, to say that it is ready, and to write no line about it for minutes.
    space('space', 'readiness', stateDir, '64MiB'),
  ]
}

/**
 * Children get a declared environment only, so launchd's and systemd's markers, by which OpenClaw would think
 * that it belongs to them, never reach it. OPENCLAW_NO_RESPAWN is left out on purpose: with it the gateway
 * restarts inside its own process even under an external supervisor, unseen and with its memory still
 * growing.
 */
function environment({ stateDir, configPath, token }: Settings, located: Located): Record<string, string> {
  return {
    OPENCLAW_SUPERVISOR_MODE: 'external',
    NO_COLOR: '1',
    ...(stateDir === undefined ? {} : { OPENCLAW_STATE_DIR: located.stateDir }),
    ...(configPath === undefined ? {} : { OPENCLAW_CONFIG_PATH: located.configPath }),
    ...(token === undefined ? {} : { OPENCLAW_GATEWAY_TOKEN: token }),
  }
}

/**
 * An idle gateway leaves in 0.3 to 1.2 s. With work in flight it would drain for 315 s, and it was seen to
 * hang for 325 s after its drain had settled; once settled, nothing of the user's is lost by SIGKILL. A
 * second SIGTERM is ignored. A hung one writes no line at all, which is what the first wait is for.
 */
const stopSteps = (drainGraceMs: number): ServiceSpecInput['stop'] => [
  { step: 'signal', signal: 'SIGTERM', to: 'process' },
  { step: 'wait-log', pattern: 'received SIG(?:TERM|INT)|shutting down', for: '10s' },
  { step: 'wait-log', pattern: 'drain settled', for: `${drainGraceMs}ms` },
  { step: 'wait-exit', for: '15s' },
]

/** The gateway as a child of the supervisor, or observed where another manager runs it. */
export const openclawGateway = defineService({
  id: 'openclaw-gateway',
  summary: 'The OpenClaw gateway: config, port and lock are checked first, its drain is watched',
  settings,
  importance: 'high',
  spec: (chosen, context) => {
    const { port, program, drainGrace, observe } = chosen
    const located = locate(chosen, context)
    const common = { ports: [port], runbook: 'openclaw-gateway.md' }
    if (observe) return { ...common, kind: 'external', command: null, probes: health(chosen, located) }
    return {
      ...common,
      kind: 'daemon',
      command: [program, 'gateway', 'run', '--port', String(port), '--bind', 'loopback'],
      env: environment(chosen, located),
      probes: [
        ...preflights(chosen, located),
        ...startup(chosen),
        ...health(chosen, located),
        ...silentFailures,
      ],
      exits: gatewayExits,
      stop: stopSteps(drainGrace),
      // Signals do not reach a hung one, and SIGKILL of the whole tree always follows the last step.
      hangStop: [],
      hangEvidence: true,
      // Ready after 9 to 17 s; a migration may take minutes and says `starting` meanwhile.
      startTimeout: '90s',
      startTimeoutMax: '300s',
      // Two are restarted, the third gives up.
      intensity: { max: 2, within: '10m' },
      // The third unclean start within 5 min mutes its channels.
      killLimit: { max: 2, within: '5m' },
      install: 'npm install -g openclaw',
    }
  },
})
