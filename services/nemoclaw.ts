/**
 * NemoClaw: an OpenClaw in a sandbox of NVIDIA's OpenShell. Tested against a fake written from its documentation, not
 * against the program, which is an alpha. The sandbox lives in Docker and is not a child of anybody here; what
 * breaks, and what is kept up here, is the forward of its dashboard to this machine: it is ended and started again
 * when the OpenClaw behind it does not answer. The port is the one of an OpenClaw on the host, and OpenShell's own is
 * the one of llama.cpp: both are declared, so a document with such a pair is refused, and a stranger is named.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import type { ServiceSpecInput } from '../schemas/service.ts'
import { type Page, portFree, portNumber } from './listening.ts'

const settings = {
  /** The sandbox, as `nemoclaw list` names it. */
  sandbox: z.string().regex(/^[A-Za-z0-9][\w-]{0,62}$/, 'is not the name of a sandbox'),
  /** Where the dashboard of its OpenClaw is to be reached on 127.0.0.1. */
  port: portNumber.default(18_789),
  /** The port of the OpenShell gateway. */
  gatewayPort: portNumber.default(8080),
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('openshell'),
}
type Settings = z.output<z.ZodObject<typeof settings>>

function probes({ sandbox, port, gatewayPort, program }: Settings): NonNullable<ServiceSpecInput['probes']> {
  const health: Page = {
    kind: 'http',
    port,
    path: '/healthz',
    contentType: 'application/json',
    body: [
      { path: 'ok', equals: true },
      { path: 'status', equals: 'live' },
    ],
  }
  return [
    portFree(port),
    { kind: 'tcp', name: 'gateway', role: 'preflight', port: gatewayPort, every: '1m' },
    {
      kind: 'exec',
      name: 'sandbox',
      role: 'preflight',
      command: [program, 'sandbox', 'list'],
      output: `^\\s*${sandbox}\\s.*\\bReady\\b`,
      every: '5m',
      timeout: '30s',
    },
    { ...health, name: 'startup', role: 'startup', every: '1s' },
    { ...health, name: 'live', role: 'liveness', every: '10s', timeout: '5s' },
    { ...health, name: 'ready', role: 'readiness', every: '15s', timeout: '5s' },
  ]
}

/** The forward to an OpenClaw in an OpenShell sandbox. */
export const nemoclaw = defineService({
  id: 'nemoclaw',
  summary: 'NemoClaw: the forward to the OpenClaw in its sandbox, restarted when nothing answers behind it',
  settings,
  spec: (chosen) => {
    const { sandbox, port, gatewayPort, program } = chosen
    return {
      kind: 'daemon',
      // Without --background it stays in the foreground.
      command: [program, 'forward', 'start', String(port), sandbox],
      env: { NO_COLOR: '1' },
      probes: probes(chosen),
      exits: [
        {
          log: '[Aa]ddress already in use|port \\d+ is already',
          class: 'failure',
          reason: 'its port is held by another program',
        },
        {
          log: 'sandbox .*not found|No such sandbox',
          class: 'fatal',
          reason: `there is no sandbox ${sandbox} (nemoclaw list)`,
        },
        {
          log: '(?:tcp connect error|Connection refused)',
          class: 'failure',
          reason: 'the OpenShell gateway does not answer',
        },
      ],
      install: 'NemoClaw and OpenShell from docs.nvidia.com/nemoclaw (needs Docker), then nemoclaw onboard',
      ports: [port, gatewayPort],
      runbook: 'nemoclaw.md',
    }
  },
})
