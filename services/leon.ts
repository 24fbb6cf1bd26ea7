/**
 * Leon from a checkout. Tested against a fake written from its documentation, not against the program. Beside its
 * web server it has a TCP server in Python, without which it understands nothing. Each call of its info page writes
 * two lines into its log, so it is asked twice a minute and not more.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import type { ServiceSpecInput } from '../schemas/service.ts'
import { homePath, observedIf, type Page, portFree, portNumber } from './listening.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

const settings = {
  /** The checkout. */
  folder: homePath,
  port: portNumber.default(1337),
  /** The port of its Python TCP server. */
  tcpPort: portNumber.default(1342),
  /** The program that runs its `start` script. */
  program: z.string().min(1).default('npm'),
  observe: z.boolean().default(false),
}

const exits: NonNullable<ServiceSpecInput['exits']> = [
  {
    log: "Cannot find module '([^']+)'",
    class: 'fatal',
    reason: 'it is not built, or its packages are missing: no $1 (npm install, npm run build)',
  },
  { log: 'Missing script: "?start"?', class: 'fatal', reason: 'the folder is no checkout of Leon' },
  { log: 'EADDRINUSE.*?:(\\d+)', class: 'failure', reason: 'port $1 is held by another program' },
]

function probes(port: number, tcpPort: number): Probes {
  const info: Page = {
    kind: 'http',
    port,
    path: '/api/v1/info',
    body: [
      { path: 'success', equals: true },
      { path: 'code', equals: 'info_pulled' },
    ],
  }
  return [
    portFree(port),
    portFree(tcpPort, 'tcp-port-free'),
    { ...info, name: 'startup', role: 'startup', every: '2s' },
    { ...info, name: 'live', role: 'liveness', every: '30s', timeout: '5s' },
    // Its TCP server needs 3 to 11 s more than the web server.
    { kind: 'tcp', name: 'python', role: 'readiness', port: tcpPort, every: '10s' },
  ]
}

/** Leon: its web server and its Python TCP server. */
export const leon = defineService({
  id: 'leon',
  summary: 'Leon from a checkout: its info page and its Python TCP server',
  settings,
  spec: ({ folder, port, tcpPort, program, observe }) =>
    observedIf(observe, {
      kind: 'daemon',
      command: [program, 'start'],
      cwd: folder,
      env: { LEON_PORT: String(port), LEON_PY_TCP_SERVER_PORT: String(tcpPort) },
      probes: probes(port, tcpPort),
      exits,
      startTimeout: '2m',
      startTimeoutMax: '2m',
      install: 'clone github.com/leon-ai/leon, then npm install and npm run build in it',
      ports: [port, tcpPort],
      runbook: 'leon.md',
    }),
})
