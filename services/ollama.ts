/**
 * Ollama. Tested against a fake written from its documentation, not against the program: `/` answers the text
 * `Ollama is running`, `/api/version` the version, `/api/tags` the models on disk. No probe asks a model for an
 * answer, since that would load one into memory and cost minutes of computing; so a runner that hangs while
 * the server answers is not seen (the runbook says how to look).
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import type { ServiceSpecInput } from '../schemas/service.ts'
import { absolute, homePath, listenHost, observedIf, type Page, portFree, portNumber } from './listening.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

const settings = {
  port: portNumber.default(11_434),
  host: listenHost.default('127.0.0.1'),
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('ollama'),
  /** Where the models are; Ollama's own place unless given. */
  models: homePath.optional(),
  /** The app, or a systemd unit, runs it: it is probed only. */
  observe: z.boolean().default(false),
}

const exits: NonNullable<ServiceSpecInput['exits']> = [
  {
    code: 1,
    log: 'listen tcp \\S+: bind: address already in use',
    class: 'failure',
    reason: 'its port is held by another program, often the Ollama app',
  },
  {
    code: 1,
    log: 'Error: (.*(?:permission denied|read-only file system|no space left on device).*)',
    class: 'fatal',
    reason: '$1',
  },
  { code: 1, log: '^Error: (.+)$', class: 'failure', reason: '$1' },
]

function probes(port: number): Probes {
  const root: Page = { kind: 'http', port, path: '/', text: '^Ollama is running' }
  const json: Page = { kind: 'http', port, contentType: 'application/json' }
  return [
    portFree(port),
    { ...root, name: 'startup', role: 'startup', every: '1s' },
    { ...root, name: 'live', role: 'liveness', every: '10s', timeout: '5s' },
    {
      ...json,
      name: 'version',
      role: 'readiness',
      path: '/api/version',
      body: [{ path: 'version', matches: '^\\d+\\.\\d+' }],
      every: '30s',
    },
    {
      // Reads the folder of models: one that is gone or not readable shows here.
      ...json,
      name: 'models',
      role: 'readiness',
      path: '/api/tags',
      body: [{ path: 'models', matches: '' }],
      every: '1m',
      timeout: '5s',
    },
  ]
}

/** The Ollama server; models are loaded by those who ask it. */
export const ollama = defineService({
  id: 'ollama',
  summary: 'The Ollama server: probed by what it says of itself, never by asking a model',
  settings,
  spec: ({ port, host, program, models, observe }, { home }) =>
    observedIf(observe, {
      kind: 'daemon',
      command: [program, 'serve'],
      env: {
        OLLAMA_HOST: `${host}:${port}`,
        ...(models === undefined ? {} : { OLLAMA_MODELS: absolute(models, home) }),
      },
      probes: probes(port),
      exits,
      install: 'brew install ollama, or the installer from ollama.com',
      ports: [port],
      runbook: 'ollama.md',
    }),
})
