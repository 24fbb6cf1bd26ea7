/**
 * NanoClaw v2 from a checkout. Tested against a fake written from its source and documentation, not against the
 * program. It has no health page: its control socket `data/ncl.sock` takes one JSON line and answers with one, which
 * its own `ncl` does too; listing its groups reads its database and changes nothing. Its agents run in containers,
 * so without a container runtime it cannot start.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import type { ServiceSpecInput } from '../schemas/service.ts'
import { homePath, observedIf } from './listening.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

const settings = {
  /** The checkout, built. */
  folder: homePath,
  /** The Node that runs it. */
  program: z.string().min(1).default('node'),
  /** What runs its containers; `none` checks nothing (Apple's container, a remote Docker). */
  runtime: z.enum(['docker', 'none']).default('docker'),
  observe: z.boolean().default(false),
}

const exits: NonNullable<ServiceSpecInput['exits']> = [
  {
    log: 'another host instance is already serving ncl',
    class: 'fatal',
    reason: 'another NanoClaw runs from the same checkout',
  },
  {
    log: 'NODE_MODULE_VERSION',
    class: 'fatal',
    reason: 'its native modules were built for another Node (pnpm rebuild)',
  },
  {
    log: "Cannot find module '([^']+)'",
    class: 'fatal',
    reason: 'it is not built, or its packages are missing: no $1 (pnpm install, pnpm build)',
  },
  {
    log: '[Cc]ontainer runtime.*(?:required|not running|failed)|Cannot connect to the Docker daemon',
    class: 'failure',
    reason: 'its container runtime does not run',
  },
]

function probes(folder: string, runtime: 'docker' | 'none'): Probes {
  const control = {
    kind: 'socket',
    path: `${folder}/data/ncl.sock`,
    send: JSON.stringify({ id: 'paios', command: 'groups-list', args: {} }),
    expect: '"id"\\s*:\\s*"paios"',
  } as const
  return [
    ...(runtime === 'none' ? [] : [docker]),
    { ...control, name: 'startup', role: 'startup', every: '1s' },
    { ...control, name: 'live', role: 'liveness', every: '15s', timeout: '5s' },
    {
      ...control,
      name: 'database',
      role: 'readiness',
      expect: '"ok"\\s*:\\s*true',
      every: '1m',
      timeout: '5s',
    },
    {
      kind: 'log',
      name: 'telegram',
      role: 'readiness',
      pattern: 'terminated by other getUpdates request',
      reason: 'another program polls with the same Telegram token',
      clearAfter: '2m',
      every: '10s',
      failureThreshold: 1,
    },
  ]
}

const docker: Probes[number] = {
  kind: 'exec',
  name: 'docker',
  role: 'preflight',
  command: ['docker', 'info', '--format', '{{.ServerVersion}}'],
  every: '5m',
  timeout: '20s',
}

/** The host process of NanoClaw; its containers belong to the container runtime. */
export const nanoclaw = defineService({
  id: 'nanoclaw',
  summary: 'NanoClaw v2: asked over its control socket, since it has no health page',
  settings,
  spec: ({ folder, program, runtime, observe }) =>
    observedIf(observe, {
      kind: 'daemon',
      command: [program, 'dist/index.js'],
      cwd: folder,
      probes: probes(folder.replace(/\/$/, ''), runtime),
      exits,
      stop: [
        { step: 'signal', signal: 'SIGTERM', to: 'process' },
        { step: 'wait-exit', for: '30s' },
      ],
      startTimeout: '2m',
      startTimeoutMax: '2m',
      install: 'clone github.com/qwibitai/nanoclaw, then pnpm install and pnpm build in it',
      runbook: 'nanoclaw.md',
    }),
})
