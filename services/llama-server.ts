/**
 * The server of llama.cpp. Tested against a fake written from its documentation, not against the program: while a
 * model loads, which may take minutes, `/health` answers 503 with `Loading model`, then 200 with `status: ok`.
 * It needs no key for `/health`. A key for the rest goes into `env` as LLAMA_API_KEY, since arguments show in ps.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import { commonFields, type ServiceSpecInput } from '../schemas/service.ts'
import { homePath, listenHost, observedIf, type Page, portFree, portNumber } from './listening.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

const settings = {
  /** The model file (GGUF). */
  model: homePath,
  port: portNumber.default(8080),
  host: listenHost.default('127.0.0.1'),
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('llama-server'),
  /** Further arguments, such as `[-c, "8192"]`. */
  args: z.array(z.string()).default([]),
  /** How long loading the model may take. */
  loadTimeout: commonFields.startTimeout.unwrap().prefault('10m'),
  observe: z.boolean().default(false),
}

const exits: NonNullable<ServiceSpecInput['exits']> = [
  {
    log: 'out of memory|cudaMalloc failed|failed to allocate (?:\\S+ )?buffer|unable to allocate (?:\\S+ )?buffer',
    class: 'failure',
    reason: 'there is too little memory for the model',
  },
  {
    code: 1,
    log: "couldn't bind HTTP server socket",
    class: 'failure',
    reason: 'its port is held by another program',
  },
  { code: 1, log: 'error loading model: (.+)', class: 'fatal', reason: 'the model cannot be loaded: $1' },
  {
    code: 1,
    log: 'failed to load model|failed to open GGUF file|exiting due to model loading error',
    class: 'fatal',
    reason: 'the model cannot be loaded',
  },
  {
    code: 1,
    log: '^error: (invalid argument: .+|unknown argument: .+)$',
    class: 'fatal',
    reason: 'its arguments are wrong: $1',
  },
  { code: 1, log: 'error while handling argument (.+)', class: 'fatal', reason: 'its argument is wrong: $1' },
]

function probes(port: number, model: string): Probes {
  const health: Page = { kind: 'http', port, path: '/health', contentType: 'application/json' }
  const body = [{ path: 'status', equals: 'ok' }]
  return [
    { kind: 'file', name: 'model', role: 'preflight', path: model, every: '1m' },
    portFree(port),
    {
      ...health,
      name: 'startup',
      role: 'startup',
      body,
      progress: { status: 503, path: 'error.message', equals: 'Loading model' },
      show: 'error.message',
      every: '1s',
    },
    { ...health, name: 'ready', role: 'readiness', body, show: 'error.message', every: '10s', timeout: '5s' },
    {
      // One that loads its model again is alive: only an answer of another kind, or none, may restart it.
      ...health,
      name: 'live',
      role: 'liveness',
      status: [200, 503],
      text: '"status"\\s*:\\s*"ok"|Loading model',
      every: '15s',
      timeout: '5s',
      failureThreshold: 4,
    },
  ]
}

/** A model behind llama-server; its loading is waited for as long as it says that it loads. */
export const llamaServer = defineService({
  id: 'llama-server',
  summary: 'The llama.cpp server: a model that loads for minutes is waited for, not restarted',
  settings,
  spec: ({ model, port, host, program, args, loadTimeout, observe }) =>
    observedIf(observe, {
      kind: 'daemon',
      command: [program, '-m', model, '--host', host, '--port', String(port), ...args],
      probes: probes(port, model),
      exits,
      startTimeout: '60s',
      startTimeoutMax: `${loadTimeout}ms`,
      install: 'brew install llama.cpp, or a build from github.com/ggml-org/llama.cpp',
      ports: [port],
      runbook: 'llama-server.md',
    }),
})
