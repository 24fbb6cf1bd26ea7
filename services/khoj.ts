/**
 * Khoj. Tested against a fake written from its documentation, not against the program. Its health page answers
 * 200 even to a client that it does not know: only a body with an `email` means that it serves. The first start
 * fetches models and takes minutes.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import type { ServiceSpecInput } from '../schemas/service.ts'
import { listenHost, observedIf, type Page, portFree, portNumber } from './listening.ts'
import { pythonExits } from './python-exits.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

const settings = {
  port: portNumber.default(42_110),
  host: listenHost.default('127.0.0.1'),
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('khoj'),
  /** Without logins. With them the health page does not say whether it serves, so less is checked. */
  anonymous: z.boolean().default(true),
  /** Its own Postgres, or one that runs already (POSTGRES_HOST and so on in `env`). */
  database: z.enum(['embedded', 'postgres']).default('embedded'),
  observe: z.boolean().default(false),
}
type Settings = z.output<z.ZodObject<typeof settings>>

const exits: NonNullable<ServiceSpecInput['exits']> = [
  {
    log: 'OperationalError.*(?:could not connect|Connection refused|connection to server)',
    class: 'failure',
    reason: 'its database does not answer',
  },
  ...pythonExits,
]

const postgres: Probes[number] = {
  kind: 'exec',
  name: 'database',
  role: 'preflight',
  command: ['pg_isready', '-q'],
  every: '1m',
}

function probes({ port, anonymous, database }: Settings): Probes {
  const page: Page = { kind: 'http', port, path: '/api/health', contentType: 'application/json' }
  const known = anonymous ? { body: [{ path: 'email', matches: '.' }] } : { text: '^\\s*\\{' }
  return [
    portFree(port),
    ...(database === 'embedded' ? [] : [postgres]),
    { ...page, ...known, name: 'startup', role: 'startup', every: '2s', timeout: '5s' },
    { ...page, ...known, name: 'ready', role: 'readiness', every: '30s', timeout: '5s' },
    // Any JSON of this page means that it lives; who may use it is a matter of readiness.
    {
      ...page,
      name: 'live',
      role: 'liveness',
      text: '^\\s*\\{',
      every: '15s',
      timeout: '5s',
      failureThreshold: 4,
    },
  ]
}

/** Khoj without a browser and without questions. */
export const khoj = defineService({
  id: 'khoj',
  summary: 'Khoj: judged by the body of its health page, with its Postgres beside it or inside',
  settings,
  spec: (chosen) => {
    const { port, host, program, anonymous, database, observe } = chosen
    const flags = ['--host', host, '--port', String(port), '--non-interactive']
    return observedIf(observe, {
      kind: 'daemon',
      command: [program, ...flags, ...(anonymous ? ['--anonymous-mode'] : [])],
      env: { PYTHONUNBUFFERED: '1', ...(database === 'embedded' ? { USE_EMBEDDED_DB: 'true' } : {}) },
      probes: probes(chosen),
      exits,
      stop: [
        { step: 'signal', signal: 'SIGTERM', to: 'process' },
        { step: 'wait-exit', for: '30s' },
      ],
      startTimeout: '10m',
      startTimeoutMax: '10m',
      install: "pip install 'khoj[local]' (Python 3.10 to 3.12)",
      ports: [port],
      runbook: 'khoj.md',
    })
  },
})
