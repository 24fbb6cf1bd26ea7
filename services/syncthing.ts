/**
 * Syncthing. Measured on version 1.19.2 (Linux x64); not tried on macOS.
 *
 * - It is two processes: a monitor, which is the one that is started, and a worker in a process group of its own,
 *   which holds port and database. SIGTERM to the monitor ends both within 50 ms. After SIGKILL of the monitor the
 *   worker lives on and holds both, which is what the sweep before each start is for.
 * - With `--no-restart` the monitor ends with its worker (exit 255 after a kill), so a crash is seen and counted here
 *   instead of being mended unseen. Exit 3 is a restart that its page or its API asked for.
 * - The health page needs no key and says `"status": "OK"` in newer versions; 1.19.2 has none, and answers 403
 *   `CSRF Error`, or 401 `Not Authorized` with a password: each of them is said by Syncthing alone.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import type { ServiceSpecInput } from '../schemas/service.ts'
import { homePath, observedIf, type Page, portFree, portNumber } from './listening.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

const settings = {
  /** The port of its page and its API, on 127.0.0.1. It wins over the one in config.xml. */
  port: portNumber.default(8384),
  /** The folder of config.xml and the database; Syncthing's own place unless given. */
  home: homePath.optional(),
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('syncthing'),
  /** A key for its API; it wins over the one in config.xml. With it, the API itself is probed. */
  apiKey: z
    .string()
    .regex(/^\$\{(file|env|json):[^}]+\}$/, 'expected a reference such as ${file:~/.paios/secrets/syncthing}')
    .optional(),
  observe: z.boolean().default(false),
}
type Settings = z.output<z.ZodObject<typeof settings>>

const exits: NonNullable<ServiceSpecInput['exits']> = [
  { code: 3, class: 'planned', reason: 'a restart that was asked for on its page' },
  { code: 4, class: 'planned', reason: 'it has upgraded itself' },
  {
    code: 1,
    log: 'Error opening database: resource temporarily unavailable',
    class: 'fatal',
    reason: 'another Syncthing uses the same home',
  },
  {
    code: 1,
    log: 'Failed to initialize config: (.+)',
    class: 'fatal',
    reason: 'its config.xml cannot be used: $1',
  },
  {
    code: 1,
    log: 'Starting API/GUI: listen tcp \\S+: bind: address already in use',
    class: 'failure',
    reason: 'its port is held by another program',
  },
  {
    code: 1,
    log: 'Error opening database: (.+)',
    class: 'failure',
    reason: 'its database cannot be opened: $1',
  },
  { code: 255, class: 'failure', reason: 'its worker process was killed' },
]

function probes({ port, home, apiKey }: Settings): Probes {
  const page: Page = {
    kind: 'http',
    port,
    path: '/rest/noauth/health',
    status: [200, 401, 403],
    text: '"status"\\s*:\\s*"OK"|^CSRF Error|^Not Authorized',
  }
  return [
    ...(home === undefined ? [] : [wholeConfig(home)]),
    portFree(port),
    // Ready after 1.4 s; a migration of its database takes longer with the number of files.
    { ...page, name: 'startup', role: 'startup', every: '500ms' },
    { ...page, name: 'live', role: 'liveness', every: '10s', timeout: '5s' },
    {
      kind: 'log',
      name: 'folders',
      role: 'readiness',
      pattern: 'Error on folder ',
      clearPattern: 'Cleared error on folder ',
      every: '10s',
      failureThreshold: 1,
    },
    ...(apiKey === undefined ? [] : [api(port, apiKey)]),
  ]
}

/**
 * A file that was cut off is seen while the old settings still run. One that is missing would be made anew, open to
 * the network and with another identity, so it blocks.
 */
function wholeConfig(home: string): Probes[number] {
  return {
    kind: 'file',
    name: 'config',
    role: 'preflight',
    path: `${home.replace(/\/$/, '')}/config.xml`,
    matches: '</configuration>\\s*$',
    every: '5m',
    failureThreshold: 1,
  }
}

function api(port: number, apiKey: string): Probes[number] {
  return {
    kind: 'http',
    name: 'api',
    role: 'readiness',
    port,
    path: '/rest/system/ping',
    headers: { 'X-API-Key': apiKey },
    body: [{ path: 'ping', equals: 'pong' }],
    every: '30s',
    timeout: '5s',
  }
}

/** Syncthing as a child of the supervisor, or observed where another manager runs it. */
export const syncthing = defineService({
  id: 'syncthing',
  summary: 'Syncthing: both of its processes, its page, its folders',
  settings,
  spec: (chosen) => {
    const { port, home, program, apiKey, observe } = chosen
    const flags = ['serve', '--no-browser', '--no-restart', `--gui-address=127.0.0.1:${port}`, '--logfile=-']
    return observedIf(observe, {
      kind: 'daemon',
      command: [program, ...flags, ...(home === undefined ? [] : ['--home', home])],
      env: apiKey === undefined ? {} : { STGUIAPIKEY: apiKey },
      probes: probes(chosen),
      exits,
      stop: [
        { step: 'signal', signal: 'SIGTERM', to: 'group' },
        { step: 'wait-exit', for: '10s' },
      ],
      startTimeout: '2m',
      install: 'apt install syncthing, or brew install syncthing',
      ports: [port],
      runbook: 'syncthing.md',
    })
  },
})
